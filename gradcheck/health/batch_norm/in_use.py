"""The statistics that are used after the training instead of those of a batch, compared with the layer's own.

A normalisation with statistics from elsewhere matches the layer of the training step that has the same parameters
around it. What it is given must be the mean and the variance of that layer's input, in the trained network, over the
training data: as exactly as the number of rows that they were taken of allows.
"""

import math
from collections.abc import Iterable

import torch

from gradcheck import ops
from gradcheck.fronts.tape import Value
from gradcheck.graph.match.batch_norm import BatchNorm, Node, Origin, Role, Use
from gradcheck.graph.match.normalisation import fixed_norms
from gradcheck.graph.match.rows import reduced_axes
from gradcheck.graph.match.scaling import degree
from gradcheck.health.batch_norm.records import (
    BatchNormHealth,
    BatchNormLayer,
    Source,
    Statistic,
    StatisticsInUse,
)
from gradcheck.health.batch_norm.running import Population, Running, populations, running_statistics
from gradcheck.health.context import ProgramContext
from gradcheck.health.network.trained import parameters_after
from gradcheck.health.records import Health
from gradcheck.program.location import Location
from gradcheck.replay.runner import ReplayError

_DEVIATIONS = 4.0  # of the sampling error of a mean, which are allowed


def measure_statistics_in_use(program: ProgramContext, health: Health) -> None:
    found = health.batch_norm
    if not found.layers or not program.passes:
        found.in_use_absent = found.absent or "no layer normalises over the batch"
        return
    _Comparison(program).write(found)


