"""The findings as workflow commands, which GitHub shows beside the lines of a change.

The syntax: GitHub Docs, "Workflow commands for GitHub Actions", "Setting an error message".
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath

from gradcheck.checks.finding import Finding, Severity
from gradcheck.report import sentences
from gradcheck.report.contents import FailedTarget, ReportContents
from gradcheck.report.layout import printable

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
_IN_MESSAGES = {"%": "%25", "\r": "%0D", "\n": "%0A"}
_IN_PROPERTIES = {**_IN_MESSAGES, ":": "%3A", ",": "%2C"}


def lines(outcomes: Sequence[ReportContents | FailedTarget]) -> str:
    """A line for each finding, and for each target one with its headline. Cells of a notebook have no line in their file: the
    cell is named in the message."""
    return "".join(f"{line}\n" for each in outcomes for line in _lines(each))


def _lines(outcome: ReportContents | FailedTarget) -> Iterator[str]:
    if isinstance(outcome, FailedTarget):
        yield _command("error", {"title": "gradcheck"}, f"{outcome.target}: {outcome.error.message}")
        return
    yield from map(_annotation, outcome.findings)
    yield _command("notice", {"title": "gradcheck"}, sentences.headline(outcome))


def _annotation(finding: Finding) -> str:
    place = finding.location
    properties = {"file": PurePath(place.file).as_posix(), "title": f"{finding.rule} {finding.name}"}
    message = finding.message
    if place.cell is None:
        properties |= {"line": str(place.line), "endLine": str(place.end_line)}
        if place.line == place.end_line:
            properties |= {"col": str(place.column), "endColumn": str(place.end_column)}
    else:
        message = f"cell {place.cell}, line {place.line}: {message}"
    if finding.fix is not None and finding.fix.verified:
        message += f" Proved fix: {finding.fix.replacement}"
    return _command(_COMMANDS[finding.severity], properties, message)


def _command(name: str, properties: Mapping[str, str], message: str) -> str:
    listed = ",".join(f"{key}={_escaped(value, _IN_PROPERTIES)}" for key, value in properties.items())
    return f"::{name} {listed}::{_escaped(message, _IN_MESSAGES)}"


def _escaped(text: str, table: Mapping[str, str]) -> str:
    return printable(text).translate({ord(sign): other for sign, other in table.items()})
