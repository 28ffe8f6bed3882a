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
