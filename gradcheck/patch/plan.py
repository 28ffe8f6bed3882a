"""Which fixes of one or several reports are applied: the verified ones, each once, and none on top of another."""

from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from gradcheck.checks.finding import Finding, Fix
from gradcheck.program.location import Location
from gradcheck.report.model import Report


@dataclass(frozen=True, slots=True)
class PlannedFix:
    """A fix, the findings it repairs, and the person's lines when it was proved."""

    fix: Fix
    findings: tuple[Finding, ...]
    old_lines: tuple[str, ...] | None  # None if the report did not keep them

    @property
    def location(self) -> Location:
        return self.fix.location


@dataclass(slots=True)
class Plan:
    fixes: list[PlannedFix] = field(default_factory=list)  # to apply, in program order
    # It overlaps with the second.
    postponed: list[tuple[PlannedFix, PlannedFix]] = field(default_factory=list)
    unfixed: list[Finding] = field(default_factory=list)  # no verified fix is known


def plan_fixes(
    reports: Iterable[Report], *, unproved: bool = False, files: Container[Path] | None = None
) -> Plan:
    """The plan for all reports together: programs may share a module, and then its faults. `unproved`: edits that fit the
    recorded step and could not be proved count too. `files` are those that may be edited."""
    plan = Plan()
    fixed: dict[tuple[Location, str], list[Finding]] = {}
    planned: dict[tuple[Location, str], tuple[Fix, tuple[str, ...] | None]] = {}
    for report in reports:
        for finding in report.findings:
            fix = finding.fix
            allowed = fix is not None and (files is None or Path(fix.location.file).resolve() in files)
            if fix is None or not allowed or not (fix.verified or unproved):
                if finding not in plan.unfixed:
                    plan.unfixed.append(finding)
                continue
            key = (fix.location, fix.replacement)
            planned.setdefault(key, (fix, _old_lines(report, fix.location)))
            fixed.setdefault(key, []).append(finding)
    candidates = [PlannedFix(fix, tuple(fixed[key]), old) for key, (fix, old) in planned.items()]
    for candidate in sorted(candidates, key=_program_order):
        blocker = next((f for f in plan.fixes if _overlap(f.location, candidate.location)), None)
        if blocker is None:
            plan.fixes.append(candidate)
        else:
            plan.postponed.append((candidate, blocker))
    return plan


def _old_lines(report: Report, location: Location) -> tuple[str, ...] | None:
    excerpt = report.excerpt(location)
    if excerpt is None:
        return None
    return tuple(excerpt.line(number) for number in range(location.line, location.end_line + 1))


def _program_order(planned: PlannedFix) -> tuple[str, int, tuple[int, int], tuple[int, int]]:
    place = planned.location
    return place.file, place.cell or 0, *_ends(place)


def _overlap(first: Location, second: Location) -> bool:
    """Whether they share a character, or one inserts at an edge of the other: then their order would matter."""
    if (first.file, first.cell) != (second.file, second.cell):
        return False
    (start, end), (other_start, other_end) = _ends(first), _ends(second)
    if start == end or other_start == other_end:
        return start <= other_end and other_start <= end
    return start < other_end and other_start < end


def _ends(place: Location) -> tuple[tuple[int, int], tuple[int, int]]:
    return (place.line, place.column), (place.end_line, place.end_column)
