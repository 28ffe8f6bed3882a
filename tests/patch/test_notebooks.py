"""Edits of notebooks: characters inside the right string literals change, and nothing else of the JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gradcheck.program.edits.notebook import notebook_splices
from gradcheck.program.edits.spans import edited
from gradcheck.program.edits.splices import NoSuchPlaceError
from gradcheck.program.errors import ProgramError
from gradcheck.program.location import Location


def at(cell: int, line: int, column: int, end_column: int, end_line: int | None = None) -> Location:
    return Location("a.ipynb", cell, line, end_line or line, column, end_column)


NOTEBOOK = r"""{
 "cells": [
  {"cell_type": "markdown", "source": ["x = 1"]},
  {
   "cell_type": "code",
   "source": [
    "\u03b4 = \"a\\n\"\n",
    "%matplotlib inline\n",
    "caf\u00e9 = (var + 1e-5) ** 0.5"
   ],
   "outputs": [{"text": "\ud83e\udd14 \/ x = 1"}], "execution_count" : 1.0
  },
  {"source": "a = 1\ny = 2 # \ud83e\udd14 \/\nz = 3", "metadata":{}, "cell_type":"code"}
 ],
 "nbformat": 4
}

"""


def test_only_characters_of_the_span_change() -> None:
    edits = [
        (at(1, 3, 8, 27), "(var + 1e-5) ** -0.5"),
        (at(2, 2, 5, 6), "5"),
        (at(2, 2, 9, 12), "🤔 \\"),
        (at(1, 1, 5, 10), '"b\\n"'),
    ]
    expected = (
        NOTEBOOK.replace("** 0.5", "** -0.5")
        .replace(r"y = 2 # \ud83e\udd14 \/", r"y = 5 # \ud83e\udd14 \\")
        .replace(r"\"a\\n\"", r"\"b\\n\"")
    )
    assert edited(NOTEBOOK.encode(), edits).decode() == expected


def test_a_new_line_is_a_new_element_of_a_list() -> None:
    result = edited(NOTEBOOK.encode(), [(at(1, 3, 8, 27), "(\n  é)")]).decode()
    assert '"caf\\u00e9 = (\\n",\n    "  \\u00e9)"\n   ],' in result
    result = edited(NOTEBOOK.encode(), [(at(2, 1, 5, 6), "(\n1)")]).decode()
    assert '"a = (\\n1)\\ny = 2' in result


def test_a_list_of_one_line_gets_its_indentation() -> None:
    text = '{"cells": [{"cell_type": "code", "source": [\n   "a = 1"\n  ]}]}'
    result = edited(text.encode(), [(at(1, 1, 5, 6), "(\n1)")]).decode()
    assert result == text.replace('1"', '(\\n",\n   "1)"')


def test_lines_that_become_one() -> None:
    text = '{"cells": [{"cell_type": "code", "source": ["a = (\\n", "  1\\n",\n "  + 2)\\n", "b = 3"]}]}'
    result = edited(text.encode(), [(at(1, 1, 5, 7, end_line=3), "12")]).decode()
    assert result == '{"cells": [{"cell_type": "code", "source": ["a = 12\\n", "b = 3"]}]}'


def test_whole_lines_leave_no_empty_element() -> None:
    text = '{"cells": [{"cell_type": "code", "source": ["a = 1\\n", "b = 3"]}]}'
    result = edited(text.encode(), [(at(1, 1, 1, 1, end_line=2), "c = 1\nd = 2\n")]).decode()
    assert json.loads(result)["cells"][0]["source"] == ["c = 1\n", "d = 2\n", "b = 3"]
    result = edited(text.encode(), [(at(1, 2, 6, 6), "\nc = 4\n")]).decode()
    assert json.loads(result)["cells"][0]["source"] == ["a = 1\n", "b = 3\n", "c = 4\n"]


def test_characters_stand_for_themselves_where_others_do() -> None:
    text = '{"cells": [{"cell_type": "code", "source": ["é = 1"]}]}'
    assert edited(text.encode(), [(at(1, 1, 5, 6), "δ")]).decode() == text.replace("1", "δ")


def test_old_formats_keep_their_layout() -> None:
    text = '{"worksheets": [{"cells": [{"cell_type": "code", "input": "a = 1\\r\\nb = 2"}]}]}'
    result = edited(text.encode(), [(at(1, 1, 5, 6), "(1,\n2)")]).decode()
    assert result == text.replace("a = 1", "a = (1,\\r\\n2)")


def test_a_byte_order_mark_stays() -> None:
    raw = b"\xef\xbb\xbf" + NOTEBOOK.encode()
    assert edited(raw, [(at(2, 2, 5, 6), "5")]) == raw.replace(b"y = 2", b"y = 5")


@pytest.mark.parametrize(
    "place", [at(0, 1, 1, 2), at(4, 1, 1, 2), at(3, 1, 1, 2), at(1, 2, 1, 2), at(1, 1, 9, 9)]
)
def test_a_place_that_the_notebook_does_not_have(place: Location) -> None:
    text = (
        '{"cells": [{"cell_type": "code", "source": ["a = 1"]}, {"cell_type": "code", "source": "b = 1"},'
        ' {"cell_type": "code", "source": []}]}'
    )
    with pytest.raises(NoSuchPlaceError):
        edited(text.encode(), [(place, "2")])


def test_what_is_no_notebook_is_refused() -> None:
    with pytest.raises(ProgramError, match="is not a notebook"):
        edited(b"{", [(at(1, 1, 1, 2), "2")])


SOURCE_CHARACTERS = st.sampled_from('ab =δ变🤔\u0301\x0c\u2028"\\/\t\x01\n')


@st.composite
def cells(draw: st.DrawFn) -> tuple[str, Any]:
    """A cell's text, and the JSON value that holds it."""
    text = draw(st.text(SOURCE_CHARACTERS, max_size=40))
    if draw(st.booleans()):
        return text, text
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), max_size=4)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    return text, draw(st.sampled_from([pieces, [*text.splitlines(keepends=True)] or [""]]))


