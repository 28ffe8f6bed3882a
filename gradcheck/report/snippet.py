"""A finding as rustc and Elm would show it: the code, the person's own line with a caret, then the why."""

from collections.abc import Collection, Iterable, Iterator

from rich.cells import cell_len
from rich.text import Text

from gradcheck.checks.finding import Finding, Fix, Severity
from gradcheck.program.location import Location
from gradcheck.report.contents import Excerpt
from gradcheck.report.fix_lines import fix_lines, last_number
from gradcheck.report.layout import GUTTER, describe, page, printable, window, wrapped

STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "bold yellow", Severity.NOTE: "bold cyan"}
_MOST_LINES = 6  # of a span; a longer one is shown by its ends
_LEAST_LABEL = 36  # cells; a label with less room than this moves to the left


def with_fixes_before(findings: Iterable[Finding]) -> Iterator[tuple[Finding, Collection[Fix]]]:
    """Each with the fixes that are shown with those before it: one fix may repair several, and is shown once."""
    shown: list[Fix] = []
    for finding in findings:
        yield finding, shown
        shown = [*shown, finding.fix] if finding.fix else shown


def render_finding(
    finding: Finding, excerpt: Excerpt | None, width: int, shown: Collection[Fix] = ()
) -> Text:
    """The finding in lines of at most `width` cells, unless a word is longer. `shown`: see `with_fixes_before`."""
    margin = margin_of(finding, shown)
    out = Text()
    head = f"{finding.severity.value}[{finding.rule}]"
    lines = wrapped(f"{head}: {printable(finding.message)}", width, "  ")
    out.append(head, STYLES[finding.severity])
    out.append("\n".join(lines)[len(head) :] + "\n", "bold")
    out.append(" " * margin + "--> ", GUTTER)
    out.append(f"{describe(finding.location)}\n")
    if excerpt is not None:
        for row in source_lines(finding, excerpt, margin, width, finding.label):
            out.append_text(row).append("\n")
        out.append(" " * margin + "|\n", GUTTER)
    elif finding.label:
        out.append_text(attached(margin, "", finding.label, width))
    for lead, text in remarks(finding, shown):
        out.append_text(attached(margin, f"{lead}: ".ljust(10 if lead == "found" else 0), text, width))
    for row in shown_fix(finding, margin, width, shown):
        out.append_text(row).append("\n")
    out.right_crop(1)  # the last newline: the caller decides what separates findings
    return out


def margin_of(finding: Finding, shown: Collection[Fix]) -> int:
    """The width of the gutter, where the numbers of the lines stand."""
    fix = None if finding.fix in shown else finding.fix
    return len(str(max(finding.location.end_line, last_number(fix) if fix else 0))) + 2


def shown_fix(finding: Finding, margin: int, width: int, shown: Collection[Fix]) -> Iterator[Text]:
    """The lines of the fix, unless it was shown before."""
    place, fix = finding.location, finding.fix
    if fix is not None and fix not in shown:
        elsewhere = (place.file, place.cell) != (fix.location.file, fix.location.cell)
        yield from fix_lines(fix, margin, width, elsewhere)


def remarks(finding: Finding, shown: Collection[Fix]) -> Iterator[tuple[str, str]]:
    """What is said below the lines, each with the word that it begins with."""
    if finding.expected:
        yield "expected", finding.expected
    if finding.found:
        yield "found", finding.found
    for note in finding.notes:
        yield "note", note
    for advice in finding.helps:
        yield "help", advice
    if finding.fix is None:
        return
    if finding.fix in shown:
        yield "help", f"the fix shown above, at {describe(finding.fix.location)}, fixes this too"
    elif not finding.helps and not finding.fix.verified:
        yield "help", "a fix that was not proved:"
    elif not finding.helps:  # else the last of them introduces it
        yield "help", "this fix was proved by replay:"


def attached(margin: int, lead: str, text: str, width: int) -> Text:
    """A remark below the excerpt: `  = note: ...`, continued under its own text."""
    out = Text()
    if not lead:
        out.append(f"{' ' * margin}    {printable(text)}\n")
        return out
    indent = " " * (margin + 2 + len(lead))
    lines = wrapped(indent + printable(text), width, indent)
    out.append(" " * margin + "= ", GUTTER)
    out.append(lead, "bold")
    out.append("\n".join(lines)[len(indent) :] + "\n")
    return out


def source_lines(finding: Finding, excerpt: Excerpt, margin: int, width: int, label: str) -> Iterator[Text]:
    """The numbered lines of the span, each with carets under its part; the label beside the last."""
    style = STYLES[finding.severity]
    room = width - margin - 2
    yield Text(" " * margin + "|", GUTTER)
    previous = None
    for number in _shown_lines(finding.location):
        if previous is not None and number != previous + 1:
            yield Text("...", GUTTER)
        previous = number
        text, start, length = window(*_underlined(excerpt.line(number), number, finding.location), room)
        yield Text.assemble((f" {number:>{margin - 2}} | ", GUTTER), text)
        if length and number != finding.location.end_line:
            yield Text.assemble((" " * margin + "| ", GUTTER), (" " * start + "^" * length, style))
    if not length:
        return
    bar = (" " * margin + "| ", GUTTER)
    carets = " " * start + "^" * length
    label = printable(label)
    room = page(width) - margin - 2
    if start + length + 1 + cell_len(label) <= room:
        yield Text.assemble(bar, (f"{carets} {label}".rstrip(), style))
        return
    yield Text.assemble(bar, (carets, style))
    start = start if room - start >= _LEAST_LABEL else min(start, 4)
    for line in wrapped(label, room - start):
        yield Text.assemble(bar, (" " * start + line, style))


def _shown_lines(location: Location) -> list[int]:
    numbers = list(range(location.line, location.end_line + 1))
    return numbers if len(numbers) <= _MOST_LINES else [*numbers[:2], *numbers[-2:]]


def _underlined(line: str, number: int, location: Location) -> tuple[str, int, int]:
    """The line as shown, and the cells where its carets start and how many there are."""
    body = line.rstrip()
    first = location.column - 1 if number == location.line else len(body) - len(body.lstrip())
    end = location.end_column - 1 if number == location.end_line else len(body)
    if not 0 <= first < min(end, len(body)):  # a position that the line does not have: point at all of it
        first, end = len(body) - len(body.lstrip()), len(body)
    before, under = printable(body[:first]), printable(body[first:end])
    return printable(body), cell_len(before), cell_len(under)
