"""Reads dataclasses back from the JSON objects that `encoding.encode` makes of them, by their annotations."""

from __future__ import annotations

import dataclasses
import types
from enum import Enum
from functools import cache
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def decode(cls: type[T], data: Any) -> T:
    """An instance of the dataclass `cls`. Keys it does not know are passed over: a newer writer may have added some;
    fields that are missing keep their defaults."""
    return _dataclass(cls, data)  # type: ignore[no-any-return]


@cache
def _fields(cls: type) -> dict[str, Any]:
    hints = get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _dataclass(cls: Any, data: dict[str, Any]) -> Any:
    return cls(**{name: _value(hint, data[name]) for name, hint in _fields(cls).items() if name in data})


def _value(hint: Any, data: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if data is None:
            return None
        (hint,) = [argument for argument in arguments if argument is not type(None)][:1]
        return _value(hint, data)
    if origin in (list, set, frozenset):
        return origin(_value(arguments[0], item) for item in data)
    if origin is tuple:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_value(arguments[0], item) for item in data)
        return tuple(_value(argument, item) for argument, item in zip(arguments, data, strict=True))
    if origin is dict:
        return {_key(arguments[0], key): _value(arguments[1], item) for key, item in data.items()}
    if dataclasses.is_dataclass(hint):
        return _dataclass(hint, data)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return hint(data)
    if hint is float:
        return float(data)  # "NaN", "Infinity" and "-Infinity" are strings in JSON
    return data


def _key(hint: Any, key: str) -> Any:
    return hint(key) if hint in (int, float) else key
