"""Hidden units that no step can tell apart: equal weights, equal outputs on every example, equal gradients.

Equal weights alone mean little: a last layer of zeros gets another gradient at every class. So all three are asked
for, and the outputs and gradients of everything that is computed from the units one by one (bias, normalisation,
activation) as well: where one of them differs between the units, they part at the first step.
"""

from collections.abc import Callable, Mapping, Sequence

import torch

from gradcheck.fronts.tape import Op, Value
from gradcheck.health.context import PassContext
from gradcheck.health.network.linear import LinearLayer
from gradcheck.health.updates.records import SymmetricLayer
from gradcheck.health.updates.written import Writings
from gradcheck.replay.runner import ReplayError

_ROUNDING = 1e-9
# What is left of a gradient that cancels (rows of ones times a softmax gradient), beside the largest of all.
_CANCELS = 1e-12


def symmetric_layers(
    context: PassContext, layers: Sequence[LinearLayer], writings: Writings
) -> tuple[int, list[SymmetricLayer]]:
    """How many of the `layers` of one step are hidden (another one is computed from them), and those of them whose
    units are all alike."""
    ops = context.judged.plan.forward_ops
    names, places = context.judgement.names, context.judgement.places
    found: dict[Value, SymmetricLayer] = {}
    hidden = 0
    for layer in layers:
        units = _Units(layer, ops, layers)
        hidden += units.feeds_another
        if not units.feeds_another or layer.weight in found:
            continue
        try:
            if not units.are_alike(context.forward.tensor, context.truth):
                continue
            weights = context.forward.tensor(layer.read)
        except ReplayError:
            continue
        name = names.shown(layer.weight)
        gradient = context.truth.get(layer.weight)
        found[layer.weight] = SymmetricLayer(
            context.index,
            context.iteration,
            name,
            weights.shape[layer.read_axis],
            not bool(weights.any()),
            gradient is None or float(gradient.abs().max()) <= _CANCELS,
            places.location(layer.op),
            writings.made_at(name),
        )
    return hidden, list(found.values())


class _Units:
    """The outputs of one layer, and all that is computed from them unit by unit."""

    def __init__(self, layer: LinearLayer, ops: Sequence[Op], layers: Sequence[LinearLayer]) -> None:
        self._layer = layer
        products = {other.op.index for other in layers}
        below = {layer.out}
        self._values = [layer.out]
        self.feeds_another = False
        for op in ops:
            if op.index <= layer.op.index or not any(v in below for v in op.inputs):
                continue
            if op.index in products:
                self.feeds_another = True
                continue  # the next layer: from here on, units are mixed
            for value in op.outputs:
                if value not in below:
                    below.add(value)
                    if value.shape == layer.out.shape:
                        self._values.append(value)

    def are_alike(self, tensor: Callable[[Value], torch.Tensor], truth: Mapping[Value, torch.Tensor]) -> bool:
        layer = self._layer
        weights = tensor(layer.read)
        if weights.shape[layer.read_axis] < 2 or not _alike(weights, layer.read_axis):
            return False
        largest = max((float(g.abs().max()) for g in truth.values() if g.numel()), default=0.0)
        for value in self._values:
            if not _alike(tensor(value), layer.axis):
                return False
            gradient = truth.get(value)
            if gradient is not None and not _alike(gradient, layer.axis, _CANCELS * largest):
                return False
        return True


def _alike(tensor: torch.Tensor, axis: int, least: float = 0.0) -> bool:
    """Whether every slice along `axis` is the same, to rounding; differences up to `least` are none."""
    if not tensor.is_floating_point():
        return bool((tensor == tensor.narrow(axis, 0, 1)).all())
    largest = float(tensor.detach().abs().max()) if tensor.numel() else 0.0
    return float((tensor - tensor.narrow(axis, 0, 1)).detach().abs().max()) <= max(_ROUNDING * largest, least)
