"""A layer report in a terminal and as Markdown: the case table, then each fault with its line and its smallest input."""

from collections.abc import Iterator

from rich.console import Console
from rich.text import Text

from gradcheck.base import numbers
from gradcheck.base.groups import grouped
from gradcheck.checks.wording import listing
from gradcheck.layers.records import SEVERAL, CaseResult, Failure, LayerResults, Raised, Status
from gradcheck.program.written import said
from gradcheck.report.layout import GUTTER, describe, paragraph, printable, wrapped
from gradcheck.report.markup import escaped, fenced
from gradcheck.report.snippet import attached, render_finding

_STYLES = dict.fromkeys(Status, "yellow") | {
    Status.PASSED: "green", Status.FAILED: "bold red", Status.BACKWARD_RAISED: "red", Status.NOT_TRIED: "dim",
}  # fmt: skip
_WIDTH = 100
_SAME = "as above"
_NAMES = 24  # characters of a case's name


def text(report: LayerResults) -> str:
    """Without colours, for an exception or a `print`."""
    blocks = (block.plain for block in _blocks(report, _WIDTH))
    return "\n".join(line.rstrip() for block in blocks for line in block.split("\n"))


def render(report: LayerResults, console: Console) -> None:
    for block in _blocks(report, console.width):
        console.print(block, soft_wrap=True)


def headline(report: LayerResults) -> str:
    """`layers.py::BatchNorm: 10 cases: 7 passed, 2 failed, 1 not run`."""
    summary = report.summary
    parts = [f"{count} {status}" for status, count in summary.items() if count]
    return f"{report.target}: {numbers.count(len(report.cases), 'case')}: {', '.join(parts)}"


def conclusion(report: LayerResults) -> str:
    if report.failures:
        return f"Found {numbers.count(len(report.failures), 'fault')}."
    if report.exit_status == 2:
        return "No case could be judged: this says nothing about the layer."
    if report.never_judged:
        by_reason = grouped((why, name) for name, why in report.never_judged.items())
        listed = "; ".join(f"{listing(names)}: {why}" for why, names in by_reason.items())
        return f"Not checked in any case: {listed}."
    verdicts: dict[str, set[str]] = {}
    for case in report.cases:
        for name, verdict in case.gradients.items():
            verdicts.setdefault(name, set()).add(verdict)
    silent = [name for name, given in verdicts.items() if not given & {"correct", "compensated"}]
    seen = len(verdicts) - len(silent)
    right = "The one gradient is" if seen == 1 else f"All {seen} gradients are"
    ran = report.summary[Status.PASSED.value]
    rest = [
        f"{numbers.count(n, 'case')} {status.value}"
        for status in (Status.NOT_JUDGED, Status.UNSUPPORTED, Status.NOT_RUN, Status.NOT_TRIED)
        if (n := report.summary[status.value])
    ]
    text = f"{right} right in {numbers.count(ran, 'case')}" + (f"; {', '.join(rest)}." if rest else ".")
    if silent:
        text += f" {listing(silent)}: unobservable, zero by invariance in every case."
    return text


def _blocks(report: LayerResults, width: int) -> Iterator[Text]:
    yield paragraph(headline(report), width, "bold")
    yield Text()
    yield from _table(report, width)
    yield Text()
    for failure in report.failures:
        yield _failure(failure, width)
        yield Text()
    if report.written:
        yield paragraph(said(report.written, "the layer"), width)
        yield Text()
    style = "bold" if report.exit_status else "bold green"
    yield paragraph(conclusion(report), width, style)


def _table(report: LayerResults, width: int) -> Iterator[Text]:
    """One line per case; those that were not tried for the same reason share one."""
    rows: list[tuple[str, str, CaseResult]] = []
    for case in report.cases:
        same = rows and rows[-1][2].status is case.status is Status.NOT_TRIED
        if same and rows[-1][2].reason == case.reason:
            rows[-1] = (f"{rows[-1][0]}, {case.name}", "-", case)
        else:
            rows.append((case.name, " ".join(case.shapes) or "-", case))
    rows = [(_short(name, _NAMES), shape, case) for name, shape, case in rows]
    names = max((len(name) for name, _, _ in rows), default=0)
    shapes = max((len(shape) for _, shape, _ in rows), default=0)
    states = max((len(case.status.value) for _, _, case in rows), default=0)
    before = ""
    for name, shape, case in rows:
        lead = f"  {name:<{names}}  {shape:<{shapes}}  "
        room = width - len(lead) - states - 2
        reason = case.reason if case.status is not Status.PASSED else ""
        reason, before = _SAME if reason and reason == before else _short(reason, room), reason
        yield Text.assemble(lead, (f"{case.status.value:<{states}}", _STYLES[case.status]), f"  {reason}")


def _short(reason: str, room: int) -> str:
    reason = " ".join(printable(reason).split())
    return reason if len(reason) <= max(room, 20) else reason[: max(room, 20) - 3] + "..."


def _failure(failure: Failure, width: int) -> Text:
    out = Text()
    if failure.report is not None and failure.report.findings:
        finding = failure.report.findings[0]
        out = render_finding(finding, failure.report.excerpt(finding.location), width)
        margin = len(str(finding.location.end_line)) + 2
    else:
        assert failure.raised is not None
        out, margin = _raised(failure.raised, width)
    out.append("\n")
    for lead, remark in remarks(failure):
        out.append_text(attached(margin, lead, remark, width))
    # A command is there to be copied: it is not wrapped.
    out.append(" " * margin + "= ", GUTTER).append("rerun: ", "bold").append(failure.smallest.command)
    return out


def remarks(failure: Failure) -> Iterator[tuple[str, str]]:
    small = failure.smallest
    state = "" if small.case == SEVERAL else f", {small.case}"
    made = f", made with {small.arguments}" if small.arguments else ""
    lead = "smallest input: " if small.trials else "input: "
    yield lead, f"{' and '.join(f'({shape})' for shape in small.shapes)}{made}{state}"
    for note in failure.notes:
        yield "note: ", note
    yield "shows in: ", "; ".join(failure.cases)


def _raised(raised: Raised, width: int) -> tuple[Text, int]:
    head = f"error: `backward` raises on an input that `forward` accepts: {raised.text}"
    out = Text("\n".join(wrapped(printable(head), width, "  ")), "bold")
    place = raised.location
    margin = len(str(place.end_line)) + 2 if place else 3
    if place is not None:
        out.append(f"\n{' ' * margin}--> {describe(place)}")
        if raised.line:
            out.append(f"\n{' ' * margin}|\n {place.line} |     {printable(raised.line)}\n{' ' * margin}|")
    return out, margin


def markdown(report: LayerResults) -> str:
    lines = [
        f"# Layer report: {escaped(report.target)}",
        "",
        escaped(headline(report)) + ".",
        "",
        "| case | input | result | |",
        "|---|---|---|---|",
    ]
    for case in report.cases:
        reason = "" if case.status is Status.PASSED else case.reason
        cells = (case.name, " ".join(case.shapes) or "-", case.status.value, reason)
        lines.append(f"| {' | '.join(map(escaped, cells))} |")
    for failure in report.failures:
        plain = "\n".join(line.rstrip() for line in _failure(failure, _WIDTH).plain.split("\n"))
        lines += ["", fenced(plain)]
    if report.written:
        lines += ["", escaped(said(report.written, "the layer"))]
    return "\n".join([*lines, "", escaped(conclusion(report)), ""])
