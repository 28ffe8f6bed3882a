"""The statistics that are used after the training in the place of those of a batch, held against the layer's own.

A normalisation with statistics from elsewhere stands for the layer of the training step that has the same parameters
around it. What it is given must be the mean and the variance of that layer's input, in the trained network, over the
training data: as far as the number of rows that they were taken of can tell.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

from gradcheck import ops
from gradcheck.fronts.tape import Op, Value
from gradcheck.graph.match.normalisation import BatchNorm, Node, Origin, Role, Use, batch_norms, fixed_norms
from gradcheck.graph.match.rows import reduced_axes
from gradcheck.health.batch_norm.explaining import Upstream
from gradcheck.health.batch_norm.population import Population, populations, trained_tensors
from gradcheck.health.batch_norm.records import BatchNormHealth, Source, Statistic, StatisticsInUse
from gradcheck.health.batch_norm.running import Running, running_statistics
from gradcheck.health.context import PassContext, ProgramContext
from gradcheck.health.evaluation.parameters import Trained, TrainedParameters
from gradcheck.health.network.trained import StepParameters
from gradcheck.health.records import Health
from gradcheck.health.stretch import Stretch
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.program.location import Location
from gradcheck.replay.engine import Replay, ReplayError
from gradcheck.replay.slices import Slicer, roots_mutated

_MOST_ELEMENTS = 50_000_000  # computed to have a statistic that the program did not keep
_DEVIATIONS = 4.0  # of the sampling error of a mean, which are allowed


def measure_statistics_in_use(program: ProgramContext, health: Health) -> None:
    found = health.batch_norm
    if not found.layers or not program.passes:
        found.in_use_absent = found.absent or "no layer normalises over the batch"
        return
    _Comparison(program, program.passes[-1]).write(found)


class _Comparison:
    def __init__(self, program: ProgramContext, context: PassContext) -> None:
        self._context = context
        self._whole = program.judgement.whole
        self._ops = self._whole.aftermath_ops
        self._places = program.judgement.places
        self._names = NameIndex(self._whole, self._places)
        self._trained = TrainedParameters(context)
        self._layers = batch_norms(context.forward.ops, StepParameters(context).holds)
        self._slicer = Slicer(self._whole.ops)
        self._mutated = roots_mutated(self._ops)
        self._stretch = Stretch(self._ops, self._tensor, self._names, self._places)

    def write(self, found: BatchNormHealth) -> None:
        def is_trained(value: Value) -> bool:
            return self._trained.of(value) is not None

        running = running_statistics(self._context, self._layers)
        fixed = fixed_norms(self._ops, is_trained)
        uses = self._aligned(fixed)
        found.in_use = self._running_in_use(uses, running)
        if uses:
            replacing = trained_tensors(self._context, self._trained, self._ops)
            known = populations(self._context, self._layers, replacing)
            upstream = Upstream(
                self._context,
                self._layers,
                self._trained,
                self._ops,
                [norm for norm, _ in uses],
                self._slicer,
            )
            for norm, number in uses:
                use = self._use(found, norm, number, known[number], upstream)
                if use is not None:
                    found.in_use.append(use)
        found.in_use_absent = "" if found.in_use else self._why_not(fixed, uses)

    def _why_not(self, fixed: list[BatchNorm], uses: list[tuple[BatchNorm, int]]) -> str:
        if self._whole.aftermath is None:
            return "nothing that follows the training was recorded"
        if uses:
            return "where the statistics in use come from could not be told"
        if fixed:
            return "no normalisation after the training stands for one of the training step"
        return "no normalisation with statistics from elsewhere was seen after the training"

    # -- running statistics ----------------------------------------------------------------------------------------

    def _running_in_use(
        self, uses: list[tuple[BatchNorm, int]], running: list[Running]
    ) -> list[StatisticsInUse]:
        """One for every layer that they are used at, or, where no use was seen, that they go to."""
        by_value = {value: one for one in running for value in (one.before, one.after)}
        rows: list[StatisticsInUse] = []
        seen: set[int] = set()
        for norm, number in uses:
            given = [by_value.get(self._earlier(value)) for _, _, _, value in norm.used]
            own = [one for one in given if one is not None]
            if own and norm.norm.op is not None:
                place = self._places.location(norm.norm.op)
                rows.append(self._running_row(number, self._names.shown(norm.entry.value), place, own))
                seen.update(id(one) for one in own)
        for number, layer in enumerate(self._layers):
            own = [one for one in running if one.layer == number and id(one) not in seen]
            if own:
                shown = self._context.judgement.names.shown(layer.entry.value)
                rows.append(self._running_row(number, shown, None, own))
        return rows

    def _running_row(
        self, number: int, shown: str, place: Location | None, own: list[Running]
    ) -> StatisticsInUse:
        names = self._context.judgement.names
        row = StatisticsInUse(self._context.index, number + 1, shown, Source.RUNNING, place)
        for one in own:
            entry = self._layers[one.layer].entry.value
            row.statistics.append(
                Statistic(
                    names.shown(one.after),
                    self._places.location(one.op),
                    one.what,
                    names.shown(entry),
                    weights=one.weights,
                    correction=one.correction,
                    of_layer=one.layer + 1,
                    of_input=names.shown(entry),
                )
            )
        return row

    def _earlier(self, value: Value, depth: int = 8) -> Value:
        """What a number per feature was in the training step, behind what is computed of it: `(var + eps) ** -0.5`."""
        if value.earlier is not None or value.producer is None or depth == 0:
            return value.earlier or value
        read = [v for v in value.producer.inputs if v.shape == value.shape or math.prod(v.shape) > 1]
        return self._earlier(read[0], depth - 1) if len(read) == 1 else value

    # -- which layer it stands for ---------------------------------------------------------------------------------

    def _aligned(self, fixed: Iterable[BatchNorm]) -> list[tuple[BatchNorm, int]]:
        """One for each line, that of the most rows, and the index of the training layer."""
        by_place: dict[tuple[object, int, int], tuple[BatchNorm, int]] = {}
        for norm in fixed:
            number = self._layer_of(norm)
            if number is None or norm.norm.op is None:
                continue
            key = (norm.norm.op.code, norm.norm.op.lasti, number)
            other = by_place.get(key)
            if other is None or norm.entry.value.shape[0] > other[0].entry.value.shape[0]:
                by_place[key] = (norm, number)
        return list(by_place.values())

    def _layer_of(self, norm: BatchNorm) -> int | None:
        own = _Around(norm, self._trained)
        fits = [n for n, layer in enumerate(self._layers) if own.fits(_Around(layer, self._trained))]
        return fits[0] if len(fits) == 1 else None

    # -- the comparison --------------------------------------------------------------------------------------------

    def _use(
        self,
        found: BatchNormHealth,
        norm: BatchNorm,
        number: int,
        population: Population | None,
        upstream: Upstream,
    ) -> StatisticsInUse | None:
        assert norm.norm.op is not None
        shifts = [use for use in norm.used if use[0] is Role.SHIFT]
        scales = [use for use in norm.used if use[0] is Role.SCALE]
        if len(shifts) != 1 or len(scales) != 1 or norm.call is not None:
            return None
        if any(origin is not Origin.FOREIGN for _, origin, _, _ in (*shifts, *scales)):
            return None
        row = StatisticsInUse(
            self._context.index,
            number + 1,
            self._names.shown(norm.entry.value),
            Source.CALIBRATED,
            self._places.location(norm.norm.op),
        )
        if population is None:
            row.unmeasured = "the input of the layer could not be replayed"
            return row
        layer = self._layers[number]
        try:
            mean = self._tensor(shifts[0][3]).double().flatten()
            scale = self._tensor(scales[0][3]).double().flatten()
            mean_of = population.mean - self._left_out_bias(layer, norm)
        except ReplayError as error:
            row.unmeasured = str(error)
            return row
        if mean.numel() != population.mean.numel() or scale.numel() != population.mean.numel():
            row.unmeasured = "the statistics are not one number per feature"
            return row
        record = next(
            r for r in found.layers if r.pass_index == self._context.index and r.number == number + 1
        )
        varies = population.variance > 1e-12 * population.variance.max()
        deviation = population.variance.sqrt()
        off = ((mean - mean_of) / deviation)[varies]
        first, second = (
            self._statistic(shifts[0], "mean", population),
            self._statistic(scales[0], "variance", population),
        )
        if self._sign(norm, shifts[0]) < 0:
            off = ((-mean - mean_of) / deviation)[varies]
        first.offset, first.worst = float(off.square().mean().sqrt()), float(off.abs().max())
        ratio = self._variance_ratio(norm, scales[0][3], scale, population, record.exponent, record.eps)[
            varies
        ]
        second.ratio, second.worst = float(ratio.log().mean().exp()), float(ratio[ratio.log().abs().argmax()])
        second.factor = float(ratio.log().square().mean().sqrt().exp())
        second.allowed *= math.sqrt(
            2
        )  # a variance of n normal numbers has a relative standard error of sqrt(2/n)
        for statistic, (_, _, node, _) in ((first, shifts[0]), (second, scales[0])):
            assert node is not None
            statistic.explained_by = upstream.difference(node, number)
        row.statistics = [first, second]
        return row

    def _sign(self, norm: BatchNorm, use: Use) -> int:
        """-1 if the statistic is added: then it is minus the mean."""
        for node in norm.steps:
            if use in node.used and node.op is not None:
                return 1 if node.op.operation is ops.SUB and not node.op.reverse else -1
        return 1

    def _variance_ratio(
        self,
        norm: BatchNorm,
        value: Value,
        scale: torch.Tensor,
        population: Population,
        exponent: float | None,
        eps: float | None,
    ) -> torch.Tensor:
        """The variance that a scale was made of, as a multiple of the layer's. It may be the power of it that the training
        uses, or the right one."""
        divided = any(
            node.op is not None and node.op.operation is ops.DIV and any(u[3] is value for u in node.used)
            for node in norm.steps
        )
        factor = 1 / scale if divided else scale
        ratios = []
        for power in {-0.5, round(2 * exponent) / 2 if exponent else -0.5}:
            variance = factor.clamp_min(1e-300) ** (1 / power) - (eps or 0.0)
            ratios.append(variance.clamp_min(1e-300) / population.variance.clamp_min(1e-300))
        return min(ratios, key=lambda ratio: abs(float(ratio.log().mean())))

    def _left_out_bias(self, layer: BatchNorm, norm: BatchNorm) -> torch.Tensor | float:
        """A bias before the layer that the code after the training leaves out, in calibration and use alike."""
        theirs = {self._trained.of(value) for value, _ in norm.biases}
        total: torch.Tensor | float = 0.0
        for value, _ in layer.biases:
            parameter = self._trained.of(value)
            if parameter is not None and parameter not in theirs:
                total = total + self._context.forward.tensor(value).detach().double().flatten()
        return total

    def _statistic(self, use: Use, what: str, population: Population) -> Statistic:
        _, _, node, value = use
        assert node is not None
        reduction = taken_by(node)
        op = reduction.op if reduction is not None else value.producer
        assert op is not None
        rows = _rows(reduction) if reduction is not None else 1
        return Statistic(
            self._names.shown(reduction.value if reduction is not None else value),
            self._places.location(op),
            what,
            self._names.shown(op.args[0]) if op.args and isinstance(op.args[0], Value) else "",
            allowed=_DEVIATIONS * math.sqrt(1 / max(1, rows) + 1 / max(1, population.count)),
        )

    # -- tensors of the aftermath ----------------------------------------------------------------------------------

    def _tensor(self, value: Value) -> torch.Tensor:
        held = self._held(value)
        if held is not None:
            return held
        near = self._from_what_is_held(value)
        if near is not None:
            return near
        end = value.producer.index + 1 if value.producer is not None else 0
        needed = self._slicer.slice([value], self._whole.aftermath or 0, end)
        if sum(math.prod(v.shape) for op in needed for v in op.outputs) > _MOST_ELEMENTS:
            raise ReplayError("it would take too long to compute the statistics again")
        replay = Replay(torch.float64, mutated=roots_mutated(needed))
        with torch.no_grad():
            replay.run(needed)
        return replay.tensor(value)

    def _held(self, value: Value) -> torch.Tensor | None:
        """What the tape or the program still has of it."""
        if value.data is not None:
            return value.data
        held = value.reference() if value.reference is not None else None
        return held.detach() if held is not None else None

    def _from_what_is_held(self, value: Value, most: int = 8) -> torch.Tensor | None:
        """Computed by the last few ops from tensors that there still are: `(var + eps) ** -0.5` from `var`."""
        ops: dict[int, Op] = {}
        known: dict[Value, torch.Tensor] = {}
        pending = [value]
        while pending:
            wanted = pending.pop()
            held = self._held(wanted)
            if held is not None:
                known[wanted] = held.double() if held.is_floating_point() else held
                continue
            op = wanted.producer
            if op is None or wanted.root in self._mutated or len(ops) == most:
                return None
            if op.index not in ops:
                ops[op.index] = op
                pending.extend(op.inputs)
        replay = Replay(torch.float64, known=known)
        with torch.no_grad():
            replay.run(ops[index] for index in sorted(ops))
        return replay.tensor(value)


class _Around:
    """The trained parameters next to a normalisation."""

    def __init__(self, layer: BatchNorm, trained: TrainedParameters) -> None:
        def of(values: Iterable[Value]) -> set[Trained]:
            return {found for found in map(trained.of, values) if found is not None}

        self.after = of([*layer.gammas, *layer.betas])
        product = layer.product
        self.before = of(v for v in product.inputs if len(v.shape) > 1) if product else set()

    def fits(self, training: _Around) -> bool:
        if self.after or training.after:
            return bool(self.after & training.after) and (
                not self.before or not training.before or self.before == training.before
            )
        return bool(self.before) and self.before == training.before


def taken_by(node: Node) -> Node | None:
    """The last op that a statistic was taken by: a mean, a sum of squares, a variance."""
    reductions = [one for one in node.ancestors() if one.op is not None and reduced_axes(one.op) is not None]
    return reductions[-1] if reductions else None


def _rows(reduction: Node) -> int:
    """How many numbers per feature it goes over."""
    assert reduction.op is not None
    shape = reduction.op.args[0].shape
    return math.prod(shape[axis] for axis in reduced_axes(reduction.op) or ())
