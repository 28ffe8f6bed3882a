"""One gradient of the person's to be replaced by the true one."""

from __future__ import annotations

from dataclasses import dataclass

from gradcheck.fronts.tape import Value


@dataclass(frozen=True)
class Substitution:
    """The gradient in `value`, finished by op `after`, is replaced by `scale` times the true one of `of`."""

    value: Value
    after: int
    of: Value
    scale: float = 1.0
