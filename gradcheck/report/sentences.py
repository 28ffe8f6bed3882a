"""What a report says in words, the same in the terminal and in Markdown."""

import shlex
from collections.abc import Iterator, Sequence

from gradcheck.base import numbers
from gradcheck.base.groups import joined
from gradcheck.checks.finding import Severity
from gradcheck.checks.wording import listing
from gradcheck.judge.verdict import GradientResult, PassResult, Verdict
from gradcheck.program.location import Location
from gradcheck.report.contents import ReportContents
from gradcheck.report.layout import printable
from gradcheck.report.program_section import ProgramSection, where

# What a person must act on comes first.
_ORDER = (
    Verdict.INTRODUCED, Verdict.COMPENSATED, Verdict.INHERITED, Verdict.CORRECT,
    Verdict.UNOBSERVABLE, Verdict.UNCHECKED,
)  # fmt: skip
WRONG = _ORDER[:3]
_INVARIANT = "the true gradient is zero by invariance, so it says nothing about this line"


def headline(report: ReportContents) -> str:
    """`day70.ipynb: 19 gradients: 4 introduced, 9 inherited, 6 correct`."""
    rows = report.rows
    if not rows:
        return f"{report.target}: no manual gradient was found"
    summary = report.summary
    if not summary["checked"]:
        return f"{report.target}: nothing could be checked: {numbers.count(len(rows), 'unchecked gradient')}"
    parts = [f"{n} {verdict}" for verdict in _ORDER if (n := summary[verdict.value])]
    missing = "".join(f"; incomplete: {gap}" if not n else f"; {gap}" for n, gap in enumerate(gaps(report)))
    beside = "" if any(summary[verdict.value] for verdict in WRONG) else _beside(report)
    return f"{report.target}: {numbers.count(len(rows), 'gradient')}: {', '.join(parts)}{beside}{missing}"


def _beside(report: ReportContents) -> str:
    """Errors of a program whose formulas are all right: a count of right ones alone would hide them."""
    errors = [f"{f.rule} {f.name}" for f in report.findings if f.severity is Severity.ERROR]
    found = list(dict.fromkeys(errors))
    return f"; the error is of another kind: {joined(found, 3)}" if found else ""


def pass_line(step: PassResult, of: int) -> str:
    """``loss `loss` = 3.3187 at iteration 0, computed in cell 8 line 41``."""
    lead = f"pass {step.index + 1} of {of}: " if of > 1 else ""
    iteration = "" if step.iteration is None else f" at iteration {step.iteration}"
    where = step.loss_location
    cell = "" if where.cell is None else f"cell {where.cell} "
    probes = f"; {numbers.count(step.probes, 'probe point')}" if step.probes else ""
    if step.layer:
        return f"{lead}`{step.layer}`, checked as a layer{probes}"
    value = numbers.value(step.loss_value, 5)
    if step.inferred:
        return (
            f"{lead}no loss is computed{iteration}: the gradients are compared with those of {step.loss} ({value}), "
            f"where the backward pass begins in {cell}line {where.line}{probes}"
        )
    return f"{lead}loss `{step.loss}` = {value}{iteration}, computed in {cell}line {where.line}{probes}"


def gradient(row: GradientResult) -> str:
    """`d_A_1 of A_1: introduced, total error 0.43, local error 0.53`."""
    of = f" of {row.of}" if row.of else ""
    errors = [
        f"{kind} error {numbers.error(error)}"
        for kind, error in (("total", row.total_error), ("local", row.local_error))
        if error is not None
    ]
    return printable(", ".join((f"{row.name}{of}: {row.verdict.value}", *errors)))


def row_remarks(step: PassResult) -> Iterator[str]:
    """What the table cannot say of its rows: why one is unchecked or unobservable, how one is scaled."""
    reasons: dict[tuple[str, str], list[GradientResult]] = {}
    for row in step.gradients:
        if row.verdict is Verdict.UNCHECKED:
            reasons.setdefault(("unchecked", row.reason or "no reason was recorded"), []).append(row)
        elif row.verdict is Verdict.UNOBSERVABLE:
            reasons.setdefault(("unobservable", row.reason or _INVARIANT), []).append(row)
        elif row.scale_note:
            reasons.setdefault(("scale", row.scale_note), []).append(row)
    for (kind, reason), rows in reasons.items():
        yield f"{kind}: {listing([row.name for row in rows], most=6)}: {reason}"
    right = (row for row in step.gradients if row.verdict is Verdict.CORRECT)
    yield from (f"note: {note}" for row in right for note in row.notes)
    yield from (f"note: {note}" for note in step.notes)


def conclusion(report: ReportContents) -> str:
    """The conclusion. Silence never reads as health: what was not checked is repeated here."""
    counts = ", ".join(numbers.count(n, s.value) for s in Severity if (n := report.count(s)))
    codes = list(dict.fromkeys(f.rule for f in report.findings))
    if counts:
        one = len(codes) == 1
        page = f"`gradcheck rule {codes[0]}` explains it" if one else "`gradcheck rule CODE` explains each"
        return f"Found {counts}; {page}."
    wrong = [r for r in report.rows if r.verdict in (Verdict.INTRODUCED, Verdict.INHERITED)]
    if wrong:
        silent = ", though no selected rule says so"
        if report.suppressed:
            silent = "; comments suppress what the rules report"
        elif report.accepted:
            silent = "; the baseline accepts what the rules report"
        return f"{numbers.count(len(wrong), 'gradient')} {_are(wrong)} wrong{silent}."
    return _no_fault(report)


