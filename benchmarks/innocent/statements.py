"""Innocent edits of whole statements: split, merged, in place, in another order, in a function of their own."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from typing import Any

import libcst as cst

from benchmarks.innocent.rules import Edit, Place, Replaced, loads, of_statement, shape
from benchmarks.innocent.units import marks_of, statement, with_marks
from benchmarks.planted.scenes import binary, bracketed, expressions, plain, text

_IN_PLACE = {cst.Add: "+=", cst.Subtract: "-=", cst.Multiply: "*=", cst.Divide: "/="}
_OUT_OF_PLACE = {cst.AddAssign: "+", cst.SubtractAssign: "-", cst.MultiplyAssign: "*", cst.DivideAssign: "/"}
HELPERS = (
    "part",
    "g",
    "d",
    "dt",
    "tmp",
    "grad_part",
)  # the name of a helper: one that looks like a gradient, or not


def _with_value(small: Any, value: cst.BaseExpression) -> Any:
    return small.with_changes(value=value)


def _line(place: Place, small: Any) -> Any:
    return place.line.with_changes(body=[small])


@of_statement("a statement split in two")
def split(place: Place, kind: str) -> Iterator[Edit]:
    value = getattr(place.small, "value", None)
    if not isinstance(place.small, (cst.Assign, cst.AugAssign, cst.Return)) or value is None:
        return
    for number, node in enumerate(expressions(value)):
        if isinstance(node, (cst.BinaryOperation, cst.UnaryOperation, cst.Call, cst.Comparison)):
            name = place.unused(HELPERS[number % len(HELPERS)])
            first = statement(f"{name} = {plain(node)}", place.line)
            second = _line(place, place.small.deep_replace(node, cst.Name(name)))
            yield Edit(kind, place.with_lines(first, second), f"{name} = {plain(node)}")


@of_statement("in place for out of place")
def in_place(place: Place, kind: str) -> Iterator[Edit]:
    if place.target is None or not isinstance(place.small.value, cst.BinaryOperation):
        return
    value = place.small.value
    if type(value.operator) not in _IN_PLACE:
        return
    change = statement(f"{place.target} {_IN_PLACE[type(value.operator)]} {text(value.right)}", place.line)
    if plain(value.left) == place.target:
        yield Edit(kind, place.with_lines(change), text(change).strip())
    elif place.target not in loads(value):
        copy = "clone" if place.library == "torch" else "copy"
        first = statement(f"{place.target} = {text(bracketed(value.left))}.{copy}()", place.line)
        yield Edit(kind, place.with_lines(first, change), f"{text(first).strip()}; {text(change).strip()}")


@of_statement("out of place for in place")
def out_of_place(place: Place, kind: str) -> Iterator[Edit]:
    small = place.small
    if isinstance(small, cst.AugAssign) and type(small.operator) in _OUT_OF_PLACE:
        target = text(small.target)
        value = f"{target} {_OUT_OF_PLACE[type(small.operator)]} ({text(small.value)})"
        yield Edit(
            kind, place.with_lines(statement(f"{target} = {value}", place.line)), f"{target} = {value}"
        )


@of_statement("built from zeros")
def from_zeros(place: Place, kind: str) -> Iterator[Edit]:
    """`d = torch.zeros_like(x); d += ...`, the adjoint buffer of a tape."""
    if place.target and len(shape(cst.Name(place.target), place) or ()) and place.library == "torch":
        if place.target in loads(place.small.value):
            return
        held = place.scene.shapes[place.target]
        first = statement(f"{place.target} = torch.zeros({held})", place.line)
        second = statement(f"{place.target} += {plain(place.small.value)}", place.line)
        yield Edit(kind, place.with_lines(first, second), text(first).strip())
        filled = statement(f"{place.target}[:] = {plain(place.small.value)}", place.line)
        yield Edit(kind, place.with_lines(first, filled), text(filled).strip())


@of_statement("a first try before the final line")
def first_try(place: Place, kind: str) -> Iterator[Edit]:
    if place.target is None or place.target in loads(place.small.value):
        return
    value = text(bracketed(place.small.value))
    for attempt in (f"2 * {value}", f"-{value}", f"0 * {value}", "None"):
        first = statement(f"{place.target} = {attempt}", place.line)
        yield Edit(kind, place.with_lines(first, place.line), text(first).strip())


@of_statement("moved into a function")
def moved_to_function(place: Place, kind: str) -> Iterator[Edit]:
    if place.target is None:
        return
    value = place.small.value
    known = {*dir(builtins), "torch", "np", "F", "nn", "math"}
    names = [
        n for n in loads(value) if n not in known and (n in place.scene.shapes or n in place.scene.counts)
    ]
    for name in ("backward_of_" + place.target, "helper"):
        name = place.unused(name)
        define = statement(f"def {name}({', '.join(names)}):\n    return {text(value)}\n", place.line)
        call = statement(f"{place.target} = {name}({', '.join(names)})", place.line)
        yield Edit(kind, place.with_lines(define, call), text(call).strip())


@of_statement("under no_grad")
def without_grad(place: Place, kind: str) -> Iterator[Edit]:
    if place.library == "torch" and isinstance(place.small, (cst.Assign, cst.AugAssign)):
        block = statement(f"with torch.no_grad():\n    {plain_statement(place.line)}\n", place.line)
        yield Edit(kind, place.with_lines(block), "with torch.no_grad():")


@of_statement("copied")
def copied(place: Place, kind: str) -> Iterator[Edit]:
    if isinstance(place.small, (cst.Assign, cst.Return)) and place.library == "torch" and place.small.value:
        value = text(bracketed(place.small.value))
        for spelled in (f"{value}.clone()", f"1.0 * {value}", f"{value} + 0"):
            new = cst.parse_expression(spelled)
            yield Edit(kind, place.with_lines(_line(place, _with_value(place.small, new))), spelled)


def plain_statement(line: Any) -> str:
    small = line.body[0]
    return text(small.with_changes(semicolon=cst.MaybeSentinel.DEFAULT))


# -- with the statements around it ---------------------------------------------------------------------------------


class _Next(cst.CSTVisitor):
    """The statement after one in the same block."""

    def __init__(self, line: cst.CSTNode) -> None:
        super().__init__()
        self.line, self.found = line, None

    def on_visit(self, node: cst.CSTNode) -> bool:
        body = getattr(node, "body", None)
        if isinstance(body, (list, tuple)) and isinstance(node, (cst.Module, cst.IndentedBlock)):
            for one, other in zip(body, body[1:], strict=False):
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
        changed = place.module.visit(Replaced(other, ())).code
        module = place.module.visit(_Merged(place.line, line, other))
        assert changed
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
    readers = _Readers(place.target)
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
    inside = reader.visit(_Named({place.target: value}))
    line = with_marks(inside, [*marks_of(reader), *marks_of(place.line)])
    module = place.module.visit(_Merged(reader, line, place.line))
    yield Edit(kind, place.with_module(module), plain_statement(line))


class _Readers(cst.CSTVisitor):
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


class _Named(cst.CSTTransformer):
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
