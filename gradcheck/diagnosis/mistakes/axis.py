"""A sum over the wrong axis, none, only a part of one, or one taken before the product; a mean for a sum."""

import ast
import copy
from collections.abc import Callable, Iterator
from itertools import combinations

import torch

from gradcheck import ops
from gradcheck.diagnosis.mistakes.call import renamed
from gradcheck.diagnosis.mistakes.case import Case
from gradcheck.diagnosis.mistakes.mistake import Mistake, Predict, Prediction
from gradcheck.diagnosis.mistakes.predicting import with_step
from gradcheck.diagnosis.mistakes.scene import Scene
from gradcheck.diagnosis.mistakes.segment import Edge
from gradcheck.diagnosis.mistakes.transposed import is_square
from gradcheck.diagnosis.mistakes.writing import AXES, Edit, Spot, constant_of, written
from gradcheck.fronts import arrays
from gradcheck.fronts.tape import Value
from gradcheck.replay.compare import same_but_for_ones

_OTHER = {one.name: other.name for one, other in ops.COUNTERPARTS.items()}
_MODULES = ("torch", "np", "numpy", "F")
_MOST_AXES = 5


# -- edits -----------------------------------------------------------------------------------------------------------


def _edits(spot: Spot) -> Iterator[Edit]:
    node = spot.node
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _OTHER:
        yield from _reduction(spot, node, node.func)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult):
        yield from _product_first(spot, node)
    inner = _summed(node)
    if isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Mult):
        sums = [_sum_of(side, node) for side in (inner.left, inner.right)]
        yield spot.edit(1.8, "a * b", a=inner.left, b=sums[1])
        yield spot.edit(1.8, "a * b", a=sums[0], b=inner.right)
        yield spot.edit(2.0, "a * b", a=sums[0], b=sums[1])
    if isinstance(spot.held, Value) and spot.path and not spot.inside and not spot.indexing:
        for axis in AXES:
            if axis < len(spot.held.shape):
                yield spot.edit(2.0, "x.sum(axis)", axis=axis)
                yield spot.edit(2.3, "x.sum(axis, keepdim=True)", axis=axis)
    if spot.is_whole:
        for axis in AXES:
            yield spot.edit(1.4, "x.sum(axis)", axis=axis)
            yield spot.edit(1.6, "x.sum(axis, keepdim=True)", axis=axis)
        yield spot.edit(1.7, "x.sum((0, 1))")
        yield spot.edit(1.7, "x.sum()")
        yield spot.edit(2.2, f"x.reshape({', '.join(map(str, spot.context.shape))})")


def _reduction(spot: Spot, node: ast.Call, function: ast.Attribute) -> Iterator[Edit]:
    def call(cost: float, arguments: list[ast.expr], *keywords: ast.keyword) -> Edit:
        changed = copy.copy(node)
        changed.args, changed.keywords = arguments, list(keywords)
        return spot.edit(cost, changed)

    yield spot.edit(1.0, renamed(node, _OTHER[function.attr]))
    of_module = isinstance(function.value, ast.Name) and function.value.id in _MODULES
    position = 1 if of_module else 0  # `torch.sum(x, 0)`, `x.sum(0)`
    before, keywords = node.args[:position], node.keywords
    axis = next((k for k in keywords if k.arg in ("dim", "axis")), None)
    kept = next((k for k in keywords if k.arg in ("keepdim", "keepdims")), None)
    keep = ast.keyword(arrays.spelled("keepdim"), ast.Constant(True))
    given = axis.value if axis is not None else node.args[position] if len(node.args) > position else None
    for other in AXES:
        number = written(str(other))
        if given is None:
            yield call(1.3, [*node.args, number], *keywords)
            yield call(1.6, [*node.args, number], *keywords, keep)
        elif constant_of(given) == other:
            continue
        elif axis is not None:
            changed = (ast.keyword(axis.arg, number) if k is axis else k for k in keywords)
            yield call(1.0, node.args, *changed)
        else:
            yield call(1.0, [*before, number, *node.args[position + 1 :]], *keywords)
    for price, others in _other_axes(given):
        several = (
            ast.Tuple([ast.Constant(n) for n in others], ast.Load())
            if len(others) > 1
            else written(str(others[0]))
        )
        if axis is not None:
            yield call(
                price, node.args, *(ast.keyword(axis.arg, several) if k is axis else k for k in keywords)
            )
        else:
            yield call(price, [*before, several, *node.args[position + 1 :]], *keywords)
    without = [k for k in keywords if k is not kept]
    if kept is not None:
        yield call(1.2, node.args, *without)
    elif given is not None:
        yield call(1.2, node.args, *keywords, keep)
    if not of_module:
        yield spot.edit(1.5, function.value)  # a reduction too many
    if given is not None:
        yield call(1.6, before, *(k for k in without if k is not axis))


def _other_axes(given: ast.expr | None) -> Iterator[tuple[float, tuple[int, ...]]]:
    """Of a sum over several axes: over one less, one more, another one."""
    parts = given.elts if isinstance(given, (ast.Tuple, ast.List)) else [given]
    axes = [constant_of(part) for part in parts]
    known = [axis for axis in axes if isinstance(axis, int)]
    if len(known) < len(axes):
        return
    more = [axis for axis in range(_MOST_AXES) if axis not in known]
    if len(known) > 1:
        yield from ((1.0, tuple(a for a in known if a != left_out)) for left_out in known)
        yield from ((1.1, tuple(sorted(n if a == old else a for a in known))) for old in known for n in more)
    if min(known) >= 0:
        yield from ((1.2, tuple(sorted([*known, new]))) for new in more)


