from __future__ import annotations

from gradcheck.checks.finding import Finding, Fix, Severity
from gradcheck.judge.verdict import GradientResult, Verdict
from gradcheck.program.location import Location
from gradcheck.program.source import SourceMap, SourceUnit
from gradcheck.report.contents import Excerpt, collect_excerpts, source_lines


def sources() -> SourceMap:
    known = SourceMap()
    known.add(SourceUnit("<1>", "a.ipynb", "one\ntwo\nthree\n", 1))
    known.add(SourceUnit("<2>", "a.ipynb", "four\r\nfive\x0c\r\nsix", 2))
    return known


def finding(cell: int | None, line: int, end_line: int, fix_line: int | None = None) -> Finding:
    place = Location("a.ipynb", cell, line, end_line, 1, 2)
    found = Finding("GC101", "wrong-gradient", Severity.ERROR, place, "")
    if fix_line is not None:
        found.fix = Fix(True, "", "", Location("a.ipynb", cell, fix_line, fix_line, 1, 2))
    return found


def test_each_stretch_is_kept_once_with_that_of_the_fix() -> None:
    kept = collect_excerpts([finding(1, 2, 3), finding(1, 2, 3), finding(2, 3, 3, fix_line=2)], sources())
    assert kept == [
        Excerpt("a.ipynb", 1, 2, ("two", "three")),
        Excerpt("a.ipynb", 2, 3, ("six",)),
        Excerpt("a.ipynb", 2, 2, ("five\x0c",)),
    ]
    assert kept[0].covers(finding(1, 3, 3).location)
    assert not kept[0].covers(finding(2, 3, 3).location)
    assert kept[0].line(3) == "three"


def row(line: int, *others: int) -> GradientResult:
    places = [Location("a.py", None, each, each, 1, 2) for each in (line, *others)]
    return GradientResult("d", "x", places[0], Verdict.CORRECT, lines=places)


def test_gradients_are_kept_with_what_stands_between_neighbours() -> None:
    known = SourceMap()
    known.add(SourceUnit("a.py", "a.py", "\n".join(f"line {n}" for n in range(1, 61)), None))
    kept = collect_excerpts([], known, [row(10, 8), row(14), row(58)])
    assert [(each.first_line, each.end_line) for each in kept] == [(6, 16), (56, 60)]
    assert kept[0].lines[0] == "line 6"


def test_a_place_that_no_source_has_is_left_out() -> None:
    assert collect_excerpts([finding(1, 9, 9), finding(7, 1, 1), finding(None, 1, 1)], sources()) == []


def test_lines_are_those_python_counts() -> None:
    assert source_lines("a\x0cb\u2028c\r\nd\re\n") == ["a\x0cb\u2028c", "d", "e", ""]
