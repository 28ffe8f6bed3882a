"""Mutators of names, products of matrices, reductions, masks and accumulation."""

from __future__ import annotations

from collections.abc import Iterator

import libcst as cst

from benchmarks.planted.scenes import (
    Scene,
    binary,
    bracketed,
    called,
    expression,
    is_module_call,
    kind,
    plain,
    text,
)

_REDUCTIONS = ("sum", "mean")
_AXIS = ("dim", "axis")


@kind("mask turned round")
def mask_turned(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    turned = {cst.GreaterThan: cst.LessThan, cst.LessThan: cst.GreaterThan,
              cst.GreaterThanEqual: cst.LessThanEqual, cst.LessThanEqual: cst.GreaterThanEqual}  # fmt: skip
    yield from _compared(node, turned)


@kind("mask with its edge")
def mask_edge(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    edges = {cst.GreaterThan: cst.GreaterThanEqual, cst.GreaterThanEqual: cst.GreaterThan,
             cst.LessThan: cst.LessThanEqual, cst.LessThanEqual: cst.LessThan}  # fmt: skip
    yield from _compared(node, edges)


def _compared(
    node: cst.CSTNode, other: dict[type[cst.BaseCompOp], type[cst.BaseCompOp]]
) -> Iterator[cst.CSTNode]:
    if isinstance(node, cst.Comparison) and len(node.comparisons) == 1:
        target = node.comparisons[0]
        if type(target.operator) in other:
            changed = target.with_changes(operator=other[type(target.operator)]())
            yield node.with_changes(comparisons=[changed])


@kind("mask of another value")
def mask_argument(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    if isinstance(node, cst.Comparison):
        for other in scene.alike(plain(node.left)):
            yield node.with_changes(left=expression(other))


@kind("where the wrong way round")
def where_swapped(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    if isinstance(node, cst.Call) and called(node) == "where" and len(node.args) == 3:
        first, second, third = node.args
        yield node.with_changes(
            args=[first, second.with_changes(value=third.value), third.with_changes(value=second.value)]
        )


@kind("dropped transpose")
def dropped_transpose(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    if isinstance(node, cst.Attribute) and node.attr.value in ("T", "mT"):
        yield node.value
    if isinstance(node, cst.Call) and called(node) in ("t", "transpose") and not is_module_call(node):
        assert isinstance(node.func, cst.Attribute)
        yield node.func.value


@kind("swapped matrix product")
def swapped_product(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    if sides := binary(node, cst.MatrixMultiply):
        left, right = sides
        yield node.with_changes(left=bracketed(right), right=bracketed(left))
        if isinstance(left, cst.Attribute) and left.attr.value == "T":
            yield expression(f"({text(bracketed(right))}.T @ {text(left.value)})")


@kind("sum before product")
def sum_before_product(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    if not isinstance(node, cst.Call) or called(node) not in _REDUCTIONS:
        return
    summed = node.args[0].value if is_module_call(node) and node.args else getattr(node.func, "value", node)
    if sides := binary(summed, cst.Multiply):
        left, right = (text(node.deep_replace(summed, bracketed(side))) for side in sides)
        yield expression(f"({left} * {right})")


@kind("sum over the wrong axis")
def wrong_axis(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    if not isinstance(node, cst.Call) or called(node) not in (*_REDUCTIONS, "max", "softmax", "cumsum"):
        return
    for argument in node.args:
        named = argument.keyword is not None and argument.keyword.value in _AXIS
        if (argument.keyword is None or named) and isinstance(argument.value, cst.Integer):
            other = cst.Integer("1" if argument.value.evaluated_value == 0 else "0")
            yield node.deep_replace(argument, argument.with_changes(value=other))


@kind("dropped sum")
def dropped_sum(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    if isinstance(node, cst.Call) and called(node) in _REDUCTIONS:
        if is_module_call(node):
            yield bracketed(node.args[0].value)
        elif isinstance(node.func, cst.Attribute):
            yield bracketed(node.func.value)


@kind("mean for sum")
def mean_for_sum(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    yield from _renamed(node, "sum", "mean")


@kind("sum for mean")
def sum_for_mean(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    yield from _renamed(node, "mean", "sum")


def _renamed(node: cst.CSTNode, old: str, new: str) -> Iterator[cst.CSTNode]:
    if isinstance(node, cst.Call) and isinstance(node.func, cst.Attribute) and node.func.attr.value == old:
        yield node.with_changes(func=node.func.with_changes(attr=cst.Name(new)))


@kind("dropped keepdim")
def dropped_keepdim(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    if isinstance(node, cst.Call):
        kept = [a for a in node.args if a.keyword is None or a.keyword.value not in ("keepdim", "keepdims")]
        if len(kept) < len(node.args):
            kept[-1:] = [argument.with_changes(comma=cst.MaybeSentinel.DEFAULT) for argument in kept[-1:]]
            yield node.with_changes(args=kept)


@kind("assigned, not accumulated", of_statement=True)
def assigned_elements(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    if isinstance(node, cst.AugAssign) and isinstance(node.target, cst.Subscript):
        yield cst.Assign([cst.AssignTarget(node.target)], node.value)


@kind("assigned, not accumulated")
def assigned_rows(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    others = {"index_add_": "index_copy_", "scatter_add_": "scatter_"}
    if isinstance(node, cst.Call) and (name := called(node)) in others:
        yield from _renamed(node, str(name), others[str(name)])
    if called(node) in ("index_put_", "index_put"):
        for argument in getattr(node, "args", ()):
            if argument.keyword is not None and argument.keyword.value == "accumulate":
                yield node.deep_replace(argument.value, cst.Name("False"))


@kind("missing branch", of_statement=True)
def missing_branch(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    """One of the two ways on which a gradient comes back is lost."""
    if isinstance(node, cst.AugAssign):
        if not isinstance(node.target, cst.Subscript):
            yield cst.Assign([cst.AssignTarget(node.target)], node.value)
        yield cst.Pass()
    if isinstance(node, cst.Assign) and len(node.targets) == 1:
        sides = binary(node.value, cst.Add)
        if sides and plain(sides[0]) == plain(node.targets[0].target):
            yield node.with_changes(value=sides[1])
    if isinstance(node, cst.Expr) and called(node.value) in ("index_add_", "scatter_add_", "add_"):
        yield cst.Pass()


@kind("another gradient")
def wrong_upstream(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    if _is_reference(node) and plain(node) in scene.gradients:
        yield from (expression(other) for other in scene.alike(plain(node)))


@kind("another forward value")
def wrong_forward_value(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    if _is_reference(node) and plain(node) not in scene.gradients:
        yield from (expression(other) for other in scene.alike(plain(node)))


def _is_reference(node: cst.CSTNode) -> bool:
    return isinstance(node, (cst.Name, cst.Attribute, cst.Subscript))


@kind("neighbouring layer")
def wrong_layer(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    """`W[i - 1]` for `W[i]`, where W is a list of tensors."""
    if not isinstance(node, cst.Subscript) or len(node.slice) != 1 or plain(node.value) in scene.shapes:
        return
    index = node.slice[0].slice
    if isinstance(index, cst.Index) and isinstance(index.value, (cst.Name, cst.Integer, cst.BinaryOperation)):
        if isinstance(node.value, cst.Attribute) and node.value.attr.value == "shape":
            return
        for change in ("- 1", "+ 1"):
            yield node.deep_replace(index.value, expression(f"{text(index.value)} {change}"))


@kind("lost copy")
def lost_copy(node: cst.CSTNode, scene: Scene) -> Iterator[cst.CSTNode]:
    """What is changed in place afterwards is then changed for all who hold it."""
    if isinstance(node, cst.Call) and called(node) == "clone" and isinstance(node.func, cst.Attribute):
        yield node.func.value
