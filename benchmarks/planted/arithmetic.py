"""Mutators of factors, terms, exponents and constants."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import libcst as cst

from benchmarks.planted.scenes import (
    Scene,
    binary,
    bracketed,
    called,
    expression,
    kind,
    number,
    plain,
    text,
)

_EXPONENTS = {
    2.0: ("3",), 3.0: ("2",), 0.5: ("-0.5",), -0.5: ("0.5", "-1.5"), -1.5: ("-1", "-0.5"), -1.0: ("-2",),
    -2.0: ("-1",), -3.0: ("-2",),
}  # fmt: skip


def _is_count(node: cst.CSTNode, scene: Scene) -> bool:
    """What one divides by to get a mean: `n`, `32`, `len(x)`, `x.shape[0]`, `n - 1`."""
    value = number(node)
    if value is not None:
        return value > 2 and value == int(value)
    if plain(node) in scene.counts or called(node) in ("len", "size", "numel"):
        return True
    if isinstance(node, cst.Subscript) and isinstance(node.value, cst.Attribute):
        return node.value.attr.value == "shape"
    sides = binary(node, cst.Subtract)
    return sides is not None and number(sides[1]) == 1 and _is_count(sides[0], scene)


@kind("missing 1/n")
def missing_mean(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    if (sides := binary(node, cst.Divide)) and _is_count(sides[1], scene):
        yield bracketed(sides[0])
    if sides := binary(node, cst.Multiply):
        for one, other in (sides, sides[::-1]):
            inverse = binary(one, cst.Divide)
            if inverse and number(inverse[0]) == 1 and _is_count(inverse[1], scene):
                yield bracketed(other)


@kind("n - 1 for n")
def sample_count(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    if isinstance(node, cst.BinaryOperation):
        for side in ("left", "right"):
            operand = getattr(node, side)
            if _is_count(operand, scene) and not isinstance(operand, cst.BinaryOperation):
                yield node.with_changes(**{side: expression(f"({text(operand)} - 1)")})


@kind("n for n - 1")
def population_count(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    sides = binary(node, cst.Subtract)
    if sides and number(sides[1]) == 1 and _is_count(sides[0], scene):
        yield sides[0]


@kind("extra 1/n", of_statement=True)
def extra_mean(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    for value in _value(node):
        names = [count for count in scene.counts if count.isidentifier()]
        target = plain(node.targets[0].target) if isinstance(node, cst.Assign) else ""
        rows = scene.shapes.get(target, ())[:1]
        for count in names[:1] or [str(n) for n in rows if n > 1]:
            yield _with_value(node, expression(f"{text(bracketed(value))} / {count}"))


@kind("flipped sign", of_statement=True)
def flipped_sign(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    for value in _value(node):
        if isinstance(value, cst.UnaryOperation) and isinstance(value.operator, cst.Minus):
            yield _with_value(node, bracketed(value.expression))
        elif isinstance(node, cst.AugAssign) and isinstance(node.operator, cst.AddAssign):
            yield node.with_changes(operator=cst.SubtractAssign())
        else:
            yield _with_value(node, expression(f"-{text(bracketed(value))}"))


@kind("extra factor 2", of_statement=True)
def extra_two(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    for value in _value(node):
        yield _with_value(node, expression(f"2 * {text(bracketed(value))}"))


@kind("dropped factor 2")
def dropped_two(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    if sides := binary(node, cst.Multiply):
        for one, other in (sides, sides[::-1]):
            if number(one) == 2:
                yield bracketed(other)


@kind("eps dropped")
def dropped_epsilon(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    if sides := binary(node, cst.Add):
        for one, other in (sides, sides[::-1]):
            if _is_epsilon(one):
                yield bracketed(other)


@kind("eps outside the root")
def moved_epsilon(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    power = binary(node, cst.Power)
    if power and (sides := binary(power[0], cst.Add)) and _is_epsilon(sides[1]):
        inner = text(bracketed(sides[0]))
        yield expression(f"({inner} ** {text(power[1])} + {text(sides[1])})")
    if isinstance(node, cst.Call) and called(node) in ("sqrt", "rsqrt"):
        holder = node.args[0].value if node.args else getattr(node.func, "value", node)
        if (sides := binary(holder, cst.Add)) and _is_epsilon(sides[1]):
            yield expression(f"({text(node.deep_replace(holder, sides[0]))} + {text(sides[1])})")


def _is_epsilon(node: cst.BaseExpression) -> bool:
    value = number(node)
    return plain(node).rpartition(".")[2] in ("eps", "epsilon") or (value is not None and 0 < value < 0.005)


@kind("1 - t for 1 - t**2")
def tanh_slope(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    sides = binary(node, cst.Subtract)
    if sides and number(sides[0]) == 1 and (squared := _squared(sides[1])) is not None:
        yield node.with_changes(right=bracketed(squared))


@kind("slope at another value")
def slope_argument(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    """`1 - t**2` or `s * (1 - s)` of another value than the activation: the pre-activation, say."""
    sides = binary(node, cst.Subtract)
    if sides and number(sides[0]) == 1 and (squared := _squared(sides[1])) is not None:
        for other in scene.alike(plain(squared)):
            yield node.with_changes(right=expression(f"{other}**2"))
    if sides := binary(node, cst.Multiply):
        complement = binary(sides[1], cst.Subtract)
        if complement and number(complement[0]) == 1 and plain(complement[1]) == plain(sides[0]):
            for other in scene.alike(plain(sides[0])):
                yield expression(f"({other} * (1 - {other}))")


def _squared(node: cst.BaseExpression) -> cst.BaseExpression | None:
    if (power := binary(node, cst.Power)) and number(power[1]) == 2:
        return power[0]
    if (sides := binary(node, cst.Multiply)) and plain(sides[0]) == plain(sides[1]):
        return sides[0]
    return None


@kind("exponent changed")
def exponent(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    if (power := binary(node, cst.Power)) and (value := number(power[1])) is not None:
        for other in _EXPONENTS.get(value, (f"{value + 1:g}",)):
            yield node.with_changes(right=expression(other))
    if isinstance(node, cst.Call) and called(node) == "rsqrt":
        yield node.with_changes(func=node.func.with_changes(attr=cst.Name("sqrt")))


@kind("dropped term")
def dropped_term(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    if sides := binary(node, cst.Add):
        yield from (bracketed(side) for side in sides)
    if (sides := binary(node, cst.Subtract)) and not _is_count(node, scene):
        yield bracketed(sides[0])
        if number(sides[0]) is None:
            yield expression(f"(-{text(bracketed(sides[1]))})")


@kind("dropped parameter")
def dropped_parameter(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    if sides := binary(node, cst.Multiply):
        for one, other in (sides, sides[::-1]):
            if plain(one) in scene.parameters:
                yield bracketed(other)


@kind("dropped factor")
def dropped_factor(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    if sides := binary(node, cst.Multiply):
        for one, other in (sides, sides[::-1]):
            if number(one) is None:
                yield bracketed(other)
    if (sides := binary(node, cst.Divide)) and number(sides[1]) is None:
        yield bracketed(sides[0])


@kind("reversed difference")
def reversed_difference(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    if (sides := binary(node, cst.Subtract)) and not _is_count(node, scene):
        yield node.with_changes(left=bracketed(sides[1]), right=bracketed(sides[0]))


@kind("plus for minus, times for divide")
def swapped_operator(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    swaps: dict[type, Any] = {
        cst.Add: cst.Subtract,
        cst.Subtract: cst.Add,
        cst.Multiply: cst.Divide,
        cst.Divide: cst.Multiply,
    }
    if isinstance(node, cst.BinaryOperation) and type(node.operator) in swaps:
        yield node.with_changes(operator=swaps[type(node.operator)](), right=bracketed(node.right))


@kind("constant changed")
def constant(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    if isinstance(node, cst.BinaryOperation) and not isinstance(node.operator, cst.Power):
        for side in ("left", "right"):
            operand = getattr(node, side)
            if isinstance(operand, (cst.Integer, cst.Float)):
                yield node.with_changes(**{side: _other_constant(operand)})


@kind("constant changed", of_statement=True)
def assigned_constant(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    for value in _value(node):
        if isinstance(value, (cst.Integer, cst.Float)):
            yield _with_value(node, _other_constant(value))


def _other_constant(node: cst.Integer | cst.Float) -> cst.BaseExpression:
    value = node.evaluated_value
    return expression(str(value + 1) if isinstance(value, int) else f"{value * 1.5:.6g}")


def _value(node: cst.CSTNode) -> Iterator[cst.BaseExpression]:
    """What a statement assigns or returns, unless that is several things."""
    value = getattr(node, "value", None)
    if isinstance(node, (cst.Assign, cst.AugAssign, cst.Return)) and isinstance(value, cst.BaseExpression):
        several = (cst.Tuple, cst.List, cst.Dict, cst.ListComp, cst.DictComp, cst.SimpleString)
        if not isinstance(value, several):
            yield value


def _with_value(node: cst.CSTNode, value: cst.BaseExpression) -> cst.CSTNode:
    return node.with_changes(value=value)
