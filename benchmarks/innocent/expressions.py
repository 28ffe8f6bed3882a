"""Innocent edits of one expression: other spellings of the same number."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import libcst as cst

from benchmarks.innocent.rules import Place, of_expression, shape
from benchmarks.planted.scenes import (
    binary,
    bracketed,
    called,
    expression,
    is_module_call,
    number,
    plain,
    text,
)

_METHODS = ("sum", "mean", "exp", "log", "tanh", "sqrt", "abs", "square", "clone", "sigmoid", "max", "clamp")


@of_expression("einsum for matmul")
def einsum(node: Any, place: Place) -> Iterator[cst.BaseExpression]:
    if sides := binary(node, cst.MatrixMultiply):
        left, right = sides
        indices = ["ij", "jk"]
        for number_, side in enumerate((left, right)):
            if isinstance(side, cst.Attribute) and side.attr.value == "T" and place.library == "torch":
                indices[number_] = indices[number_][::-1]
        spec = f'"{indices[0]},{indices[1]}->ik"'
        plain_sides = [
            text(s.value if isinstance(s, cst.Attribute) and i in ("ji", "kj") else s)
            for s, i in zip(sides, indices, strict=True)
        ]
        yield expression(f"{place.library}.einsum({spec}, {plain_sides[0]}, {plain_sides[1]})")


@of_expression("matmul function for @")
def matmul(node: Any, place: Place) -> Iterator[cst.BaseExpression]:
    if sides := binary(node, cst.MatrixMultiply):
        yield expression(f"{place.library}.matmul({text(sides[0])}, {text(sides[1])})")
        if place.library == "torch":
            yield expression(f"({text(bracketed(sides[1]))}.T @ {text(bracketed(sides[0]))}.T).T")


@of_expression("@ for matmul or einsum")
def operator(node: Any, place: Place) -> Iterator[cst.BaseExpression]:
    if called(node) in ("matmul", "mm", "dot") and len(node.args) == 2 and is_module_call(node):
        first, second = (text(bracketed(argument.value)) for argument in node.args)
        yield expression(f"({first} @ {second})")
    if called(node) in ("mm", "matmul") and len(node.args) == 1 and not is_module_call(node):
        yield expression(f"({text(bracketed(node.func.value))} @ {text(bracketed(node.args[0].value))})")


@of_expression(".T for transpose and back")
def transposed(node: Any, place: Place) -> Iterator[cst.BaseExpression]:
    if isinstance(node, cst.Attribute) and node.attr.value == "T":
        inner = text(bracketed(node.value))
        if place.library == "torch":
            yield expression(f"{inner}.transpose(0, 1)")
            yield expression(f"{inner}.permute(1, 0)")
        else:
            yield expression(f"{inner}.transpose()")
    method = called(node) in ("t", "transpose") and not is_module_call(node)
    if method and len(shape(node.func.value, place) or ()) == 2:
        yield expression(f"{text(node.func.value)}.T")


@of_expression("where for a mask")
def where(node: Any, place: Place) -> Iterator[cst.BaseExpression]:
    if sides := binary(node, cst.Multiply):
        for mask, other in (sides, sides[::-1]):
            bare: Any = mask
            if called(bare) in ("float", "double", "to", "type", "astype") and isinstance(
                bare.func, cst.Attribute
            ):
                bare = bare.func.value
            if isinstance(bare, cst.Comparison) or called(bare) in ("gt", "lt", "ge", "le"):
                kept = text(other)
                yield expression(
                    f"{place.library}.where({plain(bare)}, {kept}, 0.0 * {text(bracketed(other))})"
                )
                if place.library == "torch":
                    yield expression(f"{text(bracketed(other))}.masked_fill(~{text(bracketed(bare))}, 0.0)")


@of_expression("a mask for where")
def mask(node: Any, place: Place) -> Iterator[cst.BaseExpression]:
    if called(node) == "where" and len(node.args) == 3 and is_module_call(node):
        condition, one, other = (text(bracketed(argument.value)) for argument in node.args)
        yield expression(f"({one} * {condition} + {other} * ~{condition})")


@of_expression("operands the other way round")
def commuted(node: Any, place: Place) -> Iterator[cst.BaseExpression]:
    if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, (cst.Add, cst.Multiply)):
        yield node.with_changes(left=bracketed(node.right), right=bracketed(node.left))
    if (sides := binary(node, cst.Subtract)) and number(sides[1]) is None:
        yield expression(f"(-({text(sides[1])} - {text(bracketed(sides[0]))}))")


@of_expression("another power")
def power(node: Any, place: Place) -> Iterator[cst.BaseExpression]:
    if sides := binary(node, cst.Power):
        base, exponent = text(bracketed(sides[0])), number(sides[1])
        if exponent == 2:
            yield expression(f"({base} * {base})")
        elif exponent is not None and exponent < 0:
            yield expression(f"(1 / {base} ** {-exponent:g})")
    if (sides := binary(node, cst.Multiply)) and plain(sides[0]) == plain(sides[1]):
        yield expression(f"{text(sides[0])} ** 2")
    if called(node) == "sqrt" and is_module_call(node):
        yield expression(f"({text(node.args[0].value)}) ** 0.5")


@of_expression("times the inverse for a division")
def inverse(node: Any, place: Place) -> Iterator[cst.BaseExpression]:
    if sides := binary(node, cst.Divide):
        yield expression(f"({text(bracketed(sides[0]))} * (1.0 / {text(bracketed(sides[1]))}))")
    if sides := binary(node, cst.Multiply):
        yield expression(f"({text(bracketed(sides[0]))} / (1.0 / {text(bracketed(sides[1]))}))")


@of_expression("function for method and back")
def function(node: Any, place: Place) -> Iterator[cst.BaseExpression]:
    if called(node) not in _METHODS or not isinstance(node.func, cst.Attribute):
        return
    if not is_module_call(node):
        rest = "".join(
            f", {text(argument.with_changes(comma=cst.MaybeSentinel.DEFAULT))}" for argument in node.args
        )
        yield expression(f"{place.library}.{called(node)}({text(node.func.value)}{rest})")
    elif node.args:
        rest = ", ".join(
            text(argument.with_changes(comma=cst.MaybeSentinel.DEFAULT)) for argument in node.args[1:]
        )
        yield expression(f"{text(bracketed(node.args[0].value))}.{called(node)}({rest})")


@of_expression("a sum as a product with ones")
def ones(node: Any, place: Place) -> Iterator[cst.BaseExpression]:
    """`d.sum(0)` as `ones @ d`, where `d` has two axes."""
    if (
        called(node) == "sum"
        and not is_module_call(node)
        and len(node.args) == 1
        and place.library == "torch"
    ):
        summed = node.func.value
        if plain(node.args[0].value) == "0" and len(shape(summed, place) or ()) == 2:
            yield expression(f"(torch.ones_like({text(summed)}[:, 0]) @ {text(summed)})")


@of_expression("multiplied out")
def distributed(node: Any, place: Place) -> Iterator[cst.BaseExpression]:
    if sides := binary(node, cst.Multiply):
        for one, other in (sides, sides[::-1]):
            if (terms := binary(one, cst.Add, cst.Subtract)) and isinstance(one, cst.BinaryOperation):
                sign = "+" if isinstance(one.operator, cst.Add) else "-"
                factor = text(bracketed(other))
                first, second = (text(bracketed(term)) for term in terms)
                yield expression(f"({first} * {factor} {sign} {second} * {factor})")
