"""What was found of the activations and gradients of each layer: plain data. Imports no torch."""

from dataclasses import dataclass, field

from gradcheck.program.location import Location


@dataclass(slots=True)
class Histogram:
    """`counts[i]` numbers lie from `edges[i]` to `edges[i + 1]`; what lies outside is counted in the outermost."""

    edges: list[float] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)


@dataclass(slots=True)
class WeightRecord:
    """The weight of the linear map before an activation. `wanted_std` is gain / sqrt(fan_in)."""

    name: str
    std: float
    fan_in: int | None = None
    gain: float | None = None
    wanted_std: float | None = None
    location: Location | None = None  # where it was given its name
    inputs: str = ""  # what it is applied to
    inputs_std: float | None = None
    normalised: bool = False  # what it computes is normalised before the activation


@dataclass(slots=True)
class ActivationRecord:
    """One layer of one recorded step, over its sweep. A unit is one place along the axis of the features: the
    channel of a convolution, a row of `W @ x`, else the last axis. `off` means: without a derivative that the
    program's dtype distinguishes from 0; for a leaky relu: on its negative side. Shares are of outputs. `map` is the
    recorded batch, a string for every sample and a character for every unit: `#` saturated or off, `.` not."""

    pass_index: int
    iteration: int | None
    layer: int  # from 1, in the order in which they are computed
    layers: int  # in all
    depth: int  # from 1: how many layers lie between it and the input, itself included
    name: str
    argument: str
    function: str
    location: Location
    slope: float | None = None  # of a leaky relu
    hidden: bool = True  # False if no further layer follows: what it computes is the prediction
    applied: int = 1  # times in one step, as over the steps of a sequence
    shape: tuple[int, ...] = ()  # of one of them, on the recorded batch
    units: int = 0
    batches: int = 0
    samples: int = 0  # rows of all the batches
    mean: float | None = None
    std: float | None = None
    argument_mean: float | None = None
    argument_std: float | None = None
    saturated: float | None = None  # beyond the limit for abs(tanh)
    beyond: float | None = None  # beyond the limit for the argument
    off: float | None = None
    dead: list[int] = field(default_factory=list)  # units that are off on every sample
    expected_dead: float | None = None  # if some are: the share that random weights leave off by themselves
    stranded: list[int] = field(default_factory=list)  # dead units with an argument far below the others
    dead_argument: float | None = None  # mean argument of the dead (stranded) unit furthest from the middle
    middle: float | None = None  # of the means of the arguments of all units
    always_on: list[int] = field(default_factory=list)  # of a relu: units that are never off
    unit_saturated: list[float] = field(default_factory=list)
    unit_off: list[float] = field(default_factory=list)
    unit_mean: list[float] = field(default_factory=list)
    unit_std: list[float] = field(default_factory=list)
    gradient_mean: float | None = None  # of dL/d output, on the recorded batch
    gradient_std: float | None = None
    gradient_norm: float | None = None
    histogram: Histogram = field(default_factory=Histogram)
    gradient_histogram: Histogram = field(default_factory=Histogram)
    map: list[str] = field(default_factory=list)
    weight: WeightRecord | None = None


@dataclass(slots=True)
class GradientTrend:
    """How the norm of dL/d output changes from layer to layer along the longest way through those of one kind,
    towards the input: by `factor` per layer. `layers` are their numbers, from the input on."""

    pass_index: int
    iteration: int | None
    function: str
    layers: list[int]
    norms: list[float]
    factor: float
    total: float  # the norm at the first of them over that at the last


@dataclass(slots=True)
class ActivationHealth:
    absent: str = "no step was looked at"
    layers: list[ActivationRecord] = field(default_factory=list)
    trends: list[GradientTrend] = field(default_factory=list)
    no_trend: str = ""  # why there is none, if there is none
    saturated_limit: float = 0.97
    beyond_limit: float = 9.5