class _Comparison:
    def __init__(self, program: ProgramContext) -> None:
        self._program = program
        self._context = program.passes[-1]
        self._aftermath = program.aftermath
        self._trained = program.trained
        self._layers = self._context.batch_norms
        self._shown_after = program.aftermath.names.shown
        self._shown = program.judgement.names.shown
        self._location = program.judgement.places.location

    def write(self, found: BatchNormHealth) -> None:
        fixed = fixed_norms(self._aftermath.ops, lambda value: self._trained.of(value) is not None)
        uses = self._aligned(fixed)
        found.in_use = self._running_in_use(uses, running_statistics(self._context, self._layers))
        if uses:
            after, _ = parameters_after(self._aftermath.whole, self._context.judged.plan)
            known = populations(self._context, after)
            records = {r.number: r for r in found.layers if r.pass_index == self._context.index}
            for norm, number in uses:
                use = self._calibrated(records[number + 1], norm, number, known[number])
                if use is not None:
                    found.in_use.append(use)
        found.in_use_absent = "" if found.in_use else self._why_not(bool(fixed), bool(uses))

    def _why_not(self, fixed: bool, uses: bool) -> str:
        if self._aftermath.begin is None:
            return "nothing that follows the training was recorded"
        if uses:
            return "it is not known where the statistics in use come from"
        if fixed:
            return "no normalisation after the training matches one of the training step"
        return "no normalisation with statistics from elsewhere was seen after the training"

    # -- running statistics ----------------------------------------------------------------------------------------

    def _running_in_use(
        self, uses: list[tuple[BatchNorm, int]], running: list[Running]
    ) -> list[StatisticsInUse]:
        """One for every layer that they are used at, or, where no use was seen, that they go to."""
        by_value = {value: one for one in running for value in (one.before, one.after)}
        rows: list[StatisticsInUse] = []
        seen: list[Running] = []
        for norm, number in uses:
            given = [by_value.get(self._earlier(use.value)) for use in norm.used]
            own = [one for one in given if one is not None]
            if own and norm.norm.op is not None:
                place = self._location(norm.norm.op)
                rows.append(self._running_row(number, self._shown_after(norm.entry.value), place, own))
                seen += own
        for number, layer in enumerate(self._layers):
            own = [one for one in running if one.layer == number and one not in seen]
            if own:
                rows.append(self._running_row(number, self._shown(layer.entry.value), None, own))
        return rows

    def _running_row(
        self, number: int, shown: str, place: Location | None, own: list[Running]
    ) -> StatisticsInUse:
        row = StatisticsInUse(self._context.index, number + 1, shown, Source.RUNNING, place)
        for one in own:
            entry = self._shown(self._layers[one.layer].entry.value)
            row.statistics.append(
                Statistic(
                    self._shown(one.after), self._location(one.op), one.what, entry, weights=one.weights,
                    correction=one.correction, of_layer=one.layer + 1, of_input=entry,
                )
            )  # fmt: skip
        return row

    def _earlier(self, value: Value, depth: int = 8) -> Value:
        """What a number per feature was in the training step, behind what is computed of it: `(var + eps) ** -0.5`."""
        if value.earlier is not None or value.producer is None or depth == 0:
            return value.earlier or value
        read = [v for v in value.producer.inputs if v.shape == value.shape or math.prod(v.shape) > 1]
        return self._earlier(read[0], depth - 1) if len(read) == 1 else value

    # -- which layer it matches ---------------------------------------------------------------------------------

    def _aligned(self, fixed: Iterable[BatchNorm]) -> list[tuple[BatchNorm, int]]:
        """One for each line, that of the most rows, and the index of the training layer."""
        by_place: dict[tuple[object, int, int], tuple[BatchNorm, int]] = {}
        for norm in fixed:
            fits = [number for number, layer in enumerate(self._layers) if self._matches(norm, layer)]
            if len(fits) != 1 or norm.norm.op is None:
                continue
            key = (norm.norm.op.code, norm.norm.op.lasti, fits[0])
            other = by_place.get(key)
            if other is None or norm.entry.value.shape[0] > other[0].entry.value.shape[0]:
                by_place[key] = (norm, fits[0])
        return list(by_place.values())

    def _matches(self, norm: BatchNorm, layer: BatchNorm) -> bool:
        """Whether the same trained parameters are around both."""
        (before, after), (trained_before, trained_after) = map(self._around, (norm, layer))
        if after or trained_after:
            same = not before or not trained_before or before == trained_before
            return same and bool(after & trained_after)
        return bool(before) and before == trained_before

    def _around(self, norm: BatchNorm) -> tuple[set[object], set[object]]:
        weights = [v for v in norm.product.inputs if len(v.shape) > 1] if norm.product else []
        return set(self._trained.among(weights)), set(self._trained.among([*norm.gammas, *norm.betas]))

    # -- the comparison --------------------------------------------------------------------------------------------

    def _calibrated(
        self, record: BatchNormLayer, norm: BatchNorm, number: int, population: Population | None
    ) -> StatisticsInUse | None:
        shifts = [use for use in norm.used if use.role is Role.SHIFT]
        scales = [use for use in norm.used if use.role is Role.SCALE]
        if len(shifts) != 1 or len(scales) != 1 or norm.call is not None:
            return None
        if any(use.origin is not Origin.FOREIGN for use in (*shifts, *scales)):
            return None
        assert norm.norm.op is not None
        row = StatisticsInUse(
            self._context.index, number + 1, self._shown_after(norm.entry.value), Source.CALIBRATED,
            self._location(norm.norm.op),
        )  # fmt: skip
        if population is None:
            row.unmeasured = "the input of the layer could not be replayed"
            return row
        try:
            mean, scale = (
                self._aftermath.tensor(use.value).double().flatten() for use in (shifts[0], scales[0])
            )
            expected = population.mean - self._left_out_bias(self._layers[number], norm)
        except ReplayError as error:
            row.unmeasured = str(error)
            return row
        if not mean.numel() == scale.numel() == population.mean.numel():
            row.unmeasured = "the statistics are not one number per feature"
            return row
        varies = population.variance > 1e-12 * population.variance.max()
        sign = -1 if _is_added(norm, shifts[0]) else 1
        off = ((sign * mean - expected) / population.variance.sqrt())[varies]
        ratio = _variance_ratio(scales[0].value, _divides(norm, scales[0]), scale, population, record)[varies]
        row.statistics = [
            self._statistic(shifts[0], "mean", population, number),
            self._statistic(scales[0], "variance", population, number),
        ]
        first, second = row.statistics
        first.offset, first.worst = float(off.square().mean().sqrt()), float(off.abs().max())
        second.ratio, second.worst = float(ratio.log().mean().exp()), float(ratio[ratio.log().abs().argmax()])
        second.factor = float(ratio.log().square().mean().sqrt().exp())
        # A variance of n normal numbers has a relative standard error of sqrt(2/n).
        second.allowed *= math.sqrt(2)
        return row

    def _left_out_bias(self, layer: BatchNorm, norm: BatchNorm) -> torch.Tensor | float:
        """A bias before the layer that the code after the training leaves out, in calibration and use alike."""
        theirs = self._trained.among([value for value, _ in norm.biases])
        total: torch.Tensor | float = 0.0
        for value, _ in layer.biases:
            parameter = self._trained.of(value)
            if parameter is not None and parameter not in theirs:
                total = total + self._context.forward.tensor(value).detach().double().flatten()
        return total

    def _statistic(self, use: Use, what: str, population: Population, number: int) -> Statistic:
        assert use.node is not None
        reduction = _taken_by(use.node)
        op = reduction.op if reduction is not None else use.value.producer
        assert op is not None
        source = op.args[0] if op.args and isinstance(op.args[0], Value) else None
        axes = reduced_axes(op) if reduction is not None else None
        rows = math.prod(source.shape[axis] for axis in axes) if source is not None and axes else 1
        return Statistic(
            self._shown_after(reduction.value if reduction is not None else use.value),
            self._location(op),
            what,
            self._shown_after(source) if source is not None else "",
            allowed=_DEVIATIONS * math.sqrt(1 / max(1, rows) + 1 / max(1, population.count)),
            explained_by=difference(self._program, use.node, number),
        )


