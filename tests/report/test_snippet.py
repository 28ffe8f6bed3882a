"""Line numbers and carets: they must stand under the expression, whatever the line is made of."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from gradcheck.checks.finding import Finding, Fix, Severity
from gradcheck.program.location import Location
from gradcheck.report.contents import Excerpt
from gradcheck.report.fix_lines import fix_lines
from gradcheck.report.snippet import render_finding


def finding(
    line: int, column: int, end_column: int, end_line: int | None = None, label: str = "here"
) -> Finding:
    place = Location("a.py", None, line, end_line or line, column, end_column)
    return Finding("GC101", "wrong-gradient", Severity.ERROR, place, "`dx` is wrong", label)


def source_part(text: str, found: Finding, width: int = 80) -> list[str]:
    lines = text.split("\n")
    excerpt = Excerpt("a.py", None, found.location.line, tuple(lines))
    shown = render_finding(found, excerpt, width).plain.split("\n")
    return shown[3:-1]  # without the head, the place and the two empty bars


def span_of(text: str, expression: str) -> tuple[int, int]:
    start = text.index(expression) + 1
    return start, start + len(expression)


@pytest.mark.parametrize(
    "line",
    [
        "dx = dy @ W.T",
        "    dx = dy @ W.T",
        "\tdx = dy @ W.T",
        "\tdx =\tdy @ W.T\t# comment",
        "变量 = dy @ W.T",
        "δ_x = dy @ W.T  # δ",
        "e\u0301 = dy @ W.T",
        "s = '🤔'; dx = dy @ W.T",
    ],
)
def test_carets_stand_under_the_expression(line: str) -> None:
    code, carets = source_part(line, finding(7, *span_of(line, "dy @ W.T")))
    assert code.startswith(" 7 | ")
    before_carets = carets[: carets.index("^")]
    before_code = code[: code.index("dy @ W.T")]
    assert cell_len(before_code) == cell_len(before_carets)
    assert carets.endswith("^^^^^^^^ here")


def test_carets_under_wide_characters_are_wide() -> None:
    line = "x = 变量 + 1"
    _, carets = source_part(line, finding(1, *span_of(line, "变量")))
    assert carets.count("^") == 4


def test_the_gutter_fits_the_largest_line_number() -> None:
    shown = source_part("dx = (a\n      * b)", finding(99, 7, 10, end_line=100))
    assert shown == [
        "  99 | dx = (a",
        "     |       ^",
        " 100 |       * b)",
        "     |       ^^^ here",
    ]


def test_a_long_span_is_shown_by_its_ends() -> None:
    text = "dx = f(\n" + "\n".join(f"    a_{i}," for i in range(10)) + "\n)"
    shown = source_part(text, finding(1, 6, 2, end_line=12))
    assert shown == [
        "  1 | dx = f(",
        "    |      ^^",
        "  2 |     a_0,",
        "    |     ^^^^",
        "...",
        " 11 |     a_9,",
        "    |     ^^^^",
        " 12 | )",
        "    | ^ here",
    ]


def test_an_empty_line_within_a_span_has_no_carets() -> None:
    shown = source_part("dx = (a\n\n  * b)", finding(1, 7, 6, end_line=3))
    assert shown[2:4] == [" 2 | ", " 3 |   * b)"] or shown[2:4] == [" 2 |", " 3 |   * b)"]


@pytest.mark.parametrize(("column", "end_column"), [(50, 60), (5, 5), (9, 3), (1, 400)])
def test_a_position_that_the_line_does_not_have_points_at_all_of_it(column: int, end_column: int) -> None:
    _, carets = source_part("  dx = dy", finding(1, column, end_column))
    assert carets.strip(" |").startswith("^^^^^^^")


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("before", [0, 40, 200])
def test_an_overlong_line_is_cut_around_the_expression(width: int, before: int) -> None:
    line = "x = " + "a + " * before + "dy @ W.T" + " + b" * 60
    code, carets, *_ = source_part(line, finding(1, *span_of(line, "dy @ W.T")), width)
    assert cell_len(code) <= width
    start = carets.index("^")
    assert code[start : start + 8] == "dy @ W.T"
    assert code.endswith("...")


def test_a_label_without_room_goes_below() -> None:
    line = " " * 30 + "dx = dy @ W.T"
    shown = source_part(line, finding(1, *span_of(line, "dy @ W.T"), label="word " * 20), 60)
    assert shown[1].endswith("^^^^^^^^")
    assert all(cell_len(row) <= 60 for row in shown)
    assert "".join(row[4:] for row in shown[2:]).count("word") == 20


def test_without_an_excerpt_the_place_and_the_label_are_told() -> None:
    text = render_finding(finding(7, 3, 5), None, 80).plain
    assert text == "error[GC101]: `dx` is wrong\n   --> a.py:7:3\n       here"


def fix_part(found: Finding, *diff: str, place: Location | None = None, width: int = 80) -> list[str]:
    found.fix = Fix(True, "\n".join(diff), "", place or found.location)
    text = render_finding(found, None, width).plain
    return text.split("= help: this fix was proved by replay:\n")[1].split("\n")


def test_a_fix_is_shown_as_its_diff() -> None:
    assert fix_part(finding(7, 1, 3), "- dx = 1 - t", "+ dx = 1 - t**2") == [
        "   |",
        " 7 - dx = 1 - t",
        " 7 + dx = 1 - t**2",
    ]


@pytest.mark.parametrize(
    ("old", "new", "removed", "added"),
    [
        ("return dout - m", "return dxhat - m", "dout", "dxhat"),  # not `ou` and `xha`
        ("d_A = d_Z_2 @ W", "d_A = d_pre_2 @ W", "d_Z_2", "d_pre_2"),
        ("dz = 1 - h", "dz = 1 - h**2", "", "**2"),
        ("v ** 0.5", "v ** -0.5", "", "-"),
    ],
)
def test_what_changes_is_emphasised_by_whole_names(old: str, new: str, removed: str, added: str) -> None:
    fix = Fix(True, f"- {old}\n+ {new}", "", finding(7, 1, 3).location)
    lines = list(fix_lines(fix, 5, 80, elsewhere=False))[1:]
    found = [
        [line.plain[s.start : s.end] for s in line.spans if "underline" in str(s.style)] for line in lines
    ]
    assert found == [[text] if text else [] for text in (removed, added)]


def test_lines_that_a_fix_keeps_are_not_shown() -> None:
    diff = ["- dx = (", "-     1 - t", "- )", "+ dx = (", "+     1", "+     - t**2", "+ )"]
    assert fix_part(finding(99, 1, 3), *diff)[1:] == [
        " 100 -     1 - t",
        " 100 +     1",
        " 101 +     - t**2",
    ]


def test_a_fix_of_another_cell_says_so() -> None:
    place = Location("a.py", None, 1000, 1000, 5, 6)
    assert fix_part(finding(7, 1, 3), "- x", "+ y", place=place)[0] == "      |"
    elsewhere = Location("model.py", None, 1000, 1000, 5, 6)
    assert fix_part(finding(7, 1, 3), "- x", "+ y", place=elsewhere)[0] == ("      --> model.py:1000:5")


@pytest.mark.parametrize("width", [60, 80])
def test_an_overlong_line_of_a_fix_is_cut_around_the_change(width: int) -> None:
    before, behind = "a + " * 40, " + b" * 40
    _, old, new = fix_part(finding(7, 1, 3), f"- {before}x{behind}", f"+ {before}yy{behind}", width=width)
    assert "+ x +" in old
    assert "+ yy +" in new
    assert max(map(cell_len, (old, new))) <= width


def test_help_that_introduces_the_fix_stands_alone() -> None:
    found = finding(7, 1, 3)
    found.helps = ["square it"]
    found.fix = Fix(True, "- x\n+ y", "y", found.location)
    text = render_finding(found, None, 80).plain
    assert "   = help: square it\n   |\n 7 - x\n 7 + y" in text
    again = render_finding(found, None, 80, [found.fix]).plain
    assert again.endswith("= help: the fix shown above, at a.py:7:1, fixes this too")
