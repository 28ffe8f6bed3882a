"""Tries the families of mistakes one after the other, the simplest first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from gradcheck.diagnosis.explanations import (
    branches,
    elementwise,
    epsilon,
    factors,
    losses,
    operands,
    reductions,
    repeated_index,
    upstream,
    whole_factors,
)
from gradcheck.diagnosis.explanations.case import CannotExplainError, Case
from gradcheck.diagnosis.explanations.explanation import Explanation, Hypothesis
from gradcheck.judge.judged import Judged
from gradcheck.judge.judgement import JudgedPass, Judgement
from gradcheck.judge.verdict import Verdict

# Where two mistakes give the same numbers, the one that stands first here is told.
FAMILIES: tuple[Callable[[Case], Iterator[Hypothesis]], ...] = (
    factors.hypotheses,
    upstream.of_manual_gradients,
    losses.hypotheses,
    repeated_index.hypotheses,
    branches.hypotheses,
    operands.hypotheses,
    epsilon.hypotheses,
    operands.exchanged_for_read,
    elementwise.hypotheses,
    operands.exchanged_for_any,
    upstream.of_read_values,
    upstream.of_skipped_steps,
    reductions.hypotheses,
    upstream.of_seeds,
    whole_factors.hypotheses,
)


def explain(judgement: Judgement, judged_pass: JudgedPass, judged: Judged) -> list[Explanation]:
    """Why a wrong gradient is wrong: exactly one explanation, or none where nothing reproduces the number. Never
    raises: an explanation is a help, and a report without it is still right."""
    try:
        return proved(judgement, judged_pass, judged)
    except Exception:
        return []


def proved(judgement: Judgement, judged_pass: JudgedPass, judged: Judged) -> list[Explanation]:
    """The same, but errors of its own come out."""
    if judged.verdict not in (Verdict.INTRODUCED, Verdict.COMPENSATED):
        return []
    try:
        case = Case(judgement, judged_pass, judged)
    except CannotExplainError:
        return []
    for family in FAMILIES:
        case.tried = 0
        for hypothesis in family(case):
            if case.tried >= case.most_tries:
                break
            if case.proves(hypothesis):
                evidence = {**hypothesis.evidence, "points": len(case.scenes)}
                return [Explanation(hypothesis.kind, hypothesis.sentence(), evidence)]
    return []
