"""The diagnosis stage as a whole: why a gradient is wrong, and the edit that replay has proved to make it right."""

import copy
import math
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from gradcheck.base.deadline import TimeIsUpError, within
from gradcheck.base.numbers import count
from gradcheck.checks import gc101_wrong_gradient as gc101
from gradcheck.checks.finding import Finding
from gradcheck.checks.registry import in_reading_order
from gradcheck.diagnosis.clock import Clock
from gradcheck.diagnosis.consequence import Healed, healed_by
from gradcheck.diagnosis.findings import (
    DIAGNOSED,
    NOT_SEARCHED,
    attach,
    explain_in,
    one_per_cause,
    tell_what_heals,
)
from gradcheck.diagnosis.found import Found
from gradcheck.diagnosis.held_constant import held_constant, say_it_is_held
from gradcheck.diagnosis.mistakes.explain import explain
from gradcheck.diagnosis.mistakes.mistake import Explanation
from gradcheck.diagnosis.namespace import BindingIndex
from gradcheck.diagnosis.search import FixSearch
from gradcheck.judge.judged import Judged
from gradcheck.judge.judgement import JudgedPass, Judgement
from gradcheck.judge.verdict import Verdict
from gradcheck.program.torch_settings import kept_random_states, kept_torch_settings

_FAULTS_WORTH = 12  # budgets of one fault that all faults of a program may take together
_AT_LEAST_S = 60.0
_MORE = 0.1  # of that time, for what is said about what was found
_AT_FAULT = (Verdict.INTRODUCED, Verdict.COMPENSATED)


@dataclass(slots=True)
class _Case:
    """One finding, and the gradients of one pass that it is about."""

    finding: Finding
    judged_pass: JudgedPass
    group: list[Judged]
    found: Found | None = None
    is_searched: bool = False
    is_explained: bool = False
    explanations: list[Explanation] = field(default_factory=list)
    healed: list[Healed] = field(default_factory=list)


def total_budget(said_s: float | None, budget_s: float) -> float:
    return max(_AT_LEAST_S, _FAULTS_WORTH * budget_s) if said_s is None else said_s


def diagnose(
    judgement: Judgement,
    findings: Sequence[Finding],
    budget_s: float,
    total_s: float | None = None,
    on_progress: Callable[[str], None] = lambda text: None,
    holds: Callable[[Found], bool] | None = None,
    on_fix: Callable[[list[Finding]], None] | None = None,
) -> list[Finding]:
    """The findings with their explanations and fixes, one for each cause, in the order of the lines to edit.

    `budget_s` is the processor time in seconds spent at most on the search for the fix of one fault; 0 looks for
    none. `total_s` is what all faults take together, a tenth more at most: twelve such budgets, and a minute at least, where
    nothing is said. `holds`: see FixSearch. `on_fix` is told the findings with the fixes so far.
    """
    total_s = total_budget(total_s, budget_s)

    def tell() -> None:
        if on_fix is not None:
            on_fix(_so_far(findings, cases, judgement))

    cases = [case for finding in findings if (case := _case_of(finding, judgement)) is not None]
    cases = _without_held(cases, judgement)
    with warnings.catch_warnings(), kept_torch_settings(), kept_random_states():
        warnings.simplefilter("ignore")  # edits that are tried may be deprecated, or worse
        begun = time.process_time()
        if min(budget_s, total_s) > 0:
            _search(cases, judgement, budget_s, total_s, on_progress, holds, tell)
            _say_what_is_left(cases, judgement, total_s)
        left_s = (1 + _MORE) * (total_s or _AT_LEAST_S) - (time.process_time() - begun)
        with suppress(TimeIsUpError), within(left_s):
            for case in cases:
                # A line that is right as it is written needs no explanation of what is wrong with it.
                if case.found is None or case.found.forward is None:
                    case.explanations = explain(judgement, case.judged_pass, case.group[0])
                    case.is_explained = True
                    case.healed = _healed(case)
    for case in cases:
        explain_in(case.finding, case.explanations, case.found, case.is_searched and case.is_explained)
        tell_what_heals(case.finding, case.healed)
        if case.found is not None:
            attach(case.finding, case.found, judgement)
    return in_reading_order(one_per_cause(findings))


def _without_held(cases: list[_Case], judgement: Judgement) -> list[_Case]:
    """For gradients that are right if one value is a constant no fix is looked for: it is said."""
    for judged_pass in judgement.passes:
        same = [c for c in cases if c.judged_pass is judged_pass and c.finding.rule == gc101.RULE.code]
        judge, wrong = judged_pass.judge, [judged for case in same for judged in case.group]
        value = held_constant(judge, wrong) if judge is not None else None
        if value is not None and value.producer is not None:
            line = judgement.places.location(value.producer).line
            for case in same:
                say_it_is_held(case.finding, judgement.names.shown(value), line)
            cases = [case for case in cases if case not in same]
    return cases


