"""How explanations name the person's own values, lines and numbers."""

from __future__ import annotations

import torch

from gradcheck.checks.wording import place
from gradcheck.diagnosis.explanations.case import Case
from gradcheck.diagnosis.explanations.segment import Edge
from gradcheck.fronts.tape import Op, Value
from gradcheck.replay.passes import Version


def is_named(case: Case, value: Value) -> bool:
    return bool(case.judgement.names.forward_names(value))


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


def step(case: Case, edge: Edge) -> str:
    """What one op does to one of its arguments: the step from `a` to `b` (line 12)"""
    return f"the step from {name(case, edge.source)} to {name(case, edge.target)} ({line(case, edge.op)})"


def gradient(case: Case, version: Version, also: Version | None = None) -> str:
    """A manual gradient; told apart from another of the same name by what it is the gradient of."""
    text = f"`{version.candidate.name}`"
    if not version.final and version.writes:
        return f"{text} as it was after {line(case, version.writes[-1])}, before it was finished"
    if also is not None and also.candidate.name == version.candidate.name:
        of = next((j.of for j in case.judge.judged if j.version is version), None)
        if of is not None:
            return f"the {text} of {name(case, of)}"
    return text


def _role(case: Case, value: Value) -> str:
    """What a value is of the one it is computed from, if it is that at every point: the mean, the variance."""
    sources = [case.at, *(edge.source for edge in case.segment.edges)]
    for source in dict.fromkeys(sources):
        if source is value or len(source.shape) == 0 or value.producer is None:
            continue
        for role, function in _ROLES:
            if all(_is(function, scene.tensor(source), scene.tensor(value)) for scene in case.scenes):
                return role
    return ""


def _is(function: str, source: torch.Tensor, value: torch.Tensor) -> bool:
    count = source.numel() // max(1, value.numel())
    if count < 2:
        return False
    for dim in range(source.ndim):
        if source.shape[dim] == count:
            reduced = _reduced(function, source, dim).reshape(-1)
            if reduced.numel() == value.numel() and torch.allclose(
                reduced, value.reshape(-1), rtol=1e-9, atol=0
            ):
                return True
    return False


def _reduced(function: str, source: torch.Tensor, dim: int) -> torch.Tensor:
    if function == "mean":
        return source.mean(dim)
    if function == "amax":
        return source.amax(dim)
    correction = 1 if function.endswith("1") else 0
    variance = source.var(dim, correction=correction)
    return variance.sqrt() if function.startswith("std") else variance


_ROLES = (
    ("the mean", "mean"),
    ("the variance", "var0"),
    ("the variance", "var1"),
    ("the standard deviation", "std0"),
    ("the standard deviation", "std1"),
    ("the maximum", "amax"),
)
