"""Which constant a factor is: a sign, a half, the size of a batch, n/(n - 1), a number of the forward pass."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from gradcheck import ops
from gradcheck.diagnosis.mistakes.arguments import averaged, plain_numbers
from gradcheck.diagnosis.mistakes.case import Case
from gradcheck.diagnosis.mistakes.scene import Scene
from gradcheck.diagnosis.mistakes.wording import line, name
from gradcheck.fronts.tape import Op
from gradcheck.ops import Family
from gradcheck.replay.compare import distance, inner, norm

_SCALINGS = (ops.MUL, ops.DIV)
_MOST_LATER = 60  # of the last steps of the forward pass: the loss is there, and its mean


@dataclass(frozen=True, slots=True)
class Constant:
    value: float
    text: str  # "32", "1/32", "31/32"
    why: str = ""  # what the number is in this program; empty if there is nothing to say
    size: int = 0  # the n in it


def fitted(found: torch.Tensor, part: torch.Tensor, scene: Scene) -> float | None:
    """The factor c for which found = c * part, if there is one."""
    size = norm(part)
    if size == 0 or found.shape != part.shape:
        return None
    factor = inner(found, part) / size**2
    limit = max(scene.tolerance, 1e-9 * norm(found))
    return factor if distance(found, factor * part) <= limit else None


class Constants:
    """All the constants that can be named in one program. One is made for each case, by `constants_of`."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._known: list[Constant] | None = None
        values = (case.at, *case.segment.values)
        self._dimensions = {size for value in values for size in (*value.shape, math.prod(value.shape))}

    def known(self, factor: float, precision: float) -> Constant | None:
        """The simplest constant that `factor` is."""
        if not math.isfinite(factor):
            return None
        if self._known is None:
            self._known = list(self._all())
        for constant in self._known:
            if abs(factor - constant.value) <= precision * max(abs(constant.value), 1e-300):
                return constant
        return None

    def named_or_plain(self, factor: float, precision: float) -> Constant | None:
        """A named constant, or the bare figure where enough numbers agree on it."""
        known = self.known(factor, precision)
        if known is not None:
            return known
        if self._case.observations() < 3 or not math.isfinite(factor) or factor == 0:
            return None
        return Constant(factor, f"{factor:.6g}")

    def _all(self) -> Iterator[Constant]:
        yield Constant(-1.0, "-1")
        for plain, text in ((0.5, "1/2"), (2.0, "2")):
            if two := self._why_two(plain):
                yield Constant(plain, text, two)
        for sign, mark in ((1, ""), (-1, "-")):
            for size, what in self._sizes().items():
                yield Constant(sign * size, f"{mark}{size}", what, size)
                yield Constant(sign / size, f"{mark}1/{size}", what, size)
                if size > 2:
                    of_both = f"n/(n - 1) for n = {size}" + (f"; {what}" if what else "")
                    yield Constant(sign * size / (size - 1), f"{mark}{size}/{size - 1}", of_both, size)
                    of_both = f"(n - 1)/n for n = {size}" + (f"; {what}" if what else "")
                    yield Constant(sign * (size - 1) / size, f"{mark}{size - 1}/{size}", of_both, size)
        for small in (2, 3, 4, 10, -2):
            yield Constant(float(small), str(small))
            yield Constant(1 / small, f"{'-' if small < 0 else ''}1/{abs(small)}")
        for number, op in self._numbers():
            why = self._use(number, op)
            for value, text in (
                (number, f"{number:g}"),
                (1 / number if number else 0.0, f"1/{number:g}"),
                (1 - number, f"1 - {number:g}"),
                (1 / (1 - number) if number != 1 else 0.0, f"1/(1 - {number:g})"),
                (-number, f"-{number:g}"),
                (2 * number, f"2 * {number:g}"),
                (number**2, f"{number**2:g}" if number.is_integer() else f"{number:g}**2"),
            ):
                if value not in (0.0, 1.0):
                    yield Constant(value, text, why)
        for size, what in self._sizes().items():
            if math.isqrt(size) ** 2 == size:
                continue
            yield Constant(size**0.5, f"sqrt({size})", what, size)
            yield Constant(size**-0.5, f"1/sqrt({size})", what, size)
        for size, what in self._sizes().items():
            yield Constant(2 * size, f"2 * {size}", what, size)
            yield Constant(2 / size, f"2/{size}", what, size)

    def _sizes(self) -> dict[int, str]:
        """Sizes that occur, and what they are; those that the forward pass divides by first."""
        found: dict[int, str] = {}
        segment = self._case.segment.ops
        later = [op for op in self._case.plan.forward_ops[-_MOST_LATER:] if op not in segment]
        for op in (*segment, *later):
            for size, what in self._divisors(op):
                found.setdefault(size, what)
        for value in (self._case.at, *self._case.segment.values):
            for dim, size in enumerate(value.shape):
                found.setdefault(
                    size, f"{size} is the size of {name(self._case, value)} along dimension {dim}"
                )
            count = math.prod(value.shape)
            found.setdefault(count, f"{name(self._case, value)} has {count} elements")
        return {size: what for size, what in found.items() if size > 1}

    def _divisors(self, op: Op) -> Iterator[tuple[int, str]]:
        where = line(self._case, op)
        if op.operation.family is Family.LOSS or op.operation in (ops.MEAN, *ops.SPREADS):
            count = averaged(op)
            if count:
                yield count, f"`{op.name}` in {where} divides by {count}"
        if op.operation in _SCALINGS:
            for number in plain_numbers(op):
                for divisor in (number, 1 / number if number else 0.0):
                    if divisor > 1.5 and abs(divisor - round(divisor)) < 1e-9 * divisor:
                        if divisor != number and not {round(divisor), round(divisor) + 1} & self._dimensions:
                            continue  # a slope of 0.01 is no division by 100
                        by_number = divisor == number and op.operation is ops.MUL
                        divides = "multiplies by" if by_number else "divides by"
                        yield round(divisor), f"{where} {divides} {round(divisor)}"

    def _use(self, number: float, op: Op) -> str:
        """What the forward pass does with a number."""
        where = line(self._case, op)
        if op.operation in _SCALINGS:
            divides = op.operation is ops.DIV and not op.reverse
            return f"{where} {'divides' if divides else 'multiplies'} by {number:g}"
        return f"{number:g} is a number in {where}"

    def _why_two(self, factor: float) -> str:
        """Why it is half, or twice, of what it should be."""
        for op in self._case.segment.ops:
            where, half = line(self._case, op), factor < 1
            if half and (
                op.operation is ops.SQUARE or (op.operation is ops.POW and 2.0 in plain_numbers(op))
            ):
                return f"the derivative of the square in {where} has a 2"
            if half and op.operation is ops.SQUARED_ERROR:
                return f"the derivative of the squares of `mse_loss` in {where} has a 2"
            if op.operation in _SCALINGS:
                for number in (2.0, 0.5):
                    if number in plain_numbers(op):
                        return self._use(number, op)
        return ""

    def _numbers(self) -> Iterator[tuple[float, Op]]:
        for op in self._case.segment.ops:
            for number in plain_numbers(op):
                yield number, op


def constants_of(case: Case) -> Constants:
    if not isinstance(case.constants, Constants):
        case.constants = Constants(case)
    return case.constants
