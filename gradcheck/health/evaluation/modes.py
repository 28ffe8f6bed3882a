"""What belongs to training alone and is in use in an evaluation: dropout, and the statistics of the batch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from gradcheck.fronts.places import Places
from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.graph.match.batch_norm import BatchNorm
from gradcheck.health.evaluation.records import BatchStatistics, Dropout, LastBatch
from gradcheck.health.evaluation.training import Masked, TrainingNetwork
from gradcheck.health.network.normalising import depends_on_batch_alone
from gradcheck.health.network.runs import NetworkRun
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.program.location import Location

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
