"""Comments that silence findings, on findings made by hand and on programs that are run."""

from __future__ import annotations

import pytest

from gradcheck.checks.finding import Finding, Severity, SuppressedFinding
from gradcheck.checks.suppressions import suppress
from gradcheck.program.location import Location
from gradcheck.program.source import SourceMap, SourceUnit

EVERYTHING = range(1, 100)


def at(line: int, end_line: int | None = None, cell: int | None = None) -> Location:
    return Location("p.py", cell, line, end_line or line, 1, 2)


def finding(line: int, rule: str = "GC101", end_line: int | None = None, cell: int | None = None) -> Finding:
    return Finding(rule, "wrong-gradient", Severity.ERROR, at(line, end_line, cell), "it is wrong")


def suppressed(
    text: str,
    *findings: Finding,
    recorded: object = EVERYTHING,
    cell: int | None = None,
    **options: list[str],
) -> tuple[list[Finding], list[SuppressedFinding]]:
    sources = SourceMap()
    sources.add(SourceUnit("p.py", "p.py", text, cell))
    found = suppress(findings, sources, {("p.py", cell): set(recorded)}, **options)  # type: ignore[call-overload]
    return found.left, found.suppressed


def messages(found: list[Finding]) -> list[str]:
    return [each.message for each in found]


@pytest.mark.parametrize(
    "comment",
    ["ignore", "ignore[GC101]", "ignore[gc101]", "ignore[GC1]", "ignore[wrong-gradient]", "ignore [ALL]",
     "ignore[GC101]: the reason", "ignore, it is meant so", "ignore[GC101]  # noqa"],
)  # fmt: skip
def test_a_comment_silences_its_line(comment: str) -> None:
    left, silenced = suppressed(f"x = 1  # gradcheck: {comment}", finding(1))
    assert left == []
    (only,) = silenced
    assert only.finding == finding(1)
    assert (only.comment.line, only.comment.column) == (1, 8)


@pytest.mark.parametrize("line", [1, 3])
def test_and_no_other_line(line: int) -> None:
    left, silenced = suppressed("x = 1\nx = 2  # gradcheck: ignore\nx = 3", finding(line))
    assert finding(line) in left
    assert silenced == []


def test_and_no_other_rule() -> None:
    left, silenced = suppressed("x = 1  # gradcheck: ignore[GC103]", finding(1), finding(1, "GC103"))
    assert left == [finding(1)]
    assert [each.finding.rule for each in silenced] == ["GC103"]


def test_and_no_other_cell() -> None:
    left, silenced = suppressed("x = 1  # gradcheck: ignore", finding(1, cell=2), cell=3)
    assert finding(1, cell=2) in left
    assert silenced == []


MANY_LINES = """\
x = f(
    1,
    2,
    3,
)
"""


@pytest.mark.parametrize(("line", "silences"), [(1, True), (2, True), (3, True), (4, False), (5, True)])
def test_a_statement_of_several_lines(line: int, silences: bool) -> None:
    """What the finding marks (lines 2 and 3), and the first and last line of the statement."""
    lines = MANY_LINES.splitlines()
    lines[line - 1] += "  # gradcheck: ignore"
    left, silenced = suppressed("\n".join(lines), finding(2, end_line=3))
    assert bool(silenced) is silences
    assert (finding(2, end_line=3) in left) is not silences


def test_the_first_line_of_a_loop_is_not_that_of_what_it_holds() -> None:
    left, silenced = suppressed("for i in y:  # gradcheck: ignore\n    x = 1", finding(2))
    assert finding(2) in left
    assert silenced == []


def test_a_string_is_no_comment() -> None:
    left, silenced = suppressed("x = '# gradcheck: ignore'", finding(1))
    assert (left, silenced) == ([finding(1)], [])


@pytest.mark.parametrize(
    ("comment", "message", "help_"),
    [
        ("ignore[GC101]", "`GC101` suppresses nothing: it finds nothing here", "delete the comment"),
        ("ignore", "this comment suppresses nothing: no rule reports anything here", "delete the comment"),
        ("ignore[GC101, GC102]", "`GC101` and `GC102` suppress nothing: they find nothing here", "delete"),
        ("ignore[GC103, GC102]", "`GC102` suppresses nothing: it finds nothing here", "delete `GC102` from it"),
    ],
)  # fmt: skip
def test_what_silences_nothing_is_a_note(comment: str, message: str, help_: str) -> None:
    left, _ = suppressed(
        f"x = 1  # gradcheck: {comment}", finding(1, "GC103") if "3" in comment else finding(2)
    )
    (note,) = (each for each in left if each.rule == "GC001")
    assert (note.message, note.severity, note.location.line) == (message, Severity.NOTE, 1)
    assert help_ in note.helps[0]


def test_a_comment_that_stands_alone_is_told_where_to_stand() -> None:
    left, _ = suppressed("# gradcheck: ignore[GC101]\nx = 1", finding(2))
    assert left[0].notes == ["it applies to its own line, not to the next one"]