def _product_first(spot: Spot, node: ast.BinOp) -> Iterator[Edit]:
    """`(a * b).sum(0)` for `a.sum(0) * b.sum(0)` and for `a * b.sum(0)`."""
    left, right = _summed(node.left), _summed(node.right)
    if left is not None and right is not None:
        yield spot.edit(1.8, _sum_of(written("a * b", a=left, b=right), node.left))
    if right is not None:
        yield spot.edit(1.8, _sum_of(written("a * b", a=node.left, b=right), node.right))
    if left is not None:
        yield spot.edit(1.8, _sum_of(written("a * b", a=left, b=node.right), node.left))


def _summed(node: ast.AST) -> ast.expr | None:
    """`a` of `a.sum(...)`."""
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in ("sum", "mean")
    ):
        return node.func.value
    return None


def _sum_of(inner: ast.expr, like: ast.AST) -> ast.expr:
    assert isinstance(like, ast.Call) and isinstance(like.func, ast.Attribute)  # noqa: PT018
    changed = renamed(like, like.func.attr)
    assert isinstance(changed.func, ast.Attribute)
    changed.func.value = inner
    return changed


# -- predictions -----------------------------------------------------------------------------------------------------


def _predictions(case: Case) -> Iterator[Prediction]:
    for edge in case.segment.edges:
        operation = edge.op.operation
        if edge.broadcast_dims and operation.is_elementwise and (case.first.fits or edge.source is case.at):
            yield from _of_broadcast(case, edge, edge.broadcast_dims)
        square = is_square(edge.source.shape) and len(edge.source.shape) == 2
        if operation in (ops.SUM, ops.MEAN) and case.first.fits and square and edge.target.shape:
            yield Prediction(
                "wrong-axis",
                with_step(edge, lambda scene, local: local.T),
                "the gradient of {y} is spread along the wrong axis of {x} ({where})",
                {"x": edge.source, "y": edge.target, "where": edge.op},
            )


def _of_broadcast(case: Case, edge: Edge, dims: tuple[int, ...]) -> Iterator[Prediction]:
    parts = {"x": edge.source, "y": edge.target, "over": _dimensions(dims), "where": edge.op}
    evidence = {"dimensions": list(dims)}
    if not case.first.fits:
        yield Prediction(
            "missing-reduction",
            lambda scene: _whole(scene, edge),
            "{x} is broadcast along {over} ({where}), and its gradient is not summed over {over}",
            parts,
            evidence,
        )
    rank = len(edge.target.shape)
    for other in (found for count in range(rank) for found in combinations(range(rank), count + 1)):
        if other != dims:
            yield Prediction(
                "wrong-axis",
                _reduced(edge, lambda whole, other=other: whole.sum(other)),  # type: ignore[misc]
                "{x} is broadcast along {over} ({where}), but its gradient is summed over {summed}",
                {**parts, "summed": _dimensions(other)},
                {**evidence, "summed": list(other)},
            )
    for row, which in ((0, "first"), (-1, "last")):
        yield Prediction(
            "not-accumulated",
            _reduced(edge, lambda whole, row=row: _only(whole, dims, row)),  # type: ignore[misc]
            "{x} is used along {over} ({where}), and only the {which} use counts; all of them must be added up",
            {**parts, "which": which},
            {**evidence, "counted": which},
        )
    for factor in dict.fromkeys(edge.op.inputs) if edge.op.operation is ops.MUL else ():
        for how in ("sum", "mean") if factor is not edge.source else ():
            yield Prediction(
                "sum-before-product",
                _product_of_sums(edge, factor, dims, how),
                "it is the product of the {how} of {factor} and the sum of the gradient of {y}; take the product first, "
                "and then sum it over {over} ({where})",
                {**parts, "factor": factor, "how": how},
                {"factor": factor},
            )


def _product_of_sums(edge: Edge, factor: Value, dims: tuple[int, ...], how: str) -> Predict:
    def change(scene: Scene, local: torch.Tensor) -> torch.Tensor:
        other = scene.tensor(factor).expand(edge.target.shape)
        other = other.sum(dims) if how == "sum" else other.mean(dims)
        return (other * scene.gradients[edge.target].sum(dims)).reshape(local.shape)

    return with_step(edge, change)


def _whole(scene: Scene, edge: Edge) -> torch.Tensor | None:
    """The gradient of the argument at every place it was repeated to, before it is summed."""
    spread = scene.tensor(edge.source).expand(edge.target.shape).contiguous()
    return scene.local_with(edge.op, edge.source, arguments={edge.source: spread})


def _reduced(edge: Edge, reduce: Callable[[torch.Tensor], torch.Tensor]) -> Predict:
    def predict(scene: Scene) -> torch.Tensor | None:
        whole, local = _whole(scene, edge), scene.local(edge.op, edge.source)
        if whole is None or local is None:
            return None
        other = reduce(whole)
        if not scene.fits:
            alike = same_but_for_ones(other.shape, scene.found.shape)
            return other.reshape(scene.found.shape) if alike else None
        if other.numel() != local.numel():
            return None
        return scene.instead(edge.source, local, other.reshape(local.shape))

    return predict


def _only(whole: torch.Tensor, dims: tuple[int, ...], row: int) -> torch.Tensor:
    for dim in sorted(dims, reverse=True):
        whole = whole.select(dim, row)
    return whole


def _dimensions(dims: tuple[int, ...]) -> str:
    return f"dimension{'s' if len(dims) > 1 else ''} " + " and ".join(map(str, dims))


MISTAKE = Mistake("axis", _edits, _predictions)
