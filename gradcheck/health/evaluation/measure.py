"""Compares the code that evaluates and samples with the training step."""

from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress

import torch

from gradcheck.base.groups import grouped
from gradcheck.fronts.places import Places
from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.graph.match.batch_norm import BatchNorm
from gradcheck.health.context import ProgramContext
from gradcheck.health.evaluation.comparison import Comparer
from gradcheck.health.evaluation.feeding import CannotFeedError, Evaluation
from gradcheck.health.evaluation.parting import Explainer
from gradcheck.health.evaluation.records import (
    BatchStatistics,
    Dropout,
    EvaluationHealth,
    EvaluationRun,
    LastBatch,
)
from gradcheck.health.evaluation.training import Masked, TrainingNetwork, noise_in, training_networks
from gradcheck.health.network.normalising import depends_on_batch_alone
from gradcheck.health.network.runs import NetworkRun, RunFinder
from gradcheck.health.records import Health
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.program.location import Location
from gradcheck.replay.runner import ReplayError
from gradcheck.replay.slices import read_from_outside

_MOST_RUNS = 8  # of different code
_MOST_OPS = 4_000  # of one run


def measure_evaluation(program: ProgramContext, health: Health) -> None:
    last = program.passes[-1].index if program.passes else None
    health.evaluation = _measured(program, any(s.pass_index == last and s.fresh for s in health.sweeps))


def _measured(program: ProgramContext, in_minibatches: bool) -> EvaluationHealth:
    if not program.passes:
        return EvaluationHealth("no training step could be replayed")
    if program.aftermath.begin is None:
        return EvaluationHealth("no training loop was left, so nothing is known to follow the training")
    if not program.trained.all:
        return EvaluationHealth("no parameter is moved by the training step")
    networks = training_networks(program.passes[-1], program.trained)
    if not networks:
        return EvaluationHealth("the network of the training step was not recognised")
    steps = program.aftermath.ops
    finder = RunFinder(program.trained)
    runs = [run for run in finder.find(steps) if not run.feeds]
    if program.aftermath.whole.cut_short:
        runs = _not_cut_off(runs, steps)
    found = EvaluationHealth("", sorted(p.name for p in networks[0].run.parameters))
    comparison = _Comparison(program, networks, finder, in_minibatches)
    for group in _alike(runs, networks[0])[:_MOST_RUNS]:
        if len(group[0].per_sample) <= _MOST_OPS:
            found.runs.append(comparison.record(group))
    found.runs.sort(key=lambda run: (run.location.file, run.location.cell or 0, run.location.line))
    if not found.complete:
        found.absent = "no code that runs the whole network was seen after the training"
    return found


def _not_cut_off(runs: list[NetworkRun], steps: Sequence[Op]) -> list[NetworkRun]:
    """Without the run that the end of the recording has cut off."""
    last = max(runs, key=lambda run: run.last.index, default=None)
    if last is None or last.per_sample[-1] is not steps[-1]:
        return runs
    others = [run for run in runs if run is not last]
    return runs if last.signature in {run.signature for run in others} else others


def _alike(runs: Sequence[NetworkRun], training: TrainingNetwork) -> list[list[NetworkRun]]:
    """The runs of the same lines together, those first whose samples have the shape of the training's, and of them
    those with the fewest; what reads most parameters first."""
    wanted = _shape_of_sample(training.run)
    groups = grouped((run.signature, run) for run in runs)
    for group in groups.values():
        group.sort(key=lambda run: (_shape_of_sample(run) != wanted, run.rows or 0))
    return sorted(groups.values(), key=lambda group: -len(group[0].parameters))


def _shape_of_sample(run: NetworkRun) -> tuple[int, ...]:
    entry = run.entries[0]
    if not isinstance(entry.data, Value):
        return ()
    shape = list(entry.data.shape)
    if entry.rows is not None:
        del shape[entry.axis]
    return tuple(shape)


