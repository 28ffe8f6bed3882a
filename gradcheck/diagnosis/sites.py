"""Where a gradient was computed: the pieces of source that may be edited, and every time they ran.

A piece is an expression whose value one recorded op made, or a whole statement where it changes a tensor in place.
"""

import ast
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from gradcheck.diagnosis.evaluation import Evaluable, Tree
from gradcheck.diagnosis.namespace import BindingIndex, Namespace
from gradcheck.diagnosis.syntax import Rewriter, TextChange
from gradcheck.fronts.places import Places
from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.graph import flow
from gradcheck.judge.judged import Judged
from gradcheck.program.reading.tree import Span, contains, node_at, parts_of, span_of
from gradcheck.program.source import SourceUnit
from gradcheck.replay.passes import PassPlan

_BLOCKS = (ast.For, ast.While, ast.With, ast.If)
_CHANGING = (Kind.MUTATE, Kind.DATA_WRITE)
_NOT_COMPUTING = (Kind.ESCAPE, Kind.BACKWARD, Kind.GRAD_WRITE, Kind.GRAD_READ)
_MOST_EXECUTIONS = 512


@dataclass(slots=True)
class Execution:
    """One run of a piece. `value` is what it made or changed, known after op `last`; `ops` are those of a statement,
    which an edited statement takes the place of."""

    first: int
    last: int
    op: Op
    value: Value
    ops: frozenset[int] = frozenset()


@dataclass(eq=False)
class Site:
    """A piece of source that may be edited. `own` are the executions that the judged gradient came from."""

    unit: SourceUnit
    statement: ast.stmt
    tree: ast.expr | ast.stmt
    executions: list[Execution]
    own: list[Execution]
    names: dict[int, Namespace] = field(default_factory=dict)  # by the first op of an execution
    is_alias: bool = False  # `db = dz`: a second name, which no recorded op made

    @cached_property
    def rewriter(self) -> Rewriter:
        return Rewriter(self.tree, self.unit.code.split("\n"))

    @property
    def span(self) -> Span:
        return span_of(self.tree)

    @property
    def deletion(self) -> TextChange | None:
        """The change of the text that leaves the lines of the statement out; None if they hold more, or a block would be
        left empty."""
        lines = self.unit.code.split("\n")
        line, end_line, column, end_column = span_of(self.statement)
        before = lines[line - 1].encode()[:column].decode()
        rest = lines[end_line - 1].encode()[end_column:].decode().strip()
        alone = any(
            body == [self.statement]
            for node in ast.walk(self.unit.tree.module)
            for body in (getattr(node, "body", None), getattr(node, "orelse", None))
        )
        if before.strip() or (rest and not rest.startswith("#")) or alone or end_line >= len(lines):
            return None
        return TextChange((line, end_line + 1, 0, 0), "")

    def namespace(self, execution: Execution, index: BindingIndex) -> Namespace:
        found = self.names.get(execution.first)
        if found is None:
            found = self.names[execution.first] = Namespace(index, execution.op, execution.first)
        return found

    def prepare(self, tree: Tree, execution: Execution, index: BindingIndex) -> Evaluable:
        """`tree` (the piece, or an edit of it) as it would have run in this execution. Raises CannotEvaluateError."""
        return Evaluable(tree, self.namespace(execution, index))


