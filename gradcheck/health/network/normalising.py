"""What a recognised batch normalisation does to numbers: found by feeding it some, not by reading it."""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass

import torch

from gradcheck.fronts.tape import Op, Value
from gradcheck.graph.match.batch_norm import BatchNorm, Origin, Role
from gradcheck.health.network.probing import fed_from
from gradcheck.replay.runner import ReplayError

_OFFSET = 3.0  # of the mean of a feature, in standard deviations: what is not centred shows
_LARGE = 1e4  # so that no epsilon counts
_SAME = 1e-3

Tensors = Callable[[Value], torch.Tensor]


@dataclass(frozen=True, slots=True)
class Behaviour:
    """Of the normalised value, before scale and shift, on random numbers of mean 3 and standard deviation 1 that are
    scaled up until no epsilon counts."""

    mean: float  # per feature, in standard deviations of the output; the median of its size
    std: float  # per feature, over n; the median
    exponent: float | None  # of the variance in the scale: -0.5 in a right one
    centred: bool  # its scale does not change when all inputs are shifted
    correction: float | None  # the variance is divided by n minus this
    eps: float | None  # added to the variance, or to the standard deviation
    eps_on_std: bool


class Normaliser:
    """Computes the normalised value of a layer from any input, with its scale at 1 and its shift at 0."""

    def __init__(self, layer: BatchNorm, mutated: Collection[Value]) -> None:
        """`mutated` are the storages that the forward pass changes in place."""
        self._layer = layer
        self._mutated = mutated
        seen: dict[int, Op] = {}
        neutral: dict[int, dict[Value, Role]] = {}
        for node in layer.steps:
            if node.op is not None and node is not layer.entry:
                seen[node.op.index] = node.op
                neutral.setdefault(node.op.index, {}).update(node.parameters)
        self._ops = [seen[index] for index in sorted(seen)]
        self._neutral = neutral

    def output(self, entry: torch.Tensor, tensor: Tensors) -> torch.Tensor:
        """Raises ReplayError if it cannot be computed."""
        layer = self._layer
        if layer.call is not None:
            return torch.nn.functional.batch_norm(
                entry, None, None, None, None, True, layer.call.momentum or 0.0, layer.call.eps
            )

        def neutral(op: Op, value: Value) -> torch.Tensor:
            role = self._neutral[op.index].get(value)
            found = tensor(value)
            if role is None:
                return found
            return torch.ones_like(found) if role is Role.SCALE else torch.zeros_like(found)

        given = {layer.entry.value: entry.detach().to(torch.float64, copy=True)}
        return fed_from(self._ops, given, neutral).tensor(layer.norm.value)

    def entry(self, tensor: Tensors) -> torch.Tensor:
        """The value that is normalised, in float64, as it was before anything changed it in place."""
        value, nodes = self._layer.entry.value, self._layer.before
        if value.root not in self._mutated:
            return tensor(value).detach().double()
        first = nodes[0].value.producer
        if first is None or any(v.root in self._mutated for v in first.inputs):
            raise ReplayError("what is normalised is changed in place, and so is what it is computed from")
        ops = [first, *(node.op for node in nodes[1:] if node.op is not None)]
        return fed_from(ops, {}, lambda _, read: tensor(read)).tensor(value).detach().double()

    def per_feature(self, tensor: torch.Tensor) -> torch.Tensor:
        """As rows of a table with one column for each feature."""
        layer = self._layer
        shape = layer.entry.value.shape
        axes = layer.axes if tensor.ndim == len(shape) else tuple(range(tensor.ndim - 1))
        kept = [axis for axis in range(tensor.ndim) if axis not in axes]
        moved = tensor.permute(*axes, *kept)
        return moved.reshape(math.prod(moved.shape[: len(axes)]), -1)

    def behaviour(self, tensor: Tensors) -> Behaviour | None:
        """None where what it does cannot be computed, or depends on more than its own batch."""
        try:
            return self._behaviour(tensor)
        except (ReplayError, RuntimeError):
            return None

    def _behaviour(self, tensor: Tensors) -> Behaviour:
        generator = torch.Generator().manual_seed(0)
        shape = self._layer.entry.value.shape
        noise = torch.randn(shape, generator=generator, dtype=torch.float64)
        probe = noise + _OFFSET
        small = self._statistics(probe, tensor, _LARGE)
        large = self._statistics(probe, tensor, 2 * _LARGE)
        shifted = self._statistics(probe + 7.0, tensor, _LARGE)
        mean, std = small
        own = self.per_feature(probe)
        ratio = float((large[1] / std).median())
        exponent = (math.log2(ratio) - 1) / 2 if ratio > 0 and math.isfinite(ratio) else None
        centred = bool(((shifted[1] - std).abs() <= _SAME * std.abs()).all())
        correction = None
        if exponent is not None and abs(exponent) > 0.05 and centred:
            deviation = own.std(0, unbiased=False) * _LARGE
            variance = (std / deviation) ** (1 / exponent)
            count = own.shape[0]
            correction = _whole(count - count * float((deviation**2 / variance).median()))
        eps, on_std = None, False
        if exponent is not None and abs(exponent + 0.5) < 0.01 and centred and correction is not None:
            eps, on_std = self._eps(probe, tensor)
        scale = std.clamp_min(1e-300)
        return Behaviour(
            float((mean.abs() / scale).median()),
            float(std.median()),
            exponent,
            centred,
            correction,
            eps,
            on_std,
        )

    def _statistics(
        self, probe: torch.Tensor, tensor: Tensors, scale: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        output = self.per_feature(self.output(probe * scale, tensor))
        return output.mean(0), output.std(0, unbiased=False)

    def _eps(self, probe: torch.Tensor, tensor: Tensors) -> tuple[float | None, bool]:
        """What keeps the scale finite where there is no variance, and whether it is added to the variance."""
        deviation = self.per_feature(probe).std(0, unbiased=False)

        def gain(scale: float) -> float:
            centred = (probe - _OFFSET) * scale
            output = self.per_feature(self.output(centred, tensor)).std(0, unbiased=False)
            return float((output / (deviation * scale)).median())

        least = gain(1e-12)
        if not math.isfinite(least) or least <= 0:
            return None, False
        if least > 1e11:
            return 0.0, False
        # Where the standard deviation is what the epsilon is, as a standard deviation.
        return (1 / least, True) if least / gain(1 / least) > 1.7 else (1 / least**2, False)


def _whole(number: float) -> float:
    return float(round(number)) if abs(number - round(number)) < 0.01 else number


def depends_on_batch_alone(layer: BatchNorm) -> bool:
    """Whether its statistics are all its own: no running ones are mixed in."""
    return not layer.mixed and Origin.GIVEN not in layer.origins(Role.SHIFT) | layer.origins(Role.SCALE)
