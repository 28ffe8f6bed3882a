"""What stands on the tape where autograd calls code of the person's: no function the program has called.

An argument of a custom Function, and its result, are values of their own on the tape: the array as this one call sees
it. What its `backward` returns is the gradient of that, and not of whatever else the same array is used for.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any

from gradcheck.fronts.tape import Value

OUR_PLACE = "<layer>"  # the file name of the statement in which a layer is run and its loss computed
ONLY_THROUGH_THESE = "only through these"  # of an UPSTREAM op: nothing else leads to its value


def view_as(array: Any) -> Any:
    """The same numbers, as a value of their own: a Function may change its argument in place, and what it returns is
    the gradient of what that was before."""
    return array.clone()


def seen_from_outside(value: Value) -> Value:
    """Of an argument of a Function, or its result, the value that it is for the rest of the program."""
    while value.producer is not None and value.producer.func is view_as:
        value = value.producer.args[0]
    return value


def with_given_upstream(results: Any, given: Any) -> Any:
    """The number whose gradients are those of `out.backward(given)`: each result times the gradient given of it, in sum.
    What is given does not depend on anything here."""
    terms = [
        (result * gradient.detach().conj()).sum().real
        for result, gradient in zip(results, given, strict=True)
    ]
    return sum(terms[1:], terms[0])


@dataclass(frozen=True, slots=True)
class Inferred:
    """What stands on the tape for a loss that the program never computes: the number whose gradient at `at` is
    `factor` times what its backward pass begins with. `kind` says which number that is, as far as it is known."""

    kind: LossKind
    factor: float
    slope: float  # of what backward begins with, by what the network puts out
    axis: int = -1  # along which a softmax adds up

    @property
    def __name__(self) -> str:
        return "inferred_loss"

    def __call__(self, at: Any, begun: Any) -> Any:
        terms, values = [], []
        for values_at, first in zip(at, begun, strict=True):
            first = first.detach()
            terms.append((values_at * (self.factor * first)).sum())
            values.append(self._value(values_at.detach(), first))
        linear, value = sum(terms[1:], terms[0]), sum(values[1:], values[0])
        return linear + (value - linear).detach()

    def _value(self, at: Any, begun: Any) -> Any:
        """What the loss is: a number to show, whose gradient nobody takes."""
        scale = self.factor * self.slope
        if self.kind is LossKind.SQUARES:
            return scale * ((begun / self.slope) ** 2).sum() / 2
        out = self.kind.out(at, self.axis)
        target = out - begun / self.slope
        if self.kind is LossKind.SOFTMAX:
            return -scale * (target * at.log_softmax(self.axis)).sum()
        if self.kind is LossKind.TANH:  # that of targets -1 and 1
            return scale * ((2 * at).exp().log1p() - at - target * at).sum()
        return scale * (at.exp().log1p() - target * at).sum()


class LossKind(Enum):
    """A loss that is known by the first line of its backward pass: output minus target, at the output or before."""

    SQUARES = "half the sum of squares"
    SIGMOID = "the cross-entropy of a sigmoid"
    SOFTMAX = "the cross-entropy of a softmax"
    TANH = "the cross-entropy of a tanh"

    def out(self, at: Any, axis: int) -> Any:
        """What the network puts out, where this loss is one of what comes just before."""
        if self is LossKind.SOFTMAX:
            return at.softmax(axis)
        return at.tanh() if self is LossKind.TANH else at.sigmoid()


def upstream_gradient(of: Any, *handed: Any) -> Any:
    """What autograd hands to a `backward`; a replay has its own way to find it."""
    raise NotImplementedError


def returned_gradient(of: Any, gradient: Any) -> None:
    """What a `backward` returns."""
