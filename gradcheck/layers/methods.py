"""The two halves of a person's class, whatever they are called, and what its `forward` leaves on the object in the place
of returning it."""

import ast
import dis
import inspect
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from gradcheck.base.errors import NothingToCheckError
from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.layers.arrays import is_floating
from gradcheck.layers.usage import nodes_of

_FORWARD = re.compile(r"(feed_?)?(forward|fwd|fprop)\w*", re.I)
_BACKWARD = re.compile(r"(backward|bwd|bprop|back_?prop)\w*", re.I)
OUTPUT = re.compile(r"_*(out|outputs?|result|y|y_?(hat|pred))", re.I)


@dataclass(slots=True)
class StandsFor:
    """What gradcheck drives in the place of the person's own object."""

    owner: Any


class Halves(StandsFor):
    """An object whose methods are called otherwise."""

    def __init__(self, owner: Any, names: tuple[str, str]) -> None:
        super().__init__(owner)
        self.forward, self.backward = (getattr(owner, name) for name in names)


def held_by(layer: Any) -> Any:
    """The person's own object in it."""
    return layer.owner if isinstance(layer, StandsFor) else layer


def halves_of(kind: type) -> tuple[str, str] | None:
    """The names of the methods that are its forward pass and its backward pass."""
    names = [name for name in dir(kind) if _is_method(getattr(kind, name)) and not name.startswith("__")]
    found = []
    for usual, pattern in (("forward", _FORWARD), ("backward", _BACKWARD)):
        fitting = [name for name in names if pattern.fullmatch(name)]
        if usual in fitting:
            fitting = [usual]
        if not fitting and usual == "forward" and "__call__" in vars(kind):
            fitting = ["__call__"]
        if len(fitting) != 1:
            return None
        found += fitting
    return ("__call__" if _is_called_first(kind, found[0]) else found[0]), found[1]


def _is_method(thing: Any) -> bool:
    """It is none that only says what others define."""
    code = getattr(thing, "__code__", None)
    return callable(thing) and (code is None or code.co_names != ("NotImplementedError",))


def _is_called_first(kind: type, forward: str) -> bool:
    """Whether what a caller calls is `__call__`, which keeps something for the backward pass and calls the forward pass."""
    code = getattr(inspect.getattr_static(kind, "__call__", None), "__code__", None)
    if code is None or forward not in code.co_names or (kind.__module__ or "").startswith("torch."):
        return False
    return any(instruction.opname == "STORE_ATTR" for instruction in dis.get_instructions(code))


def called(layer: Any, forward: Callable[..., Any], inputs: Sequence[Any], named: dict[str, Any]) -> Any:
    """What `forward` returns; if that is nothing, what it leaves on the object. Raises NothingToCheckError if that cannot
    be told."""
    before = dict(getattr(held_by(layer), "__dict__", {}))
    result = forward(*inputs, **named)
    if result is not None:
        return result
    left = {
        name: value
        for name, value in getattr(held_by(layer), "__dict__", {}).items()
        if is_floating(value) and value is not before.get(name) and not any(value is each for each in inputs)
    }
    meant = left if len(left) == 1 else {name: left[name] for name in left if OUTPUT.fullmatch(name)}
    if len(meant) > 1 or (left and not meant):
        names = ", ".join(f"`self.{name}`" for name in meant or left)
        raise NothingToCheckError(
            f"`forward` returns nothing, and which of {names} is its output cannot be told"
        )
    return next(iter(meant.values()), None)


def upstream_attribute(layer: Any) -> str | None:
    """What `backward`, which takes nothing, reads of its object as the upstream gradient: an attribute that is named for a
    gradient, that it does not set before, and that is not there yet."""
    held = held_by(layer)
    read: list[str] = []
    written: set[str] = set()
    for statement in nodes_of(layer.backward):
        match statement:
            case ast.Attribute(ast.Name("self"), name, ast.Load()):
                read.append(name)
            case ast.Attribute(ast.Name("self"), name, ast.Store()):
                written.add(name)
    named = [name for name in dict.fromkeys(read) if parse(name).form is not Form.NONE]
    wanted = [name for name in named if name not in written and getattr(held, name, None) is None]
    return wanted[0] if len(wanted) == 1 else None
