"""What a backward pass hands back for rows of zeros and ones is nobody's gradient, and no victim of anything."""

from gradcheck.analysis.session import run_report
from gradcheck.base.options import SessionOptions

PROGRAM = """\
import numpy as np


class Product:
    def __init__(self, W):
        self.W, self.grad = W, np.zeros_like(W)

    def forward(self, x):
        self.x = x
        return np.dot(x, self.W)

    def backward(self, dout):
        dx = np.dot(dout, self.W.T)
        self.grad[...] = np.dot(self.x.T, dout)
        return dx


class Softmax:
    def forward(self, x, t):
        self.t = t
        e = np.exp(x - x.max(axis=1, keepdims=True))
        self.y = e / e.sum(axis=1, keepdims=True)
        return -np.log(self.y[np.arange(len(t)), t]).sum() / len(t)

    def backward(self, dout=1):
        dx = self.y.copy()
        dx[np.arange(len(self.t)), self.t] -= 1
        dx *= dout
        dx = dx / len(self.t)
        return dx


np.random.seed(0)
x = np.eye(6, dtype=int)[[0, 2, 5, 1]]  # as many columns as there are classes
t = np.array([1, 0, 3, 2])
first, second, last = Product(np.random.randn(6, 4)), Product(np.random.randn(4, 6)), Softmax()
m, v = [0, 0], [0, 0]
for step in range(1, 3):
    loss = last.forward(second.forward(first.forward(x)), t)
    first.backward(second.backward(last.backward()))
    for i, layer in enumerate([first, second]):
        m[i] = m[i] + 0.1 * (layer.grad - m[i])
        v[i] = v[i] + 0.001 * (layer.grad**2 - v[i])
        layer.W -= 0.01 * m[i] / (np.sqrt(v[i]) + 1e-7)
"""


def report_of(path, text):
    path.write_text(text)
    report = run_report(SessionOptions(str(path), fix_budget_s=0))
    rows = [(row["line"], row["verdict"]) for row in report.gradients.to_dict("records")]
    return rows, [f.location.line for f in report.findings if f.rule.startswith("GC1")]


def test_the_gradient_of_whole_numbers_is_not_judged(tmp_path):
    rows, accused = report_of(tmp_path / "program.py", PROGRAM)
    assert not accused
    assert {verdict for _, verdict in rows} == {"correct", "unchecked"}
    assert (13, "unchecked") in rows
    assert (14, "correct") in rows


def test_what_lies_before_it_is(tmp_path):
    _, accused = report_of(tmp_path / "program.py", PROGRAM.replace("self.t] -= 1", "self.t] -= 0.5"))
    line = PROGRAM[: PROGRAM.index("self.t] -= 1")].count("\n") + 1
    assert line <= min(accused) <= line + 2
