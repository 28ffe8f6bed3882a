"""The number as it was run (principle 4): a right formula whose number, in the program's own types, is far off."""

from __future__ import annotations

import math

import torch

from gradcheck.fronts.tape import Value
from gradcheck.graph import flow
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Judged
from gradcheck.judge.verdict import Problem, Verdict
from gradcheck.replay.compare import differentiable, distance, exact, norm
from gradcheck.replay.forward import ForwardGraph
from gradcheck.replay.runner import ReplayError

# Relative to the norm of the gradient. A number that is rounded once to bfloat16, which has 8 bits, is off by 0.2 %.
FAR_OFF = 0.005
_CARELESS = 30  # times as far off as autograd's own gradient in the same types


def measure_precision(judge: Judge) -> None:
    """Marks the right gradients whose number is far off though autograd's is not; of those that one such number
    follows from another, the first. Numbers that were moved off a kink are no longer those that ran."""
    if judge.plan.moved:
        judge.prepared.fidelity.computed.clear()
        return
    suspects = [judged for judged in judge.judged if _is_far_off(judge, judged)]
    judge.prepared.fidelity.computed.clear()
    careful = _autograd(judge) if suspects else {}
    marked: set[Value] = set()
    for judged in suspects:
        assert judged.of is not None
        assert judged.run_error is not None
        truth, found = judge.run.graph.truth.get(judged.of), careful.get(judged.of)
        if truth is None or found is None or norm(truth) == 0:
            continue
        judged.careful_error = distance(exact(found), truth) / norm(truth)
        if judged.run_error <= _CARELESS * judged.careful_error:
            continue
        inherits = not marked.isdisjoint(flow.ancestors(judged.candidate.value))
        marked.add(judged.candidate.value)
        if not inherits:
            finite = math.isfinite(judged.run_error)
            judged.problem = Problem.IMPRECISE if finite else Problem.NON_FINITE


def _is_far_off(judge: Judge, judged: Judged) -> bool:
    ran, found = judge.prepared.fidelity.computed.get(judged.version), judged.found
    if judged.verdict is not Verdict.CORRECT or judged.problem is not Problem.NONE or judged.of is None:
        return False
    if (
        ran is None
        or found is None
        or ran.shape != found.shape
        or not differentiable(ran)
        or norm(found) == 0
    ):
        return False
    judged.run_error = distance(exact(ran), exact(found)) / norm(found)
    return not judged.run_error <= FAR_OFF  # NaN is far off


def _autograd(judge: Judge) -> dict[Value, torch.Tensor]:
    """The gradients that autograd computes in the program's own types."""
    try:
        truth = ForwardGraph(judge.prepared.forward, judge.plan.loss, None).truth
        return {value: judge.plan.share * gradient for value, gradient in truth.items()}
    except ReplayError:
        return {}
