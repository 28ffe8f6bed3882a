"""Runs an evaluation on the training batch and finds the first value that the training step does not compute as well.

Values are aligned by their numbers: at moved parameters no two values of a network agree by chance. Where the training
normalises by the batch and the evaluation by stored statistics, the evaluation is given the batch's own, so that the
network is compared and not its statistics.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch

from gradcheck import ops
from gradcheck.fronts.tape import Op, Value
from gradcheck.graph import flow
from gradcheck.graph.match.batch_norm import batch_norm_call
from gradcheck.graph.match.products import is_linear_map
from gradcheck.graph.match.rows import behind
from gradcheck.graph.match.scaling import degree
from gradcheck.health.evaluation.feeding import CannotFeedError, Evaluation, Feeder, Outcome
from gradcheck.health.evaluation.training import Known, Statistic, TrainingNetwork
from gradcheck.health.network.trained import TrainedParameters

EXACT = 1e-6  # rounding of constants that the program keeps in float32
# Beyond the statistics put in: another epsilon, n for n - 1 in a batch of 32.
LIKE_STATISTICS = 0.02
_MOST_SLOTS = 12
_MOST_TRIALS = 400


@dataclass
class Comparison:
    """`agreeing` maps values of the evaluation to the training's. `last` is the last of them on the way to what the
    last layer gives, `parting` the op after it. All empty where it could not be compared, with the reason."""

    why_not: str = ""
    agreeing: dict[Value, Known] = field(default_factory=dict)
    same: bool = False
    last: Op | None = None
    parting: Op | None = None
    difference: float | None = None  # relative, between what the two make of the same input in the last layer
    doubtful: bool = False  # what parts may be the statistics, or weights that were made for the evaluation


class Comparer:
    def __init__(self, evaluation: Evaluation, training: TrainingNetwork, trained: TrainedParameters) -> None:
        """Raises CannotFeedError."""
        self._run, self._training, self._trained = evaluation.run, training, trained
        self._steps, self._outside = evaluation.steps, evaluation.outside
        self._own, self._samples = set(self._steps), set(self._run.per_sample)
        self._feeder = Feeder(evaluation, training, trained)
        self._trials = 0
        self._end = [a.op for a in self._run.applications if a.op in self._samples][-1]
        before = [op for op in self._run.per_sample if op.index < self._end.index]
        self._way = [*flow.slice_for(before, [*self._end.inputs, *self._end.outputs]), self._end]
        self._order = {value: i for i, op in enumerate(self._way) for value in op.outputs}
        self._logits = next(known for known in training.known if known.value is training.logits)

    def compare(self) -> Comparison:
        sizes: list[int | None] = [None]
        own = self._run.rows or 1
        if own != self._training.count:
            sizes += [1, own] if own > 1 else [1]
        best: Comparison | None = None
        reasons: list[str] = []
        for size in dict.fromkeys(sizes):
            try:
                found = self._at(size)
            except CannotFeedError as error:
                reasons.append(str(error))
                continue
            if found.same:
                return found
            if found.why_not:
                reasons.append(found.why_not)
            elif best is None or len(found.agreeing) > len(best.agreeing):
                best = found
        return best or Comparison(why_not=reasons[0] if reasons else "it could not be replayed")

    def _at(self, size: int | None) -> Comparison:
        replaced: dict[Value, torch.Tensor] = {}
        outcome = self._feeder.run(size, replaced)
        agreeing = self._agreeing(outcome, EXACT)
        slots = self._slots()
        known = all(slot in self._outside or slot.producer in self._own for slot, _ in slots)
        if known and any(v in outcome.broken for v in self._end.outputs):
            return self._parted(agreeing, outcome, slots)  # no statistic can help
        for slot, by in slots:
            if self._is_same(agreeing):
                break
            best = before = self._progress(agreeing)
            chosen: tuple[torch.Tensor, Outcome, dict[Value, Known]] | None = None
            for candidate in self._candidates(slot, by, agreeing):
                if self._trials >= _MOST_TRIALS:
                    break
                self._trials += 1
                tried = self._feeder.run(size, {**replaced, slot: candidate})
                now = self._agreeing(tried, LIKE_STATISTICS)
                progress = self._progress(now)
                if progress > best or (progress == best and chosen is None):
                    # Without progress the first of them stays: the next slot may decide.
                    best = max(best, progress)
                    chosen = candidate, tried, now
                if progress > before and self._exactly(tried, by):
                    chosen = candidate, tried, now
                    break
            if chosen is not None:
                replaced[slot] = chosen[0]
                outcome, agreeing = chosen[1], chosen[2]
        return self._parted(agreeing, outcome, slots)

    def _parted(
        self, agreeing: dict[Value, Known], outcome: Outcome, slots: list[tuple[Value, Op]]
    ) -> Comparison:
        found = Comparison(agreeing=agreeing)
        found.same = self._is_same(agreeing)
        if not found.same:
            self._part(found, outcome, {slot for slot, _ in slots})
        return found

    def _part(self, found: Comparison, outcome: Outcome, slots: set[Value]) -> None:
        shared = self._leading_to_agreement(found.agreeing)
        after = next((i for i, op in enumerate(self._way) if op not in shared), len(self._way))
        found.parting = self._way[after] if after < len(self._way) else None
        found.last = self._shared_before(found, shared)
        here = found.parting or self._end
        for value in here.outputs:
            if value not in outcome.rows:
                reason = outcome.broken.get(value, "it has no axis of the samples")
                found.why_not = f"it does not run on the training batch: {reason}"
        end = next((outcome.rows[v] for v in self._end.outputs if v in outcome.rows), None)
        other = self._logits
        if end is not None and end.shape == other.rows.shape:
            found.difference = float((end - other.rows).norm() / max(1e-30, other.size))
        if self.reads_computed_weights or not all(self._is_plain(v) for v in here.inputs):
            found.why_not = "it runs with weights that were computed of the trained ones"
        layer = [here]
        for op in self._way[after + 1 :]:
            if is_linear_map(op) or is_linear_map(here):
                break  # the next layer begins
            layer.append(op)
        found.doubtful = not self._statistic_ops(slots).isdisjoint(layer) or any(
            v in self._feeder.read and self._is_foreign(v) for v in here.inputs
        )

    def _leading_to_agreement(self, agreeing: dict[Value, Known]) -> set[Op]:
        """The ops that compute a shared value, or something that one is computed from."""
        found: set[Op] = set()
        needed: set[Value] = set()
        for op in reversed(self._way):
            written = (*op.outputs, *op.mutated)
            if any(v in agreeing for v in op.outputs) or any(v.root in needed for v in written):
                found.add(op)
                needed.update(v.root for v in op.inputs)
        return found

    def _shared_before(self, found: Comparison, shared: set[Op]) -> Op | None:
        """The op that computes the last shared value before the two part: one that is read there, if any is."""
        read = set(found.parting.inputs) if found.parting is not None else set()
        for wanted in (read, None):
            for op in reversed(self._way):
                values = [v for v in op.outputs if v in found.agreeing]
                if op in shared and values and (wanted is None or not wanted.isdisjoint(values)):
                    return op
        return None

    def _statistic_ops(self, slots: set[Value]) -> set[Op]:
        """Ops that read what was made of stored statistics."""
        made = set(slots)
        found: set[Op] = set()
        for op in self._steps:
            if any(v in made or v.root in made for v in op.inputs):
                if op in self._samples:
                    found.add(op)
                else:
                    made.update(op.outputs)
        return found

    def _is_plain(self, value: Value) -> bool:
        """Whether it is no parameter that something was computed of first, in the evaluation itself."""
        is_another = value.root is not value or self._trained.of(value) is not None
        return is_another or not self._from_parameters(value)

    def _from_parameters(self, value: Value) -> bool:
        def inside(op: flow.Step) -> bool:
            return op in self._own and op not in self._samples

        return any(self._trained.of(v) is not None for v in flow.ancestors(value, through=inside)[1:])

    @property
    def reads_foreign(self) -> bool:
        return any(self._is_foreign(value) for value in self._feeder.read)

    @property
    def reads_computed_weights(self) -> bool:
        return any(self._is_foreign(value) and self._is_computed(value) for value in self._feeder.read)

    def _is_foreign(self, value: Value) -> bool:
        """Weights that the training step does not read."""
        return self._is_own(value) and len(value.shape) >= 2 and min(value.shape) > 1

    def _is_own(self, value: Value) -> bool:
        """Whether it is a number of the evaluation's alone: no parameter, no data, and not read by the training."""
        return (
            value not in self._run.data
            and self._trained.of(value) is None
            and (value.earlier or value) not in self._training.read
            and (value not in self._outside or self._outside[value].is_floating_point())
        )

    def _is_computed(self, value: Value) -> bool:
        """Whether the training step, or what follows it, made the value: an average of weights, say."""
        earlier = value.earlier or value
        return earlier.producer is not None or earlier.root in self._training.changed

    # -- agreement -------------------------------------------------------------------------------------------------

    def _agreeing(self, outcome: Outcome, tolerance: float) -> dict[Value, Known]:
        found = {}
        for value, rows in outcome.rows.items():
            if bool(torch.isfinite(rows).all()):
                known = self._training.equal_to(rows, tolerance)
                if known is not None:
                    found[value] = known
        return found

    def _exactly(self, outcome: Outcome, op: Op) -> bool:
        """Whether what `op` computes is the training's to the last digits: no other statistic can do better."""
        there = [outcome.rows[v] for v in op.outputs if v in outcome.rows]
        return any(self._training.equal_to(rows, EXACT) is not None for rows in there)

    def _is_same(self, agreeing: dict[Value, Known]) -> bool:
        ends = {v for op in self._run.per_sample for v in op.outputs}
        return any(v in ends and torch.equal(k.rows, self._logits.rows) for v, k in agreeing.items())

    def _progress(self, agreeing: dict[Value, Known]) -> int:
        return max((self._order[v] for v in agreeing if v in self._order), default=-1)

    # -- statistics ------------------------------------------------------------------------------------------------

    def _slots(self) -> list[tuple[Value, Op]]:
        """The values that may be statistics, in the order in which samples meet them, and where they do."""
        met_by = {v: [v] for v in self._feeder.read if self._is_own(v)}  # what a value was made of
        found: dict[Value, Op] = {}
        joined = {v for _, v in self._run.joins}
        for op in self._steps:
            sources = list(dict.fromkeys(s for v in op.inputs for s in met_by.get(v, ())))
            if op in self._samples:
                for source in sources:
                    found.setdefault(source, op)
                for v in op.inputs:
                    if v in joined and not any(op is by and v is value for value, by in found.items()):
                        found.setdefault(v, op)
            elif sources:
                for v in op.outputs:
                    met_by[v] = sources
        return sorted(found.items(), key=lambda pair: pair[1].index)[:_MOST_SLOTS]

    def _candidates(self, slot: Value, by: Op, agreeing: dict[Value, Known]) -> Iterator[torch.Tensor]:
        """What the statistic may be for the training batch, the likeliest first."""
        count = math.prod(slot.shape)
        at = self._progress(agreeing)
        known = next(
            (agreeing[v] for op in self._way[at : at + 1] for v in op.outputs if v in agreeing), None
        )
        options: list[Statistic] = []
        if known is not None:
            options += self._training.moments(known, count)
        if options and not _is_centre(slot, by):
            options = [*options[1:], options[0]]
        options += self._training.statistics(count)
        own = self._training.env.get(slot.earlier) if slot.earlier is not None else None
        if own is not None and own.numel() == count:
            options = [(own, None)]  # the very one that the step computed of its batch
        wanted = degree(slot)
        seen: list[torch.Tensor] = []
        for option, grows in options:
            if None not in (wanted, grows) and wanted != grows:
                continue  # a variance takes the place of a variance alone
            if not option.is_floating_point() or not bool(torch.isfinite(option).all()):
                continue
            shaped = option.detach().reshape(tuple(slot.shape))
            if not any(torch.equal(shaped, other) for other in seen):
                seen.append(shaped)
                yield shaped


def _is_centre(slot: Value, by: Op) -> bool:
    """Whether `by` subtracts the slot, or what was made of it alone."""
    call = batch_norm_call(by)
    if call is None:
        return by.operation is ops.SUB
    mean = call.running_mean
    return mean is not None and slot in behind(mean, lambda op: len(op.inputs) == 1)
