"""Tests of layers that draw an upstream gradient and compute no loss."""

import pytest

from gradcheck.analysis.session import run_report
from gradcheck.base.options import SessionOptions
from gradcheck.program.errors import NothingFoundError

_AFFINE = """
import numpy as np
rng = np.random.RandomState(0)
x, w, b = rng.randn(4, 2, 3), rng.randn(6, 5), rng.randn(5)
out = x.reshape(4, -1) @ w + b
dout = rng.randn(*out.shape)
dx = (dout @ w.T).reshape(x.shape)
dw = x.reshape(4, -1).T @ dout
db = dout.sum(0)
"""

_CELL = """
import numpy as np
rng = np.random.RandomState(1)
x, c, W = rng.randn(3, 4), rng.randn(3, 4), rng.randn(4, 4)
gate = 1 / (1 + np.exp(-(x @ W)))
next_c = gate * c
next_h = np.tanh(next_c)
dnext_h, dnext_c = rng.randn(3, 4), rng.randn(3, 4)
dall = dnext_c + dnext_h * (1 - next_h ** 2)
dc = dall * gate
dgate = dall * c
dW = x.T @ (dgate * gate * (1 - gate))
y = rng.randn(5, 3)
dropped = np.maximum(y, 0)
ddropped = np.ones_like(dropped)
dy = ddropped * (y > 0)
"""


def _judged(tmp_path, text):
    program = tmp_path / "program.py"
    program.write_text(text)
    report = run_report(SessionOptions(str(program), fix_budget_s=0.0))
    return report, {row.name: row.verdict.value for row in report.rows}


@pytest.mark.parametrize(
    ("text", "right", "wrong", "accused"),
    [
        (_AFFINE, "dout.sum(0)", "dout.mean(0)", "db"),
        (_CELL, "dc = dall * gate", "dc = dall * c", "dc"),
        (_CELL, "* (y > 0)", "* (y > 1)", None),
    ],
)
def test_it_is_compared_with_what_follows_from_what_is_drawn(tmp_path, text, right, wrong, accused):
    _, found = _judged(tmp_path, text)
    assert set(found.values()) == {"correct"}
    assert {"dx", "dw", "db"} <= set(found) or {"dc", "dgate", "dW", "dy"} <= set(found)
    report, found = _judged(tmp_path, text.replace(right, wrong))
    # Where none of its gradients is one of what is drawn, nothing says that it is an upstream gradient.
    assert [name for name, verdict in found.items() if verdict != "correct"] == ([accused] if accused else [])
    assert ("dy" in found) == (text is _CELL and accused is not None)
    assert len(report.findings) == (accused is not None)


def test_what_is_drawn_for_the_forward_pass_is_no_gradient(tmp_path):
    text = (
        "import numpy as np\nrng = np.random.RandomState(0)\nmean, spread = rng.randn(4, 3), rng.rand(4, 3)\n"
    )
    text += "g = rng.randn(4, 3)\nmoved = spread * g\nz = mean + moved\nprint(z.sum())\n"
    with pytest.raises(NothingFoundError):
        _judged(tmp_path, text)
