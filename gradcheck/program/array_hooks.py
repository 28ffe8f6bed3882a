"""The hooks of a rewritten NumPy program while nobody records: each makes the operation, and nothing else."""

from __future__ import annotations

import operator
from collections.abc import Callable
from types import FrameType
from typing import Any

_Operate = Callable[..., Any]

OPERATORS: dict[str, _Operate] = {
    name: getattr(operator, name if hasattr(operator, name) else f"{name}_")
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor")
}
OPERATORS.update((name, getattr(operator, name)) for name in ("lt", "le", "gt", "ge", "eq", "ne"))
UNARY: dict[str, _Operate] = {"neg": operator.neg, "invert": operator.invert}
IN_PLACE: dict[str, _Operate] = {
    f"i{name}": getattr(operator, f"i{name}") for name in OPERATORS if hasattr(operator, f"i{name}")
}


class PlainHooks:
    slice = slice

    def binop(self, name: str, a: Any, b: Any) -> Any:
        return OPERATORS[name](a, b)

    def binop_of(self, name: str, a: Any, b: Any, _a: str | None, _b: str | None) -> Any:
        return OPERATORS[name](a, b)

    def unary(self, name: str, a: Any) -> Any:
        return UNARY[name](a)

    def transposed(self, a: Any) -> Any:
        return a.T

    def getitem(self, a: Any, key: Any) -> Any:
        return a[key]

    def each(self, items: Any) -> Any:
        return items

    def callee(self, function: Any) -> Any:
        return function

    def at(self, a: Any, key: Any) -> Slot:
        return Slot(self, a, key)

    def set_item(self, a: Any, key: Any, value: Any) -> None:
        a[key] = value

    def aug(self, name: str, a: Any, b: Any) -> Any:
        return IN_PLACE[name](a, b)

    def aug_of(self, name: str, a: Any, b: Any, _: str) -> Any:
        return IN_PLACE[name](a, b)

    def aug_item(self, name: str, a: Any, key: Any) -> tuple[Any, ...]:
        return name, a, key, a[key], None

    def aug_attribute(self, name: str, a: Any, attribute: str) -> tuple[Any, ...]:
        return name, a, None, getattr(a, attribute), attribute

    def aug_store(self, held: tuple[Any, ...], b: Any) -> None:
        name, a, key, old, attribute = held
        new = IN_PLACE[name](old, b)
        if attribute is None:
            a[key] = new
        else:
            setattr(a, attribute, new)

    # -- of nobody's line: `frame` is whose they are -------------------------------------------------------------

    def sum_of_product(self, a: Any, b: Any, frame: FrameType | None) -> Any:
        return (a * b).sum()

    def reduced(self, a: Any, how: Callable[..., Any], frame: FrameType | None) -> Any:
        return how(a)

    def added(self, a: Any, b: Any, frame: FrameType | None) -> Any:
        return a + b

    def view_of(self, a: Any, frame: FrameType | None) -> Any:
        return a[...]

    def same_number(self, number: float, array: Any) -> None:
        """`array` is the same value as the number is."""


class Slot:
    """Where something is stored: `a[key]`."""

    __slots__ = ("_a", "_hooks", "_key")

    def __init__(self, hooks: PlainHooks, a: Any, key: Any) -> None:
        self._hooks, self._a, self._key = hooks, a, key

    def _store(self, value: Any) -> None:
        self._hooks.set_item(self._a, self._key, value)  # in a frame that the person's calls

    value = property(None, _store)
