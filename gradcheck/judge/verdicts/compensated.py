"""Gradients that are right although what they were computed from is not: faults cancel."""

from gradcheck.judge.case import Case
from gradcheck.judge.intervention import is_finished
from gradcheck.judge.judged import Fault, Ruling
from gradcheck.judge.verdict import Problem, Verdict


def compensated(case: Case) -> Ruling | None:
    """Blame needs a victim (principle 2): this one is right, and its line would spoil it if its upstream were fixed."""
    if not case.faults or case.is_zero or not case.says_something(case.found):
        return None
    equal = case.admitted(case.true_fingerprints.equals(case.found, case.tolerance))
    if not equal:
        return None
    chosen = case.judge.partners.choose(case.candidate, equal, case.judge.paired)
    # A sum that goes on may pass by any number.
    passes_by = not is_finished(case) and not case.judge.partners.is_named_for(case.candidate, chosen.value)
    before = [fault.judged for fault in case.judge.listed(case.faults)]
    if passes_by or all(each.verdict is Verdict.CORRECT or each.of is chosen.value for each in before):
        return None  # off by rounding, or by what an iteration for the same gradient has not reached yet
    expected = case.gradients.get(chosen.value)
    judged = case.judged(
        chosen, Verdict.COMPENSATED, Problem.WRONG_VALUE, expected=expected, faults=case.faults
    )
    # What is computed from it is compared with what follows from it, not with the faults.
    return Ruling(judged, Fault(judged, case.found))
