"""Watches the activations of one step over its data sweep."""

import math

import torch

from gradcheck.fronts.tape import Value
from gradcheck.graph.match.functions import Nonlinearity
from gradcheck.graph.match.products import multiplies_matrices
from gradcheck.health.activations.records import ActivationHealth, ActivationRecord, WeightRecord
from gradcheck.health.activations.statistics import (
    MOST_INPUTS,
    ONE_SIDED,
    LayerStatistics,
    Limits,
    by_unit,
    dead_by_chance,
    distances,
    gain,
    histogram_of,
    off,
    saturated,
    together,
)
from gradcheck.health.activations.trend import trend_of
from gradcheck.health.context import PassContext
from gradcheck.health.network.activations import ActivationLayer, find_layers
from gradcheck.health.records import Health
from gradcheck.program.location import Location
from gradcheck.replay.runner import ReplayError, Runner, attempted

# A report is read as text as well: nobody reads more numbers than these.
_MOST_UNITS = 4096
_MAP_SAMPLES, _MAP_UNITS = 64, 512


class _Watched:
    """One layer, and what it did in every batch."""

    def __init__(self, layer: ActivationLayer, limits: Limits) -> None:
        self.layer = layer
        self.statistics = LayerStatistics(layer.first.function, layer.axis, limits)
        self.batches = 0
        self.rows = 0
        self.inputs: list[torch.Tensor] = []
        self.map: list[str] = []
        self._limits = limits

    def look(self, number: int, replay: Runner) -> None:
        layer = self.layer
        try:
            pairs = [
                (replay.tensor(a.output), replay.tensor(a.argument) if a.argument is not None else None)
                for a in layer.applied
            ]
        except ReplayError:
            return
        for output, argument in pairs:
            if output.shape[layer.axis] == layer.first.output.shape[layer.axis]:
                self.statistics.add(output, argument)
        self.batches += 1
        self.rows += _rows(tuple(pairs[0][0].shape), layer.axis)
        self._keep_inputs(replay)
        if number == 0:
            self.map = self._map(*pairs[0])

    def _keep_inputs(self, replay: Runner) -> None:
        """What a layer of relus is given, as rows: what random weights would make of it is asked in the end."""
        layer, linear = self.layer, self.layer.linear
        if layer.first.function not in ONE_SIDED or linear is None or linear.data is None:
            return
        if not multiplies_matrices(linear.op) or layer.normalised or len(layer.applied) > 1:
            return
        if sum(rows.numel() for rows in self.inputs) > MOST_INPUTS:
            return
        data = attempted(replay.tensor, linear.data)
        if data is not None and data.ndim > 1 and data.is_floating_point():
            self.inputs.append(by_unit(data, -1 if linear.axis == -1 else -2))

    def _map(self, output: torch.Tensor, argument: torch.Tensor | None) -> list[str]:
        function = self.layer.first.function
        marked = saturated(function, output, self._limits)
        marked = off(function, output, argument) if marked is None else marked
        if marked is None:
            return []
        rows = by_unit(marked, self.layer.axis)[:_MAP_SAMPLES, :_MAP_UNITS]
        return ["".join("#" if flat else "." for flat in row) for row in rows.tolist()]


