"""The diagnosis stage as a whole: gives findings about wrong gradients the fix that replay has proved."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from gradcheck.checks.finding import Finding
from gradcheck.diagnosis.namespace import BindingIndex
from gradcheck.diagnosis.search import Clock, FixSearch, Found
from gradcheck.diagnosis.wording import attach
from gradcheck.replay.judge import Judged
from gradcheck.replay.report_gradients import JudgedPass, Judgement
from gradcheck.replay.verdict import Verdict

DIAGNOSED = ("GC101", "GC102", "GC106", "GC108")
_AT_FAULT = (Verdict.INTRODUCED, Verdict.COMPENSATED)


@dataclass(slots=True)
class _Case:
    """One finding, and the gradients of one pass that it stands for."""

    finding: Finding
    judged_pass: JudgedPass
    group: list[Judged]
    found: Found | None = None


def diagnose(
    judgement: Judgement,
    findings: Sequence[Finding],
    budget_s: float,
    on_progress: Callable[[str], None] = lambda text: None,
) -> None:
    """Adds fixes to `findings`. `budget_s` is the time in seconds spent at most on each fault; 0 looks for none."""
    if budget_s <= 0:
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # edits that are tried may be deprecated, or worse
        _diagnose(judgement, findings, budget_s, on_progress)


def _diagnose(
    judgement: Judgement, findings: Sequence[Finding], budget_s: float, on_progress: Callable[[str], None]
) -> None:
    cases = [case for finding in findings if (case := _case_of(finding, judgement)) is not None]
    if not cases:
        return
    index = BindingIndex(judgement.recording)
    searches: dict[int, FixSearch] = {}
    for number, case in enumerate(cases, start=1):
        on_progress(f"searching for a fix: {case.group[0].candidate.name} ({number} of {len(cases)})")
        search = searches.get(id(case.judged_pass))
        if search is None:
            search = searches[id(case.judged_pass)] = FixSearch(judgement, case.judged_pass, index)
        earlier = [c.found for c in cases if c.found is not None and c.judged_pass is case.judged_pass]
        case.found = next((f for f in earlier if search.mends(f, case.group)), None)
        if case.found is None:
            case.found = search.find(case.group, Clock(budget_s))
            for other in cases[: number - 1]:
                if other.found is None and case.found is not None and other.judged_pass is case.judged_pass:
                    other.found = case.found if search.mends(case.found, other.group) else None
    for key, search in searches.items():
        _prove_together(search, [case for case in cases if id(case.judged_pass) == key])
    for case in cases:
        if case.found is not None:
            attach(case.finding, case.found, judgement)


def _case_of(finding: Finding, judgement: Judgement) -> _Case | None:
    if finding.rule not in DIAGNOSED:
        return None
    for judged_pass in judgement.passes:
        group: list[Judged] = []
        for row in judged_pass.result.gradients:
            if row.location == finding.location and row.verdict in _AT_FAULT:
                group += judged_pass.judged_of.get(id(row), [])
        at_fault = [judged for judged in group if judged.verdict in _AT_FAULT and judged.of is not None]
        if at_fault and judged_pass.judge is not None:
            return _Case(finding, judged_pass, at_fault)
    return None


def _prove_together(search: FixSearch, cases: list[_Case]) -> None:
    """Several faults of one pass are mended together: fixes that do not hold beside the earlier ones are dropped."""
    fixed = [case for case in cases if case.found is not None and case.found.proof.proved]
    if len(fixed) < 2 or search.holds_together([(c.found, c.group) for c in fixed if c.found]):
        return
    kept: list[tuple[Found, list[Judged]]] = []
    for case in fixed:
        assert case.found is not None
        if search.holds_together([*kept, (case.found, case.group)]):
            kept.append((case.found, case.group))
        else:
            case.found = None
