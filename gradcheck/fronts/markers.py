"""What stands on the tape where autograd calls code of the person's: no function the program has called.

An argument of a custom Function, and its result, are values of their own on the tape: the array as this one call sees
it. What its `backward` returns is the gradient of that, and not of whatever else the same array is used for.
"""

from __future__ import annotations

from typing import Any

from gradcheck.fronts.tape import Value

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


def upstream_gradient(of: Any, *handed: Any) -> Any:
    """What autograd hands to a `backward`; a replay has its own way to find it."""
    raise NotImplementedError


def returned_gradient(of: Any, gradient: Any) -> None:
    """What a `backward` returns."""
