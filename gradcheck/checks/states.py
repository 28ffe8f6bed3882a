"""What became of every rule: a check that had nothing to look at is `not triggered`, never "ok"."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gradcheck.checks.finding import Finding
from gradcheck.checks.registry import all_rules, is_selected
from gradcheck.checks.rule import Evidence


class State(StrEnum):
    FOUND = "found"
    PASSED = "passed"
    NOT_TRIGGERED = "not triggered"
    NOT_SELECTED = "not selected"


@dataclass(slots=True)
class CheckState:
    """`looked_at` says what the rule judged, `reason` why it had nothing to judge."""

    rule: str
    name: str
    state: State
    findings: int = 0
    looked_at: str = ""
    reason: str = ""


def states_of(
    evidence: Evidence, findings: Iterable[Finding], select: Sequence[str] = (), ignore: Sequence[str] = ()
) -> list[CheckState]:
    """One for every rule, by code."""
    counts = Counter(finding.rule for finding in findings)
    states = []
    for rule in all_rules():
        if not is_selected(rule, select, ignore):
            states.append(CheckState(rule.code, rule.name, State.NOT_SELECTED))
            continue
        looked, count = rule.looked_at(evidence), counts[rule.code]
        if count:
            state = State.FOUND
        else:
            state = State.PASSED if looked.what else State.NOT_TRIGGERED
        states.append(CheckState(rule.code, rule.name, state, count, looked.what, looked.why_not))
    return states
