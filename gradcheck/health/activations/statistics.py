"""Where a non-linearity is flat; sums over many minibatches, a layer and a unit at a time; which dead units to report."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from gradcheck.graph.match.functions import Nonlinearity
from gradcheck.health.activations.records import Histogram

# The gain that keeps the spread of activations from layer to layer: torch.nn.init.calculate_gain and its sources.
GAINS = {
    Nonlinearity.TANH: 5 / 3,
    Nonlinearity.SIGMOID: 1.0,
    Nonlinearity.RELU: math.sqrt(2),
    Nonlinearity.RELU6: math.sqrt(2),
    Nonlinearity.SELU: 0.75,
}
ONE_SIDED = (Nonlinearity.RELU, Nonlinearity.LEAKY_RELU)
_SIGMOID_LIKE = (Nonlinearity.TANH, Nonlinearity.SIGMOID)
_FLAT_BELOW = (
    Nonlinearity.ELU, Nonlinearity.SELU, Nonlinearity.SILU, Nonlinearity.SOFTPLUS, Nonlinearity.MISH,
)  # fmt: skip
_OFF: dict[Nonlinearity, Callable[[torch.Tensor, float], torch.Tensor]] = {
    Nonlinearity.TANH: lambda y, epsilon: 1 - y * y <= epsilon,
    Nonlinearity.SIGMOID: lambda y, epsilon: y * (1 - y) <= epsilon,
    Nonlinearity.RELU: lambda y, _: y <= 0,
    Nonlinearity.LEAKY_RELU: lambda y, _: y < 0,
    Nonlinearity.RELU6: lambda y, _: (y <= 0) | (y >= 6),
    Nonlinearity.HARDTANH: lambda y, _: y.abs() >= 1,
}


def gain(function: Nonlinearity, slope: float) -> float | None:
    if function is Nonlinearity.LEAKY_RELU:
        return math.sqrt(2 / (1 + slope**2))
    return GAINS.get(function)


def saturates(function: Nonlinearity) -> bool:
    return function in _SIGMOID_LIKE


@dataclass(frozen=True, slots=True)
class Limits:
    """`tanh` is the limit for abs(tanh(z)), `argument` that for abs(z). A sigmoid is a tanh of half its argument,
    squeezed into 0 to 1, so both limits hold for it too."""

    tanh: float
    argument: float


def saturated(function: Nonlinearity, output: torch.Tensor, limits: Limits) -> torch.Tensor | None:
    if function is Nonlinearity.TANH:
        return output.abs() > limits.tanh
    if function is Nonlinearity.SIGMOID:
        return (2 * output - 1).abs() > limits.tanh
    return None


def beyond(function: Nonlinearity, argument: torch.Tensor | None, limits: Limits) -> torch.Tensor | None:
    if argument is None or not saturates(function):
        return None
    return argument.abs() > (limits.argument if function is Nonlinearity.TANH else 2 * limits.argument)


def off(function: Nonlinearity, output: torch.Tensor, argument: torch.Tensor | None) -> torch.Tensor | None:
    """Where the derivative is 0 or less than the epsilon of the dtype; for a leaky relu, its negative side. None
    if that is not known."""
    epsilon = torch.finfo(output.dtype).eps
    if (by_result := _OFF.get(function)) is not None:
        return by_result(output, epsilon)
    if argument is None:
        return None
    if function in _FLAT_BELOW:  # the derivative falls with exp(z), or abs(z) * exp(z)
        return argument < math.log(epsilon) - 4
    if function is Nonlinearity.GELU:  # with exp(-z**2 / 2)
        return argument < -math.sqrt(-2 * math.log(epsilon)) - 1
    return None


BINS = 50
# Batches are kept until they hold this many numbers, and are counted together.
_TOGETHER = 1 << 20
_RANGES = {Nonlinearity.TANH: (-1.0, 1.0), Nonlinearity.SIGMOID: (0.0, 1.0)}


class _Moments:
    """Sums of each unit and of its squares, in float64."""

    def __init__(self) -> None:
        self._sum: torch.Tensor | float = 0.0
        self._squares: torch.Tensor | float = 0.0
        self.count = 0

    def add(self, values: torch.Tensor) -> None:
        """The squares are taken of what is left without the mean, so that the dtype of the program is enough for
        them."""
        total = values.sum(0, dtype=torch.float64)
        mean = total / values.shape[0]
        centred = values - mean.to(values.dtype)
        self._sum = self._sum + total
        self._squares = self._squares + (centred * centred).sum(0, dtype=torch.float64)
        self._squares = self._squares + mean * mean * values.shape[0]
        self.count += values.shape[0]

    def mean_and_std(self) -> tuple[torch.Tensor, torch.Tensor]:
        mean, squares = (torch.as_tensor(part) / max(1, self.count) for part in (self._sum, self._squares))
        return mean, (squares - mean * mean).clamp(min=0).sqrt()


class LayerStatistics:
    def __init__(self, function: Nonlinearity, axis: int, limits: Limits) -> None:
        self._function = function
        self._axis = axis
        self._limits = limits
        self._outputs: list[torch.Tensor] = []
        self._arguments: list[torch.Tensor] = []
        self._output_moments, self._argument_moments = _Moments(), _Moments()
        self._has_arguments = True
        self.saturated: torch.Tensor | None = None
        self.off: torch.Tensor | None = None
        self.beyond: int | None = None
        self._low = self._high = 0.0
        self._counts: torch.Tensor | None = None

    def add(self, output: torch.Tensor, argument: torch.Tensor | None) -> None:
        self._outputs.append(by_unit(output, self._axis))
        self._has_arguments = self._has_arguments and argument is not None
        if argument is not None:
            self._arguments.append(by_unit(argument, self._axis))
        if sum(rows.numel() for rows in self._outputs) >= _TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Count what is kept."""
        if not self._outputs:
            return
        output = torch.cat(self._outputs)
        argument = torch.cat(self._arguments) if self._has_arguments else None
        self._outputs, self._arguments = [], []
        self._output_moments.add(output)
        flat = saturated(self._function, output, self._limits)
        if flat is not None:
            self.saturated = flat.sum(0) + (0 if self.saturated is None else self.saturated)
        dark = off(self._function, output, argument)
        if dark is not None:
            self.off = dark.sum(0) + (0 if self.off is None else self.off)
        far = beyond(self._function, argument, self._limits)
        if far is not None:
            self.beyond = (self.beyond or 0) + int(far.sum())
        if argument is not None:
            self._argument_moments.add(argument)
        if self._counts is None:
            self._low, self._high = _RANGES.get(self._function) or span(output)
        # Only the first ones are known to lie within.
        inside = output.clamp(self._low, self._high)
        counts = torch.histc(inside, BINS, self._low, self._high)
        self._counts = counts if self._counts is None else self._counts + counts

    # -- what came out -------------------------------------------------------------------------------------------

    @property
    def count(self) -> int:
        """Outputs of each unit."""
        return self._output_moments.count

    @property
    def total(self) -> int:
        return self.count * self.unit_mean_and_std()[0].numel()

    def unit_mean_and_std(self) -> tuple[torch.Tensor, torch.Tensor]:
        return self._output_moments.mean_and_std()

    def mean_and_std(self) -> tuple[float, float]:
        return together(*self.unit_mean_and_std())

    def unit_argument(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Mean and standard deviation of what goes into each unit; None if that was overwritten."""
        known = self._has_arguments and self._argument_moments.count
        return self._argument_moments.mean_and_std() if known else None

    def histogram(self) -> Histogram:
        return _histogram(self._counts, self._low, self._high) if self._counts is not None else Histogram()


def histogram_of(values: torch.Tensor) -> Histogram:
    low, high = span(values)
    return _histogram(torch.histc(values.double(), BINS, low, high), low, high)


def by_unit(tensor: torch.Tensor, axis: int) -> torch.Tensor:
    """Two dimensions, the units along the last."""
    return tensor.movedim(axis, -1).reshape(-1, tensor.shape[axis])


def span(values: torch.Tensor) -> tuple[float, float]:
    low, high = (float(bound) for bound in torch.aminmax(values))
    if not (math.isfinite(low) and math.isfinite(high)):
        finite = values[torch.isfinite(values)]
        return span(finite) if finite.numel() else (0.0, 1.0)
    if high - low > 1e-12 * max(abs(low), abs(high)):
        return low, high
    margin = abs(low) / 2 or 0.5  # all the same
    return low - margin, high + margin


def _histogram(counts: torch.Tensor, low: float, high: float) -> Histogram:
    edges = torch.linspace(low, high, len(counts) + 1, dtype=torch.float64).tolist()
    return Histogram(edges, [int(count) for count in counts.tolist()])


def together(means: torch.Tensor, stds: torch.Tensor) -> tuple[float, float]:
    """Mean and standard deviation of all units together."""
    return float(means.mean()), float(((stds**2).mean() + means.var(correction=0)).sqrt())


_DRAWN = 256  # units
# Makes the median distance from the median of normal numbers their standard deviation.
_NORMAL = 1.4826
MOST_INPUTS = 1 << 20  # numbers that are kept of what a layer is given


def dead_by_chance(inputs: Sequence[torch.Tensor]) -> float:
    """The share of units with normal weights and no bias that no row of `inputs` turns on."""
    rows = torch.cat(list(inputs))
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(rows.shape[1], _DRAWN, generator=generator, dtype=rows.dtype)
    return float(((rows @ weights) <= 0).all(0).double().mean())


def distances(means: torch.Tensor, stds: torch.Tensor) -> torch.Tensor:
    """How far the mean of each unit lies below the middle of its layer, in spreads."""
    spread = _NORMAL * float((means - means.median()).abs().median())
    scale = spread + float(stds.median())
    return (means.median() - means) / scale if scale else torch.zeros_like(means)
