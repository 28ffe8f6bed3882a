"""What a program wrote while its writes were held back, as data and in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from gradcheck.base.groups import joined

_SHOWN = 4


@dataclass(frozen=True, slots=True)
class Written:
    """`what` is "wrote" (a file that was there), "made" or "removed"."""

    path: str
    what: str


def said(written: Sequence[Written], who: str = "the program") -> str:
    """`the program wrote `model.pt`; the original is as it was`."""
    parts = []
    for what in ("wrote", "made", "removed"):
        names = [f"`{one.path}`" for one in written if one.what == what]
        if names:
            parts.append(f"{what} {joined(names, _SHOWN + 1)}")
    touched = [one for one in written if one.what != "made"]
    if not touched:
        end = "it was not kept" if len(written) == 1 else "they were not kept"
    elif len(touched) == 1:
        end = "the original is as it was"
    else:
        end = "the originals are as they were"
    return f"{who} {' and '.join(parts)}; {end}"
