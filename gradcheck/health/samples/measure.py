"""Reads the generated sequences of a program and compares them with its training data."""

import ast
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from gradcheck.base.extras import how_to_install, is_installed
from gradcheck.health.context import ProgramContext
from gradcheck.health.records import Health
from gradcheck.health.samples.ends import by_position, compared, draws_of, network_gives, sampler_gives
from gradcheck.health.samples.records import EndShare, Lengths, SampleHealth, SampleSet
from gradcheck.health.samples.sequences import (
    Collected,
    Sequences,
    Token,
    cut_apart,
    drawn_sets,
    end_of,
    without_filling,
)
from gradcheck.health.samples.statistics import (
    counts_of,
    difference,
    drawn_lengths,
    end_shares,
    expected_distinct,
    implied_lengths,
    is_repetition,
)
from gradcheck.health.samples.trained import Learned
from gradcheck.health.samples.training_data import TrainingData
from gradcheck.health.samples.vocabulary import NoSamplesError, named_runs
from gradcheck.judge.judgement import Judgement
from gradcheck.program.location import Location

_EXAMPLES = 5
_NO_DRAWS = (
    "the program draws no sequences with `torch.multinomial` or `Categorical` after its training; "
    "`--samples NAME` names what holds generated ones"
)


def measure_samples(program: ProgramContext, health: Health) -> None:
    health.samples = SampleHealth("")
    try:
        found = list(_collected(program))
    except NoSamplesError as error:
        health.samples.absent = f"--samples: {error}"
        return
    if not found:
        health.samples.absent = _NO_DRAWS
        return
    context = program.passes[-1] if program.passes else None
    learned = Learned(context, program.judgement.whole.final_namespace)
    health.samples.sets = [
        _Measurement(program, learned, collected).record(source, location)
        for source, location, collected in found
    ]


def _collected(program: ProgramContext) -> Iterator[tuple[str, Location, Collected]]:
    """The sequences of each place in the program, with what it is called."""
    recording, judgement = program.judgement.whole, program.judgement
    if program.samples is not None:
        runs, characters = named_runs(recording.final_namespace, program.samples)
        location = _assignment(judgement, program.samples)
        yield f"held by `{program.samples}`", location, Collected(runs, True, characters=characters)
        return
    for found in drawn_sets(recording):
        assert found.op is not None
        yield f"drawn by `{judgement.names.text(found.op)}`", judgement.places.location(found.op), found


def _assignment(judgement: Judgement, name: str) -> Location:
    """The last statement that assigns to the name; where there is none to be seen, the loss of the training step."""
    first = name.partition(".")[0]
    found = [
        judgement.sources.location(
            filename, node.lineno, node.end_lineno or node.lineno, node.col_offset, node.end_col_offset or 0
        )
        for filename in judgement.sources.units
        for node in judgement.places.statements(filename)
        if isinstance(node, (ast.Assign, ast.AnnAssign))
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
        if isinstance(target, ast.Name) and target.id == first
    ]
    return max(found) if found else judgement.passes[-1].result.loss_location