def set_aside(report: ReportContents) -> Iterator[str]:
    """What comments suppress and what a baseline accepts, and where."""
    for found, how in (
        ([each.finding for each in report.suppressed], "suppressed by comments"),
        (report.accepted, "accepted by the baseline"),
    ):
        if found:
            places = [f"{each.rule} at {_whereabouts(each.location, report)}" for each in found]
            yield f"{numbers.count(len(places), 'finding')} {_are(places)} {how}: {joined(places, 4)}"


_MEANINGS = {
    Verdict.INTRODUCED: "this line makes an error",
    Verdict.INHERITED: "this line is right, and what it reads is not: here is nothing to edit",
    Verdict.COMPENSATED: "this line is wrong, and what it reads is wrong the other way round",
}


def meanings(step: PassResult) -> Iterator[str]:
    """Of the verdicts on its gradients that one cannot guess."""
    given = {row.verdict for row in step.gradients}
    return (f"{verdict.value}: {meaning}" for verdict, meaning in _MEANINGS.items() if verdict in given)


def fixes(report: ReportContents) -> str:
    """How to get at the fixes that were proved; empty if there are none."""
    proved = {(f.fix.location, f.fix.replacement) for f in report.findings if f.fix and f.fix.verified}
    if not proved:
        return ""
    count = numbers.count(len(proved), "verified fix", "verified fixes")
    if report.watched:
        return f"{count}, shown with {'its finding' if len(proved) == 1 else 'their findings'}."
    given = f" -- {shlex.join(report.arguments)}" if report.arguments else ""
    return f"{count}; `gradcheck fix {shlex.quote(report.target)}{given}` shows the patch."


def program_remarks(section: ProgramSection) -> Iterator[str]:
    """What was not run, what raised, how the run ended."""
    for error in section.errors:
        place = f"{error.file} {where(error.cell, error.line)}".lstrip()
        called = f", called from {error.called_from}," if error.called_from else ""
        text = f": `{error.text.strip()}`" if error.text.strip() else ""
        yield f"{place}{called} raised {error.error}{text}"
        if error.hint:
            yield f"help: {error.hint}"
    for skipped in section.skipped:
        reason = f" ({skipped.reason})" if skipped.reason else ""
        yield f"{where(skipped.cell, skipped.line)} was not run: `{skipped.text.strip()}`{reason}"
    yield from section.notes
    if section.ended != "completed":
        yield f"the run ended early: {section.explanation or section.ended}"


def _no_fault(report: ReportContents) -> str:
    summary = report.summary
    checked, unchecked = summary["checked"], summary[Verdict.UNCHECKED.value]
    unobservable = summary[Verdict.UNOBSERVABLE.value]
    if not checked:
        return "No gradient could be checked: this report says nothing about the program."
    right = checked - unobservable
    if missing := gaps(report):
        seen = numbers.count(checked, "gradient")
        text = f"No fault in the {seen} that could be checked, but the report is incomplete: {'; '.join(missing)}."
    elif unchecked:
        seen = numbers.count(checked, "gradient")
        text = f"No fault in the {seen} that could be checked; {unchecked} could not be."
    elif unobservable and right:
        text = f"No fault: {numbers.count(right, 'gradient')} {'is' if right == 1 else 'are'} right."
    elif right:
        text = "The one gradient is right." if right == 1 else f"All {right} gradients are right."
    else:
        text = "No fault was found."
    if unobservable:
        text += f" {unobservable} {'is' if unobservable == 1 else 'are'} unobservable: the true gradient is zero by invariance."
    return text


def _are(rows: Sequence[object]) -> str:
    return "is" if len(rows) == 1 else "are"


def _whereabouts(place: Location, report: ReportContents) -> str:
    file = "" if place.file in report.target else f"{place.file} "
    return f"{file}{where(place.cell, place.line)}"


def gaps(report: ReportContents) -> list[str]:
    """Empty for a program that ran as far as it should, and whose gradients were all found, and checked in part at least."""
    found = []
    if not report.summary["checked"]:
        found.append("no gradient could be checked")
    if report.program.stopped:
        found.append(f"it was stopped while {report.program.stopped}")
    if crash := _crash(report):
        found.append(crash)
    if unread := report.program.unread:
        found.append(f"{listing(unread, most=3)} {'was' if len(unread) == 1 else 'were'} not judged")
    # In any pass: the step of a generator follows that of a discriminator.
    known = {row.of for row in report.rows}
    moves = [u for step in report.passes for u in step.flow.updates]
    unseen = [u.parameter for u in moves if u.unseen and u.parameter not in known]
    if names := list(dict.fromkeys(unseen)):
        found.append(
            f"no gradient of {listing(names, most=3)} was found, though the program moves {'it' if len(names) == 1 else 'them'}"
        )
    return found


def _crash(report: ReportContents) -> str:
    """A script that raised, or a cell that computes gradients. What other cells do is in the remarks."""
    program = report.program
    if program.ended == "timeout":
        return "the program was stopped before its end"
    if program.ended == "exception" and not program.errors:  # its layers were checked instead
        return "the program raised before its first training step"
    cells = {row.location.cell for row in report.rows}
    for error in program.errors:
        if error.cell in cells:
            return f"{f'{error.file} {where(error.cell, error.line)}'.lstrip()} raised {error.error.partition(':')[0]}"
    return ""
