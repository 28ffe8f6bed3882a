"""Sentences and evidence of explanations, in the person's own names and lines."""

from collections.abc import Callable
from typing import Any

import torch

from gradcheck.checks.wording import place
from gradcheck.diagnosis.mistakes.case import Case
from gradcheck.diagnosis.mistakes.mistake import Explanation, Prediction
from gradcheck.fronts.tape import Op, Value
from gradcheck.replay.passes import Version


def explanation(case: Case, prediction: Prediction) -> Explanation:
    """What a confirmed prediction says."""
    if isinstance(prediction.sentence, str):
        parts = {key: _Shown(case, part) for key, part in prediction.parts.items()}
        sentence = prediction.sentence.format(**parts)
    else:
        sentence = prediction.sentence()
    evidence = {key: _plain(case, held) for key, held in prediction.evidence.items()}
    return Explanation(prediction.kind, sentence, {**evidence, "points": len(case.scenes)})


class _Shown:
    """A part of a sentence: `{x}` is the name of a value, `{x:at}` the name and the line that made it."""

    def __init__(self, case: Case, part: object) -> None:
        self._case = case
        self._part = part

    def __format__(self, how: str) -> str:
        part = self._part
        if isinstance(part, Value):
            return value_at(self._case, part) if how == "at" else name(self._case, part)
        if isinstance(part, Op):
            return line(self._case, part)
        return gradient(self._case, part) if isinstance(part, Version) else str(part)


def _plain(case: Case, held: object) -> Any:
    if isinstance(held, list):
        return [_plain(case, item) for item in held]
    return case.judgement.names.shown(held) if isinstance(held, Value) else held


def name(case: Case, value: Value) -> str:
    """As the person calls it, or the source of what made it."""
    return f"`{bare(case, value)}`"


def bare(case: Case, value: Value) -> str:
    return case.judgement.names.shown_for(value, case.judged.candidate.name)


def line(case: Case, op: Op) -> str:
    """`line 31`, with the cell or the file where that is another one."""
    writes = case.judged.version.writes
    here = case.judgement.places.location(op)
    seen_from = case.judgement.places.location(writes[-1]) if writes else here
    return place(here, seen_from)


def value_at(case: Case, value: Value) -> str:
    """`var_2` (line 31)"""
    if value.producer is None:
        return name(case, value)
    return f"{name(case, value)} ({line(case, value.producer)})"


def described(case: Case, value: Value) -> str:
    """the variance `var_2` (line 31)"""
    role = _role(case, value)
    return f"{role} {value_at(case, value)}" if role else value_at(case, value)


def gradient(case: Case, version: Version, also: Version | None = None) -> str:
    """A manual gradient; where another has the same name, with what it is the gradient of."""
    text = f"`{version.candidate.name}`"
    if not version.final and version.writes:
        return f"{text} as it was after {line(case, version.writes[-1])}, before it was finished"
    if also is not None and also.candidate.name == version.candidate.name:
        of = case.value_of(version)
        if of is not None:
            return f"the {text} of {name(case, of)}"
    return text


def _role(case: Case, value: Value) -> str:
    """What a value is of the one it is computed from, if it is that at every point: the mean, the variance."""
    sources = [case.at, *(edge.source for edge in case.segment.edges)]
    for source in dict.fromkeys(sources):
        if source is value or len(source.shape) == 0 or value.producer is None:
            continue
        for role, functions in _ROLES.items():
            for reduced in functions:
                if all(_is(reduced, scene.tensor(source), scene.tensor(value)) for scene in case.scenes):
                    return role
    return ""


def _is(
    reduced: Callable[[torch.Tensor, int], torch.Tensor], source: torch.Tensor, value: torch.Tensor
) -> bool:
    count = source.numel() // max(1, value.numel())
    for dim in range(source.ndim) if count > 1 else ():
        if source.shape[dim] == count:
            found = reduced(source, dim).reshape(-1)
            if found.numel() == value.numel() and torch.allclose(found, value.reshape(-1), rtol=1e-9, atol=0):
                return True
    return False


_ROLES: dict[str, tuple[Callable[[torch.Tensor, int], torch.Tensor], ...]] = {
    "the mean": (lambda x, dim: x.mean(dim),),
    "the variance": (lambda x, dim: x.var(dim, correction=0), lambda x, dim: x.var(dim)),
    "the standard deviation": (lambda x, dim: x.std(dim, correction=0), lambda x, dim: x.std(dim)),
    "the maximum": (lambda x, dim: x.amax(dim),),
}
