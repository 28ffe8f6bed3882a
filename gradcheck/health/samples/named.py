"""What `--samples NAME` holds: strings, lists of tokens, or rows of a tensor."""

import difflib
from collections.abc import Mapping
from typing import Any

import torch

from gradcheck.health.samples.sequences import Drawn, Token


class NoSamplesError(Exception):
    """The message says why, in one line."""


def named_runs(namespace: Mapping[str, object], name: str) -> tuple[list[Drawn], bool]:
    """The sequences, and whether their tokens are characters. Raises NoSamplesError."""
    value = _held(namespace, name)
    value = value.splitlines() if isinstance(value, str) else _as_list(value)
    if isinstance(value, (set, frozenset)):
        value = sorted(value, key=repr)
    if not isinstance(value, (list, tuple)):
        raise NoSamplesError(f"`{name}` holds {_kind(value)}, which is no list of sequences")
    if not value:
        raise NoSamplesError(f"`{name}` is empty")
    rows = [_tokens(item) for item in value]
    if any(row is None for row in rows):
        raise NoSamplesError(f"`{name}` holds {_kind(value[0])}, and must hold strings or lists of tokens")
    runs = [Drawn(row, limited=True) for row in rows if row is not None]
    return runs, all(isinstance(token, str) for run in runs for token in run.tokens)


def _as_list(value: Any) -> Any:
    return value.tolist() if hasattr(value, "__array__") else value


def _tokens(item: Any) -> list[Token] | None:
    item = _as_list(item.reshape(-1) if hasattr(item, "__array__") else item)
    tokens = [_as_list(token) for token in item] if isinstance(item, (list, tuple, str)) else [None]
    return tokens if all(isinstance(token, (int, str)) for token in tokens) else None


def _held(namespace: Mapping[str, object], name: str) -> Any:
    first, *attributes = name.split(".")
    if first not in namespace:
        held = [
            n for n, v in namespace.items() if isinstance(v, (list, tuple, torch.Tensor)) and n[:1] != "_"
        ]
        close = difflib.get_close_matches(first, held, 1)
        meant = f"; did you mean `{close[0]}`?" if close else ""
        raise NoSamplesError(f"`{first}` is no name of the program's when it ended{meant}")
    value: Any = namespace[first]
    for attribute in attributes:
        try:
            value = vars(value)[attribute]  # never runs code of the program's
        except (KeyError, TypeError):
            raise NoSamplesError(f"`{first}` has no attribute `{attribute}`") from None
    return value


def _kind(value: object) -> str:
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"