def _search(
    cases: list[_Case], judgement: Judgement, budget_s: float, total_s: float,
    on_progress: Callable[[str], None], holds: Callable[[Found], bool] | None, on_fix: Callable[[], None],
) -> None:  # fmt: skip
    index = BindingIndex(judgement.recording, judgement.sources)
    searches: dict[int, FixSearch] = {}
    # Where there is not time enough for all of them, the cheapest come first.
    ordered = sorted(cases, key=_cost) if len(cases) * budget_s > total_s else cases
    with suppress(TimeIsUpError), within(total_s):
        for number, case in enumerate(ordered, start=1):
            on_progress(f"searching for a fix: {case.group[0].candidate.name} ({number} of {len(cases)})")
            try:
                search = searches.get(id(case.judged_pass))
                if search is None:
                    search = FixSearch(judgement, case.judged_pass, index, holds)
                    searches[id(case.judged_pass)] = search
                _search_for(case, cases, search, budget_s)
                if case.found is not None:
                    on_fix()
            except Exception as error:
                # A fault of ours costs the person a suggestion, never the report.
                judgement.recording.notes.append(
                    f"the search for a fix of `{case.group[0].candidate.name}` ended by an error inside gradcheck: "
                    f"{type(error).__name__}: {error}"
                )
            case.is_searched = True
    for case in cases:
        for other in cases:
            if other.found is not None and other.judged_pass is case.judged_pass and _is_stage(case, [other]):
                case.found = other.found
    with within(_MORE / 2 * total_s):
        for key, search in searches.items():
            _prove_together(search, [case for case in cases if id(case.judged_pass) == key])


def _so_far(findings: Sequence[Finding], cases: list[_Case], judgement: Judgement) -> list[Finding]:
    found = {id(case.finding): case.found for case in cases if case.found is not None}
    told = [copy.deepcopy(finding) for finding in findings]
    for finding, as_found in zip(told, findings, strict=True):
        if id(as_found) in found:
            attach(finding, found[id(as_found)], judgement)
    return in_reading_order(one_per_cause(told))


def _cost(case: _Case) -> tuple[int, int]:
    """What is replayed for each edit that is tried, and how many numbers are compared."""
    of = case.group[0].of
    return len(case.judged_pass.prepared.manual), math.prod(of.shape) if of is not None else 0


def _say_what_is_left(cases: list[_Case], judgement: Judgement, total_s: float) -> None:
    left = [case for case in cases if not case.is_searched and case.found is None]
    for case in left:
        case.finding.notes.append(NOT_SEARCHED)
    if left:
        judgement.recording.notes.append(
            f"the search for a fix was not finished for {len(left)} of {count(len(cases), 'fault')}: the time for all of them "
            f"was used up ({total_s:g} s; --total-budget gives more)"
        )


def _search_for(case: _Case, cases: list[_Case], search: FixSearch, budget_s: float) -> None:
    """One cause may show in several gradients: a fix of one is tried on the others before another is looked for."""
    same_pass = [other for other in cases if other.judged_pass is case.judged_pass and other is not case]
    if _is_stage(case, same_pass):
        return
    known = [other.found for other in same_pass if other.found is not None]
    case.found = next((found for found in known if search.fixes(found, case.group)), None)
    if case.found is not None:
        return
    case.found = search.find(case.group, Clock(budget_s))
    for other in same_pass:
        if other.found is None and case.found is not None and search.fixes(case.found, other.group):
            other.found = case.found


def _healed(case: _Case) -> list[Healed]:
    """Never raises: without it, a report is still right."""
    assert case.judged_pass.judge is not None
    try:
        return healed_by(case.judged_pass.judge, case.group)
    except Exception:
        return []


def _is_stage(case: _Case, others: list[_Case]) -> bool:
    """Whether a case is about what a gradient was before its last line, and another about what it is in the end: that
    is the one to fix."""
    own = case.group[0]
    return any(
        judged.candidate is own.candidate and judged.of is own.of and judged.version.after > own.version.after
        for other in others
        for judged in other.group
    )


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
    """Several faults of one pass are fixed together: fixes that do not hold beside the earlier ones are dropped."""
    fixed = [
        case
        for case in cases
        if case.found is not None
        and case.found.proof.proved
        and case.found.patches
        and not _is_stage(case, cases)
    ]
    kept: list[tuple[Found, list[Judged]]] = []
    try:
        if len(fixed) < 2 or search.holds_together([(c.found, c.group) for c in fixed if c.found]):
            return
        for case in fixed:
            assert case.found is not None
            if search.holds_together([*kept, (case.found, case.group)]):
                kept.append((case.found, case.group))
            else:
                case.found = None
    except TimeIsUpError:
        for case in fixed[max(len(kept), 1) :]:
            case.found, case.is_searched = None, False  # proved alone, and not beside the others
