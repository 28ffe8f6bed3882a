"""Gradients with NaN or infinite elements."""

import torch

from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.judge.case import Case
from gradcheck.judge.judged import NOT_JUDGED, Fault, Ruling
from gradcheck.judge.verdict import Problem, Verdict


def not_finite(case: Case) -> Ruling | None:
    """The number as it was run (principle 4): NaN is wrong wherever the true gradient is a number."""
    if case.is_finite:
        return None
    proposal = case.named
    if not case.version.final or (proposal is None and parse(case.candidate.name).form < Form.EXPLICIT):
        return NOT_JUDGED
    expected = case.judge.expectation(frozenset())[0].get(proposal.value) if proposal else None
    blamed = any(f.judged.problem is Problem.NON_FINITE for f in case.judge.listed(case.faults))
    verdict = Verdict.INHERITED if blamed else Verdict.INTRODUCED
    reason = (
        f"{int((~torch.isfinite(case.found)).sum())} of {case.found.numel()} elements are NaN or infinite"
    )
    if expected is not None and not bool(torch.isfinite(expected).all()):
        verdict, reason = Verdict.UNCHECKED, "the true gradient is not finite here either"
    problem = Problem.NONE if blamed else Problem.NON_FINITE
    judged = case.judged(proposal, verdict, problem, reason, expected=expected, faults=case.faults)
    return Ruling(judged, Fault(judged, None) if verdict is Verdict.INTRODUCED else None)
