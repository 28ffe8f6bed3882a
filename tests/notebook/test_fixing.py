"""`%gradcheck_fix`: the diff of the cells, and the mended cell as the next input."""

from __future__ import annotations

import pytest

from tests.notebook.test_checking import LOOP, OPTIONS, SET_UP, WRONG

CHECK = f"%%gradcheck --no-health\n{WRONG}"


@pytest.fixture
def trained(notebook):
    notebook.run(SET_UP + "\nsteps = []")
    return notebook


def test_the_diff_is_shown_and_nothing_else_happens(trained):
    trained.check(CHECK)
    assert "<code>%gradcheck_fix --apply</code> puts" in trained.page
    trained.run("%gradcheck_fix")
    lines = trained.plain[-1].split("\n")
    assert lines[0] == "cell 3"
    assert "-    dy = 3 * (y - target)" in lines
    assert "+    dy = 2 * (y - target)" in lines
    assert "1 verified fix" in lines[-1]
    assert '<span class="red">-    dy' in trained.page
    assert trained.next_inputs == []


def test_the_mended_cell_is_put_below_and_is_right(trained):
    trained.check(CHECK)
    trained.run("%gradcheck_fix --apply")
    assert trained.next_inputs == [CHECK.replace("3 * (", "2 * (")]
    assert "cell 3 with its fixes is in the cell below" in trained.plain[-1]
    report = trained.check(trained.next_inputs[0])
    assert report.findings == []
    trained.run("%gradcheck_fix")
    assert trained.plain[-1] == "nothing to fix: the report has no finding"


def test_magics_of_the_cell_stay_as_they_were_typed(trained):
    cell = "\n\n%%gradcheck --no-health\nhere = %pwd\n%time a = 1\n" + WRONG
    trained.check(cell)
    trained.run("%gradcheck_fix --apply")
    assert trained.next_inputs == [cell.replace("3 * (", "2 * (")]


def test_the_fix_of_another_cell(trained):
    function = "\n\ndef backward(y):\n    return 3 * (y - target)"
    trained.run(function)
    trained.check(f"%%gradcheck --no-health\n{LOOP.replace('2 * (y - target)', 'backward(y)')}")
    trained.run("%gradcheck_fix --apply --cell 4")
    assert trained.next_inputs == []
    trained.run("%gradcheck_fix --apply")
    assert [text.lstrip("\n") for text in trained.next_inputs] == [
        function.lstrip("\n").replace("3 *", "2 *")
    ]


def test_without_a_fix(trained):
    trained.check(f"%%gradcheck {OPTIONS}\n{WRONG}")
    trained.run("%gradcheck_fix")
    assert "no verified fix: notebook [cell 3] line 5" in trained.plain[-1]
    result = trained.run("%gradcheck_fix --apply")
    assert not result.success
    assert "there is no verified fix of a cell" in str(result.error_in_exec)


def test_before_any_cell_was_checked(trained):
    result = trained.run("%gradcheck_fix")
    assert "no cell was checked yet; write `%%gradcheck` above the training cell" in str(result.error_in_exec)
