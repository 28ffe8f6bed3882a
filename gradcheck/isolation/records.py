"""What an isolation found, as plain data. Imports no torch."""

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from gradcheck.program.location import Location


class ComponentKind(StrEnum):
    GRADIENT = "gradient"  # replaced by the true gradient in the replay
    EDIT = "edit"  # of the source: the program is recorded again with it


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


@dataclass(frozen=True, slots=True)
class SwitchableLayer:
    """A hidden layer whose input has the shape of its output. `number` counts the layers from the input, from 1."""

    index: int
    number: int
    name: str  # of its output
    location: Location


@dataclass(slots=True)
class Variant:
    """One way of training: with the components in `repaired` repaired. One loss per seed; NaN where it diverged.
    `curve` is the mean over the seeds, in equal stretches of the training."""

    repaired: tuple[str, ...]
    seeds: list[int] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    curve: list[float] = field(default_factory=list)
    diverged_at: list[int | None] = field(default_factory=list)  # the step, per seed
    error: str = ""  # why it could not be trained

    @property
    def diverged(self) -> int:
        """On how many seeds."""
        return sum(step is not None for step in self.diverged_at)

    @property
    def loss(self) -> float | None:
        """The mean over the seeds; None where it diverged on any of them."""
        return sum(self.losses) / len(self.losses) if self.losses and not self.diverged else None

    @property
    def spread(self) -> float | None:
        return None if self.diverged else spread_of(self.losses)


@dataclass(slots=True)
class Cost:
    """What one component costs. Gains are losses saved: positive where the repair helps. Spreads are standard
    deviations over the seeds."""

    key: str
    alone: float | None = None  # repaired alone, against as written
    alone_spread: float | None = None
    last: float | None = None  # all repaired, against all but this
    last_spread: float | None = None
    share: float | None = None  # Shapley value: its part of the whole gain
    share_spread: float | None = None

    @property
    def worth(self) -> tuple[float, float] | None:
        """The best that is known of what it costs, and the spread of that."""
        known = (
            (self.share, self.share_spread),
            (self.last, self.last_spread),
            (self.alone, self.alone_spread),
        )
        return next(((gain, spread or 0.0) for gain, spread in known if gain is not None), None)


@dataclass(slots=True)
class LayerCost:
    """A network without one of its hidden layers, trained with true gradients, against the same with all of them.
    `network` says whether the verified edits are made in it. `saves` is the loss that the layer saves: below 0 where
    the network is better without it."""

    number: int
    name: str
    location: Location
    network: str  # "as written" or "repaired"
    seeds: list[int] = field(default_factory=list)
    loss: float | None = None
    spread: float | None = None
    with_all: float | None = None
    saves: float | None = None
    saves_spread: float | None = None
    error: str = ""


@dataclass(slots=True)
class Isolation:
    pass_index: int = 0
    loss: str = "loss"
    steps: int = 0
    smoothed_over: int = 0  # steps at the end whose mean training loss is compared
    seeds: list[int] = field(default_factory=list)
    components: list[Component] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)  # faults that are no component, and why
    variants: list[Variant] = field(default_factory=list)
    costs: list[Cost] = field(default_factory=list)  # the most costly first
    layers: list[LayerCost] = field(default_factory=list)
    no_layers: str = ""  # why none was switched off, where that was asked for
    draws: str = ""  # where fresh minibatches came from
    frozen: list[str] = field(default_factory=list)  # Python numbers that stayed as recorded
    followed: list[str] = field(default_factory=list)  # Python numbers that were computed again
    replaced: int = 0  # gradients that were replaced by the true ones where there is nothing to repair
    difference: float | None = None  # of the loss then, relatively, at most
    first_difference: float | None = None  # the same over the first steps, before rounding has grown
    first_steps: int = 0
    notes: list[str] = field(default_factory=list)
    done: int = 0  # trainings
    wanted: int = 0

    @property
    def finished(self) -> bool:
        """False if it was interrupted."""
        return self.done == self.wanted

    def variant(self, repaired: Iterable[str]) -> Variant | None:
        wanted = set(repaired)
        return next((v for v in self.variants if set(v.repaired) == wanted), None)

    @property
    def as_written(self) -> Variant | None:
        return self.variant(())

    @property
    def all_repaired(self) -> Variant | None:
        return self.variant(component.key for component in self.components)


def spread_of(numbers: Sequence[float]) -> float | None:
    """The standard deviation, with n - 1."""
    return statistics.stdev(numbers) if len(numbers) > 1 else None
