"""Innocent edits of more than one statement: names, recomputation, where 1/n stands, cells and functions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import libcst as cst

from benchmarks.innocent.neighbours import Named, Readers
from benchmarks.innocent.rules import Edit, Place, Replaced, loads, of_statement
from benchmarks.innocent.statements import plain_statement
from benchmarks.innocent.units import statement
from benchmarks.planted.scenes import binary, bracketed, number, plain, text

HELPER_NAMES = ("g", "d", "dt", "t_", "dist")


class _Definition(cst.CSTVisitor):
    """What a name is assigned, if it is assigned once and nothing changes it."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.values, self.disturbed = name, [], False  # type: ignore[var-annotated]

    def visit_Assign(self, node: cst.Assign) -> None:  # noqa: N802
        for target in node.targets:
            if plain(target.target) == self.name:
                self.values.append(node.value)
            elif self.name in loads(target.target):
                self.disturbed = True

    def visit_AugAssign(self, node: cst.AugAssign) -> None:  # noqa: N802
        self.disturbed |= self.name in loads(node.target)


def definition(place: Place, name: str) -> Any:
    finder = _Definition(name)
    for module in place.readable:
        module.visit(finder)
    return finder.values[0] if len(finder.values) == 1 and not finder.disturbed else None


@of_statement("a forward value computed again")
def recomputed(place: Place, kind: str) -> Iterator[Edit]:
    value = getattr(place.small, "value", None)
    if not isinstance(place.small, (cst.Assign, cst.Return)) or value is None:
        return
    for name in loads(value):
        if name in place.scene.shapes and name not in place.scene.gradients:
            found = definition(place, name)
            if isinstance(found, (cst.BinaryOperation, cst.UnaryOperation, cst.Call)):
                again = place.unused(f"{name}_again", "g")
                first = statement(f"{again} = {plain(found)}", place.line)
                inside = place.small.with_changes(value=value.visit(Named({name: cst.Name(again)})))
                second = place.line.with_changes(body=[inside])
                yield Edit(kind, place.with_lines(first, second), f"{again} = {plain(found)}")
                inside = place.small.with_changes(value=value.visit(Named({name: bracketed(found)})))
                yield Edit(kind, place.with_lines(place.line.with_changes(body=[inside])), text(inside))


@of_statement("a helper renamed")
def helper_renamed(place: Place, kind: str) -> Iterator[Edit]:
    """What is read here and is neither a gradient nor a parameter."""
    for name in loads(place.small):
        is_helper = name not in place.scene.gradients and name not in place.scene.parameters
        if is_helper and name in place.scene.shapes and not _is_keyword(place, name):
            for wanted in HELPER_NAMES:
                if wanted not in place.names:
                    yield _renamed(place, kind, name, wanted)


@of_statement("a gradient renamed")
def gradient_renamed(place: Place, kind: str) -> Iterator[Edit]:
    name = place.target
    if name in place.scene.gradients and name is not None and not _is_keyword(place, name):
        stem = name.removeprefix("d").removeprefix("grad").removeprefix("_").removesuffix("_grad") or name
        for wanted in (f"{stem}_grad", f"grad_{stem}", f"dL_d{stem}", f"d_{stem}", f"d{stem}", f"{stem}_bar"):
            if wanted not in place.names:
                yield _renamed(place, kind, name, wanted)


@of_statement("a parameter renamed")
def parameter_renamed(place: Place, kind: str) -> Iterator[Edit]:
    for name in loads(place.small):
        if name in place.scene.parameters and not _is_keyword(place, name):
            for wanted in ("g", "gamma", "theta", "d"):
                if wanted not in place.names:
                    yield _renamed(place, kind, name, wanted)


class _AllNames(Named):
    def visit_AssignTarget(self, node: cst.AssignTarget) -> bool:  # noqa: N802
        return True


def _renamed(place: Place, kind: str, old: str, new: str) -> Edit:
    renamer: dict[str, cst.BaseExpression] = {old: cst.Name(new)}
    texts = [m if isinstance(m, str) else m.visit(_AllNames(renamer)).code for m in place.modules]
    return Edit(kind, tuple(texts), f"{old} -> {new}", renamed={new: old})


def _is_keyword(place: Place, name: str) -> bool:
    found = False

    class Keywords(cst.CSTVisitor):
        def visit_Arg(self, node: cst.Arg) -> None:  # noqa: N802
            nonlocal found
            found |= node.keyword is not None and node.keyword.value == name

        def visit_SimpleString(self, node: cst.SimpleString) -> None:  # noqa: N802
            nonlocal found
            found |= node.value[1:-1] == name  # `globals()["W1"]`

    for module in place.readable:
        module.visit(Keywords())
    return found


