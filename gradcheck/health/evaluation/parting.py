"""What the training step does where an evaluation parts from it, and which parameters an evaluation leaves out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gradcheck.fronts.places import Places
from gradcheck.fronts.tape import Op, Value
from gradcheck.health.evaluation.comparison import Comparison
from gradcheck.health.evaluation.parameters import Trained
from gradcheck.health.evaluation.records import LeftOut, Parting
from gradcheck.health.evaluation.training import TrainingNetwork
from gradcheck.health.network.runs import NetworkRun
from gradcheck.judge.pairing.names import NameIndex

_VIEWS = {
    "view", "reshape", "T", "t", "transpose", "permute", "flatten", "squeeze", "unsqueeze", "contiguous", "view_as",
    "detach", "data", "clone", "float", "double", "to", "expand", "movedim", "mT",
}  # fmt: skip


class Explainer:
    """`names` are those of the training step, `names_after` those of what follows it."""

    def __init__(
        self, training: TrainingNetwork, names: NameIndex, names_after: NameIndex, places: Places
    ) -> None:
        self._training = training
        self._names, self._names_after, self._places = names, names_after, places
        self._next = _successors(training.run.per_sample)
        self._there: set[Trained] = set()  # the parameters that the training applies where the two part

    # -- left out --------------------------------------------------------------------------------------------------

    def left_out(self, run: NetworkRun[Trained]) -> list[LeftOut]:
        """The parameters without which nothing gets, in the training, from one that the evaluation reads to what the
        last layer gives."""
        training = self._training
        read = run.parameters
        end = _op_of(training, training.logits)
        found = []
        for parameter in sorted(training.run.parameters - read, key=lambda p: self._order(p)):
            application = training.application_of(parameter)
            if application is None or end is None or application.op.index > end.index:
                continue
            if any(self._forces(other, parameter, end) for other in read):
                op = application.op
                found.append(LeftOut(parameter.name, self._names.text(op), self._places.location(op)))
        return found

    def _order(self, parameter: Trained) -> int:
        application = self._training.application_of(parameter)
        return application.op.index if application is not None else -1

    def _forces(self, read: Trained, parameter: Trained, end: Op) -> bool:
        """Whether every way from where `read` is applied to the end applies `parameter`."""
        first, second = self._training.application_of(read), self._training.application_of(parameter)
        if first is None or second is None:
            return False
        if first.op is second.op:
            return True
        if first.op in self._reached(second.op, None):
            return False  # who begins further on needs nothing of what comes before
        after = self._reached(first.op, None)
        # What does not come after it (a table of positions) may yet be added to what does.
        met = next((op for op in self._line(second.op) if op in after), None)
        return met is not None and (met is end or end not in self._reached(first.op, met))

    def _line(self, op: Op) -> Iterator[Op]:
        """The op, and those after it as long as only one op reads what each computes."""
        seen: set[Op] = set()
        while op not in seen:
            seen.add(op)
            yield op
            following = self._next.get(op, [])
            if len(following) == 1:
                op = following[0]

    def _reached(self, start: Op, without: Op | None) -> set[Op]:
        found, pending = {start}, [start]
        while pending:
            for op in self._next.get(pending.pop(), ()):
                if op not in found and op is not without:
                    found.add(op)
                    pending.append(op)
        return found

    # -- parting ---------------------------------------------------------------------------------------------------

    def parting(self, run: NetworkRun[Trained], found: Comparison) -> Parting | None:
        here = found.parting or found.last
        if here is None:
            return None
        place = Parting(
            self._places.location(here), self._names_after.text(here), self._after(found), "differs"
        )
        self._there = set()
        place.difference = found.difference
        place.certain = not (found.doubtful or self._training.noisy)
        applied: frozenset[Trained] = next(
            (a.parameters for a in run.applications if a.op is here), frozenset()
        )
        place.parameter = ", ".join(sorted(p.name for p in applied))
        shared = self._shared(found)
        if found.parting is None:
            self._stops(place, shared)
        elif applied:
            self._applies(place, shared, applied)
        else:
            self._say(place, self._followers(shared))
            if self._there and self._there <= run.parameters:
                place.why = "extra"
        if found.doubtful:
            place.why = "statistics"
        there = self._there
        # What the training applies there may merely follow.
        place.parameters_differ = bool(there) and (
            there != applied if applied else not there <= run.parameters
        )
        return place

    def _after(self, found: Comparison) -> str:
        if found.last is None:
            return ""
        value = next(iter(found.last.outputs), None)
        return self._names_after.shown(value) if value is not None else ""

    def _shared(self, found: Comparison) -> Op | None:
        """The last op of the training that computes what the two share."""
        if found.last is None:
            return None
        known = [found.agreeing[v] for v in found.last.outputs if v in found.agreeing]
        return known[-1].op if known else None

    def _stops(self, place: Parting, shared: Op | None) -> None:
        """The evaluation ends before the training does."""
        end = _op_of(self._training, self._training.logits)
        if shared is not None and end is not None:
            place.why = "skips"
            self._between(place, self._way(shared, end, True))

    def _applies(self, place: Parting, shared: Op | None, applied: Iterable[Trained]) -> None:
        """The evaluation applies parameters there: what does the training apply them to?"""
        applications = [self._training.application_of(p) for p in applied]
        there = next((a.op for a in applications if a is not None), None)
        following = self._followers(shared)
        if there is None or shared is None:
            self._say(place, following)
        elif there in self._reached(shared, None):
            between = self._way(shared, there, False)
            if between:
                place.why = "skips"
                self._between(place, between)
            else:
                self._say(place, [there])
        else:
            place.why = "order"
            self._say(place, following)
            place.belongs_text = self._names.text(there)
            place.belongs_location = self._places.location(there)

    def _followers(self, shared: Op | None) -> list[Op]:
        """What the training does with the shared value, views of it left out."""
        found: list[Op] = []
        pending = list(self._next.get(shared, ())) if shared is not None else []
        while pending:
            op = pending.pop(0)
            if op.name in _VIEWS:
                pending += self._next.get(op, [])
            elif op not in found:
                found.append(op)
        return found

    def _say(self, place: Parting, ops: list[Op]) -> None:
        if ops:
            place.training_text = self._names.text(ops[0])
            place.training_location = self._places.location(ops[0])
            self._name_parameters(place, ops[:1])

    def _name_parameters(self, place: Parting, ops: list[Op]) -> None:
        self._there = {p for a in self._training.run.applications if a.op in ops for p in a.parameters}
        place.other_parameter = ", ".join(sorted(p.name for p in self._there))

    def _between(self, place: Parting, ops: list[Op]) -> None:
        telling = [op for op in ops if op.name not in _VIEWS] or ops
        self._say(place, telling)
        place.skipped = list(dict.fromkeys(self._names.text(op) for op in telling))

    def _way(self, start: Op, end: Op, with_end: bool) -> list[Op]:
        after = self._reached(start, None) - {start}
        found = [op for op in after if end in self._reached(op, None) and (with_end or op is not end)]
        return sorted(found, key=lambda op: op.index)


def _op_of(training: TrainingNetwork, value: Value) -> Op | None:
    return next((op for op in training.run.per_sample if value in op.outputs), None)


def _successors(ops: Iterable[Op]) -> dict[Op, list[Op]]:
    """Who reads what each op computes."""
    found: dict[Op, list[Op]] = {}
    writers: dict[Value, list[Op]] = {}
    for op in ops:
        for value in dict.fromkeys(v.root for v in op.inputs):
            for writer in writers.get(value, ()):
                found.setdefault(writer, []).append(op)
        for value in {v.root for v in (*op.outputs, *op.mutated)}:
            writers.setdefault(value, []).append(op)
    return found
