"""One cause, one finding: what the same edit mends is told once, at the line to edit."""

from __future__ import annotations

from collections.abc import Sequence

from gradcheck.checks.finding import Finding, Fix
from gradcheck.checks.registry import all_rules
from gradcheck.checks.wording import listing
from gradcheck.program.location import Location

DIAGNOSED = tuple(rule.code for rule in all_rules() if rule.is_diagnosed)


def one_per_cause(findings: Sequence[Finding]) -> list[Finding]:
    """The findings without those whose cause another one tells."""
    groups: dict[tuple[Location, str], list[Finding]] = {}
    for finding in findings:
        if finding.fix is not None and finding.fix.verified:
            groups.setdefault((finding.fix.location, finding.fix.replacement), []).append(finding)
    dropped: set[int] = set()
    for group in groups.values():
        fix = group[0].fix
        assert fix is not None
        # A gradient computed on the very line to edit, for which no edit of its own was found, is wrong by it too.
        members = [
            *group,
            *(
                f
                for f in findings
                if f.fix is None and f.rule in DIAGNOSED and _covers(f.location, fix.location)
            ),
        ]
        if len(members) < 2:
            continue
        told = min(members, key=lambda f: ("gradient_line" in f.evidence, findings.index(f)))
        _tell_once(told, [f for f in members if f is not told], fix)
        dropped.update(id(f) for f in members if f is not told)
    return [finding for finding in findings if id(finding) not in dropped]


def _tell_once(told: Finding, others: list[Finding], fix: Fix) -> None:
    if told.fix is None:
        told.fix = fix
        told.helps += [text for text in others[0].helps if text not in told.helps]
    own = str(told.evidence.get("gradient"))
    names = [name for f in others if (name := str(f.evidence.get("gradient"))) != own]
    if not names:
        return  # what it was before its last line
    verb = "is" if len(set(names)) == 1 else "are"
    told.notes.append(f"{listing(names)} {verb} wrong by the same cause")
    told.evidence["same_cause"] = list(dict.fromkeys(names))


def _covers(outer: Location, inner: Location) -> bool:
    same = (outer.file, outer.cell) == (inner.file, inner.cell)
    return same and outer.line <= inner.line and inner.end_line <= outer.end_line