@of_statement("1/n moved to where it is used")
def mean_moved(place: Place, kind: str) -> Iterator[Edit]:
    """`d = e / n` as `d = e`, and `d / n` wherever `d` is read."""
    if place.target is None or not (sides := binary(place.small.value, cst.Divide)):
        return
    count = sides[1]
    if not (isinstance(count, (cst.Name, cst.Attribute, cst.Subscript, cst.Call)) or number(count)):
        return
    if plain(count) in place.scene.shapes:
        return
    readers = Readers(place.target)
    for module in place.readable:
        module.visit(readers)
    if readers.assigned != 1:
        return
    used = cst.parse_expression(f"({place.target} / {text(count)})")
    without = place.line.with_changes(body=[place.small.with_changes(value=bracketed(sides[0]))])
    mark = cst.Name("_the_line_itself")
    module = place.module.visit(Replaced(place.line, (cst.parse_statement(mark.value),)))
    module = module.visit(Named({place.target: used}))
    module = module.visit(_ByName(mark.value, without))
    yield Edit(
        kind, place.with_module(module), f"{place.target} / {text(count)}", free=frozenset({place.target})
    )


class _ByName(cst.CSTTransformer):
    def __init__(self, name: str, line: Any) -> None:
        super().__init__()
        self.name, self.line = name, line

    def leave_SimpleStatementLine(self, original_node: Any, updated_node: Any) -> Any:  # noqa: N802
        return self.line if text(original_node).strip() == self.name else updated_node


# -- cells and functions ------------------------------------------------------------------------------------------


@of_statement("a cell split here")
def cell_split(place: Place, kind: str) -> Iterator[Edit]:
    body = list(place.module.body)
    if place.line in body and len(place.modules) > 1:
        for at in {body.index(place.line), body.index(place.line) + 1} - {0, len(body)}:
            texts = place.texts
            both = [place.module.with_changes(body=part).code for part in (body[:at], body[at:])]
            texts[place.unit - 1 : place.unit] = both
            yield Edit(kind, tuple(texts), f"before statement {at + 1}")


@of_statement("cells merged")
def cells_merged(place: Place, kind: str) -> Iterator[Edit]:
    for first in (place.unit - 1, place.unit):
        if 1 <= first < len(place.modules):
            texts = place.texts
            if all(isinstance(module, cst.Module) for module in place.modules[first - 1 : first + 1]):
                one, other = texts[first - 1 : first + 1]
                texts[first - 1 : first + 1] = [one.rstrip("\n") + "\n" + other]
                yield Edit(kind, tuple(texts), f"cells {first} and {first + 1}")


@of_statement("moved to another cell")
def moved_to_cell(place: Place, kind: str) -> Iterator[Edit]:
    """The last statement of a cell to the beginning of the next one, or the first to the end of the one before."""
    body = list(place.module.body)
    for at, neighbour in ((len(body) - 1, place.unit), (0, place.unit - 2)):
        if body and body[at] is place.line and 0 <= neighbour < len(place.modules) and len(body) > 1:
            texts = place.texts
            texts[place.unit - 1] = place.module.with_changes(
                body=[s for s in body if s is not place.line]
            ).code
            moved = place.module.code_for_node(place.line)
            old = texts[neighbour]
            texts[neighbour] = moved + old if at else old.rstrip("\n") + "\n" + moved
            yield Edit(kind, tuple(texts), plain_statement(place.line))


@of_statement("the script in a function")
def in_main(place: Place, kind: str) -> Iterator[Edit]:
    if len(place.modules) == 1 and place.line in place.module.body:
        body = list(place.module.body)
        first = next((i for i, s in enumerate(body) if not _stays_outside(s)), 0)
        block = cst.IndentedBlock(body=body[first:])
        define = cst.parse_statement("def main(): pass").with_changes(body=block)
        module = place.module.with_changes(body=[*body[:first], define, cst.parse_statement("main()")])
        if "main" not in place.names:
            yield Edit(kind, place.with_module(module), "def main():")


def _stays_outside(node: Any) -> bool:
    if isinstance(node, (cst.FunctionDef, cst.ClassDef)):
        return True
    small = node.body[0] if isinstance(node, cst.SimpleStatementLine) and node.body else None
    is_text = isinstance(small, cst.Expr) and isinstance(small.value, cst.SimpleString)
    return is_text or isinstance(small, (cst.Import, cst.ImportFrom))
