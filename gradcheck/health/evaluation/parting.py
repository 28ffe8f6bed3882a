"""What the training step does where an evaluation parts from it, and which parameters an evaluation leaves out."""

from collections.abc import Iterable

from gradcheck.fronts.places import Places
from gradcheck.fronts.tape import Op
from gradcheck.graph import flow
from gradcheck.health.evaluation.comparison import Comparison
from gradcheck.health.evaluation.records import LeftOut, Parting
from gradcheck.health.evaluation.training import TrainingNetwork
from gradcheck.health.network.runs import NetworkRun
from gradcheck.health.network.trained import Trained
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.ops import Family


class Explainer:
    """`names` are those of the training step, `names_after` those of what follows it."""

    def __init__(
        self, training: TrainingNetwork, names: NameIndex, names_after: NameIndex, places: Places
    ) -> None:
        self._training = training
        self._names, self._names_after, self._places = names, names_after, places
        self._steps = training.run.per_sample
        self._end = next(op for op in self._steps if training.logits in op.outputs)
        self._there: set[Trained] = set()  # the parameters that the training applies where the two part

    # -- left out --------------------------------------------------------------------------------------------------

    def left_out(self, run: NetworkRun) -> list[LeftOut]:
        """The parameters without which nothing gets, in the training, from one that the evaluation reads to what the
        last layer gives."""
        training = self._training
        read = run.parameters
        found = []
        for application in training.run.applications:
            op = application.op
            for parameter in sorted(application.parameters - read, key=lambda p: p.name):
                first = training.application_of(parameter) is application
                if not first or op.index > self._end.index:
                    continue
                others = [a.op for a in map(training.application_of, read) if a is not None]
                if any(self._forces(other, op) for other in others):
                    found.append(LeftOut(parameter.name, self._names.text(op), self._places.location(op)))
        return found

    def _forces(self, first: Op, second: Op) -> bool:
        """Whether every way from `first` to the end of the network goes through `second`."""
        if first is second:
            return True
        if first in self._reached(second):
            return False  # who begins further on needs nothing of what comes before
        after = self._reached(first)
        # What does not come after it (a table of positions) may yet be added to what does.
        met = next((op for op in self._line(second) if op in after), None)
        return met is not None and (met is self._end or self._end not in self._reached(first, met))

    def _line(self, op: Op) -> list[Op]:
        """The op, and those after it as long as only one op reads what each computes."""
        found = [op]
        while len(following := self._next(found[-1])) == 1:
            found += following
        return found

    def _next(self, op: Op) -> list[Op]:
        """Those that read what an op computes, or changes."""
        roots = {v.root for v in (*op.outputs, *op.mutated)}
        return [step for step in self._after(op) if any(v.root in roots for v in step.inputs)]

    def _after(self, op: Op) -> list[Op]:
        return [step for step in self._steps if step.index > op.index]

    def _reached(self, start: Op, without: Op | None = None) -> list[Op]:
        """`start`, and all that is computed from it, but by `without`."""
        steps = [op for op in self._after(start) if op is not without]
        return [start, *flow.steps_from(steps, [*start.outputs, *start.mutated], key=flow.storage)]

    # -- parting ---------------------------------------------------------------------------------------------------

    def parting(self, run: NetworkRun, found: Comparison) -> Parting | None:
        here = found.parting or found.last
        if here is None:
            return None
        place = Parting(
            self._places.location(here), self._names_after.text(here), self._last_shared(found), "differs"
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
        # What the training applies there may only follow.
        place.parameters_differ = bool(there) and (
            there != applied if applied else not there <= run.parameters
        )
        return place

    def _last_shared(self, found: Comparison) -> str:
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
        if shared is not None:
            place.why = "skips"
            self._between(place, self._way(shared, self._end))

    def _applies(self, place: Parting, shared: Op | None, applied: Iterable[Trained]) -> None:
        """The evaluation applies parameters there: what does the training apply them to?"""
        applications = [self._training.application_of(p) for p in applied]
        there = next((a.op for a in applications if a is not None), None)
        following = self._followers(shared)
        if there is None or shared is None:
            self._say(place, following)
        elif there in self._reached(shared):
            between = [op for op in self._way(shared, there) if op is not there]
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
        pending = self._next(shared) if shared is not None else []
        while pending:
            op = pending.pop(0)
            if _is_view(op):
                pending += self._next(op)
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
        telling = [op for op in ops if not _is_view(op)] or ops
        self._say(place, telling)
        place.skipped = list(dict.fromkeys(self._names.text(op) for op in telling))

    def _way(self, start: Op, end: Op) -> list[Op]:
        """What is computed from one op on the way to another, and that one."""
        steps = [op for op in self._after(start) if op.index <= end.index]
        return flow.between(steps, [*start.outputs, *start.mutated], end.outputs, key=flow.storage)


def _is_view(op: Op) -> bool:
    return op.operation.keeps_numbers or op.operation.family is Family.BROADCAST
