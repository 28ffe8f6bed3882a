"""What was found of each batch normalisation: plain data. Imports no torch."""

from dataclasses import dataclass, field
from enum import StrEnum

from gradcheck.program.location import Location


class Fault(StrEnum):
    """Why a layer that takes the statistics of a batch does not normalise it."""

    NONE = ""
    POWER = "power"  # the scale is not the variance to the power of -1/2
    AXIS = "axis"  # a statistic goes over another axis than the rows
    FOREIGN = "foreign"  # a statistic is that of another value
    NOT_CENTRED = "not-centred"  # the variance is that of the value before the mean is subtracted
    NOT_AVERAGED = "not-averaged"  # the sum of squares is not divided by the number of rows
    MEAN = "mean"  # what is subtracted is not the mean
    SCALE = "scale"  # another wrong scale


@dataclass(slots=True)
class Spread:
    """Of the numbers of one parameter."""

    name: str
    mean: float
    std: float
    low: float
    high: float


@dataclass(slots=True)
class BatchNormLayer:
    """One batch normalisation of one recorded step. The output is the normalised value before scale and shift; its
    means and standard deviations are those of each feature, over the batch (n, not n - 1), averaged over the sweep."""

    pass_index: int
    iteration: int | None
    number: int  # in the order of the forward pass, from 1
    input: str
    location: Location  # of the line that normalises
    norm: str
    output: str
    batch: int  # numbers per feature
    features: int
    batches: int = 0  # of the sweep
    mean: str = ""
    mean_location: Location | None = None
    scale: str = ""
    scale_location: Location | None = None
    foreign: str = ""  # the value whose statistic is used instead
    weight: str = ""  # before it
    bias: str = ""  # before it, and cancelled by the subtraction of the mean
    bias_location: Location | None = None
    gamma: Spread | None = None
    beta: Spread | None = None
    fault: Fault = Fault.NONE
    unmeasured: str = ""  # why nothing can be said of what it does
    exponent: float | None = None  # of the variance in its scale
    correction: float | None = None  # its variance divides by n minus this
    eps: float | None = None
    eps_on_std: bool = False
    probe_mean: float | None = None  # of the output, on random numbers of mean 3 and standard deviation 1
    probe_std: float | None = None
    means: list[float] = field(default_factory=list)  # of the output, per feature
    stds: list[float] = field(default_factory=list)
    worst_mean: float | None = None  # the largest |mean| of a feature in any batch
    variances: list[float] = field(default_factory=list)  # of the input, per feature: the median of the sweep
    constant: int = 0  # features that did not vary in any batch
    below_eps: float = 0.0  # the share of the others whose variance is below eps


class Source(StrEnum):
    """Where statistics that are used after the training come from."""

    CALIBRATED = "calibrated"  # computed after the training
    RUNNING = "running"  # moved along in the training step


@dataclass(slots=True)
class Statistic:
    """A mean or a variance that is used instead of the batch's, compared with the layer's own over the data."""

    name: str
    location: Location
    what: str  # "mean" or "variance"
    computed_from: str  # the value it is a statistic of
    offset: float | None = None  # of a mean: root mean square of the features, in deviations of the layer
    ratio: float | None = None  # of a variance: geometric mean over the features
    factor: float | None = None  # of a variance: how far off either way, root mean square of the logarithms
    worst: float | None = None  # feature: in standard deviations, or as a ratio
    allowed: float = 0.0  # what so few rows explain of the offset, or of the logarithm of the factor
    explained_by: str = ""
    weights: float | None = None  # of a running one: the sum of the weights of the old value and the batch's
    correction: int | None = None  # of a running variance: it goes to the batch's over n minus this
    of_layer: int | None = None  # of a running one: the layer whose statistic it goes to
    of_input: str = ""


@dataclass(slots=True)
class StatisticsInUse:
    """The statistics that one normalisation after the training uses in the place of those of a batch."""

    pass_index: int
    layer: int  # number of the matching training layer
    input: str
    source: Source
    location: Location | None  # of the line that normalises with them, if one was seen
    statistics: list[Statistic] = field(default_factory=list)
    unmeasured: str = ""


@dataclass(slots=True)
class BatchNormHealth:
    absent: str = "no step was looked at"
    layers: list[BatchNormLayer] = field(default_factory=list)
    in_use: list[StatisticsInUse] = field(default_factory=list)
    in_use_absent: str = "nothing after the training was recorded"
