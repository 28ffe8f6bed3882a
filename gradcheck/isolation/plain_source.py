"""The person's source around a recorded step: the training loop, its functions, and what they do to plain numbers."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from gradcheck.fronts.places import Places
from gradcheck.fronts.tape import Op, Recording
from gradcheck.program.loops import LoopSite
from gradcheck.program.source import SourceMap

Function = ast.FunctionDef | ast.AsyncFunctionDef
_QUESTIONS = {
    "shape",
    "size",
    "dtype",
    "ndim",
    "numel",
    "nelement",
    "dim",
    "device",
}  # of a tensor: no computed number


@dataclass
class LoopSource:
    """The training loop. `body` are its statements in order, those of `with` blocks among them."""

    site: LoopSite
    node: ast.For | ast.While
    body: list[ast.stmt] = field(init=False)

    def __post_init__(self) -> None:
        self.body = list(_flat(self.node.body))

    def statement_at(self, line: int) -> int | None:
        """The index in `body` of the statement that a line belongs to."""
        return next(
            (i for i, s in enumerate(self.body) if s.lineno <= line <= (s.end_lineno or s.lineno)), None
        )

    def targets(self) -> list[str]:
        if isinstance(self.node, ast.While):
            return []
        return [node.id for node in ast.walk(self.node.target) if isinstance(node, ast.Name)]

    def counting(self) -> tuple[str, ast.expr, ast.expr] | None:
        """The loop variable that counts, where from, and by how much each time."""
        zero, one = ast.Constant(0), ast.Constant(1)
        if not isinstance(self.node, ast.For):
            return None
        target, over = self.node.target, self.node.iter
        while isinstance(over, ast.Call) and _called(over) == "tqdm" and over.args:
            over = over.args[0]
        if not isinstance(over, ast.Call):
            return None
        name = _called(over)
        if name == "enumerate" and isinstance(target, ast.Tuple) and isinstance(target.elts[0], ast.Name):
            return target.elts[0].id, over.args[1] if len(over.args) > 1 else zero, one
        if not isinstance(target, ast.Name):
            return None
        given = over.args
        if name == "count":
            return target.id, given[0] if given else zero, given[1] if len(given) > 1 else one
        if name in ("range", "trange"):
            return target.id, given[0] if len(given) > 1 else zero, given[2] if len(given) > 2 else one
        return None


class PlainSource:
    def __init__(self, recording: Recording, sources: SourceMap, places: Places) -> None:
        self._sources = sources
        self._places = places
        self._trees: dict[str, ast.Module] = {}
        self.functions: list[tuple[str, Function]] = []
        for filename, unit in list(sources.units.items()):
            try:
                tree = self._trees[filename] = ast.parse(unit.code)
            except (SyntaxError, ValueError):
                continue
            self.functions += [(filename, node) for node in ast.walk(tree) if isinstance(node, Function)]
        self._recording = recording

    def loop(self, begin: int, end: int) -> LoopSource | None:
        """The loop whose iteration was recorded from op `begin` to op `end`."""
        opened = {mark.loop for mark in self._recording.marks if mark.what == "step" and mark.when == begin}
        closed = {mark.loop for mark in self._recording.marks if mark.what == "step-end" and mark.when == end}
        for number in opened & closed:
            site = self._sources.loops.sites.get(number)
            tree = self._trees.get(site.filename) if site is not None else None
            if site is None or tree is None:
                continue
            for node in ast.walk(tree):
                if isinstance(node, (ast.For, ast.While)) and (node.lineno, node.end_lineno) == (
                    site.line,
                    site.end_line,
                ):
                    return LoopSource(site, node)
        return None

    def function(self, op: Op) -> Function | None:
        """That an op was called in; None at the top level."""
        first = op.code.co_firstlineno
        for filename, node in self.functions:
            line = min([node.lineno, *(d.lineno for d in node.decorator_list)])
            if filename == op.code.co_filename and node.name == op.code.co_name and line == first:
                return node
        return None

    def call_sites(self, function: Function) -> list[tuple[str, Function | None, ast.Call]]:
        """Every call of something of that name: the file, the function it stands in, and the call."""
        found: list[tuple[str, Function | None, ast.Call]] = []
        for filename, tree in self._trees.items():
            for owner, node in _with_owner(tree, None):
                if isinstance(node, ast.Call) and _called(node) == function.name:
                    found.append((filename, owner, node))
        return found

    def attribute_writes(self, attribute: str) -> list[tuple[Function | None, ast.stmt]]:
        """Every statement that sets an attribute of that name on anything, and the function it stands in; `__init__`
        only makes the object."""
        found: list[tuple[Function | None, ast.stmt]] = []
        for tree in self._trees.values():
            for owner, node in _with_owner(tree, None):
                if not isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
                    continue
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                writes = any(
                    isinstance(part, ast.Attribute)
                    and part.attr == attribute
                    and isinstance(part.ctx, ast.Store)
                    for target in targets
                    for part in ast.walk(target)
                )
                if writes and not (owner is not None and owner.name == "__init__"):
                    found.append((owner, node))
        return found


def operands_of(op: Op, places: Places) -> list[ast.expr]:
    """The parts of the expression of an op that may be its arguments."""
    statement = places.statement(op)
    span = places.span(op.code, op.lasti)
    for node in ast.walk(statement) if statement is not None else ():
        if not isinstance(node, (ast.expr, ast.AugAssign)):
            continue
        here = node.lineno, node.end_lineno, node.col_offset, node.end_col_offset
        if here == span and (operands := _operands(node)):
            return operands
    return []


def names_read(node: ast.AST, tensors: Collection[str] = ()) -> set[str]:
    """Names whose numbers go into an expression; not those of `tensors` that only their shape is asked of."""
    asked = node.func if isinstance(node, ast.Call) else node
    if isinstance(asked, ast.Attribute) and asked.attr in _QUESTIONS:
        return set()
    if isinstance(node, ast.Call) and _called(node) == "len":
        return set().union(*(names_read(argument) for argument in node.args)) - set(tensors)
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Load) else set()
    found: set[str] = set()
    for child in ast.iter_child_nodes(node):
        found |= names_read(child, tensors)
    return found


def names_written(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def assignments(statements: list[ast.stmt]) -> Iterator[tuple[str, ast.stmt, ast.expr | None]]:
    """Each name with the statement that gives it a value, and the expression where it is a plain assignment."""
    for statement in statements:
        for node in ast.walk(statement):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Name):
                        yield target.id, node, node.value
                    else:
                        yield from ((name, node, None) for name in names_written(target))
            elif isinstance(node, (ast.AugAssign, ast.AnnAssign)) and isinstance(node.target, ast.Name):
                yield node.target.id, node, node.value
            elif isinstance(node, ast.NamedExpr):
                yield node.target.id, statement, None
            elif isinstance(node, (ast.For, ast.comprehension)):
                yield from ((name, statement, None) for name in names_written(node.target))


def _flat(statements: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in statements:
        if isinstance(statement, ast.With):
            yield from _flat(statement.body)
        else:
            yield statement


def _with_owner(node: ast.AST, owner: Function | None) -> Iterator[tuple[Function | None, ast.AST]]:
    for child in ast.iter_child_nodes(node):
        yield owner, child
        yield from _with_owner(child, child if isinstance(child, Function) else owner)


def _called(call: ast.Call) -> str:
    function = call.func
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def _operands(node: ast.AST) -> list[ast.expr]:
    if isinstance(node, ast.BinOp):
        return [node.left, node.right]
    if isinstance(node, ast.AugAssign):
        return [node.target, node.value]
    if isinstance(node, ast.Compare):
        return [node.left, *node.comparators]
    if isinstance(node, ast.Call):
        return [*node.args, *(keyword.value for keyword in node.keywords)]
    return []
