"""Dataclasses as JSON values, and back by their annotations: everything that is written or sent goes through here.

JSON has no NaN and no infinity. They are written as the strings "NaN", "Infinity" and "-Infinity", which Python's
`float()` and JavaScript's `Number()` both read; `null` keeps its one meaning, "nothing to compare with".
"""

import dataclasses
import math
import types
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def encode(value: Any) -> Any:
    """`value` in terms of what JSON can hold; dataclasses become objects, field by field."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: encode(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        return _encode_float(value)
    if isinstance(value, dict):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    if isinstance(value, (set, frozenset)):
        return sorted((encode(item) for item in value), key=str)
    if hasattr(value, "tolist"):  # a numpy scalar or array among the evidence of a check
        return encode(value.tolist())
    return str(value)


def decode(cls: type[T], data: Any) -> T:
    """An instance of the dataclass `cls`. Unknown keys are ignored, because a newer version may have written them;
    missing fields keep their defaults. Raises TypeError or ValueError for what is not of the type of its field."""
    return _dataclass(cls, data)  # type: ignore[no-any-return]


def _encode_float(value: float) -> float | str:
    if math.isfinite(value):
        return float(value)
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


@cache
def _fields(cls: type) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls) if field.init}


def checked_text(data: Any) -> str:
    return _of_type(str, data)  # type: ignore[no-any-return]


def _of_type(kind: type, data: Any) -> Any:
    if not isinstance(data, kind) or (kind is int and isinstance(data, bool)):
        raise TypeError(f"{kind.__name__} expected, not {type(data).__name__}")
    return data


def _dataclass(cls: Any, data: dict[str, Any]) -> Any:
    _of_type(dict, data)
    return cls(**{name: _value(hint, data[name]) for name, hint in _fields(cls).items() if name in data})


def _value(hint: Any, data: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if data is None:
            return None
        (hint,) = [argument for argument in arguments if argument is not type(None)][:1]
        return _value(hint, data)
    if origin in (list, set, frozenset, tuple):
        _of_type(list, data)
    if origin in (list, set, frozenset):
        return origin(_value(arguments[0], item) for item in data)
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_value(arguments[0], item) for item in data)
        return tuple(_value(argument, item) for argument, item in zip(arguments, data, strict=True))
    if origin is dict:
        _of_type(dict, data)
        key = arguments[0] if arguments[0] in (int, float) else str
        return {key(name): _value(arguments[1], item) for name, item in data.items()}
    if dataclasses.is_dataclass(hint):
        return _dataclass(hint, data)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(data)
    if hint is float:
        return float(data)  # "NaN", "Infinity" and "-Infinity" are strings in JSON
    return _of_type(hint, data) if hint in (str, int, bool) else data
