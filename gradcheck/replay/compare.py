"""Comparing gradients: distances, tolerances from measured noise, and finding equals among many values.

All norms are Euclidean over all elements, in float64.
"""

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from itertools import combinations

import torch

from gradcheck.base.deadline import check_time
from gradcheck.fronts.tape import Value

# In float64 a right gradient agrees to about 1e-15 times the conditioning of the program; the smallest real
# faults seen (a misplaced eps) differ by 7e-6. The tolerance lies between, on both scales.
RELATIVE_TOLERANCE = 1e-8
# float64 rounding is 2e-9 of float32 rounding, so an error above this share of the *measured* float32 noise is no
# rounding error.
NOISE_SHARE = 1e-3
# Float64 rounding (1e-16) times a hundred, relative to the largest gradient of the step.
ROUNDING_FLOOR = 1e-14
# For values that came into the step as float32 numbers (through NumPy, say), a replay cannot be better than this.
FLOAT32_TOLERANCE = 2e-5
_PIECE = 1 << 20  # elements
MOST_TERMS = 6  # of which sums are tried: 63 sums


def differentiable(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point() or tensor.is_complex()


def norm(tensor: torch.Tensor) -> float:
    check_time()
    if not tensor.numel():
        return 0.0
    if tensor.numel() > _PIECE:
        return math.hypot(*map(norm, _pieces(tensor)))
    return float(torch.linalg.vector_norm(exact(tensor)))


def norms(tensors: Sequence[torch.Tensor]) -> list[float]:
    """The norm of each: those of small ones in one call."""
    check_time()
    small = [i for i, tensor in enumerate(tensors) if 0 < tensor.numel() <= _PIECE]
    found = [0.0] * len(tensors)
    if small:
        together = torch._foreach_norm([exact(tensors[i]) for i in small])
        for i, size in zip(small, torch.stack(together).tolist(), strict=True):
            found[i] = size
    for i, tensor in enumerate(tensors):
        if tensor.numel() > _PIECE:
            found[i] = norm(tensor)
    return found


def _pieces(tensor: torch.Tensor) -> Sequence[torch.Tensor]:
    """A large tensor is looked at piece by piece, so that no second one in double precision is made of it."""
    return torch.split(dense(tensor.detach()).reshape(-1), _PIECE)


def exact(tensor: torch.Tensor) -> torch.Tensor:
    """In double precision."""
    if tensor.dtype is torch.float64 and not tensor.requires_grad and tensor.layout is torch.strided:
        return tensor
    return dense(tensor.detach()).to(torch.complex128 if tensor.is_complex() else torch.float64)


def dense(tensor: torch.Tensor) -> torch.Tensor:
    return tensor if tensor.layout is torch.strided else tensor.to_dense()


def inner(left: torch.Tensor, right: torch.Tensor) -> float:
    """The inner product; of complex numbers, that of their real and imaginary parts."""
    if left.numel() == right.numel() > _PIECE:
        return math.fsum(map(inner, _pieces(left), _pieces(right)))
    a, b = exact(left).reshape(-1), exact(right).reshape(-1)
    if a.is_complex() or b.is_complex():
        return float((a * b.conj()).real.sum())
    return float(torch.dot(a, b))


def distance(left: torch.Tensor, right: torch.Tensor) -> float:
    if left.numel() == right.numel() > _PIECE:
        return math.hypot(*map(distance, _pieces(left), _pieces(right)))
    left, right = dense(left.detach()), dense(right.detach())
    return norm(left - right if left.shape == right.shape else left.reshape(-1) - right.reshape(-1))


def compared(pairs: Sequence[tuple[torch.Tensor, torch.Tensor]]) -> list[tuple[float, float, float]]:
    """Of each pair of tensors of so many elements, the distance, and the norms of both."""
    each = {id(tensor): tensor for pair in pairs for tensor in pair}
    sizes = dict(zip(each, norms(list(each.values())), strict=True))
    apart: list[float] = []
    for some in _batches(pairs):
        if len(some) == 1:
            apart.append(distance(*some[0]))
        else:
            apart += norms([dense(a.detach()).reshape(-1) - dense(b.detach()).reshape(-1) for a, b in some])
    return [(off, sizes[id(a)], sizes[id(b)]) for off, (a, b) in zip(apart, pairs, strict=True)]


def _batches(
    pairs: Sequence[tuple[torch.Tensor, torch.Tensor]],
) -> Iterable[Sequence[tuple[torch.Tensor, torch.Tensor]]]:
    """Of no more elements together than a piece has, or of one pair."""
    first = elements = 0
    for number, (left, _) in enumerate(pairs):
        if number > first and elements + left.numel() > _PIECE:
            yield pairs[first:number]
            first, elements = number, 0
        elements += left.numel()
    if pairs:
        yield pairs[first:]


def copied(tensor: torch.Tensor) -> torch.Tensor:
    """A copy. Of a large one that is all one number, such as a buffer before it is filled, one number is kept."""
    if tensor.numel() > _PIECE and not tensor.is_complex():
        least, most = torch.aminmax(tensor)
        if bool(least == most):
            return least.expand(tensor.shape)
    return tensor.clone()


def is_finite(tensor: torch.Tensor) -> bool:
    return math.isfinite(norm(tensor)) or all(bool(torch.isfinite(piece).all()) for piece in _pieces(tensor))


def relative(error: float, left: float, right: float) -> float:
    """||a - b|| / max(||a||, ||b||); 0 where both are 0."""
    scale = max(left, right)
    if error == 0:
        return 0.0
    return error / scale if scale > 0 else math.inf


def same_but_for_ones(left: Iterable[int], right: Iterable[int]) -> bool:
    """Whether two shapes differ only in dimensions of size one."""
    return [n for n in left if n != 1] == [n for n in right if n != 1]


def multiple_of(found: torch.Tensor, other: torch.Tensor, tolerance: float) -> float:
    """What multiple of the other it is, but for `tolerance` (absolute) and dimensions of size one; 0 if it is none."""
    if not same_but_for_ones(found.shape, other.shape) or (size := norm(other) ** 2) == 0:
        return 0.0
    factor = inner(found, other) / size
    return factor if distance(found, factor * other) <= tolerance else 0.0


def is_multiple(one: torch.Tensor, other: torch.Tensor) -> bool:
    """Whether it is the other, times a number."""
    both = norm(one) * norm(other)
    return one.shape == other.shape and both > 0 and abs(inner(one, other)) >= (1 - RELATIVE_TOLERANCE) * both


def summing_to(
    total: torch.Tensor, terms: Sequence[torch.Tensor], tolerance: float
) -> tuple[int, ...] | None:
    """The places of the fewest of at most `MOST_TERMS` terms whose sum it is; None where no sum of some is."""
    for size in range(1, len(terms) + 1):
        for places in combinations(range(len(terms)), size):
            if distance(total, torch.stack([terms[place] for place in places]).sum(0)) <= tolerance:
                return places
    return None


def never_summed(found: tuple[int, ...], shape: tuple[int, ...]) -> bool:
    """Whether a gradient has the shape of what a parameter of `shape` was broadcast to."""
    padded = (1,) * (len(found) - len(shape)) + shape
    return (
        len(padded) == len(found)
        and found != shape
        and all(one in (1, other) for one, other in zip(padded, found, strict=True))
    )


def cosine(left: torch.Tensor, right: torch.Tensor) -> float | None:
    scale = norm(left) * norm(right)
    return inner(left, right) / scale if scale > 0 and math.isfinite(scale) else None


class Measured(dict[Value, torch.Tensor]):
    """Gradients by their values; the norm of each is computed once. Two tensors are no nearer than their norms."""

    def norm_of(self, value: Value) -> float:
        return self.sizes[value]

    @cached_property
    def sizes(self) -> dict[Value, float]:
        """All norms."""
        return dict(zip(self, norms(list(self.values())), strict=True))


class Fingerprints:
    """Finds, among many gradients, those equal to a given one without comparing with each in full: equal tensors
    have equal products with one fixed random vector."""

    def __init__(self, gradients: Mapping[Value, torch.Tensor]) -> None:
        self._gradients = gradients
        self._by_size: dict[int, list[Value]] = defaultdict(list)
        for value, gradient in gradients.items():
            self._by_size[gradient.numel()].append(value)
        # Of those that something was compared with.
        self._by_norm: dict[int, list[tuple[float, int]]] = {}
        self._products: dict[Value, float] = {}

    def equals(self, gradient: torch.Tensor, tolerance: float, *, reshaped: bool = False) -> list[Value]:
        """The values whose gradient lies within `tolerance` (absolute) of `gradient`, in the order given."""
        near = self._of_norm(norm(gradient), tolerance, gradient.numel())
        product = _product(gradient) if near else 0.0
        found = []
        for value in near:
            other = self._gradients[value]
            fits = (
                same_but_for_ones(other.shape, gradient.shape) if reshaped else other.shape == gradient.shape
            )
            close = fits and abs(product - self._product(value)) <= 6 * tolerance
            if close and distance(gradient, other) <= tolerance:
                found.append(value)
        return found

    def _of_norm(self, size: float, tolerance: float, count: int) -> list[Value]:
        """Those of so many elements whose norm is `size`, within the tolerance, in the order given."""
        by_norm = self._by_norm.get(count)
        if by_norm is None:
            values = self._by_size.get(count, ())
            by_norm = sorted((norm(self._gradients[value]), number) for number, value in enumerate(values))
            self._by_norm[count] = by_norm = [pair for pair in by_norm if pair[0] == pair[0]]
        first = bisect_left(by_norm, (size - tolerance, -1))
        last = bisect_right(by_norm, (size + tolerance, math.inf))
        return [
            self._by_size[count][number] for number in sorted(number for _, number in by_norm[first:last])
        ]

    def _product(self, value: Value) -> float:
        if value not in self._products:
            self._products[value] = _product(self._gradients[value])
        return self._products[value]


_probe: dict[int, torch.Tensor] = {}


def _product(gradient: torch.Tensor) -> float:
    if gradient.numel() > _PIECE:
        return math.fsum(map(_product, _pieces(gradient)))
    flat = exact(gradient).reshape(-1)
    vector = _probe.get(flat.numel())
    if vector is None:
        generator = torch.Generator().manual_seed(0x9E3779B9 + flat.numel())
        vector = torch.rand(flat.numel(), dtype=torch.float64, generator=generator) * 2 - 1
        if len(_probe) > 256:
            _probe.clear()
        _probe[flat.numel()] = vector
    if flat.is_complex():
        return float(torch.dot(flat.real, vector) + torch.dot(flat.imag, vector.flip(0)))
    return float(torch.dot(flat, vector))
