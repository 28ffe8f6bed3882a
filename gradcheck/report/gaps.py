"""What the report did not establish as a whole, in words: they are in its first line, and `--strict` fails for them."""

from __future__ import annotations

from gradcheck.checks.wording import listing
from gradcheck.report.contents import ReportContents
from gradcheck.report.program_section import CellError, where


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
    unseen = [u.parameter for step in report.passes for u in step.flow.updates if u.unseen]
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
            return f"{_place(error)} raised {error.error.partition(':')[0]}"
    return ""


def _place(error: CellError) -> str:
    return f"{error.file} {where(error.cell, error.line)}".lstrip()