class SiteFinder:
    def __init__(self, ops: Sequence[Op], plan: PassPlan, places: Places, judged: Iterable[Judged]) -> None:
        self._ops = ops
        self._plan = plan
        self._places = places
        self._judged_roots = {
            value.root: j for j in judged if j.of is not None for value in [j.candidate.value]
        }
        # What moves a parameter is no part of a gradient, even if one is computed from it afterwards.
        self._updating = {id(places.statement(update.op)) for update in plan.updates}
        self._forward = {op.index for op in plan.forward_ops}
        self._window = [op for op in ops[plan.start : plan.stop or len(ops)] if op.kind not in _NOT_COMPUTING]
        self._by_place: dict[tuple[object, int], list[Op]] = defaultdict(list)
        for op in self._window:
            self._by_place[op.code, op.lasti].append(op)

    def backward(self, judged: Judged) -> list[Site]:
        """The line of a gradient first, then the lines of helpers that only it was computed from, nearest first."""
        if judged.candidate.second_name:
            return self._alias_sites(judged)
        # Sums over samples may be begun before the loss, a sum itself, is there.
        return self._sites(self.backward_ops(judged), after=self._plan.start - 1)

    def forward(self, judged: Judged, nearest: Iterable[Value]) -> list[Site]:
        """The forward lines between the value of a gradient and the values its upstream gradients belong to."""
        return self._sites(self.forward_ops(judged, nearest), after=self._plan.start - 1)

    def forward_ops(self, judged: Judged, nearest: Iterable[Value]) -> list[Op]:
        """What lies between the value of a gradient and `nearest`, in order."""
        if judged.of is None:
            return []
        ends = set(nearest)
        roots = {value.root for value in ends}
        return flow.between(
            self._plan.forward_ops, [judged.of], ends, into=lambda v: v.root not in roots, key=flow.storage
        )

    def backward_ops(self, judged: Judged) -> list[Op]:
        """What computed a gradient from the judged gradients before it and from forward values; the last op first."""
        own = judged.candidate.value.root
        ops = [
            op
            for op in self._ops[self._plan.start : judged.version.after + 1]
            if op.kind not in _NOT_COMPUTING and op.index not in self._forward
        ]
        sliced = flow.slice_for(ops, [own], into=lambda v: v.root is own or v.root not in self._judged_roots)
        return sliced[::-1]

    def _sites(self, chosen: list[Op], after: int) -> list[Site]:
        groups: dict[int, list[Op]] = {}
        statements: dict[int, ast.stmt] = {}
        for op in chosen:
            statement = self._places.statement(op)
            if statement is None or id(statement) in self._updating or isinstance(statement, _BLOCKS):
                continue
            groups.setdefault(id(statement), []).append(op)
            statements[id(statement)] = statement
        found: list[Site] = []
        for key, ops in groups.items():
            statement = statements[key]
            if any(op.kind in _CHANGING for op in ops):
                found += filter(None, [self._statement_site(statement, ops, after)])
            else:
                found += self._expression_sites(statement, ops, after)
        return found

    def _expression_sites(self, statement: ast.stmt, ops: list[Op], after: int) -> list[Site]:
        spans = {op.index: self._places.span(op.code, op.lasti) for op in ops}
        found: list[Site] = []
        seen: set[int] = set()
        for op in ops:
            span = spans[op.index]
            around = [s for s in spans.values() if s != span and contains(s, span)]
            unit = self._places.unit(op)
            if around or op.lasti in seen or unit is None or not isinstance(op.out, Value):
                continue
            seen.add(op.lasti)
            if isinstance(statement, ast.Return) and span == span_of(statement):
                execution = Execution(op.index, op.index, op, op.out)
                # Which of them it is shows when they are evaluated.
                found += [
                    Site(unit, statement, t, [execution], [execution]) for t in parts_of(statement.value)
                ]
                continue
            tree = node_at(statement, span)
            if not isinstance(tree, ast.expr):  # `total += part` of plain numbers
                continue
            runs = [
                o for o in self._by_place[op.code, op.lasti] if o.index > after and isinstance(o.out, Value)
            ]
            executions = [
                Execution(self._first(o, statement), o.index, o, o.out) for o in runs[:_MOST_EXECUTIONS]
            ]
            indices = {o.index for o in ops}
            own = [e for e in executions if e.last in indices]
            if own:
                found.append(Site(unit, statement, tree, executions, own))
        return found

    def _alias_sites(self, judged: Judged) -> list[Site]:
        """The right side of `db = dz`, which no op made."""
        binding = judged.candidate.binding
        if binding is None or binding.code is None:
            return []
        unit = self._places.unit_of(binding.code)
        statement = self._places.statement_at(binding.code, binding.line)
        if unit is None or not isinstance(statement, ast.Assign):
            return []
        stand_in = Op(binding.when, _nothing, Kind.IGNORE, (), None, binding.code, 0)
        stand_in.scope = binding.scope
        execution = Execution(binding.when, binding.when, stand_in, judged.candidate.value)
        return [Site(unit, statement, statement.value, [execution], [execution], is_alias=True)]

    def _statement_site(self, statement: ast.stmt, ops: list[Op], after: int) -> Site | None:
        unit = self._places.unit(ops[0])
        if unit is None:
            return None
        executions: list[Execution] = []
        current: list[Op] = []
        for op in [*self._ops_of(statement, ops[0], after), None]:
            if op is not None and (
                not current or (op.scope == current[-1].scope and op.lasti > current[-1].lasti)
            ):
                current.append(op)
                continue
            changing = [o for o in current if o.kind in _CHANGING and o.mutated]
            if changing:
                value = changing[-1].mutated[0].root
                indices = frozenset(o.index for o in current)
                executions.append(Execution(current[0].index, current[-1].index, current[0], value, indices))
            current = [op] if op is not None else []
        chosen = {op.index for op in ops}
        own = [e for e in executions if e.ops & chosen]
        if not own or len(executions) > _MOST_EXECUTIONS:
            return None
        return Site(unit, statement, statement, executions, own)

    def _ops_of(self, statement: ast.stmt, like: Op, after: int) -> list[Op]:
        return [
            op
            for op in self._window
            if op.index > after and op.code is like.code and self._places.statement(op) is statement
        ]

    def _first(self, op: Op, statement: ast.stmt) -> int:
        """The first op of the same execution of the statement."""
        first, lasti = op.index, op.lasti
        for index in range(op.index - 1, max(-1, op.index - 400), -1):
            earlier = self._ops[index]
            if earlier.code is not op.code or earlier.scope != op.scope:
                continue
            if earlier.lasti >= lasti or self._places.statement(earlier) is not statement:
                break
            first, lasti = earlier.index, earlier.lasti
        return first


def _nothing() -> None:
    """Stands for the call that a second name does not make."""
