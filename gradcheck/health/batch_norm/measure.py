"""Watches the batch normalisations of one step over its data sweep."""

from __future__ import annotations

import math

import torch

from gradcheck.fronts.tape import Value
from gradcheck.graph.match.batch_norm import BatchNorm, Origin, Role
from gradcheck.health.batch_norm.records import BatchNormHealth, BatchNormLayer, Fault, Spread
from gradcheck.health.context import PassContext
from gradcheck.health.network.normalising import Behaviour, Normaliser, Tensors, depends_on_batch_alone
from gradcheck.health.records import Health
from gradcheck.replay.runner import ReplayError, Runner

_POWER_OFF = 0.05
_MEAN_OFF = 0.05  # standard deviations
_STD_OFF = 1.5  # a factor
_ALIKE = 1.1  # a factor, between features


class BatchNormMeasure:
    def __init__(self, context: PassContext) -> None:
        self._context = context
        self._layers = [_Watched(layer, context.mutated) for layer in context.batch_norms]

    def look(self, number: int, replay: Runner) -> None:
        for watched in self._layers:
            watched.look(replay)

    def finish(self, health: Health) -> None:
        if health.batch_norm.absent == BatchNormHealth().absent or not health.batch_norm.layers:
            health.batch_norm.absent = "" if self._layers else "no layer normalises over the batch"
        for number, watched in enumerate(self._layers, 1):
            health.batch_norm.layers.append(self._record(watched, number))

    def _record(self, watched: _Watched, number: int) -> BatchNormLayer:
        layer, context = watched.layer, self._context
        names, places = context.forward.names, context.forward.places
        assert layer.norm.op is not None
        shape = layer.entry.value.shape
        row = BatchNormLayer(
            context.index,
            context.iteration,
            number,
            names.shown(layer.entry.value),
            places.location(layer.norm.op),
            names.shown(layer.norm.value),
            names.shown(layer.output.value),
            layer.batch,
            math.prod(shape) // max(1, layer.batch),
        )
        for use in layer.used:
            maker = use.value.producer
            shown = names.shown(use.value) if layer.call is None else ""
            place = None if maker is None or layer.call else places.location(maker)
            if use.role is Role.SHIFT:
                row.mean, row.mean_location = row.mean or shown, row.mean_location or place
            else:
                row.scale, row.scale_location = row.scale or shown, row.scale_location or place
            if use.origin is Origin.FOREIGN and use.node is not None:
                row.foreign = row.foreign or names.shown(use.node.base.value)
        self._before(layer, row)
        row.gamma = self._spread(layer.gammas)
        row.beta = self._spread(layer.betas)
        watched.write(row, context.forward.tensor)
        return row

    def _before(self, layer: BatchNorm, row: BatchNormLayer) -> None:
        """The weight that the input was computed with, and the bias that the subtraction of the mean cancels."""
        names, places = self._context.forward.names, self._context.forward.places
        product = layer.product
        read = [v for v in product.inputs if self._context.is_parameter(v)] if product else []
        weights = [v for v in read if len(v.shape) > 1]
        row.weight = names.shown(weights[0]) if weights else ""
        biases = [
            (value, op) for value, op in layer.biases if op is not product or (weights and value in read)
        ]
        if biases:
            row.bias = names.shown(biases[0][0])
            row.bias_location = places.location(biases[0][1])

    def _spread(self, values: list[Value]) -> Spread | None:
        if not values:
            return None
        tensor = self._context.forward.tensor(values[0]).detach().double()
        return Spread(
            self._context.forward.names.shown(values[0]),
            float(tensor.mean()),
            float(tensor.std(unbiased=False)),
            float(tensor.min()),
            float(tensor.max()),
        )


