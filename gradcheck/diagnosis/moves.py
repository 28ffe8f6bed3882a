"""Lines in the wrong order: one that reads a value before it is complete, or a parameter after its update."""

import ast
from dataclasses import dataclass, field

import torch

from gradcheck.diagnosis.clock import Clock
from gradcheck.diagnosis.evaluation import CannotEvaluateError, Evaluable
from gradcheck.diagnosis.found import Found
from gradcheck.diagnosis.mistakes.order import Position, advice, as_text, positions_of
from gradcheck.diagnosis.namespace import Namespace
from gradcheck.diagnosis.proving import Prover
from gradcheck.diagnosis.sites import Execution, Site
from gradcheck.diagnosis.surroundings import Surroundings
from gradcheck.fronts.tape import Op, Value
from gradcheck.judge.judged import Judged
from gradcheck.replay.runner import Patch, Runner

_MOST_RUNS = 64  # of a line in a loop
_COST = 1.4  # of exchanging two lines, beside the costs of other edits
_COST_PER_LINE = 0.1


@dataclass(slots=True)
class _Moment:
    """What one run of the line would have read at another moment (a number of ops on the tape)."""

    execution: Execution
    evaluable: Evaluable
    when: int
    changes: list[Op]  # what changes what it reads, between its own time and that moment


@dataclass(slots=True)
class _Kept:
    """Tensors as they were at an earlier moment of a replay, by the replay and the value."""

    tensors: dict[tuple[int, Value], torch.Tensor] = field(default_factory=dict)


@dataclass(slots=True)
class _Keep:
    """Keeps what an op changes as it was before. Stands for that op in a replay."""

    op: Op
    kept: _Kept

    @property
    def skipped(self) -> frozenset[int]:
        return frozenset((self.op.index,))

    @property
    def reads(self) -> tuple[Value, ...]:
        return tuple(self.op.inputs)

    def apply(self, replay: Runner) -> None:
        for value in self.op.mutated:
            self.kept.tensors.setdefault((id(replay), value.root), replay.tensor(value.root).clone())
        replay.perform(self.op)


@dataclass(slots=True)
class _Moved:
    """The line, run later or earlier."""

    moment: _Moment
    kept: _Kept

    @property
    def skipped(self) -> frozenset[int]:
        return frozenset()

    @property
    def reads(self) -> tuple[Value, ...]:
        return self.moment.evaluable.reads

    def apply(self, replay: Runner) -> None:
        def tensor_of(value: Value) -> torch.Tensor:
            kept = self.kept.tensors.get((id(replay), value))
            return replay.tensor(value) if kept is None else kept

        result = self.moment.evaluable.result(tensor_of, replay.dtype, replay.variation)
        replay.put(self.moment.execution.value, result)
        for key in [key for key in self.kept.tensors if key[0] == id(replay)]:
            del self.kept.tensors[key]  # another replay may get this identity


class MoveSearch:
    """Moves the line of a gradient past its neighbours, where it would then read something else."""

    def __init__(self, surroundings: Surroundings, prover: Prover) -> None:
        self._around = surroundings
        self._prover = prover

    def find(self, group: list[Judged], clock: Clock) -> Found | None:
        """The shortest move that is proved."""
        for site in self._around.finder.backward(group[0])[:1]:
            if not self._may_move(site):
                continue
            seen: set[object] = set()
            statements = self._around.judgement.places.statements(site.unit.filename)
            for position in sorted(positions_of(site, statements), key=lambda place: place.lines):
                if clock.is_over:
                    return None
                moments = self._moments(site, position)
                what_differs = tuple(
                    (m.evaluable.reads, tuple(op.index for op in m.changes)) for m in moments
                )
                if what_differs in seen or not any(moment.changes for moment in moments):
                    continue
                seen.add(what_differs)
                found = self._proved(site, position, moments, group)
                if found is not None:
                    return found
        return None

    @staticmethod
    def _may_move(site: Site) -> bool:
        statement = site.statement
        return (
            isinstance(statement, ast.Assign)
            and len(statement.targets) == 1
            and statement.value is site.tree
            and not site.is_alias
            and len(site.executions) <= _MOST_RUNS
        )

    def _moments(self, site: Site, position: Position) -> list[_Moment]:
        """For every run of the line; empty where one of them is not understood."""
        found = [self._moment(site, execution, position) for execution in site.executions]
        known = [moment for moment in found if moment is not None]
        return known if len(known) == len(found) else []

    def _proved(
        self, site: Site, position: Position, moments: list[_Moment], group: list[Judged]
    ) -> Found | None:
        patches: dict[int, Patch] = {}
        moved: dict[int, int] = {}
        kept = _Kept()
        for moment in moments:
            after = moment.execution.last
            if not position.up and moment.changes:
                after = moment.changes[-1].index
                moved[moment.execution.last] = after
            for op in moment.changes if position.up else ():
                if op.mutated:
                    patches[op.index] = _Keep(op, kept)
            patches[after] = _Moved(moment, kept)
        proof = self._prover.prove(patches, group, moved)
        if not proof.proved:
            return None
        change = as_text(site, position)
        cost = _COST + _COST_PER_LINE * position.lines
        return Found(
            site, site.tree, patches, proof, cost, moved=moved, change=change, advice=advice(position)
        )

    def _moment(self, site: Site, execution: Execution, position: Position) -> _Moment | None:
        """None where nothing is known of what the line would read there."""
        ops = self._around.judgement.recording.ops
        runs = sorted(site.executions, key=lambda run: run.last)
        place = next(i for i, run in enumerate(runs) if run is execution)
        if position.up:
            first = runs[place - 1].last if place else self._around.judged_pass.plan.loss_op.index
            window = ops[first + 1 : execution.first]
        else:
            end = (
                runs[place + 1].first if place + 1 < len(runs) else self._around.judged_pass.plan.last_op + 1
            )
            window = ops[execution.last + 1 : end]
        inside = {id(node) for node in ast.walk(position.past)}
        statement = self._around.judgement.places.statement
        own = [op for op in window if op.scope == execution.op.scope and id(statement(op)) in inside]
        if not own:
            return None
        when = own[0].index if position.up else own[-1].index + 1
        namespace = Namespace(self._around.index, execution.op, when)
        try:
            evaluable = Evaluable(site.tree, namespace)
            before = set(site.prepare(site.tree, execution, self._around.index).reads)
        except CannotEvaluateError:
            return None
        roots = {value.root for value in evaluable.reads}
        between = ops[when : execution.first] if position.up else ops[execution.last + 1 : when]
        changes = [op for op in between if any(value.root in roots for value in op.mutated)]
        if position.up:
            new = [op for op in between if any(value in before for value in op.outputs)]
        else:
            new = [op for op in between if any(value in evaluable.reads for value in op.outputs)]
        return _Moment(execution, evaluable, when, sorted({*changes, *new}, key=lambda op: op.index))
