"""Which names a statement binds, and which an expression reads."""

import ast
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from gradcheck.program.location import Location
from gradcheck.program.reading.tree import Function, Tree, called
from gradcheck.program.source import SourceMap

_GROWING_METHODS = {"append", "insert", "extend", "appendleft", "extendleft", "update", "setdefault", "add"}
# Of a tensor: no computed number.
_QUESTIONS = {"shape", "size", "dtype", "ndim", "numel", "nelement", "dim", "device"}


@dataclass(frozen=True, slots=True)
class Target:
    """One place a statement writes to. `alias`: a loop variable, which names something that exists already."""

    text: str
    node: ast.expr
    alias: bool = False
    is_name: bool = False  # a plain name, which needs no walking
    grows: bool = False  # only its last item is new
    container: str = ""  # for an item, what it is an item of
    in_place: bool = False  # what is there is changed: by `x += 1`, or in one item


@lru_cache(maxsize=64)
def targets_by_line(tree: Tree) -> dict[int, tuple[Target, ...]]:
    """For every line, the targets of the simple statements (and loop headers) that cover it."""
    found: dict[int, list[Target]] = {}
    for node in tree.nodes:
        targets = tuple(targets_of(node))
        if not targets:
            continue
        first, last = node.lineno, node.end_lineno or node.lineno  # type: ignore[attr-defined]
        if isinstance(node, (ast.For, ast.With)):
            last = max(node.body[0].lineno - 1, first)
        for line in range(first, last + 1):
            found.setdefault(line, []).extend(targets)
    return {line: tuple(targets) for line, targets in found.items()}


def targets_of(node: ast.AST) -> Iterator[Target]:
    if isinstance(node, ast.Assign):
        for target in node.targets:
            yield from _flatten(target)
    elif isinstance(node, ast.AugAssign):
        yield from (replace(target, in_place=True) for target in _flatten(node.target))
    elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)):
        yield from _flatten(node.target)
    elif isinstance(node, ast.For):
        yield from (replace(target, alias=True, container="") for target in _flatten(node.target))
    elif isinstance(node, ast.With):
        for item in node.items:
            if item.optional_vars is not None:
                yield from _flatten(item.optional_vars)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        function = node.value.func
        if isinstance(function, ast.Attribute) and function.attr in _GROWING_METHODS:
            for grown in _flatten(function.value):
                yield Target(grown.text, grown.node, grows=function.attr == "append")


def _flatten(node: ast.expr) -> Iterator[Target]:
    if isinstance(node, (ast.Tuple, ast.List)):
        for item in node.elts:
            yield from _flatten(item)
    elif isinstance(node, ast.Starred):
        yield from _flatten(node.value)
    elif isinstance(node, (ast.Name, ast.Attribute, ast.Subscript)):
        container = ast.unparse(node.value) if isinstance(node, ast.Subscript) else ""
        yield Target(
            ast.unparse(node),
            node,
            is_name=isinstance(node, ast.Name),
            container=container,
            in_place=bool(container),
        )


def unfinished_at(sources: SourceMap, location: Location) -> set[str]:
    """What is not finished when the statement at `location` raises, as its text names it (`dx` for `dx[mask] = 0`): what
    that writes to, all that the loops around it write to, and what is changed in place further down."""
    units = [u for u in sources.units.values() if (u.file, u.cell) == (location.file, location.cell)]
    found: set[str] = set()
    for tree in (unit.tree for unit in units):
        for line, targets in targets_by_line(tree).items():
            inside = line == location.line or any(
                loop.lineno <= line <= (loop.end_lineno or line)
                for loop in tree.nodes
                if isinstance(loop, (ast.For, ast.While))
                and loop.lineno <= location.line <= (loop.end_lineno or 0)
            )
            for target in targets:
                if inside or (line > location.line and target.in_place):
                    found |= {target.container or target.text, target.text}
    return found


def names_written(node: ast.AST) -> set[str]:
    return {n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}


def names_read(node: ast.AST, tensors: Collection[str] = ()) -> set[str]:
    """Names whose numbers go into an expression; not those of `tensors` that only their shape is asked of."""
    asked = node.func if isinstance(node, ast.Call) else node
    if isinstance(asked, ast.Attribute) and asked.attr in _QUESTIONS:
        return set()
    if isinstance(node, ast.Call) and called(node) == "len":
        return set().union(*(names_read(argument) for argument in node.args)) - set(tensors)
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Load) else set()
    if isinstance(node, ast.Compare) and all(isinstance(op, (ast.Is, ast.IsNot)) for op in node.ops):
        return set()
    found: set[str] = set()
    for child in ast.iter_child_nodes(node):
        found |= names_read(child, tensors)
    return found


@lru_cache(maxsize=256)
def names_decided_by(function: Function) -> frozenset[str]:
    """Names whose numbers the conditions of a function read: others may lead to other branches."""
    tests = (node.test for node in ast.walk(function) if isinstance(node, (ast.If, ast.While, ast.IfExp)))
    return frozenset().union(*(names_read(test, names_read(test)) for test in tests))
