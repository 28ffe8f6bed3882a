"""Edits of Python files: nothing but the span changes, whatever the file is written in."""

from __future__ import annotations

import codecs
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcheck.program.edits.script import script_splices
from gradcheck.program.edits.spans import edited
from gradcheck.program.edits.splices import NoSuchPlaceError
from gradcheck.program.errors import ProgramError
from gradcheck.program.location import Location


def at(line: int, column: int, end_column: int, end_line: int | None = None) -> Location:
    return Location("a.py", None, line, end_line or line, column, end_column)


TEXT = "δ = 1\nvar_inv = (var + ε) ** 0.5\nlast = 2"


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("encoding", "before"),
    [
        ("utf-8", b""),
        ("utf-8", codecs.BOM_UTF8),
        ("utf-8", b"# coding: utf-8\n"),
        ("iso8859-7", b"# -*- coding: iso8859-7 -*-\n"),
        ("cp1253", b"#!/usr/bin/env python\n# vim: set fileencoding=cp1253 :\n"),
    ],
)
def test_encodings_and_newlines_are_kept(encoding: str, before: bytes, newline: str) -> None:
    before = before.replace(b"\n", newline.encode())
    body = TEXT.replace("\n", newline)
    line = before.count(newline.encode()) + 2
    edit = (at(line, 11, 27), "(var + ε) ** -0.5")
    expected = body.replace("** 0.5", "** -0.5")
    assert edited(before + body.encode(encoding), [edit]) == before + expected.encode(encoding)


def test_line_breaks_of_the_replacement_are_those_of_the_file() -> None:
    edit = (at(1, 5, 10), "(\n    a\n)")
    assert edited(b"x = a + b\r\ny = 1\r\n", [edit]) == b"x = (\r\n    a\r\n)\r\ny = 1\r\n"
    assert edited(b"x = a + b", [edit]) == b"x = (\n    a\n)"


def test_lines_are_those_python_counts() -> None:
    raw = "a = 1\x0c\nb = '\u2028'\nc = 3\n".encode()
    assert edited(raw, [(at(3, 5, 6), "4")]) == raw.replace(b"3", b"4")


def test_the_edit_is_no_larger_than_the_change() -> None:
    (splice,) = script_splices(b"x = (v + 1e-5) ** 0.5\n", [(at(1, 5, 22), "(v + 1e-5) ** -0.5")], Path("a"))
    assert (splice.start, splice.end, splice.new) == (18, 18, b"-")


def test_several_edits_of_one_line_and_an_insertion() -> None:
    raw = b"dx = a * b\n"
    edits = [(at(1, 10, 11), "c"), (at(1, 6, 7), "aa"), (at(1, 11, 11), "  # mended")]
    assert edited(raw, edits) == b"dx = aa * c  # mended\n"


@pytest.mark.parametrize(
    "place", [at(4, 1, 1), at(0, 1, 2), at(1, 7, 8), at(1, 0, 2), at(1, 1, 9), at(1, 3, 2)]
)
def test_a_place_that_the_file_does_not_have(place: Location) -> None:
    with pytest.raises(NoSuchPlaceError):
        edited(b"x = 1\ny = 2\n", [(place, "z")])


def test_a_character_that_the_encoding_does_not_have() -> None:
    with pytest.raises(ProgramError, match="is in iso-8859-1, which has no 'δ'"):
        edited(b"# coding: latin-1\nx = 1\n", [(at(2, 5, 6), "δ")])


def test_an_encoding_with_shift_sequences() -> None:
    text = "# coding: iso-2022-jp\ns = '日本'\nx = 1\n"
    raw = text.encode("iso-2022-jp")
    assert edited(raw, [(at(3, 5, 6), "2")]) == raw.replace(b"x = 1", b"x = 2")
    redundant = raw.replace(b"s =", b"\x1b(Bs =")  # switches to ASCII where it is ASCII already
    with pytest.raises(ProgramError, match="cannot be edited without changing more"):
        edited(redundant, [(at(3, 5, 6), "2")])


CHARACTERS = st.sampled_from("ab \t=δ变🤔\u0301\x0c\u2028'\n")
NEWLINES = st.sampled_from(["\n", "\r\n", "\r"])


@st.composite
def texts_and_spans(draw: st.DrawFn) -> tuple[str, int, int]:
    text = draw(st.text(CHARACTERS, max_size=60))
    start = draw(st.integers(0, len(text)))
    return text, start, draw(st.integers(start, len(text)))


def location(text: str, start: int, end: int, cell: int | None = None) -> Location:
    """The place of `text[start:end]`, where lines end with a newline."""

    def line_and_column(offset: int) -> tuple[int, int]:
        before = text[:offset]
        return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1

    (line, column), (end_line, end_column) = line_and_column(start), line_and_column(end)
    return Location("a", cell, line, end_line, column, end_column)


@given(texts_and_spans(), st.text(CHARACTERS, max_size=20), NEWLINES, st.sampled_from([b"", codecs.BOM_UTF8]))
def test_everything_outside_of_the_span_is_kept(
    chosen: tuple[str, int, int], replacement: str, newline: str, mark: bytes
) -> None:
    text, start, end = chosen
    written = [re.sub("\n", newline, part) for part in (text[:start], text[start:end], text[end:])]
    raw = mark + "".join(written).encode()
    # A file without any line break cannot tell how it writes them.
    expected = re.sub("\n", newline if "\n" in text else "\n", replacement)
    result = edited(raw, [(location(text, start, end), replacement)])
    assert result == mark + (written[0] + expected + written[2]).encode()
