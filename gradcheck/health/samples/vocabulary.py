"""Which character or word a token's number stands for, and the sequences that `--samples NAME` holds."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch

from gradcheck.health.samples.sequences import Drawn, Token

_LONGEST = 40  # characters of an example


class Vocabulary:
    def __init__(self, names: Mapping[int, str] | None = None) -> None:
        self._names = dict(names or {})

    @property
    def known(self) -> bool:
        return bool(self._names)

    def token(self, token: Token) -> str:
        return repr(token) if isinstance(token, str) else repr(self._names.get(_number(token), token))

    def text(self, sequence: Iterable[Token]) -> str:
        """As a person would read it: characters one after the other, numbers with spaces."""
        parts = [t if isinstance(t, str) else self._names.get(_number(t), str(t)) for t in sequence]
        joined = ("" if all(len(part) == 1 for part in parts) and (self.known or not parts) else " ").join(
            parts
        )
        if all(isinstance(t, str) for t in sequence):
            joined = "".join(parts)
        return joined if len(joined) <= _LONGEST else f"{joined[: _LONGEST - 3]}..."

    def characters(self, sequence: Sequence[Token]) -> list[Token] | None:
        """The tokens as characters, if each stands for one."""
        found: list[Token] = []
        for token in sequence:
            name = token if isinstance(token, str) else self._names.get(_number(token))
            if name is None:
                return None
            found.append(name)
        return found


def _number(token: Token) -> int:
    return token if isinstance(token, int) else -1


def find_vocabulary(namespace: Mapping[str, object], classes: int) -> Vocabulary:
    """The one dict, list or string of the program that names every class once; none if they disagree."""
    found: list[dict[int, str]] = []
    for name, value in namespace.items():
        table = None if name.startswith("__") else _table(value, classes)
        if table is not None and table not in found:
            found.append(table)
    return Vocabulary(found[0]) if len(found) == 1 else Vocabulary()


def _table(value: object, classes: int) -> dict[int, str] | None:
    if isinstance(value, dict):
        pairs = list(value.items()) if len(value) == classes else []
        if pairs and isinstance(pairs[0][0], str):
            pairs = [(number, name) for name, number in pairs]
        table = dict(pairs)
    elif isinstance(value, (list, tuple, str)) and len(value) == classes:
        table = dict(enumerate(value))
    else:
        return None
    right = set(table) == set(range(classes)) and all(isinstance(text, str) for text in table.values())
    return table if right and len(set(table.values())) == classes else None


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
