"""What a namespace holds: which names are the person's, and what a person would type to reach each tensor."""

import re
from collections.abc import Iterator, Mapping
from types import FrameType, FunctionType, ModuleType
from typing import Any

from gradcheck.fronts import arrays

_MAX_ITEMS = 400
_MAX_DEPTH = 5
_READABLE = (list, tuple, dict, str)


def tensors_of_namespace(namespace: dict[str, object]) -> Iterator[tuple[str, Any, int]]:
    """(name, tensor, identity of its owner) for every tensor reachable by names, items and attributes; the
    shallowest name first, each tensor once. A dict is copied first, in one step: other threads may change it."""
    seen: set[int] = set()
    level: list[tuple[str, Any, int]] = [
        (name, value, 0) for name, value in dict(namespace).items() if not name.startswith("__")
    ]
    for depth in range(_MAX_DEPTH):
        deeper: list[tuple[str, Any, int]] = []
        for name, value, owner in level:
            if isinstance(value, arrays.KINDS):
                if id(value) not in seen:
                    seen.add(id(value))
                    yield name, value, owner
            elif id(value) not in seen and depth < _MAX_DEPTH - 1:
                seen.add(id(value))
                deeper.extend(_inside(name, value))
        level = deeper


def _inside(name: str, value: Any) -> Iterator[tuple[str, Any, int]]:
    if isinstance(value, (list, tuple)):
        if len(value) <= _MAX_ITEMS and not (value and isinstance(value[0], (str, int, float))):
            for i, item in enumerate(value):
                yield f"{name}[{i}]", item, id(value)
    elif isinstance(value, dict):
        if len(value) <= _MAX_ITEMS:
            for key, item in dict.copy(value).items():
                if isinstance(key, (str, int)):
                    yield f"{name}[{key!r}]", item, id(value)
    elif not isinstance(value, (ModuleType, FunctionType, type, str, int, float, bool)):
        attributes = getattr(value, "__dict__", None)
        if isinstance(attributes, dict):
            for key, item in dict.copy(attributes).items():
                if key in ("_parameters", "_buffers", "_modules") and isinstance(item, dict):
                    for inner, thing in item.items():
                        yield f"{name}.{inner}", thing, id(value)
                elif not key.startswith("__"):
                    yield f"{name}.{key}", item, id(value)


def names_in(frame: FrameType) -> Mapping[str, Any]:
    """The names of a frame. Those of a module are its globals: asked for them as locals while it is traced, Python 3.12 loses
    what the comprehensions of the module are counting with."""
    return frame.f_globals if frame.f_code.co_name == "<module>" else frame.f_locals


def readable(namespace: Mapping[str, object]) -> dict[str, object]:
    """What of a namespace is looked at after the run."""
    return {
        name: held
        for name, held in dict(namespace).items()
        # Not isinstance(), which asks the object for its class.
        if issubclass(type(held), (*_READABLE, *arrays.KINDS)) and not name.startswith("__")
    }


def visible_names(frame: FrameType) -> dict[str, object]:
    """What a statement in `frame` can name: its locals first, then the globals they do not hide."""
    return names_over(names_in(frame), names_of_person(frame.f_globals))


def names_of_person(names: dict[str, object]) -> dict[str, object]:
    """Those of a module, or of a notebook."""
    hidden = _of_the_shell(names)
    return {name: held for name, held in names.items() if name not in hidden}


def names_over(names: Mapping[str, object], others: Mapping[str, object]) -> dict[str, object]:
    """All of `names`, and what they do not hide of `others`."""
    return {**names, **{name: held for name, held in others.items() if name not in names}}


def _of_the_shell(names: dict[str, object]) -> set[str]:
    """The names a notebook keeps its history under: nobody calls a tensor `_12`."""
    if "Out" not in names or "In" not in names:
        return set()
    return {
        n for n in names if n in ("Out", "In", "exit", "quit") or re.fullmatch(r"_+(?:[io]?h|i+|i?\d+)?", n)
    }
