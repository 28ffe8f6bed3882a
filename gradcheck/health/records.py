"""What the health of a network was found to be, as plain data.

This file, and the `records.py` of each family, import no torch: the report is built and read where torch need not
be installed. Every family says in `absent` why it had nothing to look at; empty if it had.
"""

from dataclasses import dataclass, field

from gradcheck.health.activations.records import ActivationHealth
from gradcheck.health.batch_norm.records import BatchNormHealth
from gradcheck.health.evaluation.records import EvaluationHealth
from gradcheck.health.samples.records import SampleHealth
from gradcheck.health.updates.records import UpdateHealth


@dataclass(slots=True)
class SweepRecord:
    """The data that the forward pass of one recorded step was replayed on."""

    pass_index: int
    batches: int = 1  # replayed, the recorded one among them
    samples: int | None = None  # rows per batch
    fresh: str = ""  # where the fresh ones came from: "drawn again by `torch.randint`", "other rows of `X`"
    reason: str = ""  # why there is only the recorded batch; empty if there are others


@dataclass(slots=True)
class Health:
    sweeps: list[SweepRecord] = field(default_factory=list)
    activations: ActivationHealth = field(default_factory=ActivationHealth)
    batch_norm: BatchNormHealth = field(default_factory=BatchNormHealth)
    updates: UpdateHealth = field(default_factory=UpdateHealth)
    evaluation: EvaluationHealth = field(default_factory=EvaluationHealth)
    samples: SampleHealth = field(default_factory=SampleHealth)
    notes: list[str] = field(default_factory=list)