def line_and_column(text: str, offset: int) -> tuple[int, int]:
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


@given(
    st.lists(cells(), min_size=1, max_size=3),
    st.data(),
    st.text(SOURCE_CHARACTERS, max_size=12),
    st.booleans(),
    st.sampled_from([None, 1, "\t"]),
)
def test_the_notebook_is_the_same_but_for_the_span(
    sources: list[tuple[str, Any]], data: st.DataObject, replacement: str, ascii_only: bool, indent: Any
) -> None:
    number = data.draw(st.integers(1, len(sources)))
    text = sources[number - 1][0]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    (line, column), (end_line, end_column) = line_and_column(text, start), line_and_column(text, end)
    place = Location("a.ipynb", number, line, end_line, column, end_column)
    notebook = {
        "cells": [
            {"cell_type": "code", "source": source, "outputs": [{"text": text}]} for text, source in sources
        ]
        + [{"cell_type": "code", "source": "pass"}]
    }
    raw = (json.dumps(notebook, ensure_ascii=ascii_only, indent=indent) + "\n").encode()

    result = edited(raw, [(place, replacement)])

    (splice,) = notebook_splices(raw, [(place, replacement)], Path("a.ipynb"))
    assert result.startswith(raw[: splice.start])
    assert result.endswith(raw[splice.end :])
    again = json.loads(result)
    edited_source = again["cells"][number - 1]["source"]
    assert type(edited_source) is type(sources[number - 1][1])
    assert "".join(edited_source) == text[:start] + replacement + text[end:]
    again["cells"][number - 1]["source"] = sources[number - 1][1]
    assert again == notebook
    if raw.isascii():
        assert result.isascii()
