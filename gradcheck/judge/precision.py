"""The number as it was run (principle 4): a right formula whose number, in the program's own types, is far off."""

import math
from collections.abc import Mapping

import torch

from gradcheck.fronts.tape import Value
from gradcheck.graph import flow
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Judged
from gradcheck.judge.verdict import Problem, Verdict
from gradcheck.replay.compare import compared, differentiable, distance, exact, norm
from gradcheck.replay.forward import ForwardGraph
from gradcheck.replay.passes import Version
from gradcheck.replay.runner import attempted

# Relative to the norm of the gradient. A number that is rounded once to bfloat16, which has 8 bits, is off by 0.2 %.
FAR_OFF = 0.005
_CARELESS = 30  # times as far off as autograd's own gradient in the same types


def errors_as_run(judge: Judge) -> dict[Judged, float]:
    """How far the numbers that the program computed are from those of the formula, relative to these. What it computed is
    let go of. Numbers that were moved off a kink are no longer those that ran."""
    computed = judge.prepared.fidelity.computed
    pairs = {} if judge.plan.moved else {j: pair for j in judge.judged if (pair := _as_run(j, computed))}
    measured = dict(zip(pairs, compared(list(pairs.values())), strict=True))
    computed.clear()
    return {judged: off / size for judged, (off, _, size) in measured.items() if size}


def _as_run(
    judged: Judged, computed: Mapping[Version, torch.Tensor]
) -> tuple[torch.Tensor, torch.Tensor] | None:
    ran, found = computed.get(judged.version), judged.found
    if ran is None or found is None or ran.shape != found.shape or not differentiable(ran):
        return None
    return ran, found


def measure_precision(judge: Judge, errors: Mapping[Judged, float]) -> None:
    """Marks the right gradients whose number is far off though autograd's is not; of those that one such number
    follows from another, the first. `errors` are those of the numbers as they ran."""
    suspects = [judged for judged in judge.judged if _is_far_off(judged, errors.get(judged))]
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
            judged.problem = Problem.IMPRECISE if math.isfinite(judged.run_error) else Problem.NON_FINITE


def _is_far_off(judged: Judged, error: float | None) -> bool:
    if judged.verdict is not Verdict.CORRECT or judged.problem is not Problem.NONE or judged.of is None:
        return False
    if error is None:
        return False
    judged.run_error = error
    return not error <= FAR_OFF  # NaN is far off


def _autograd(judge: Judge) -> dict[Value, torch.Tensor]:
    """The gradients that autograd computes in the program's own types."""
    truth = attempted(lambda: ForwardGraph(judge.prepared.forward, judge.plan.loss, None).truth)
    return {value: judge.plan.share * gradient for value, gradient in (truth or {}).items()}
