"""What to do about a missing package, a name that NumPy has removed, and Python 2."""

import numpy as np
import pytest

from gradcheck.program.errors import ProgramError
from tests.support import report_on_source


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("x = np.zeros(3, dtype=np.float)", "no attribute 'float'", "write `float`"),
        pytest.param(
            "x = np.lib.pad(np.ones(3), 1)",
            "no attribute 'pad'",
            "write `np.pad`",
            marks=pytest.mark.skipif(hasattr(np.lib, "pad"), reason="NumPy 1 has it"),
        ),
        ("x = np.nonsense(3)", "no attribute 'nonsense'", "another function"),
        ("from sklearn.nowhere import x", "No module named", "pip install scikit-learn"),
        ("import helpers_of_nobody", "No module named", "PYTHONPATH=DIR"),
        ("import cPickle", "No module named", "Python 2"),
        ("for i in xrange(3): pass", "'xrange' is not defined", "Python 2"),
        ("float(np.ones((2, 2)))", "only", "x.item()"),
        ("np.array([[1, 2], [3]])", "inhomogeneous", "dtype=object"),
    ],
)
def test_the_line_says_what_to_do(text, message, hint):
    with pytest.raises(ProgramError) as raised:
        report_on_source(f"import numpy as np\n{text}\n")
    assert message in raised.value.message
    assert hint in raised.value.hint
    assert "\n" not in raised.value.message + raised.value.hint


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("w = 0.5\nfor i in range(9):\n    w -= 0.1 * w\n", "plain Python numbers"),
        ("import numpy\n", "it only"),
    ],
)
def test_a_program_without_arrays(text, said):
    with pytest.raises(ProgramError) as raised:
        report_on_source(text)
    assert "no operation of torch or NumPy" in raised.value.message
    assert said in raised.value.hint
