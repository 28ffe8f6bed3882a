"""Which character or word a token's number stands for, where the program has a table of it."""

from collections.abc import Iterable, Mapping, Sequence

from gradcheck.health.samples.sequences import Token

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
