"""What was found of the initial loss, the parameters and their updates: plain data. Imports no torch."""

import math
import statistics
from dataclasses import dataclass, field

from gradcheck.program.location import Location


@dataclass(frozen=True, slots=True)
class LearningRate:
    """A Python number that the move of a parameter is proportional to: shown by replaying the step with twice that
    number. `largest` is the largest value that the source ever gives it, None where that cannot be read off (a
    schedule, a setting from elsewhere)."""

    value: float
    text: str  # as written in the update: `learning_rate`, `0.1`
    location: Location | None = None  # where the number is written, if that is one place
    largest: float | None = None
    literal: Location | None = None  # the number itself there, if it is one


@dataclass(slots=True)
class ParameterRecord:
    """One parameter of one recorded step. Figures are over its elements, in float64; `gradient_*` are of the gradient
    that the program computed by hand, or of the true one where it computed none (`gradient` is then empty)."""

    name: str
    shape: tuple[int, ...]
    is_matrix: bool = False  # two axes or more, each longer than one: a weight and no bias, gain or shift
    mean: float = 0.0
    std: float = 0.0
    gradient: str = ""
    gradient_mean: float | None = None
    gradient_std: float | None = None
    update_std: float | None = None  # of what the step changed it by; None if it was not visibly moved
    location: Location | None = None  # where it is moved
    learning_rate: LearningRate | None = None

    @property
    def gradient_ratio(self) -> float | None:
        """Gradient to data."""
        return _ratio(self.gradient_std, self.std)

    @property
    def update_ratio(self) -> float | None:
        """Update to data, as log10."""
        ratio = _ratio(self.update_std, self.std)
        return math.log10(ratio) if ratio else None


@dataclass(slots=True)
class StepRecord:
    """One recorded step. The losses are those of its own minibatch: before its update, after it, and after the same
    update multiplied by `goal_factor`, which brings the median ratio to 1e-3."""

    pass_index: int
    iteration: int | None  # None outside of a training loop
    parameters: list[ParameterRecord] = field(default_factory=list)
    wrong_gradients: int = 0  # and moves along another's gradient, or uphill
    minimised: bool = False  # the loss has a least value and no greatest one
    loss: str = ""
    loss_location: Location | None = None
    loss_before: float | None = None
    loss_after: float | None = None
    goal_factor: float | None = None
    loss_at_goal: float | None = None

    @property
    def trains(self) -> bool:
        return any(p.update_std is not None for p in self.parameters)

    @property
    def weights(self) -> list[ParameterRecord]:
        """The weight matrices that the step moved, and that are not all one number."""
        return [p for p in self.parameters if p.is_matrix and p.update_ratio is not None]

    @property
    def median_ratio(self) -> float | None:
        """Of the weight matrices, update to data as log10."""
        ratios = [p.update_ratio for p in self.weights if p.update_ratio is not None]
        return statistics.median(ratios) if ratios else None


@dataclass(slots=True)
class InitialLoss:
    """The first loss of a network that predicts one of `classes`, per example, and what uniform predictions would
    give: ln(classes). `loss_at_scale` is what it is with the last weights multiplied by `scale`."""

    pass_index: int
    iteration: int | None
    classes: int
    found: float
    error: float  # the standard error of `found` over the examples
    examples: int
    trains: bool = False  # whether the step moves any parameter
    loss: str = ""
    location: Location | None = None  # of the loss
    weights: str = ""  # of the last linear layer
    layer: Location | None = None  # where it is applied
    made: Location | None = None  # where the weights are made
    logits_std: float | None = None
    scale: float | None = None
    loss_at_scale: float | None = None

    @property
    def expected(self) -> float:
        return math.log(self.classes)


@dataclass(slots=True)
class SymmetricLayer:
    """Hidden units that compute the same on every example and get the same gradient: no step can tell them apart."""

    pass_index: int
    iteration: int | None
    weights: str
    units: int
    all_zero: bool
    no_gradient: bool  # nor does any gradient reach them
    location: Location | None = None  # of the layer
    made: Location | None = None  # where the weights are made


@dataclass(slots=True)
class UpdateHealth:
    """`no_loss` says why there is no initial loss to judge."""

    absent: str = "no step was looked at"
    steps: list[StepRecord] = field(default_factory=list)
    initial_losses: list[InitialLoss] = field(default_factory=list)
    layers: int = 0  # hidden layers whose units were compared
    symmetric: list[SymmetricLayer] = field(default_factory=list)
    no_loss: str = ""


def _ratio(above: float | None, below: float) -> float | None:
    """None where either is so small that the quotient says nothing: a parameter that is all one number has no
    spread to compare with."""
    if above is None or not math.isfinite(above) or not math.isfinite(below) or below <= 0:
        return None
    return above / below
