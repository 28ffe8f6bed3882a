"""The types of arrays: an object of one of these is a value on the tape. A front end adds those of its library."""

import re

import torch

_AXIS, _KEEPDIM = re.compile(r"\((axis|-?\d+), (?=keepdim\b)"), re.compile(r"\bkeepdim\b")
_VIEW_AS = re.compile(r"\.view_as\((.*)\)$")
_TENSOR, _DIMENSION = re.compile(r"\btensor(s?)\b"), re.compile(r"\bdimension(?=s? \d)")
_TORCH: tuple[type, ...] = (torch.Tensor,)
KINDS: tuple[type, ...] = _TORCH
FOREIGN: tuple[type, ...] = ()  # those that are not torch's
_alone = False


def add(*kinds: type, alone: bool = True) -> None:
    """Objects of these types are arrays as well, until `reset`. `alone`: the program has no others."""
    global KINDS, FOREIGN, _alone
    KINDS, FOREIGN, _alone = (*_TORCH, *kinds), kinds, alone


def are_of_numpy() -> bool:
    """Whether all of them are: then what is said and written is in the words of NumPy."""
    return _alone


def spelled(source: str) -> str:
    """A piece of source as the library of the program spells it. In a program of both, as NumPy does: torch takes that too."""
    if not FOREIGN:
        return source
    source = _KEEPDIM.sub("keepdims", _AXIS.sub(r"(axis=\1, ", source))
    # An expression has to be in brackets, unless it is a name, a call or an item.
    return _VIEW_AS.sub(
        lambda found: f".reshape({found[1] if ' ' not in found[1] else f'({found[1]})'}.shape)", source
    )


def in_its_words(text: str) -> str:
    """What is said to its reader, the code between backticks included."""
    if not are_of_numpy():
        return text
    parts = text.split("`")
    parts[1::2] = map(spelled, parts[1::2])
    parts[::2] = [
        _DIMENSION.sub("axis", _TENSOR.sub(r"array\1", part)).replace("axiss ", "axes ")
        for part in parts[::2]
    ]
    return "`".join(parts)


def reset() -> None:
    global KINDS, FOREIGN, _alone
    KINDS, FOREIGN, _alone = _TORCH, (), False
