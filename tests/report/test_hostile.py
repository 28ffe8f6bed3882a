"""Text of anybody's in a report: names, messages, paths and lines that would be markup, HTML or commands of a terminal."""

from __future__ import annotations

import dataclasses
import io
from typing import Any

import pytest
from markdown_it import MarkdownIt
from rich.console import Console

from gradcheck.base.errors import InternalError
from gradcheck.cli.run import print_error
from gradcheck.layers import show
from gradcheck.layers.records import CaseResult, LayerResults, Status
from gradcheck.program.errors import ProgramError
from gradcheck.report import markdown, terminal
from gradcheck.report.markup import code, escaped
from gradcheck.report.model import Report
from tests.report import samples

HOSTILE = (
    "<img src=x onerror=alert(1)>", "`<b>`", "``<b>`", "a`b<script>``", "```\n<b>", "~~~\n<b>", "x\n\n<b>y</b>", "|<b>|",
    "\\`<b>`", "[a](javascript:x)<b>", "&lt;<i>", "# <h1>", "<!-- -->", "<?php ?>", "<a@b.c>", "\x1b[2J\x1b]0;t\x07<b>",
    "\u202eevil<b>\u2066", "\r<b>", "\ud800<b>", "\u2028<b>", "```` <b> ```", "`", "``", "<", "*<b>*`",
)  # fmt: skip
_MARKDOWN = MarkdownIt("commonmark").enable("table")
_BAD = ("\x1b", "\x07", "\r", "\u202e", "\u2066", "\u2028", "\ud800", "\x9b")


def _poisoned(value: Any, text: str) -> Any:
    """The same, with `text` added to every string that is no member of an enumeration."""
    if type(value) is str:
        return value + text
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        for field in dataclasses.fields(value):
            if field.name not in ("version", "ended", "rule", "name_of_rule"):
                with_it = _poisoned(getattr(value, field.name), text)
                object.__setattr__(value, field.name, with_it)
        return value
    if isinstance(value, (list, tuple)):
        return type(value)(_poisoned(each, text) for each in value)
    if isinstance(value, dict):
        return {_poisoned(key, text): _poisoned(each, text) for key, each in value.items()}
    return value


def _raw_html(text: str) -> list[str]:
    found = []
    for token in _MARKDOWN.parse(text):
        for each in (token, *(token.children or ())):
            if each.type in ("html_block", "html_inline"):
                found.append(each.content)
    return found


def test_the_test_sees_html() -> None:
    assert _raw_html("a <b>c</b>")
    assert _raw_html("<div>")


@pytest.mark.parametrize("text", HOSTILE)
def test_no_text_becomes_html(text: str) -> None:
    for words in (text, f"a {text} b", f"`{text}`", text * 2, f"{text} `x` {text}"):
        assert _raw_html(f"# {escaped(words)}\n\n{escaped(words)}\n\n- {escaped(words)}\n") == []
        assert _raw_html(f"| a | b |\n|---|---|\n| {code(words)} | {escaped(words)} |\n") == []


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize(
    "make", [samples.faulty, samples.fixed, samples.several_passes, samples.with_suppressed]
)
def test_a_report_of_hostile_text(make: Any, text: str) -> None:
    report: Report = _poisoned(make(), text)
    rendered = markdown.render(report)
    assert _raw_html(rendered) == []
    assert not any(bad in rendered for bad in _BAD)
    file = io.StringIO()
    terminal.render(report, Console(file=file, width=100, no_color=True), verbose=True)
    assert not any(bad in file.getvalue() for bad in _BAD)


@pytest.mark.parametrize("text", HOSTILE)
def test_a_layer_report_of_hostile_text(text: str) -> None:
    case = CaseResult("several rows", 2, ["4,3"], Status.NOT_RUN, text)
    report = LayerResults(f"layer.py::{text}", 0, [case], never_judged={text: text})
    rendered = show.markdown(report)
    assert _raw_html(rendered) == []
    assert not any(bad in rendered + show.text(report) for bad in _BAD)


@pytest.mark.parametrize("text", HOSTILE)
def test_errors_command_no_terminal(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_error(ProgramError(text, text, f"{text}\n  ^"))
    print_error(InternalError(text, text), show_traceback=True)
    assert not any(bad in capsys.readouterr().err for bad in _BAD)
