"""Comments that speak to gradcheck, and the lines of statements."""

from __future__ import annotations

import pytest

from gradcheck.program.comments import directives
from gradcheck.program.magics import strip_magics
from gradcheck.program.reading.tree import Tree
from gradcheck.program.source import SourceUnit


def unit(text: str, cell: int | None = None) -> SourceUnit:
    return SourceUnit("p.py", "p.py", text, cell)


def words(text: str) -> list[tuple[str, str]]:
    return [(found.word, found.rest) for found in directives(unit(text))]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("x = 1  # gradcheck: ignore[GC101]", [("ignore", "[GC101]")]),
        ("x = 1  #gradcheck:ignore", [("ignore", "")]),
        ("x = 1  #  GradCheck :  Ignore [GC1]  ", [("ignore", " [GC1]")]),
        ("x = 1  # gradcheck: of A_1", [("of", " A_1")]),
        ("x = 1  # noqa: E501  # gradcheck: ignore  # gradcheck: of A", [("ignore", ""), ("of", " A")]),
        ("x = 1  # noqa gradcheck: ignore", []),
        ("x = 1  # mygradcheck: ignore", []),
        ("x = '# gradcheck: ignore'", []),
        ('"""\n# gradcheck: ignore\n"""\nx = f"{1}# gradcheck: ignore"', []),
        ("x = 1  # gradcheck: ", []),
        ("x = 1  # gradcheck: ignore\ny = '", [("ignore", "")]),
        ("if x:\n  y\n z  # gradcheck: ignore", []),
    ],
)
def test_only_real_comments_speak(text: str, found: list[tuple[str, str]]) -> None:
    assert words(text) == found


def test_the_place_is_told_in_characters() -> None:
    (found,) = directives(unit("é = 'ü'  # gradcheck: ignore[GC1]  \n", cell=3))
    place = found.location
    assert (place.file, place.cell, place.line, place.end_line) == ("p.py", 3, 1, 1)
    assert (place.column, place.end_column) == (10, 34)
    assert found.rest_column == 29
    assert not found.alone


def test_a_comment_knows_whether_it_stands_alone() -> None:
    assert [
        found.alone for found in directives(unit("  # gradcheck: ignore\nx = 1  # gradcheck: ignore"))
    ] == [
        True,
        False,
    ]


def test_lines_are_counted_as_in_the_cell_and_magics_hold_no_comment() -> None:
    text = "%matplotlib inline\n!ls  # gradcheck: ignore\n\fx = 1\u2028# gradcheck: ignore\ny = 1  # gradcheck: ignore"
    plain, _ = strip_magics(text.replace("\u2028", "  "), 1)
    found = directives(SourceUnit("p", "p", text, 1, plain))
    assert [each.location.line for each in found] == [3, 4]


CODE = """\
x = (
    1
)
for i in range(
    3
):
    y = 1
    if i:
        z = [
            1,
        ]
    else:
        w = 2
def f():
    return 1
g = lambda: 1
"""


@pytest.mark.parametrize(
    ("line", "edges"),
    [(1, {1, 3}), (2, {1, 3}), (4, {4}), (5, {4}), (7, {7}), (8, {8}), (10, {9, 11}), (14, {14}), (99, set())],
)  # fmt: skip
def test_edges_of_a_statement(line: int, edges: set[int]) -> None:
    assert Tree(CODE).edges(line) == edges


@pytest.mark.parametrize(
    ("line", "block"),
    [(2, None), (4, None), (7, range(7, 14)), (8, range(7, 14)), (10, range(9, 12)), (13, range(13, 14)),
     (15, range(15, 16)), (16, None)],
)  # fmt: skip
def test_the_block_around_a_line(line: int, block: range | None) -> None:
    assert Tree(CODE).block(line) == block


def test_what_does_not_parse_has_no_statements() -> None:
    lines = Tree("x = = 1")
    assert (lines.error is None, lines.edges(1), lines.block(1)) == (False, set(), None)
    assert Tree("").error is None
