"""What an isolation found, as plain data. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from gradcheck.program.location import Location


class ComponentKind(StrEnum):
    GRADIENT = "gradient"  # replaced by the true gradient in the replay
    EDIT = "edit"  # of the source: the program is recorded again with it
    LAYER = "layer"  # switched off


@dataclass(frozen=True, slots=True)
class GradientKey:
    """A row of the report, in a program whose other lines may have moved: the `number`th of that `name`, from 0."""

    name: str
    number: int = 0


@dataclass(frozen=True, slots=True)
class Edit:
    location: Location
    replacement: str


@dataclass(frozen=True, slots=True)
class Component:
    """One fault, or a group of them, that is repaired as a whole. `verified` if replay proved the repair."""

    key: str  # "d_A_1", "layer 2", "line 115"
    kind: ComponentKind
    what: str  # "the true gradient in place of `d_A_1`", "`** -0.5` in place of `** 0.5`"
    location: Location
    rules: tuple[str, ...] = ()
    gradients: tuple[GradientKey, ...] = ()
    edits: tuple[Edit, ...] = ()
    verified: bool = True


@dataclass(slots=True)
class Variant:
    """One way of training: with the components in `repaired` mended. One loss per seed; NaN where it diverged."""

    repaired: tuple[str, ...]
    losses: list[float] = field(default_factory=list)
    curve: list[float] = field(
        default_factory=list
    )  # mean over the seeds, in equal stretches of the training
    diverged_at: list[int | None] = field(default_factory=list)  # the step, per seed
    error: str = ""  # why it could not be trained

    @property
    def loss(self) -> float | None:
        """The mean over the seeds, of those that did not diverge."""
        kept = [loss for loss in self.losses if loss == loss]
        return sum(kept) / len(kept) if kept and len(kept) == len(self.losses) else None

    @property
    def spread(self) -> float | None:
        """The standard deviation over the seeds, with n - 1."""
        mean = self.loss
        if mean is None or len(self.losses) < 2:
            return None
        return float((sum((loss - mean) ** 2 for loss in self.losses) / (len(self.losses) - 1)) ** 0.5)


@dataclass(slots=True)
class Cost:
    """What one component costs. Gains are losses saved: positive where the repair helps."""

    key: str
    alone: float | None = None  # repaired alone, against as written
    last: float | None = None  # all repaired, against all but this
    share: float | None = None  # Shapley value: its part of the whole gain


@dataclass(slots=True)
class Isolation:
    loss: str = "loss"
    steps: int = 0
    smoothed_over: int = 0  # steps at the end whose mean training loss is compared
    seeds: list[int] = field(default_factory=list)
    components: list[Component] = field(default_factory=list)
    variants: list[Variant] = field(default_factory=list)
    costs: list[Cost] = field(default_factory=list)
    draws: str = ""  # where fresh minibatches came from
    frozen: list[str] = field(default_factory=list)  # Python numbers that stayed as recorded
    followed: list[str] = field(default_factory=list)  # Python numbers that were computed anew
    substitution_difference: float | None = None  # of the loss, at most, where nothing is to be repaired
    notes: list[str] = field(default_factory=list)
    finished: bool = True  # False if it was interrupted

    def variant(self, repaired: tuple[str, ...]) -> Variant | None:
        wanted = set(repaired)
        return next((v for v in self.variants if set(v.repaired) == wanted), None)
