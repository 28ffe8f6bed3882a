"""What was broadcast is summed again: over the wrong axis, not at all, only in part, or before the product."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations

import torch

from gradcheck.diagnosis.explanations.case import Case
from gradcheck.diagnosis.explanations.elementwise import ELEMENTWISE
from gradcheck.diagnosis.explanations.explanation import Hypothesis
from gradcheck.diagnosis.explanations.scene import Scene
from gradcheck.diagnosis.explanations.segment import Edge
from gradcheck.diagnosis.explanations.wording import line, name
from gradcheck.fronts.tape import Value
from gradcheck.replay.compare import same_but_for_ones

_PRODUCTS = {"mul", "multiply", "__mul__", "__rmul__"}
_SUMS = {"sum", "mean"}


def hypotheses(case: Case) -> Iterator[Hypothesis]:
    for edge in case.segment.edges:
        dims = broadcast_dims(edge)
        if dims and edge.op.name in ELEMENTWISE and (case.first.fits or edge.source is case.at):
            yield from _of_broadcast(case, edge, dims)
        if edge.op.name in _SUMS and case.first.fits:
            yield from _of_sum(case, edge)


def broadcast_dims(edge: Edge) -> tuple[int, ...]:
    """The dimensions of the result along which the argument was repeated."""
    source, target = edge.source.shape, edge.target.shape
    padded = (1,) * (len(target) - len(source)) + tuple(source)
    if len(padded) != len(target):
        return ()
    return tuple(d for d, (a, b) in enumerate(zip(padded, target, strict=True)) if a != b)


def _of_broadcast(case: Case, edge: Edge, dims: tuple[int, ...]) -> Iterator[Hypothesis]:
    over = _dimensions(dims)
    where = line(case, edge.op)
    source = name(case, edge.source)
    if not case.first.fits:
        yield Hypothesis(
            "missing-reduction",
            lambda scene: _whole(scene, edge),
            lambda: (
                f"{source} is broadcast along {over} ({where}), and its gradient is not summed over {over}"
            ),
            {"dimensions": list(dims)},
        )
    rank = len(edge.target.shape)
    for count in range(1, rank + 1):
        for other in combinations(range(rank), count):
            if other != dims:
                yield Hypothesis(
                    "wrong-axis",
                    _reduced(edge, lambda whole, other=other: whole.sum(other)),  # type: ignore[misc]
                    lambda other=other: (  # type: ignore[misc]
                        f"{source} is broadcast along {over} ({where}), but its gradient is summed over "
                        f"{_dimensions(other)}"
                    ),
                    {"dimensions": list(dims), "summed": list(other)},
                )
    for row, which in ((0, "first"), (-1, "last")):
        yield Hypothesis(
            "not-accumulated",
            _reduced(edge, lambda whole, row=row: _only(whole, dims, row)),  # type: ignore[misc]
            lambda which=which: (  # type: ignore[misc]
                f"{source} is used along {over} ({where}), and only the {which} use counts; "
                "all of them must be added up"
            ),
            {"dimensions": list(dims), "counted": which},
        )
    if edge.op.name in _PRODUCTS:
        yield from _sum_before_product(case, edge, dims)


def _sum_before_product(case: Case, edge: Edge, dims: tuple[int, ...]) -> Iterator[Hypothesis]:
    for factor in dict.fromkeys(edge.op.inputs):
        if factor is edge.source:
            continue
        for how in ("sum", "mean"):
            yield Hypothesis(
                "sum-before-product",
                _product_of_sums(edge, factor, dims, how),
                lambda factor=factor, how=how: (  # type: ignore[misc]
                    f"it is the product of the {how if how == 'mean' else 'sum'} of {name(case, factor)} and the sum "
                    f"of the gradient of {name(case, edge.target)}; the product is to be taken first, and then "
                    f"summed over {_dimensions(dims)} ({line(case, edge.op)})"
                ),
                {"factor": case.judgement.names.shown(factor)},
            )


def _product_of_sums(
    edge: Edge, factor: Value, dims: tuple[int, ...], how: str
) -> Callable[[Scene], torch.Tensor | None]:
    def predict(scene: Scene) -> torch.Tensor | None:
        local = scene.local(edge.op, edge.source)
        if local is None:
            return None
        other = scene.tensor(factor).expand(edge.target.shape)
        other = other.sum(dims) if how == "sum" else other.mean(dims)
        product = other * scene.gradients[edge.target].sum(dims)
        return scene.instead(edge.source, local, product.reshape(local.shape))

    return predict


def _of_sum(case: Case, edge: Edge) -> Iterator[Hypothesis]:
    """The gradient of a sum is spread over what was summed: along the wrong axis of a square."""
    shape = edge.source.shape
    if len(shape) == 2 and shape[0] == shape[1] and len(edge.target.shape) in (1, 2):

        def predict(scene: Scene) -> torch.Tensor | None:
            local = scene.local(edge.op, edge.source)
            return scene.instead(edge.source, local, local.T) if local is not None else None

        yield Hypothesis(
            "wrong-axis",
            predict,
            lambda: (
                f"the gradient of {name(case, edge.target)} is spread along the wrong axis of "
                f"{name(case, edge.source)} ({line(case, edge.op)})"
            ),
            {},
        )


def _whole(scene: Scene, edge: Edge) -> torch.Tensor | None:
    """The gradient of the argument at every place it was repeated to, before it is summed."""
    spread = scene.tensor(edge.source).expand(edge.target.shape).contiguous()
    return scene.local_with(edge.op, edge.source, arguments={edge.source: spread})


def _reduced(
    edge: Edge, reduce: Callable[[torch.Tensor], torch.Tensor]
) -> Callable[[Scene], torch.Tensor | None]:
    def predict(scene: Scene) -> torch.Tensor | None:
        whole = _whole(scene, edge)
        local = scene.local(edge.op, edge.source)
        if whole is None or local is None:
            return None
        other = reduce(whole)
        if not scene.fits:
            return (
                other.reshape(scene.found.shape)
                if same_but_for_ones(other.shape, scene.found.shape)
                else None
            )
        if other.numel() != local.numel():
            return None
        return scene.instead(edge.source, local, other.reshape(local.shape))

    return predict


def _only(whole: torch.Tensor, dims: tuple[int, ...], row: int) -> torch.Tensor:
    for dim in sorted(dims, reverse=True):
        whole = whole.select(dim, row)
    return whole


def _dimensions(dims: tuple[int, ...]) -> str:
    if len(dims) == 1:
        return f"dimension {dims[0]}"
    return "dimensions " + " and ".join(map(str, dims))
