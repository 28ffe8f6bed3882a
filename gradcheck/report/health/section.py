"""What became of the health rules: a table, and one line for each rule."""

from collections import Counter
from collections.abc import Iterable, Iterator

from gradcheck.base import numbers
from gradcheck.base.groups import grouped
from gradcheck.checks.registry import HEALTH_FAMILIES, CheckState, State
from gradcheck.report.tables import Column, Table


def checks_table(checks: Iterable[CheckState], verbose: bool = True) -> Table:
    """What became of every health rule that was selected; without `verbose`, of those alone that found something."""
    columns = (
        Column("rule", "rule"),
        Column("name", "looks for"),
        Column("state", "state", "state.value"),
        Column("findings", "findings", lambda check: check.findings or None),
        Column("looked_at", "looked at, or why not", lambda check: check.looked_at or check.reason),
    )
    return Table.of("checks", "Health", columns, [c for c in health_checks(checks) if verbose or c.findings])


def health_checks(checks: Iterable[CheckState]) -> list[CheckState]:
    return [
        check
        for check in checks
        if check.rule.startswith(HEALTH_FAMILIES) and check.state is not State.NOT_SELECTED
    ]


def silent(checks: Iterable[CheckState]) -> str:
    """How many health rules found nothing, and how many had nothing to look at; empty if every one found something."""
    states = Counter(check.state for check in health_checks(checks))
    passed, idle = states[State.PASSED], states[State.NOT_TRIGGERED]
    parts = [f"{numbers.count(passed, 'rule')} found nothing"] if passed else []
    if idle:
        parts.append(f"{idle if passed else numbers.count(idle, 'rule')} had nothing to look at")
    return f"health: {', '.join(parts)}; `--verbose` lists them" if parts else ""


def health_lines(checks: Iterable[CheckState], verbose: bool) -> Iterator[str]:
    """For the terminal: what was looked at and found well, and what could not be looked at."""
    shown = health_checks(checks)
    if not verbose:
        yield from filter(None, [silent(shown)])
        return
    passed = [check for check in shown if check.state is State.PASSED]
    if passed:
        yield "health: nothing found by " + ", ".join(f"{c.rule} {c.name} ({c.looked_at})" for c in passed)
    others = [check for check in shown if check.state is State.NOT_TRIGGERED]
    reasons = grouped((check.reason or "nothing to look at", check.rule) for check in others)
    for reason, codes in reasons.items():
        yield f"not triggered: {', '.join(codes)}: {reason}"