class _Measurement:
    def __init__(self, program: ProgramContext, learned: Learned, collected: Collected) -> None:
        self._slicer = program.aftermath.slicer
        self._collected = collected
        self._data, contexts = learned.data(end_of(collected.runs))
        self._trained, self._network = learned.trained(self._data, contexts)
        predictions = learned.predictions
        classes = collected.classes or (predictions.classes if predictions else 0)
        self._vocabulary = learned.vocabulary(classes)
        self._comparable = predictions is None or predictions.classes == classes
        self._end = self._known_end()
        runs, end = collected.runs, self._end
        self._runs = without_filling(runs, end) if collected.filled and end is not None else runs
        self._sequences = self._cut()

    def _known_end(self) -> Token | None:
        end = None if self._data is None or not self._comparable else self._data.end
        if end is None or not self._collected.characters:
            return end
        shown = self._vocabulary.characters([end])
        return None if shown is None else shown[0]

    def _cut(self) -> Sequences:
        found = cut_apart(self._runs, self._end)
        if self._collected.op is None and not found.ended:
            # A name holds whole sequences, if no end token is in any of them.
            found.ended, found.cut = found.cut, []
        return found

    # -- the record ------------------------------------------------------------------------------------------

    def record(self, source: str, location: Location) -> SampleSet:
        sequences, data = self._sequences, self._data
        found = SampleSet(
            source,
            location,
            Lengths("", counts_of([len(s) for s in sequences.all])),
            replace(self._trained.training),
            end_token="" if sequences.end is None else self._vocabulary.token(sequences.end),
            ended=len(sequences.ended),
            cut=len(sequences.cut),
            endless=len(sequences.endless),
            left_after=self._collected.left_after,
            went_on=sequences.went_on,
        )
        self._describe(found)
        if data is None or not self._comparable:
            found.data_reason = (
                "the sequences of the training data could not be read off what the training step reads"
                if self._comparable
                else "the tokens drawn are not those that the training step predicts"
            )
        elif sequences.all:
            found.data = Lengths(data.source, counts_of(data.lengths))
            self._compare(found, data)
        if found.training.beats_guessing:
            self._ask_network(found)
        else:
            found.network_reason = "the network is hardly trained: what it draws is noise"
        return found

    def _describe(self, found: SampleSet) -> None:
        every = [tuple(s) for s in self._sequences.all]
        found.distinct = len(set(every))
        if every:
            commonest, number = Counter(every).most_common(1)[0]
            found.commonest = self._vocabulary.text(commonest)
            found.commonest_share = number / len(every)
            found.repeated = sum(map(is_repetition, every)) / len(every)
        found.examples = [self._vocabulary.text(s) for s in every[:_EXAMPLES]]
        ended = [len(s) for s in self._sequences.ended]
        unfinished = [len(s) for s in (*self._sequences.cut, *self._sequences.endless)]
        found.ends = [
            EndShare(position, there, share)
            for position, (there, share) in enumerate(end_shares(ended, unfinished))
        ]

    def _compare(self, found: SampleSet, data: TrainingData) -> None:
        samples = [len(s) for s in self._sequences.all]
        lengths = data.lengths
        by_position = end_shares(lengths)
        for row in found.ends:
            row.data = by_position[row.position][1] if row.position < len(by_position) else None
        known = [tuple(s) for s in data.sequences]
        found.distinct_expected = expected_distinct(known, len(samples))
        found.repeated_in_data = sum(map(is_repetition, known)) / len(known)
        found.copies = self._copies(data)
        if not found.training.beats_guessing:
            return
        if not is_installed("scipy"):
            found.data_reason = f"their lengths are compared by scipy: {how_to_install('scipy')}"
            return
        found.difference = difference(samples, lengths)
        end_rate = len(lengths) / (sum(lengths) + len(lengths))
        found.from_guessing = difference(samples, drawn_lengths(implied_lengths([end_rate])))
        if self._trained.ends:
            found.from_network = difference(samples, drawn_lengths(implied_lengths(self._trained.ends)))

    def _copies(self, data: TrainingData) -> float | None:
        ended = self._sequences.ended
        if not ended:
            return None
        if data.characters == self._collected.characters:
            return sum(map(data.holds, ended)) / len(ended)
        spelled = [self._vocabulary.characters(s) for s in (ended if data.characters else data.sequences)]
        if any(s is None for s in spelled):
            return None
        whole = [tuple(s) for s in spelled if s is not None]
        if data.characters:
            return sum(map(data.holds, whole)) / len(ended)
        return sum(tuple(s) in set(whole) for s in ended) / len(ended)

    # -- the sampler and the network --------------------------------------------------------------------

    def _ask_network(self, found: SampleSet) -> None:
        end = self._sequences.end
        data, network = self._data, self._network
        if self._collected.op is None:
            found.network_reason = "only drawn sequences can be compared with the network"
        elif network is None or data is None or data.rows is None or not self._comparable:
            found.network_reason = "the training step reads no rows of contexts that could be exchanged"
        elif not isinstance(end, int):
            found.network_reason = "the token that ends a sequence is not known"
        else:
            runs = without_filling(self._runs, end) if self._collected.filled else self._runs
            draws = draws_of([run for run in runs if end not in run.tokens[:-1]])
            by_sampler = sampler_gives(self._slicer, draws)
            by_network = None if by_sampler is None else network_gives(network, data.rows, draws)
            if by_sampler is None or by_network is None:
                found.network_reason = (
                    "the sampler or the training step could not be replayed on what was drawn"
                )
                return
            found.network = compared(draws, by_sampler, by_network, end)
            sampler = dict(by_position(draws, by_sampler[:, end].tolist()))
            trained = dict(by_position(draws, by_network[:, end].tolist()))
            for row in found.ends:
                row.sampler, row.network = sampler.get(row.position), trained.get(row.position)