class _Watched:
    """One layer, and what it did in every batch."""

    def __init__(self, layer: BatchNorm, mutated: set[Value]) -> None:
        self.layer = layer
        self.normaliser = Normaliser(layer, mutated)
        self._means: list[torch.Tensor] = []
        self._stds: list[torch.Tensor] = []
        self._variances: list[torch.Tensor] = []
        self._reason = ""

    def look(self, replay: Runner) -> None:
        try:
            entry = self.normaliser.entry(replay.tensor)
            output = self.normaliser.output(entry, replay.tensor).detach().double()
        except (ReplayError, RuntimeError) as error:
            self._reason = str(error)
            return
        rows, inputs = self.normaliser.per_feature(output), self.normaliser.per_feature(entry)
        self._means.append(rows.mean(0))
        self._stds.append(rows.std(0, unbiased=False))
        self._variances.append(inputs.var(0, unbiased=False))

    def write(self, row: BatchNormLayer, tensor: Tensors) -> None:
        row.batches = len(self._means)
        if not self._means:
            row.unmeasured = self._reason or "it was in no batch that could be replayed"
            return
        means, stds = torch.stack(self._means), torch.stack(self._stds)
        row.means, row.stds = means.mean(0).tolist(), stds.mean(0).tolist()
        row.worst_mean = float(means.abs().max())
        variances = torch.stack(self._variances)
        typical = variances.median(0).values
        row.variances = typical.tolist()
        varies = variances.amax(0) > 0
        row.constant = int((~varies).sum())
        if not depends_on_batch_alone(self.layer):
            row.unmeasured = "its statistics are not those of the batch alone"
            return
        behaviour = self.normaliser.behaviour(tensor)
        if behaviour is None:
            row.unmeasured = "what it does to other numbers could not be computed"
            return
        row.exponent, row.correction = behaviour.exponent, behaviour.correction
        row.eps, row.eps_on_std = behaviour.eps, behaviour.eps_on_std
        row.probe_mean, row.probe_std = behaviour.mean, behaviour.std
        if row.eps and bool(varies.any()):
            level = row.eps**2 if row.eps_on_std else row.eps
            row.below_eps = float((typical[varies] < level).double().mean())
        row.fault = self._fault(behaviour, means, stds, varies)

    def _fault(
        self, found: Behaviour, means: torch.Tensor, stds: torch.Tensor, varies: torch.Tensor
    ) -> Fault:
        layer = self.layer
        origins = layer.origins(Role.SHIFT) | layer.origins(Role.SCALE)
        count = layer.batch
        if count < 2 or not bool(varies.any()):
            return Fault.NONE
        if Origin.FOREIGN in origins or Origin.OTHER_AXES in origins:
            # A statistic may reach here by a way that is not followed: then the numbers on the data are right.
            if _normalised(means[:, varies], stds[:, varies]):
                return Fault.NONE
            return Fault.FOREIGN if Origin.FOREIGN in origins else Fault.AXIS
        if found.exponent is None or abs(found.exponent + 0.5) > _POWER_OFF:
            return Fault.POWER if found.exponent is not None else Fault.SCALE
        if not found.centred:
            return Fault.NOT_CENTRED
        if found.mean > _MEAN_OFF:
            return Fault.MEAN
        least = ((count - 1) / count) ** 0.5 / _STD_OFF
        if least <= found.std <= _STD_OFF:
            return Fault.NONE
        if found.correction is not None and abs(found.correction - (count - 1)) < 0.01:
            return Fault.NOT_AVERAGED
        return Fault.SCALE


def _normalised(means: torch.Tensor, stds: torch.Tensor) -> bool:
    """Whether every feature has mean 0, and all the same standard deviation of about 1."""
    low, middle, high = torch.quantile(
        stds.flatten(), torch.tensor([0.1, 0.5, 0.9], dtype=stds.dtype)
    ).tolist()
    even = high <= _ALIKE * max(low, 1e-300) and 1 / _STD_OFF <= middle <= _STD_OFF
    return even and float(means.abs().median()) <= _MEAN_OFF
