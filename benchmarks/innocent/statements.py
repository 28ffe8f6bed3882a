"""Innocent edits of whole statements: split, merged, in place, in another order, in a function of their own."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from typing import Any

import libcst as cst

from benchmarks.innocent.rules import Edit, Place, loads, of_statement, shape
from benchmarks.innocent.units import statement
from benchmarks.planted.scenes import bracketed, expressions, plain, text

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