def _is_added(norm: BatchNorm, use: Use) -> bool:
    """Whether the statistic is added: then it is minus the mean."""
    op = next((node.op for node in norm.steps if use in node.used), None)
    return op is not None and (op.operation is not ops.SUB or op.reverse)


def _variance_ratio(
    value: Value, divided: bool, scale: torch.Tensor, population: Population, record: BatchNormLayer
) -> torch.Tensor:
    """The variance that a scale was made of, as a multiple of the layer's. Which power of it the scale is, is known from
    what it was computed by; where it is not, it may be the power that the training uses, or the right one."""
    grows = degree(value)
    if grows:
        powers = {grows / 2 * (-1 if divided else 1)}
    else:
        powers = {-0.5, round(2 * record.exponent) / 2 if record.exponent else -0.5}
    factor = 1 / scale if divided else scale
    ratios = []
    for power in powers:
        variance = factor.clamp_min(1e-300) ** (1 / power) - (record.eps or 0.0)
        ratios.append(variance.clamp_min(1e-300) / population.variance.clamp_min(1e-300))
    return min(ratios, key=lambda ratio: abs(float(ratio.log().mean())))


def _divides(norm: BatchNorm, use: Use) -> bool:
    return any(
        node.op is not None and node.op.operation is ops.DIV for node in norm.steps if use in node.used
    )


def _taken_by(node: Node) -> Node | None:
    """The last op that a statistic was taken by: a mean, a sum of squares, a variance."""
    found = [one for one in node.ancestors() if one.op is not None and reduced_axes(one.op) is not None]
    return found[-1] if found else None


def difference(program: ProgramContext, node: Node, number: int) -> str:
    """In words, between what the statistic `node` was computed from and layer `number` of the training; empty if the
    same parameters are in both."""
    aftermath, trained, context = program.aftermath, program.trained, program.passes[-1]
    if node.op is None or not aftermath.ops:
        return ""
    layer = context.batch_norms[number]
    used_at = layer.entry.op or layer.norm.op
    there = aftermath.slicer.slice([node.value], aftermath.ops[0].index, node.op.index + 1)
    stop = 1 + (used_at.index if used_at is not None else 0)
    here = aftermath.slicer.slice([layer.entry.value], context.judged.plan.start, stop)
    used, needed = (trained.among([v for op in ops for v in op.inputs]) for ops in (there, here))
    before = set(here)
    for other in context.batch_norms:
        op = other.norm.op
        if other is layer or op is None or op not in before:
            continue
        own = trained.among([*other.gammas, *other.betas])
        if own and not own & used:
            line = program.judgement.places.location(op).line
            return f"a network without the normalisation at line {line}"
    biases = trained.among([v for n in layer.before for v in n.parameters])
    missing, added = needed - used - biases, used - needed
    shown = ", ".join(f"`{name}`" for name in sorted(t.name for t in missing or added))
    if missing:
        return f"a network without {shown}"
    return f"a network that also has {shown} in front of it" if added else ""
