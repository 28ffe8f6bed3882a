"""Measures the initial loss, the parameters and their updates."""

import math
from collections.abc import Callable, Mapping, Sequence

import torch

from gradcheck.fronts.tape import Op, Value
from gradcheck.graph.match.cross_entropy import CrossEntropy, find_cross_entropy
from gradcheck.health.context import PassContext, ProgramContext
from gradcheck.health.network.linear import LinearLayer, linear_layers
from gradcheck.health.records import Health
from gradcheck.health.updates.parameters import measure_parameters
from gradcheck.health.updates.records import InitialLoss, StepRecord, SymmetricLayer, UpdateHealth
from gradcheck.health.updates.written import Writings
from gradcheck.replay.run import PassRun
from gradcheck.replay.runner import ReplayError, attempted


def measure_updates(program: ProgramContext, health: Health) -> None:
    found = UpdateHealth("")
    judgement = program.judgement
    writings = Writings(judgement.recording, judgement.sources, judgement.places)
    first = False
    for context in program.passes:
        step, parameters = measure_parameters(context, writings)
        found.steps.append(step)
        ops = context.judged.plan.forward_ops
        layers = linear_layers(ops, [parameter.value for parameter in parameters])
        hidden, symmetric = symmetric_layers(context, layers, writings)
        found.layers = max(found.layers, hidden)
        found.symmetric += symmetric
        if is_first(context):
            first = True
            loss = initial_loss(context, step, layers, writings)
            if loss is not None:
                found.initial_losses.append(loss)
    if not found.steps:
        found.absent = "no step could be replayed"
    elif not found.initial_losses:
        found.no_loss = "the first step of the training was not recorded"
        if first:
            found.no_loss = "the loss is no softmax cross-entropy"
    health.updates = found


# Spread that logits may have at the start: a loss of ln(classes) + 0.3**2 / 2 is still that of uniform predictions.
_SPREAD_OF_LOGITS = 0.3


def is_first(context: PassContext) -> bool:
    """Whether the step is the first of its training loop, and nothing it computes with was moved before."""
    if context.iteration not in (None, 0):
        return False
    plan = context.judged.plan
    for other in context.judgement.passes:
        if other.plan.loss_op.index < plan.loss_op.index and any(
            update.op.index < plan.loss_op.index and update.parameter.root in plan.used
            for update in other.plan.updates
        ):
            return False
    return True


def initial_loss(
    context: PassContext, step: StepRecord, layers: list[LinearLayer], writings: Writings
) -> InitialLoss | None:
    """None where the loss is no softmax cross-entropy."""
    plan, names, places = context.judged.plan, context.judgement.names, context.judgement.places
    entropy = find_cross_entropy(plan.loss, plan.forward_ops, context.forward.known)
    if entropy is None:
        return None
    result = context.judged.result
    found, error = _mean_and_error(entropy)
    record = InitialLoss(
        context.index, context.iteration, entropy.classes, found, error, entropy.losses.numel(),
        trains=step.trains, loss=result.loss, location=result.loss_location,
    )  # fmt: skip
    if layers:
        last = layers[-1]
        record.weights = names.shown(last.weight)
        record.layer = places.location(last.op)
        record.made = writings.made_at(record.weights)
        _try_smaller(context, last, record)
    return record


def _try_smaller(context: PassContext, last: LinearLayer, record: InitialLoss) -> None:
    """The same loss with the last weights multiplied so that the logits are spread little."""
    logits = context.forward.known(last.out)
    if logits is None:
        return
    logits = logits.detach()
    record.logits_std = float((logits - logits.mean(last.axis, keepdim=True)).square().mean().sqrt())
    if not record.logits_std > _SPREAD_OF_LOGITS or not math.isfinite(record.logits_std):
        return
    scale = float(f"{_SPREAD_OF_LOGITS / record.logits_std:.1g}")
    entropy = _with_scaled(context, last.weight, scale)
    if entropy is not None and entropy.classes == record.classes:
        record.scale, record.loss_at_scale = scale, float(entropy.losses.detach().mean())


def _with_scaled(context: PassContext, weights: Value, scale: float) -> CrossEntropy | None:
    plan = context.judged.plan
    try:
        moved = {weights: scale * context.forward.tensor(weights).detach()}
        run = PassRun(context.judged.prepared, torch.float64, moved)
        return find_cross_entropy(plan.loss, plan.forward_ops, lambda v: attempted(run.graph.tensor, v))
    except ReplayError:
        return None


def _mean_and_error(entropy: CrossEntropy) -> tuple[float, float]:
    losses = entropy.losses.detach().double()
    count = losses.numel()
    error = float(losses.std()) / math.sqrt(count) if count > 1 else math.inf
    return float(losses.mean()), error


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
