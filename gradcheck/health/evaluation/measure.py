"""Holds the code that evaluates and samples against the training step."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from gradcheck.fronts.tape import Op, Recording, Value
from gradcheck.health.context import PassContext, ProgramContext
from gradcheck.health.evaluation.comparison import Comparer
from gradcheck.health.evaluation.feeding import CannotFeedError
from gradcheck.health.evaluation.modes import batch_statistics, dropouts
from gradcheck.health.evaluation.parameters import Trained, TrainedParameters
from gradcheck.health.evaluation.parting import Explainer
from gradcheck.health.evaluation.records import EvaluationHealth, EvaluationRun
from gradcheck.health.evaluation.training import Masked, TrainingNetwork, noise_in, training_network
from gradcheck.health.network.runs import NetworkRun, RunFinder, slice_of
from gradcheck.health.records import Health
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.replay.engine import Replay, ReplayError
from gradcheck.replay.slices import Slicer, roots_mutated

_MOST_RUNS = 8  # of different code
_MOST_OPS = 4_000  # of one run
_MOST_ELEMENTS = 5_000_000  # computed to have a tensor that was made before the run


def measure_evaluation(program: ProgramContext, health: Health) -> None:
    health.evaluation = _measured(program)


def _measured(program: ProgramContext) -> EvaluationHealth:
    whole = program.judgement.whole
    if not program.passes:
        return EvaluationHealth("no training step could be replayed")
    if whole.aftermath is None:
        return EvaluationHealth("no training loop was left, so nothing is known to follow the training")
    context = program.passes[-1]
    trained = TrainedParameters(context)
    if not trained.all:
        return EvaluationHealth("no parameter is moved by the training step")
    networks = training_network(context, trained)
    if not networks:
        return EvaluationHealth("the network of the training step was not recognised")
    ops = whole.aftermath_ops
    finder = RunFinder(trained.of)
    runs = _whole([run for run in finder.find(ops) if not run.feeds], ops, whole.cut_short)
    found = EvaluationHealth("", sorted(p.name for p in networks[0].run.parameters))
    names = NameIndex(whole, program.judgement.places)
    judge = _RunJudge(context, trained, networks, ops, whole, names, finder)
    for group in _alike(runs, networks[0])[:_MOST_RUNS]:
        if len(group[0].per_sample) <= _MOST_OPS:
            found.runs.append(judge.judge(group))
    found.runs.sort(key=lambda run: (run.location.file, run.location.cell or 0, run.location.line))
    if not found.complete:
        found.absent = "no code that runs the whole network was seen after the training"
    return found


def _whole(runs: list[NetworkRun[Trained]], ops: Sequence[Op], cut_short: bool) -> list[NetworkRun[Trained]]:
    """Those that the end of the recording has not cut off."""
    if not runs or not cut_short:
        return runs
    last = max(runs, key=lambda run: run.end)
    if last.per_sample[-1] is not ops[-1]:
        return runs
    known = {run.signature for run in runs if run is not last}
    return runs if last.signature in known else [run for run in runs if run is not last]


def _alike(runs: Sequence[NetworkRun[Trained]], training: TrainingNetwork) -> list[list[NetworkRun[Trained]]]:
    """The runs of the same lines together, those first whose samples have the shape of the training's, and of them
    those with the fewest; what reads most parameters first."""

    def key(run: NetworkRun[Trained]) -> tuple[bool, int]:
        return _shape_of_sample(run) != _shape_of_sample(training.run), run.rows or 0

    groups: dict[object, list[NetworkRun[Trained]]] = {}
    for run in runs:
        groups.setdefault(run.signature, []).append(run)
    for group in groups.values():
        group.sort(key=key)
    return sorted(groups.values(), key=lambda group: -len(group[0].parameters))


def _shape_of_sample(run: NetworkRun[Trained]) -> tuple[int, ...]:
    entry = run.entries[0]
    if not isinstance(entry.data, Value):
        return ()
    shape = list(entry.data.shape)
    if entry.rows is not None:
        del shape[entry.axis]
    return tuple(shape)


class _RunJudge:
    def __init__(
        self,
        context: PassContext,
        trained: TrainedParameters,
        networks: list[TrainingNetwork],
        ops: list[Op],
        whole: Recording,
        names: NameIndex,
        finder: RunFinder[Trained],
    ) -> None:
        self._finder = finder
        self._context, self._trained, self._networks = context, trained, networks
        self._ops, self._whole, self._names = ops, whole, names
        self._mutated = roots_mutated(ops)
        self._slicer: Slicer | None = None
        self._explainer = Explainer(networks[0], context.judgement.names, names, context.judgement.places)

    def judge(self, group: list[NetworkRun[Trained]]) -> EvaluationRun:
        run, training = group[0], self._networks[0]
        first = run.entries[0].op
        record = EvaluationRun(
            self._context.judgement.places.location(first),
            "" if first.code.co_name == "<module>" else first.code.co_name,
            len(group),
            run.rows,
            sorted(p.name for p in run.parameters),
            bool(run.parameters & training.last_weights),
        )
        if not record.complete:
            return record
        ops = slice_of(run, self._ops)
        masked = noise_in(ops, run, self._finder).masked if training.masked else {}
        record.dropouts = dropouts(group, masked, self._names, self._context.judgement.places)
        record.batch_statistics = batch_statistics(run, training, self._names, self._context.judgement.places)
        self._compare(record, run, ops, masked)
        return record

    def _compare(
        self, record: EvaluationRun, run: NetworkRun[Trained], ops: list[Op], masked: Masked
    ) -> None:
        outside = self._outside(ops)
        foreign = computed = False
        for training in self._networks:
            try:
                comparer = Comparer(run, ops, training, self._trained, outside, masked)
            except CannotFeedError as error:
                record.why_not = str(error)
                continue
            foreign, computed = comparer.reads_foreign, comparer.reads_computed_weights
            try:
                found = comparer.compare()
            except (RuntimeError, IndexError, ValueError) as error:
                # Shapes that nobody has thought of: nothing is known then, and nothing said.
                record.why_not = f"it does not run on the training batch: {str(error).splitlines()[0]}"
                record.parting = None
                continue
            record.why_not = found.why_not
            if found.why_not:
                record.parting = None
                continue
            record.compared = True
            record.agreeing, record.values = len(found.agreeing), len(run.per_sample)
            record.parting = None if found.same else self._explainer.parting(run, found)
            if found.same:
                break
        if foreign and record.parting is not None:
            record.parting.certain = False
        if not computed and (record.parting is not None or not record.compared):
            record.left_out = self._explainer.left_out(run)

    # -- what a run reads ------------------------------------------------------------------------------------------

    def _outside(self, ops: list[Op]) -> dict[Value, torch.Tensor]:
        made = {v for op in ops for v in op.outputs if v.producer is op}
        found = {}
        for value in dict.fromkeys(v for op in ops for v in op.inputs):
            if value in made or self._trained.of(value) is not None:
                continue
            tensor = self._tensor(value, ops[0].index)
            if tensor is not None:
                found[value] = tensor
        return found

    def _tensor(self, value: Value, before: int) -> torch.Tensor | None:
        if value.data is not None:
            return value.data
        held = value.reference() if value.reference is not None else None
        if held is not None and value.root not in self._mutated:
            return held.detach()
        if self._slicer is None:
            self._slicer = Slicer(self._whole.ops)
        start = self._whole.aftermath or 0
        needed = self._slicer.slice([value], start, before)
        if sum(_count(v) for op in needed for v in op.outputs) > _MOST_ELEMENTS:
            return None
        replay = Replay(torch.float64, mutated=roots_mutated(needed))
        with torch.no_grad():
            replay.run(needed)
        try:
            return replay.tensor(value)
        except ReplayError:
            return None


def _count(value: Value) -> int:
    product = 1
    for size in value.shape:
        product *= size
    return product