class ActivationMeasure:
    def __init__(self, context: PassContext) -> None:
        self._context = context
        self._limits = Limits(
            context.thresholds["GC202.tanh-limit"], context.thresholds["GC202.pre-activation-limit"]
        )
        layers = find_layers(context.forward, context.parameter_roots)
        self._layers = [_Watched(layer, self._limits) for layer in layers]

    def look(self, number: int, replay: Runner) -> None:
        for watched in self._layers:
            watched.look(number, replay)

    def finish(self, health: Health) -> None:
        found = health.activations
        if not found.layers:
            health.activations = found = ActivationHealth(
                "no non-linearity was found between the layers of a network",
                no_trend=found.no_trend,
                saturated_limit=self._limits.tanh,
                beyond_limit=self._limits.argument,
            )
        records: list[ActivationRecord] = []
        after: list[frozenset[int]] = []
        position: dict[int, int] = {}
        for number, watched in enumerate(self._layers):
            watched.statistics.flush()
            if not watched.statistics.count:
                continue
            position[number] = len(records)
            records.append(self._record(number, watched))
            after.append(frozenset(position[i] for i in watched.layer.after if i in position))
        trend, why_none = trend_of(records, after)
        if trend is not None:
            found.trends.append(trend)
        found.no_trend = "" if found.trends else why_none
        found.layers.extend(records)
        if any(record.hidden for record in found.layers):
            found.absent = ""
        elif found.layers:
            found.absent = "no layer follows the non-linearity that was found"

    # -- one layer -----------------------------------------------------------------------------------------------

    def _record(self, number: int, watched: _Watched) -> ActivationRecord:
        layer, statistics = watched.layer, watched.statistics
        names = self._context.judgement.names
        first = layer.first
        unit_mean, unit_std = statistics.unit_mean_and_std()
        units = unit_mean.numel()
        record = ActivationRecord(
            self._context.index,
            self._context.iteration,
            number + 1,
            len(self._layers),
            layer.depth,
            names.shown(first.output),
            names.shown(first.argument) if first.argument is not None else "",
            first.function.value,
            self._location(layer),
            slope=first.slope if first.function is Nonlinearity.LEAKY_RELU else None,
            hidden=layer.hidden,
            applied=len(layer.applied),
            shape=tuple(first.output.shape),
            units=units,
            batches=watched.batches,
            samples=watched.rows,
            histogram=statistics.histogram(),
            map=watched.map,
            weight=self._weight(layer),
        )
        record.mean, record.std = statistics.mean_and_std()
        self._gradient(layer, record)
        if not math.isfinite(record.mean):
            return record  # a comparison with NaN is False, and would read as health
        argument = statistics.unit_argument()
        if argument is not None:
            record.argument_mean, record.argument_std = together(*argument)
            if statistics.beyond is not None:
                record.beyond = statistics.beyond / statistics.total
        if statistics.saturated is not None:
            record.saturated = float(statistics.saturated.sum()) / statistics.total
        if statistics.off is not None:
            record.off = float(statistics.off.sum()) / statistics.total
            record.dead = (statistics.off == statistics.count).nonzero().flatten().tolist()
            if argument is not None:
                self._weigh_dead(watched, record, *argument)
            if first.function in ONE_SIDED:
                record.always_on = (statistics.off == 0).nonzero().flatten().tolist()
        if units <= _MOST_UNITS:
            record.unit_mean = _short(unit_mean)
            record.unit_std = _short(unit_std)
            if statistics.saturated is not None:
                record.unit_saturated = _short(statistics.saturated / statistics.count)
            if statistics.off is not None:
                record.unit_off = _short(statistics.off / statistics.count)
        return record

    def _weigh_dead(
        self, watched: _Watched, record: ActivationRecord, means: torch.Tensor, stds: torch.Tensor
    ) -> None:
        record.middle = float(means.median())
        if record.saturated is None:
            far = distances(means, stds)
            limit = self._context.thresholds["GC201.distance"]
            record.stranded = [unit for unit in record.dead if far[unit] > limit]
        if record.dead and watched.layer.normalised:
            record.expected_dead = 0.0
        elif record.dead and watched.inputs:
            record.expected_dead = dead_by_chance(watched.inputs)
        if record.dead:
            of_dead = means[record.stranded or record.dead]
            record.dead_argument = float(of_dead[(of_dead - record.middle).abs().argmax()])

    def _gradient(self, layer: ActivationLayer, record: ActivationRecord) -> None:
        truth = self._context.truth
        parts = [truth[a.output].flatten() for a in layer.applied if a.output in truth]
        if not parts:
            return
        gradient = torch.cat(parts)
        record.gradient_mean = float(gradient.mean())
        record.gradient_std = float(gradient.std(correction=0))
        record.gradient_norm = float(gradient.norm())
        record.gradient_histogram = histogram_of(gradient)

    def _weight(self, layer: ActivationLayer) -> WeightRecord | None:
        linear = layer.linear
        if linear is None or linear.weight is None:
            return None
        names = self._context.judgement.names
        weight = self._numbers(linear.weight)
        if weight is None or weight.numel() < 2:
            return None
        scale = gain(layer.first.function, layer.first.slope)
        known = scale is not None and linear.fan_in is not None and linear.fan_in > 0
        inputs = self._numbers(linear.data) if linear.data is not None else None
        return WeightRecord(
            names.shown(linear.weight),
            float(weight.std(correction=0)),
            linear.fan_in,
            scale,
            scale / math.sqrt(linear.fan_in) if known and scale and linear.fan_in else None,
            self._bound_at(linear.weight),
            names.shown(linear.data) if linear.data is not None else "",
            float(inputs.std(correction=0)) if inputs is not None and inputs.numel() > 1 else None,
            layer.normalised,
        )

    def _numbers(self, value: Value) -> torch.Tensor | None:
        found = self._context.forward.known(value)
        return found.detach() if found is not None and found.is_floating_point() else None

    def _location(self, layer: ActivationLayer) -> Location:
        """Where the activation is applied: if a function of the program's own computes it, the line that calls it."""
        places = self._context.judgement.places
        first = layer.first
        made = places.location(first.op)
        called = self._bound_at(first.output)
        if called is None or (made.line <= called.line <= made.end_line and made.file == called.file):
            return made
        own = self._context.judgement.names.statement_name(first.op)
        return made if own is not None else called

    def _bound_at(self, value: Value) -> Location | None:
        judgement = self._context.judgement
        for binding in judgement.names.bindings(value):
            if binding.code is not None and not binding.alias:
                return judgement.places.line_location(binding.code, binding.line)
        return None


def _rows(shape: tuple[int, ...], axis: int) -> int:
    """How many samples one batch holds: the positions of an image or a sequence are not samples of their own."""
    if len(shape) < 2:
        return 1
    if len(shape) == 2:
        return shape[-3 - axis]  # the axis that is not that of the units
    return shape[0]


def _short(numbers: torch.Tensor) -> list[float]:
    return [float(f"{number:.4g}") for number in numbers.tolist()]