class _Comparison:
    def __init__(
        self,
        program: ProgramContext,
        networks: list[TrainingNetwork],
        finder: RunFinder,
        in_minibatches: bool,
    ) -> None:
        self._program, self._networks, self._finder = program, networks, finder
        self._in_minibatches = in_minibatches
        self._trained, self._aftermath = program.trained, program.aftermath
        judgement = program.judgement
        self._names, self._places = program.aftermath.names, judgement.places
        self._explainer = Explainer(networks[0], judgement.names, self._names, self._places)

    def record(self, group: list[NetworkRun]) -> EvaluationRun:
        run, training = group[0], self._networks[0]
        first = run.entries[0].op
        record = EvaluationRun(
            self._places.location(first),
            "" if first.code.co_name == "<module>" else first.code.co_name,
            len(group),
            run.rows,
            sorted(p.name for p in run.parameters),
            bool(run.parameters & training.last_weights),
        )
        if not record.complete:
            return record
        steps = run.slice(self._aftermath.ops)
        masked = noise_in(steps, run, self._finder)[0] if training.masked else {}
        record.dropouts = dropouts(group, masked, self._names, self._places)
        record.batch_statistics = batch_statistics(run, training, self._names, self._places)
        if self._in_minibatches and not self._on_last_batch(run):
            layers = self._program.passes[-1].batch_norms
            record.last_batch = last_batch(steps, layers, self._program.judgement.names, self._places)
        self._compare(record, Evaluation(run, steps, masked, self._outside(steps)))
        return record

    def _on_last_batch(self, run: NetworkRun) -> bool:
        """Whether it is given the very samples of the last minibatch: the statistics of that are right for them."""
        start = self._program.passes[-1].judged.plan.start
        read = [v for data in run.data for v in (data, *(data.producer.inputs if data.producer else ()))]
        makers = [v.earlier.producer for v in read if v.earlier is not None]
        return any(op is not None and op.index >= start for op in makers)

    def _compare(self, record: EvaluationRun, evaluation: Evaluation) -> None:
        run = evaluation.run
        foreign = computed = False
        for training in self._networks:
            try:
                comparer = Comparer(evaluation, training, self._trained)
            except CannotFeedError as error:
                record.why_not = str(error)
                continue
            foreign, computed = comparer.reads_foreign, comparer.reads_computed_weights
            record.parting = None
            try:
                found = comparer.compare()
            except (RuntimeError, IndexError, ValueError) as error:
                # Shapes that nobody has thought of: nothing is known then, and nothing said.
                record.why_not = f"it does not run on the training batch: {str(error).splitlines()[0]}"
                continue
            record.why_not = found.why_not
            if found.why_not:
                continue
            record.compared = True
            record.agreeing, record.values = len(found.agreeing), len(run.per_sample)
            if found.same:
                break
            record.parting = self._explainer.parting(run, found)
        if foreign and record.parting is not None:
            record.parting.certain = False
        if not computed and (record.parting is not None or not record.compared):
            record.left_out = self._explainer.left_out(run)

    def _outside(self, steps: Sequence[Op]) -> dict[Value, torch.Tensor]:
        """What the steps read and is no parameter, as far as it is known."""
        found = {}
        for value in read_from_outside(steps):
            if self._trained.of(value) is None:
                with suppress(ReplayError):
                    found[value] = self._aftermath.tensor(value)
        return found


_AVERAGED = 3  # evaluations of one input: dropout is left on to average over it, perhaps


def dropouts(group: list[NetworkRun], masked: Masked, names: NameIndex, places: Places) -> list[Dropout]:
    """Where the first of the runs drops something at random; one for each line. `masked` are its ops that multiply
    with random numbers, if the training does so as well."""
    inputs = Counter(run.entries[0].data for run in group if isinstance(run.entries[0].data, Value))
    repeated = bool(inputs) and max(inputs.values()) >= _AVERAGED
    found: dict[Location, Dropout] = {}
    for op in group[0].per_sample:
        if op.kind is Kind.DROPOUT or op in masked:
            place = places.location(op)
            found.setdefault(place, Dropout(place, names.text(op), repeated))
    return list(found.values())


def batch_statistics(
    run: NetworkRun, training: TrainingNetwork, names: NameIndex, places: Places
) -> list[BatchStatistics]:
    """Where samples are normalised by what was computed of all samples in the evaluation, as the training does."""
    if not training.run.joins_before_a_layer:
        return []
    found: dict[tuple[str, int | None, int], BatchStatistics] = {}
    for op in run.joins_before_a_layer:
        place = places.location(op)
        found.setdefault(
            (place.file, place.cell, place.line),
            BatchStatistics(place, names.text(op), run.rows, run.rows == 1),
        )
    return list(found.values())


def last_batch(
    steps: Iterable[Op], layers: Iterable[BatchNorm], names: NameIndex, places: Places
) -> list[LastBatch]:
    """Where `steps` read what the training step computed of its own minibatch, to normalise that; one for each line."""
    alone = [layer for layer in layers if depends_on_batch_alone(layer)]
    made = {node.value: layer for layer in alone for node in layer.steps if node.statistic}
    found: dict[tuple[str, int | None, int], LastBatch] = {}
    for op in steps:
        for value in op.inputs:
            statistic = value.earlier
            if statistic is None or statistic not in made or statistic.producer is None:
                continue
            at, of = places.location(op), names.shown(made[statistic].entry.value)
            fresh = LastBatch(at, [], places.location(statistic.producer), of)
            row = found.setdefault((at.file, at.cell, at.line), fresh)
            row.names = list(dict.fromkeys((*row.names, names.shown(statistic))))
    return list(found.values())
