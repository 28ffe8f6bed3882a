"""What the targets of a statement hold, read from the frame.

Only plain reads are made: names, entries of `__dict__`, items of lists and dicts. No property, descriptor or
user-defined `__getitem__` of the person's is ever run by looking.
"""

import ast
import builtins
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import FrameType
from typing import Any

import torch

from gradcheck.fronts import arrays
from gradcheck.fronts.gradient_names import Form, is_loss_name, parse
from gradcheck.program.reading.names import Target
from gradcheck.program.reading.reader import Reader, UnknownNameError

MISSING = object()
_MAX_ITEMS = 400


@dataclass(frozen=True, slots=True)
class Held:
    """A tensor (or None) found under a name; `owner` is the identity of the object it is an item of."""

    name: str
    value: Any  # the array, or None
    owner: int = 0
    evaluated: str = ""  # for an item, the name with its key as it was: `dW[2]` for `dW[i]`


class FrameReader(Reader):
    """Of a frame that runs; `names` are its locals."""

    def __init__(self, frame: FrameType, names: Mapping[str, Any]) -> None:
        super().__init__()
        self._frame = frame
        self._names = names

    def name(self, name: str) -> Any:
        found = read_name(name, self._frame, self._names)
        return _known(getattr(builtins, name, MISSING) if found is MISSING else found, name)

    def attribute(self, base: Any, name: str) -> Any:
        if type(base) is str:
            return getattr(base, name)
        return _known(read_attribute(base, name), name)

    def item(self, base: Any, key: Any) -> Any:
        if type(base) not in (list, dict, tuple):
            raise UnknownNameError("an item of something of the person's")
        return base[key]


def _known(found: Any, name: str) -> Any:
    if found is MISSING:
        raise UnknownNameError(name)
    return found


def held_by(target: Target, frame: FrameType, names: Mapping[str, Any]) -> Iterator[Held]:
    """The tensors a target holds now; those of a list, tuple or dict under `name[0]`, `name['W1']`. `names` are
    the locals of `frame`."""
    reader, node, text, owner, evaluated = FrameReader(frame, names), target.node, target.text, 0, ""
    try:
        if isinstance(node, ast.Name):
            value = reader.read(node)
        else:
            assert isinstance(node, (ast.Attribute, ast.Subscript))
            base = reader.read(node.value)
            owner = id(base)
            if isinstance(node, ast.Attribute):
                value = reader.attribute(base, node.attr)
            elif isinstance(base, arrays.KINDS):
                value, owner, text = base, 0, target.container or text  # `dx[mask] = a` changes dx
            else:
                key = reader.read(node.slice)
                value = reader.item(base, key)
                if target.container and isinstance(key, (int, str)):
                    evaluated = f"{target.container}[{key!r}]"
    except Exception:  # nothing is known of it, or not without running code of the person's
        return
    if value is None:
        yield Held(target.text, None, owner)
    elif target.grows and type(value) is list:
        if value:
            yield from tensors_in(f"{target.text}[{len(value) - 1}]", value[-1], id(value), depth=1)
    elif evaluated and isinstance(value, arrays.KINDS):
        yield Held(text, value, owner, evaluated)
    else:
        yield from tensors_in(text, value, owner)
        if isinstance(node, ast.Name) and is_loss_name(text):
            yield from _number_in(text, value)


def _number_in(name: str, thing: Any) -> Iterator[Held]:
    """Of an object that is called a loss, in an engine of the person's own, the number that it holds, under its name."""
    attributes: Any = getattr(thing, "__dict__", None)
    for key, value in attributes.items() if type(attributes) is dict else ():
        one = _is_one(value) and getattr(value, "shape", ()) in ((), (1,), (1, 1))
        if one and parse(key).form is Form.NONE:
            yield Held(name, value)


def _is_one(thing: Any) -> bool:
    """Whether it may be a value: among arrays of NumPy, plain numbers are, if they were computed of others."""
    return isinstance(thing, arrays.KINDS) or (type(thing) is float and bool(arrays.FOREIGN))


def tensors_in(name: str, value: Any, owner: int = 0, depth: int = 2) -> Iterator[Held]:
    if _is_one(value):
        yield Held(name, value, owner)
    elif depth and isinstance(value, (list, tuple)):
        for i, item in enumerate(value[:_MAX_ITEMS]):
            if _is_one(item):
                yield Held(f"{name}[{i}]", item, id(value))
            elif depth > 1 and isinstance(item, (list, tuple, dict)):
                yield from tensors_in(f"{name}[{i}]", item, id(value), depth - 1)
    elif depth and isinstance(value, dict):
        for key in list(value)[:_MAX_ITEMS]:
            if isinstance(key, (str, int)):
                yield from tensors_in(f"{name}[{key!r}]", value[key], id(value), depth - 1)


def read_name(name: str, frame: FrameType, names: Mapping[str, Any]) -> Any:
    found = names.get(name, MISSING)
    if found is not MISSING or name in frame.f_code.co_varnames or name in frame.f_code.co_cellvars:
        return found
    return frame.f_globals.get(name, MISSING)


def read_attribute(base: Any, name: str) -> Any:
    if isinstance(base, torch.Tensor) and name in ("grad", "data"):
        return base.grad if name == "grad" else base
    for holder in (base, type(base)) if not isinstance(base, type) else (base,):
        attributes = getattr(holder, "__dict__", None)
        if attributes is None:
            continue
        if name in attributes:
            return attributes[name]
        if "_parameters" in attributes and name in attributes["_parameters"]:
            return attributes["_parameters"][name]
    return MISSING
