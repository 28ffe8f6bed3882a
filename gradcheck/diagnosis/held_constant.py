"""Gradients that are right if one value is a constant: a target that the network computes itself, and nothing detaches."""

from collections.abc import Sequence

import torch

from gradcheck.checks.finding import Finding
from gradcheck.fronts.tape import Value
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Judged
from gradcheck.replay.compare import distance, norm

_MOST_VALUES = 24
_SAME = 1e-6  # relative, in float64


def held_constant(judge: Judge, wrong: Sequence[Judged]) -> Value | None:
    """The value that explains all of these, gradients of several values, if nothing flows back through it."""
    truth, own = judge.run.graph.truth, {judged.of for judged in judge.judged}
    found = [(j.of, j.found, j.scale or 1.0) for j in wrong if j.of is not None and j.found is not None]
    named = [v for v in truth if v not in own and v.producer is not None and judge.partners.has_name(v)]
    if len({of for of, *_ in found}) < 2 or len(found) < len(wrong):
        return None
    for value in sorted(named, key=lambda value: -value.birth)[:_MOST_VALUES]:
        held = judge.given(frozenset(), {value: torch.zeros_like(truth[value])})
        pairs = [(gradient, scale * held[of]) for of, gradient, scale in found if of in held]
        if len(pairs) == len(found) and all(
            one.shape == other.shape and distance(one, other) <= _SAME * norm(one) > 0 for one, other in pairs
        ):
            return value
    return None


def say_it_is_held(finding: Finding, name: str, line: int) -> None:
    finding.notes.insert(0, f"it is right if `{name}` (line {line}) is a constant")
    finding.helps[:] = [
        f"if `{name}` should be a constant, this is right: in torch, `{name}.detach()` says so; in NumPy, the comment "
        f"`# gradcheck: ignore[GC101]`. Otherwise, what flows back through `{name}` is missing here"
    ]
    finding.evidence["held_constant"] = name, line
