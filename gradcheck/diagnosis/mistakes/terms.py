"""A term that is missing, found from the numbers: what is lacking is a multiple of a product of names in scope."""

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement

import torch

from gradcheck.diagnosis.mistakes.scaling import scaled_expressions
from gradcheck.diagnosis.mistakes.writing import Context, Edit, broadcasts, written
from gradcheck.fronts.tape import Value
from gradcheck.replay.compare import distance, inner, norm

_MOST_NAMES = 45
_MOST_ELEMENTS = 200_000


@dataclass(frozen=True, slots=True)
class _Product:
    text: str
    tensor: torch.Tensor


def missing_terms(
    tree: ast.expr,
    lacking: torch.Tensor,
    tolerance: float,
    context: Context,
    tensor_of: Callable[[Value], torch.Tensor],
    is_over: Callable[[], bool],
) -> Iterator[Edit]:
    """`tree` plus the term that gives `lacking` (expected minus found), for every such term of up to two names."""
    size = norm(lacking)
    if size <= tolerance or lacking.numel() > _MOST_ELEMENTS:
        return
    for product in _products(lacking.shape, context, tensor_of):
        if is_over():
            return
        length = norm(product.tensor)
        if not 0 < length < float("inf"):
            continue
        factor = inner(lacking, product.tensor) / length**2
        if distance(lacking, factor * product.tensor) > tolerance:
            continue
        form = "x + term" if factor > 0 else "x - term"
        scaled = [Edit(0.0, written(product.text))]
        if abs(abs(factor) - 1) >= 1e-9:
            scaled = [*scaled_expressions(written(product.text), abs(factor), context)]
        for term in scaled:
            assert isinstance(term.tree, ast.expr)
            cost = 2.4 + term.cost if term.cost else 2.2 if factor > 0 else 2.3
            yield Edit(cost, written(form, x=tree, term=term.tree))


def _products(
    shape: torch.Size, context: Context, tensor_of: Callable[[Value], torch.Tensor]
) -> Iterator[_Product]:
    named: list[tuple[str, torch.Tensor]] = []
    for text, value in context.tensors[: 2 * _MOST_NAMES]:
        try:
            tensor = tensor_of(value).detach()
        except Exception:  # not computed in this replay
            continue
        if tensor.is_floating_point() and tensor.ndim and bool(torch.isfinite(tensor).all()):
            named.append((text, tensor))
    named = named[:_MOST_NAMES]
    fitting = [(text, tensor) for text, tensor in named if broadcasts(tensor, shape)]
    for text, tensor in fitting:
        yield _Product(text, tensor.expand(shape))
    for (left, a), (right, b) in combinations_with_replacement(fitting, 2):
        product = a * b
        if product.shape == shape:
            yield _Product(f"{left} * {right}", product)
    if len(shape) == 2:
        yield from _matrix_products(shape, named)
    if len(shape) <= 2:
        yield from _sums(shape, named)


def _matrix_products(shape: torch.Size, named: list[tuple[str, torch.Tensor]]) -> Iterator[_Product]:
    matrices = [(text, tensor) for text, tensor in named if tensor.ndim == 2]
    for left, a in matrices:
        for right, b in matrices:
            if a.shape[0] == b.shape[0] and (a.shape[1], b.shape[1]) == tuple(shape):
                yield _Product(f"{left}.T @ {right}", a.T @ b)
            if a.shape[1] == b.shape[0] and (a.shape[0], b.shape[1]) == tuple(shape):
                yield _Product(f"{left} @ {right}", a @ b)
            if a.shape[1] == b.shape[1] and (a.shape[0], b.shape[0]) == tuple(shape):
                yield _Product(f"{left} @ {right}.T", a @ b.T)


def _sums(shape: torch.Size, named: list[tuple[str, torch.Tensor]]) -> Iterator[_Product]:
    matrices = [(text, tensor) for text, tensor in named if tensor.ndim == 2]
    keep = len(shape) == 2
    if not shape or (keep and shape[0] != 1):
        return
    kept = ", keepdim=True" if keep else ""
    for text, tensor in matrices:
        if tensor.shape[1] == shape[-1]:
            yield _Product(f"{text}.sum(0{kept})", tensor.sum(0, keepdim=keep))
    for (left, a), (right, b) in combinations_with_replacement(matrices, 2):
        if a.shape == b.shape and a.shape[1] == shape[-1]:
            yield _Product(f"({left} * {right}).sum(0{kept})", (a * b).sum(0, keepdim=keep))
