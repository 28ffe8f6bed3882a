"""Places: spans are Python's, columns are counted in characters."""

from __future__ import annotations

import pytest

from gradcheck.fronts.places import Places
from tests.support import record_source

LINE = "größe = 'Größe, ξ und 梯度'; ξ = torch.exp(x) + 1  # größer"


@pytest.mark.parametrize("indentation", ["", "    "])
def test_columns_count_characters_where_bytes_and_characters_differ(indentation):
    header = "if True:\n" if indentation else "\n"
    run = record_source(f"import torch\nx = torch.ones(2)\n{header}{indentation}{LINE}\n")
    places = Places(run.program.sources)
    line = indentation + LINE
    for op, source in ((run.ops[-2], "torch.exp(x)"), (run.ops[-1], "torch.exp(x) + 1")):
        location = places.location(op)
        assert location.line == 4
        assert line[location.column - 1 : location.end_column - 1] == source
        assert places.text(op) == source


def test_a_whole_line_is_counted_in_characters_too():
    run = record_source(f"import torch\nx = torch.ones(2)\nif True:\n    {LINE}   \n")
    location = Places(run.program.sources).line_location(run.ops[-1].code, 4)
    assert (location.column, location.end_column) == (5, 5 + len(LINE))


def test_what_an_array_program_writes_over_several_lines_is_where_it_begins():
    run = record_source("""\
import numpy as np
x = np.ones((2, 3))
y = x * (
    x
    + 1
)
x[
    0
] = 2.0
x[
    1
] += np.sum(
    y
)
""")
    places = Places(run.program.sources)
    spans = {places.text(op).replace(" ", ""): places.span(op.code, op.lasti)[:2] for op in run.ops}
    assert {"x*(x+1)": (3, 6), "x+1": (4, 5), "np.sum(y)": (12, 14)}.items() <= spans.items()
    assert {places.statement(op).lineno for op in run.ops} == {2, 3, 7, 10}
    assert {places.location(op).line for op in run.ops} == {2, 3, 4, 7, 10, 12}
