"""Sums over many minibatches, a layer at a time and a unit at a time."""

from __future__ import annotations

import math

import torch

from gradcheck.graph.match.functions import Nonlinearity
from gradcheck.health.activations.derivatives import Limits, beyond, off, saturated
from gradcheck.health.histogram import Histogram

BINS = 50
# Batches are kept until they hold this many numbers, and are counted together.
_TOGETHER = 1 << 20
_RANGES = {Nonlinearity.TANH: (-1.0, 1.0), Nonlinearity.SIGMOID: (0.0, 1.0)}


class LayerStatistics:
    def __init__(self, function: Nonlinearity, axis: int, limits: Limits) -> None:
        self._function = function
        self._axis = axis
        self._limits = limits
        self._outputs: list[torch.Tensor] = []
        self._arguments: list[torch.Tensor] | None = []
        self._kept = 0
        self.count = 0  # outputs of each unit
        self.sum: torch.Tensor | None = None
        self.squares: torch.Tensor | None = None
        self.argument_sum: torch.Tensor | None = None
        self.argument_squares: torch.Tensor | None = None
        self.saturated: torch.Tensor | None = None
        self.off: torch.Tensor | None = None
        self.beyond: int | None = None
        self.has_arguments = True
        self._low = self._high = 0.0
        self._counts: torch.Tensor | None = None

    def add(self, output: torch.Tensor, argument: torch.Tensor | None) -> None:
        self._outputs.append(by_unit(output, self._axis))
        if argument is None:
            self._arguments, self.has_arguments = None, False
        elif self._arguments is not None:
            self._arguments.append(by_unit(argument, self._axis))
        self._kept += output.numel()
        if self._kept >= _TOGETHER:
            self.flush()

    def flush(self) -> None:
        """Count what is kept."""
        if not self._outputs:
            return
        output = torch.cat(self._outputs)
        argument = torch.cat(self._arguments) if self._arguments is not None else None
        self._outputs, self._kept = [], 0
        self._arguments = [] if self.has_arguments else None
        self.count += output.shape[0]
        total, squares = _sums(output)
        self.sum, self.squares = _plus(self.sum, total), _plus(self.squares, squares)
        flat = saturated(self._function, output, self._limits)
        if flat is not None:
            self.saturated = _plus(self.saturated, flat.sum(0))
        dark = off(self._function, output, argument)
        if dark is not None:
            self.off = _plus(self.off, dark.sum(0))
        far = beyond(self._function, argument, self._limits)
        if far is not None:
            self.beyond = (self.beyond or 0) + int(far.sum())
        if argument is not None:
            total, squares = _sums(argument)
            self.argument_sum = _plus(self.argument_sum, total)
            self.argument_squares = _plus(self.argument_squares, squares)
        self._count_bins(output)

    def _count_bins(self, values: torch.Tensor) -> None:
        if self._counts is None:
            self._low, self._high = _RANGES.get(self._function) or span(values)
            self._counts = torch.histc(values, BINS, self._low, self._high)
        else:  # only the first ones are known to lie within
            inside = values.clamp(self._low, self._high)
            self._counts = self._counts + torch.histc(inside, BINS, self._low, self._high)

    # -- what came out -------------------------------------------------------------------------------------------

    @property
    def total(self) -> int:
        return self.count * (self.sum.numel() if self.sum is not None else 0)

    def unit_mean_and_std(self) -> tuple[torch.Tensor, torch.Tensor]:
        assert self.sum is not None
        assert self.squares is not None
        return self._each(self.sum, self.squares)

    def mean_and_std(self) -> tuple[float, float]:
        return together(*self.unit_mean_and_std())

    def unit_argument(self) -> tuple[torch.Tensor, torch.Tensor] | None:
        """Mean and standard deviation of what goes into each unit; None if that was overwritten."""
        if not self.has_arguments or self.argument_sum is None or self.argument_squares is None:
            return None
        return self._each(self.argument_sum, self.argument_squares)

    def _each(self, total: torch.Tensor, squares: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        mean = total / max(1, self.count)
        return mean, (squares / max(1, self.count) - mean * mean).clamp(min=0).sqrt()

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


def _sums(values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The sum of each unit and that of its squares, in float64. The squares are taken of what is left without the
    mean, so that the dtype of the program is enough for them."""
    total = values.sum(0, dtype=torch.float64)
    mean = total / values.shape[0]
    centred = values - mean.to(values.dtype)
    squares = (centred * centred).sum(0, dtype=torch.float64)
    return total, squares + mean * mean * values.shape[0]


def _plus(known: torch.Tensor | None, more: torch.Tensor) -> torch.Tensor:
    return more if known is None else known + more
