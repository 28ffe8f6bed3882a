"""What a NumPy program draws at random, and the memory that it has not written to yet."""

import pickle

import numpy as np
import pytest
import torch

from gradcheck import check_layer
from gradcheck.analysis.session import run_report
from gradcheck.base.options import SessionOptions
from gradcheck.fronts.fingerprint import fingerprint
from gradcheck.fronts.numpy.draw import Draw
from gradcheck.fronts.op import Kind, Op, Value
from gradcheck.replay.runner import Runner

STEP = """\
import numpy as np

np.random.seed(0)
rng = np.random.default_rng(0)
W = np.linspace(-1.0, 1.0, 6).reshape(3, 2)
DATA = np.array([[0.1 * i, 1 - 0.2 * i, 0.01 * i * i] for i in range(20)])
for _ in range(3):
    x = {x}
    out = np.tanh(x @ W)
    loss = (out**2).sum() / 4
    dout = 2 * out / 4
    dpre = dout * (1 - out)
    dW = x.T @ dpre
    W -= 0.01 * dW
print(np.random.rand(), rng.random())
"""
DRAWS = [
    "np.random.randn(4, 3)",
    "np.random.normal(0.0, 2.0, size=(4, 3))",
    "rng.standard_normal((4, 3))",
    "rng.laplace(size=(4, 3))",
    "DATA[np.random.randint(0, 20, 4)]",
    "DATA[rng.choice(20, size=4, replace=False)]",
    "DATA[rng.permutation(20)[:4]]",
    "DATA[_ * 4 : _ * 4 + 4]",
]


def _found(tmp_path, text, budget=0.0):
    (tmp_path / "program.py").write_text(text)
    return run_report(SessionOptions(str(tmp_path / "program.py"), fix_budget_s=budget))


@pytest.mark.parametrize("draw", DRAWS)
def test_a_fix_is_proved_on_fresh_draws(tmp_path, draw):
    (finding,) = [f for f in _found(tmp_path, STEP.format(x=draw), 20.0).findings if f.rule == "GC101"]
    assert finding.fix is not None
    assert finding.fix.verified
    assert finding.fix.replacement == "out**2"
    assert any("on 2 fresh minibatch draws" in line for line in finding.helps)


@pytest.mark.parametrize(
    ("method", "args"),
    [
        (np.random.randn, (50, 2)),
        (np.random.randint, (0, 1000, 50)),
        (np.random.default_rng(0).integers, (0, 1000, 50)),
        (np.random.RandomState(0).permutation, (50,)),
        (np.random.default_rng(0).gamma, (2.0, 1.0, 50)),
    ],
)
def test_a_draw_is_made_again_with_other_numbers_and_the_generator_stays(method, args):
    before = pickle.dumps((np.random.get_state(), method.__self__))
    one, other = Draw(method)(*args), Draw(method)(*args)
    assert one.shape == other.shape
    assert not one.equal(other)
    assert pickle.dumps((np.random.get_state(), method.__self__)) == before


class Rows:
    def __init__(self, weight, b):
        self.W, self.b = weight, b
        self.dW = np.zeros_like(weight)

    def forward(self, x):
        self.x, self.out = x, np.tanh(x @ self.W + self.b)
        return self.out

    def backward(self, dout):
        dpre = dout * (1 - self.out**2)
        self.dW[...] = self.x.T @ dpre
        self.db = dpre.sum(axis=0)
        dx = self.new()
        for i in range(len(dx)):
            dx[i] = dpre[i] @ self.W.T
        return dx

    def new(self):
        return np.empty(self.x.shape, dtype="f")


class LikeAnother(Rows):
    def new(self):
        return np.empty_like(self.x, dtype="f")


@pytest.mark.parametrize("layer", [Rows, LikeAnother])
def test_memory_that_is_filled_row_by_row_is_followed(layer):
    result = check_layer(layer, fix_budget_s=0.0)
    assert "failed" not in str(result)
    assert "not judged" not in str(result)


CODE = compile("", "", "exec")


def test_what_lies_in_new_memory_matters_for_fidelity_alone():
    """It may be the very gradient of an earlier call, but for its rounding, which no line has computed yet."""
    made = Op(0, torch.empty, Kind.CREATE, ((2,),), {"dtype": torch.float64}, CODE, 0)
    made.out = Value(made, 0, (2,))
    made.fingerprint = fingerprint(torch.tensor([3.0, 4.0], dtype=torch.float64))
    as_run, judging = Runner(None), Runner(torch.float64)
    for runner in (as_run, judging):
        runner.step(made)
    assert as_run.tensor(made.out).tolist() == [3.0, 4.0]
    assert judging.tensor(made.out).tolist() == [0.0, 0.0]
