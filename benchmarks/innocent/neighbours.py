"""Innocent edits of a statement together with those around it: another order, two merged into one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import libcst as cst

from benchmarks.innocent.rules import Edit, Place, Replaced, loads, of_statement
from benchmarks.innocent.statements import plain_statement
from benchmarks.innocent.units import marks_of, with_marks
from benchmarks.planted.scenes import binary, bracketed, text


class _Next(cst.CSTVisitor):
    """The statement after one in the same block."""

    def __init__(self, line: cst.CSTNode) -> None:
        super().__init__()
        self.line = line
        self.found: cst.CSTNode | None = None

    def on_visit(self, node: cst.CSTNode) -> bool:
        body = getattr(node, "body", None)
        if isinstance(body, (list, tuple)) and isinstance(node, (cst.Module, cst.IndentedBlock)):
            for one, other in pairwise(body):
                if one is self.line:
                    self.found = other
        return True


def _following(place: Place) -> Any:
    """The next statement, if both are assignments to names, and neither reads or changes what the other makes."""
    finder = _Next(place.line)
    place.module.visit(finder)
    other = finder.found
    if place.target is None or not isinstance(other, cst.SimpleStatementLine) or len(other.body) != 1:
        return None
    small = other.body[0]
    if not isinstance(small, cst.Assign) or len(small.targets) != 1:
        return None
    target = small.targets[0].target
    if not isinstance(target, cst.Name) or target.value in loads(place.small) or place.target in loads(small):
        return None
    return other


class _Swapped(Replaced):
    def __init__(self, one: Any, other: Any) -> None:
        super().__init__(one, ())
        self.one, self.other = one, other

    def leave_SimpleStatementLine(self, original_node: Any, updated_node: Any) -> Any:  # noqa: N802
        swapped = {id(self.one): self.other, id(self.other): self.one}
        return swapped.get(id(original_node), updated_node)


@of_statement("another order")
def swapped(place: Place, kind: str) -> Iterator[Edit]:
    if (other := _following(place)) is not None:
        what = f"{plain_statement(other)}; {plain_statement(place.line)}"
        yield Edit(kind, place.with_module(place.module.visit(_Swapped(place.line, other))), what)


@of_statement("two statements merged")
def merged(place: Place, kind: str) -> Iterator[Edit]:
    """`a, b = x, y`, and a helper that is read once put where it is read."""
    if (other := _following(place)) is not None:
        small = other.body[0]
        both = f"{place.target}, {text(small.targets[0].target)} = {text(place.small.value)}, {text(small.value)}"
        line = with_marks(cst.parse_statement(both), [*marks_of(place.line), *marks_of(other)])
        module = place.module.visit(_Merged(place.line, line, other))
        yield Edit(kind, place.with_module(module), both)


class _Merged(cst.CSTTransformer):
    def __init__(self, one: Any, both: Any, other: Any) -> None:
        super().__init__()
        self.one, self.both, self.other = one, both, other

    def leave_SimpleStatementLine(self, original_node: Any, updated_node: Any) -> Any:  # noqa: N802
        if original_node is self.one:
            return self.both
        return cst.RemoveFromParent() if original_node is self.other else updated_node


@of_statement("a helper put where it is read")
def inlined(place: Place, kind: str) -> Iterator[Edit]:
    if place.target is None:
        return
    readers = Readers(place.target)
    place.module.visit(readers)
    if readers.assigned != 1 or len(readers.lines) != 1 or readers.reads != 1:
        return
    (reader,) = readers.lines
    value = bracketed(place.small.value)
    if (
        binary(reader.body[0])
        or len(reader.body) != 1
        or not isinstance(reader.body[0], (cst.Assign, cst.Return))
    ):
        return
    inside = reader.visit(Named({place.target: value}))
    line = with_marks(inside, [*marks_of(reader), *marks_of(place.line)])
    module = place.module.visit(_Merged(reader, line, place.line))
    yield Edit(kind, place.with_module(module), plain_statement(line))


class Readers(cst.CSTVisitor):
    """Where a name is read."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.assigned, self.reads = name, 0, 0
        self.lines: list[Any] = []
        self.current: Any = None

    def visit_SimpleStatementLine(self, node: Any) -> None:  # noqa: N802
        self.current = node

    def visit_AssignTarget(self, node: Any) -> bool:  # noqa: N802
        if isinstance(node.target, cst.Name):
            self.assigned += node.target.value == self.name
            return False
        return True

    def visit_AugAssign(self, node: Any) -> None:  # noqa: N802
        self.assigned += 2 * (text(node.target) == self.name)

    def visit_Name(self, node: cst.Name) -> None:  # noqa: N802
        if node.value == self.name:
            self.reads += 1
            if self.current not in self.lines:
                self.lines.append(self.current)


class Named(cst.CSTTransformer):
    """Expressions in place of names that are read."""

    def __init__(self, values: dict[str, cst.BaseExpression]) -> None:
        super().__init__()
        self.values = values

    def visit_AssignTarget(self, node: cst.AssignTarget) -> bool:  # noqa: N802
        return not isinstance(node.target, cst.Name)

    def visit_Attribute_attr(self, node: cst.Attribute) -> None:  # noqa: N802
        self.attribute = node.attr

    def visit_Arg_keyword(self, node: cst.Arg) -> None:  # noqa: N802
        self.keyword = node.keyword

    def leave_Name(self, original_node: cst.Name, updated_node: cst.Name) -> Any:  # noqa: N802
        if original_node in (getattr(self, "attribute", None), getattr(self, "keyword", None)):
            return updated_node
        return self.values.get(original_node.value, updated_node)
