"""The same program with other numbers in it: a replay at another batch size or width, or with other constants.

Sizes reach a tape as Python numbers (`view(32, -1)`, `/ 32`, `* 0.03125`), and nothing says which of them were sizes. So
every number that a size, or what is usually computed from one, could be, becomes what it would be at the new size, in the
whole program at once. Where that guess is wrong, gradients that are right do not stay so, and whoever replays sees it.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from gradcheck import ops
from gradcheck.fronts.tape import Op, Value
from gradcheck.graph.node import Node
from gradcheck.ops import Family

_LARGEST = 20_000_000  # elements of a tensor that is made larger
_MOVED = 0.2  # of a number that is repeated, so that no two rows are the same
_OF_A_SIZE: tuple[Callable[[float], float], ...] = (
    float,
    lambda n: 1 / n,
    lambda n: 2 / n,
    lambda n: 0.5 / n,
    lambda n: 2 * n,
    math.sqrt,
    lambda n: 1 / math.sqrt(n),
)
_SIGNIFICANT = 11
_SHAPED = frozenset({Family.CONSTANT, Family.DRAW, Family.BROADCAST, Family.LAYOUT, Family.NORMALISATION})
_CUT = frozenset({ops.GETITEM, ops.SETITEM})


@dataclass(eq=False)
class Variation:
    """`sizes` and `constants` say what becomes of a number. `is_literal` tells whether the number an op computes with is
    written there: then it is no size, unless `literals` may be sizes too."""

    sizes: Mapping[int, int] = field(default_factory=dict)
    constants: Mapping[float, float] = field(default_factory=dict)
    is_literal: Callable[[Op], bool] = lambda op: False
    literals: bool = False

    def __post_init__(self) -> None:
        self._computed = _computed_from(self.sizes)

    def number(self, number: Any) -> Any:
        """What a number of the program that has a name is now; anything else stays."""
        if type(number) in (int, float):
            return self._size(number, self._constant(number))
        return number

    def _constant(self, number: float) -> float:
        return self.constants.get(number, number)

    def _size(self, number: float, otherwise: float) -> float:
        if type(number) is int and number in self.sizes:
            return self.sizes[number]
        return self._computed.get(_key(number), otherwise)

    def leaf(self, value: Value, start: torch.Tensor) -> torch.Tensor:
        """What a tensor from outside is: its rows are repeated, and moved a little where they are no whole numbers."""
        shape = [self.sizes.get(size, size) for size in start.shape]
        if shape == list(start.shape):
            return start
        if math.prod(shape) > _LARGEST:
            raise ValueError("too large to be tried at another size")
        made = start
        for axis, size in enumerate(shape):
            if size != made.shape[axis]:
                made = made.index_select(axis, torch.arange(size, device=made.device) % made.shape[axis])
        if not made.is_floating_point() or bool((made == made.round()).all()):
            return made
        generator = torch.Generator().manual_seed(value.birth)
        # Shares stay so: what is clipped to 0..1 has no derivative.
        are_shares = bool(((made >= 0) & (made <= 1)).all())
        moved = torch.rand(made.shape, generator=generator, dtype=torch.float64) - (1 if are_shares else 0.5)
        return made * (1 + _MOVED * moved).to(made.dtype)

    def arguments(self, node: Node) -> tuple[Sequence[Any], Mapping[str, Any]]:
        """Those of a recorded call."""
        args, kwargs = node.args, node.kwargs
        if self.constants and node.operation in ops.SCALING:
            args = tuple([self._constant(a) if type(a) in (int, float) else a for a in args])
        if not self.sizes:
            return args, kwargs
        family = node.operation.family
        if family in (Family.ELEMENTWISE, Family.COMPARE):
            are_sizes = self.literals or not self.is_literal(node.event)
            if are_sizes and any(type(a) in (int, float) for a in args):
                args = tuple([self._size(a, a) if type(a) in (int, float) else a for a in args])
        elif node.operation in _CUT:
            args = (args[0], self._cut(args[1]), *args[2:]) if len(args) > 1 else args
        elif family in _SHAPED or node.operation in ops.SIZED:
            made = {size for value in node.outputs for size in value.shape}
            args = tuple([self._shape(a, made) for a in args])
            kwargs = {name: self._shape(a, made) for name, a in kwargs.items()}
        return args, kwargs

    def _shape(self, thing: Any, made: set[int]) -> Any:
        """Numbers that are sizes of the result; others in such a call are axes."""
        kind = type(thing)
        if kind is int:
            return self.sizes.get(thing, thing) if thing in made else thing
        if kind in (tuple, list):
            return kind(self._shape(item, made) for item in thing)
        return torch.Size(self._shape(tuple(thing), made)) if kind is torch.Size else thing

    def _cut(self, thing: Any) -> Any:
        """Ends of slices and ranges; a single number is a place, which stays."""
        kind = type(thing)
        if kind in (slice, range):
            return kind(*(self._end(end) for end in (thing.start, thing.stop, thing.step)))
        return kind(self._cut(item) for item in thing) if kind in (tuple, list) else thing

    def _end(self, end: Any) -> Any:
        if type(end) is not int:
            return end
        return -self.sizes[-end] if -end in self.sizes else self.sizes.get(end, end)


def may_be_made_of(number: float, size: int) -> bool:
    """Whether a factor may be a size, or what is usually computed from one."""
    made = {*map(_key, (size - 1, size + 1, *(make(size) for make in _OF_A_SIZE)))} - {_key(1)}
    return number != 0 and not made.isdisjoint({_key(abs(number)), _key(abs(1 / number))})


def resized(old: int, new: int, values: Iterable[Value], multiples: bool) -> dict[int, int]:
    """What becomes of every size of the recorded tensors if `old` becomes `new`: products of neighbouring sizes too, which
    a reshape makes one of; with `multiples`, also two, three or four times it (the gates of a cell side by side)."""
    found = {old: new}
    known: set[int] = set()
    for shape in {value.shape for value in values}:
        known.update(shape)
        if old not in shape:
            continue
        for first in range(len(shape)):
            for last in range(first + 2, len(shape) + 1):
                part = shape[first:last]
                if old in part and math.prod(part) not in found:
                    found[math.prod(part)] = math.prod(new if size == old else size for size in part)
    if multiples:
        found.update({k * old: k * new for k in (2, 3, 4) if k * old in known and k * old not in found})
    for beside in (old - 1, old + 1):
        if beside > 1 and beside not in known and beside not in found:
            found[beside] = beside + new - old
    found.pop(1, None)
    # A number that is a size which stays is that, and not twice one that changes.
    return found | {size: size for size in known if size not in found and size > 1}


def _computed_from(sizes: Mapping[int, int]) -> dict[str, float]:
    found: dict[str, float | None] = {}
    for make in _OF_A_SIZE:
        for old, new in sizes.items():
            for sign in (1, -1):
                found.setdefault(_key(sign * make(old)), sign * make(new) if new != old else None)
    return {key: made for key, made in found.items() if made is not None}


def _key(number: float) -> str:
    return f"{number:.{_SIGNIFICANT}g}"