@pytest.mark.parametrize(
    ("codes", "options", "blamed"),
    [
        ("[GC101]", {"ignore": ["GC101"]}, False),
        ("[GC101]", {"ignore": ["GC102"]}, True),
        ("[GC101]", {"select": ["GC102", "GC001"]}, False),
        ("[GC101]", {"select": ["GC1", "GC001"]}, True),
        ("[GC1]", {"ignore": ["GC102"]}, False),
        ("", {"ignore": ["GC102"]}, False),
        ("", {}, True),
        ("[GC101]", {"ignore": ["GC001"]}, False),
        ("[GC101]", {"select": ["GC1"]}, False),
        ("[GC101, GC102]", {"ignore": ["GC102"]}, True),
    ],
)
def test_a_rule_that_was_off_is_no_reason_to_complain(
    codes: str, options: dict[str, list[str]], blamed: bool
) -> None:
    left, _ = suppressed(f"x = 1  # gradcheck: ignore{codes}", **options)
    assert bool(left) is blamed
    assert all("`GC102`" not in message for message in messages(left))


@pytest.mark.parametrize(
    ("comment", "message", "help_"),
    [
        ("ignore[GC1001]", "there is no rule `GC1001`", "did you mean"),
        ("ignore[wrong-gradeint]", "there is no rule `wrong-gradeint`", "did you mean `wrong-gradient`"),
        ("ignore[xyzzy]", "there is no rule `xyzzy`", "`gradcheck rules` lists them"),
        ("ignore[]", "this comment cannot be read: there is no rule in its brackets", "write `# gradcheck: ignore[GC101]`"),
        ("ignore[GC102", "this comment cannot be read: `[` is not closed", "write `# gradcheck: ignore[GC102]`"),
        ("ignore GC102", "this comment cannot be read: codes are written in brackets", "ignore[GC102]`"),
        ("ignore: wrong-gradient, GC2x; no", "this comment cannot be read: codes", "[wrong-gradient, GC2x]`"),
        ("ignroe[GC102]", "this comment cannot be read: there is no `ignroe`", "write `# gradcheck: ignore[GC102]`"),
        ("ignores", "this comment cannot be read: there is no `ignores`", "write `# gradcheck: ignore`"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_a_warning_and_silences_nothing(
    comment: str, message: str, help_: str
) -> None:
    left, silenced = suppressed(f"x = 1  # gradcheck: {comment}", finding(1))
    assert silenced == []
    assert finding(1) in left
    (warning,) = (each for each in left if each.rule == "GC001")
    assert message in warning.message
    assert warning.severity is Severity.WARNING
    assert help_ in warning.helps[0]


def test_an_unknown_code_is_shown_where_it_stands() -> None:
    left, silenced = suppressed("x = 1  # gradcheck: ignore[GC101, GC9X]", finding(1))
    assert len(silenced) == 1
    assert (left[0].location.column, left[0].location.end_column) == (35, 39)


@pytest.mark.parametrize("comment", ["is the tool", "of A_1", "see the manual"])
def test_other_words_are_not_ours(comment: str) -> None:
    assert suppressed(f"x = 1  # gradcheck: {comment}") == ([], [])


@pytest.mark.parametrize(
    ("recorded", "blamed"), [({1}, {1, 5}), ({3}, {1, 3, 5}), ({5}, {1, 5}), ({8}, {1, 5, 8}), ((), set())]
)
def test_of_what_was_not_recorded_nothing_is_said(recorded: set[int], blamed: set[int]) -> None:
    text = """\
x = 1  # gradcheck: ignore[GC101]
if x:
    y = 1  # gradcheck: ignore[GC101]

z = 1  # gradcheck: ignore[GC101]

def f():
    return 1  # gradcheck: ignore[GC101]
"""
    left, _ = suppressed(text, recorded=recorded)
    assert {each.location.line for each in left} == blamed


def test_a_cell_that_is_not_python_was_not_run() -> None:
    assert suppressed("x = 1  # gradcheck: ignore\ny = = 1") == ([], [])


def test_the_rule_about_comments_is_silenced_by_its_own_name_alone() -> None:
    left, silenced = suppressed("x = 1  # gradcheck: ignore[GC101, GC001]")
    assert left == []
    assert [each.finding.rule for each in silenced] == ["GC001"]
    assert suppressed("x = 1  # gradcheck: ignore[GC001]") == ([], [])
    assert len(suppressed("x = 1  # gradcheck: ignore[ALL]")[0]) == 1
    assert len(suppressed("x = 1  # gradcheck: ignore  # gradcheck: ignore[GC]")[0]) == 2


def test_what_is_left_stands_in_reading_order() -> None:
    text = "x = 1\nx = 2  # gradcheck: ignore\nx = 3"
    left, _ = suppressed(text, finding(3), finding(1))
    assert [each.location.line for each in left] == [1, 2, 3]
