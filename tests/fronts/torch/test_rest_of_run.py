"""What follows the last training step stands apart on the tape, unless it may compute gradients."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from gradcheck.fronts import control, steps
from gradcheck.program.program import load
from gradcheck.program.runner import run
from gradcheck.program.target import parse_target
from tests.fronts.torch.test_steps import NETWORK, STEP
from tests.support import NamespaceRecorder, record_source

TRAINING = f"""{NETWORK}
class Layer:
    def __init__(self):
        self.w = W
        self.dw = None
    def forward(self, x):
        return x @ self.w
    def backward(self, dout):
        self.dw = X.T @ dout
        return dout @ self.w.T
def evaluate(x):
    return ((x @ W + b - Y) ** 2).mean().item()
def fit():
    dV = X.T @ (X @ W - Y)
    return W - lr * dV
def through(f):
    return f()
layer = Layer()
alias = [fit]
for step in range(3_000):{STEP}    W -= lr * dW
"""

NOTHING_FOLLOWS = {
    "evaluation": "total = 0.0\nfor i in range(4):\n    total += evaluate(X[:1])",
    "an object's forward pass": "out = layer.forward(X)",
    "a generator of random numbers": "g = torch.Generator().manual_seed(1)\nsample = torch.randn(3, generator=g)",
    "counting down": "n = 5\nwhile n:\n    n -= 1\n    x = X @ W",
    "printing gradients": "print(dW.abs().max())",
    "an import of a library": "import fractions\nx = X @ W",
}
SOMETHING_FOLLOWS = {
    "named gradients": "dZ = X.T @ (X @ W - Y)",
    "a step without names": "W -= lr * (X.T @ (X @ W - Y))",
    "a step upwards": "W += -lr * (X.T @ (X @ W - Y))",
    "a rebound step": "W = W - lr * (X.T @ (X @ W - Y))",
    "steps in a comprehension": "W, = [p - lr * X.T @ (X @ p - Y) for p in [W]]",
    "a function": "W = fit()",
    "a function handed on": "W = through(fit)",
    "a function in a list": "W = alias[0]()",
    "a method": "layer.backward(X @ W - Y)",
    "a method by name": "getattr(layer, 'backward')(X @ W - Y)",
    "autograd": "W.requires_grad_(); ((X @ W) ** 2).sum().backward()",
    "text that is run": "exec('dW = X.T @ (X @ W - Y)')",
    "an unfinished gradient": "x = X @ W\ndZ = None",
}


def ops_after_training(run):
    """Those that are searched for backward passes."""
    (end,) = {mark.when for mark in run.recording.marks if mark.what == "step-end"}
    return run.recording.before_aftermath().ops[end:]


@pytest.mark.parametrize("name", NOTHING_FOLLOWS)
def test_what_cannot_compute_gradients_stands_apart(name):
    run = record_source(f"{TRAINING}{NOTHING_FOLLOWS[name]}\nafter = True\n")
    assert run.names["after"]
    assert run.names["count"] == 1
    assert not ops_after_training(run)
    assert run.recording.aftermath == len(run.recording.before_aftermath().ops)
    assert run.recording.aftermath_ops


@pytest.mark.parametrize("name", SOMETHING_FOLLOWS)
def test_what_may_compute_gradients_is_searched_for_them(name):
    run = record_source(f"{TRAINING}{SOMETHING_FOLLOWS[name]}\nafter = True\n")
    assert run.names["after"]
    assert ops_after_training(run)


def test_training_in_a_function_and_gradients_in_its_caller():
    inside = f"{NETWORK}\ndef train(W, b):\n    count = 0\n    for step in range(3_000):\n"
    inside += "".join(f"    {line}\n" for line in (STEP + "    W -= lr * dW").splitlines() if line)
    silent = record_source(f"{inside}    return W\nW = train(W, b)\nx = X @ W\n")
    assert not ops_after_training(silent)
    telling = record_source(f"{inside}    return W\nW = train(W, b)\ndX = (X @ W) @ W.T\n")
    assert [op.name for op in ops_after_training(telling)] == ["matmul", "T", "matmul"]


def test_loops_around_a_training_loop_are_left_after_what_they_do_besides():
    body = "".join(f"    {line}\n" for line in (STEP + "    W -= lr * dW").splitlines() if line)
    run = record_source(f"""{NETWORK}
evals = epochs = 0
for epoch in range(10_000):
    epochs += 1
    for batch in range(5_000):
{body}
    for i in range(3):
        x = X[i] @ W
        evals += 1
for i in range(7):
    evals += 1
    x = X[i] @ W
""")
    assert (run.names["epochs"], run.names["count"], run.names["evals"]) == (1, 1, 10)


SAMPLING = "n = 0\nfor i in range({}):\n    h = torch.tanh(X[:1] @ W)\n    n += 1\n"


def test_a_long_sampling_loop_does_not_fill_the_tape(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(control, "AFTERMATH_OPS", 1_000)
    silent = record_source(f"{TRAINING}{SAMPLING.format(1_300)}")
    assert silent.names["n"] == 1_300
    assert len(silent.recording.aftermath_ops) == 1_000
    assert not silent.recording.notes


def test_gradients_after_a_long_sampling_loop_are_recorded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(steps, "_THIN_AFTER_ITERATIONS", 500)
    run = record_source(f"{TRAINING}{SAMPLING.format(1_300)}dZ = X.T @ (X @ W - Y)\n")
    assert run.names["n"] == 1_300
    assert len(run.ops) < 1_300
    assert run.bound("dZ")[-1].producer in run.ops


def test_the_tape_keeps_what_the_program_changes_afterwards():
    run = record_source(
        f"{NETWORK}first = W.clone()\nfor step in range(9):{STEP}    W -= lr * dW\nW.zero_(); X.mul_(0)\n"
    )
    step = run.recording.before_aftermath().ops
    weights = next(value for value in step[-1].inputs if value.shape == (3, 1))
    assert weights.data.equal(run.names["first"])
    data = next(op.args[0] for op in run.ops if op.name == "matmul")
    assert data.data.abs().sum() > 0


def test_a_loop_that_was_told_late_is_not_taken_for_the_one_around_a_step():
    """Long pure Python puts loops to sleep; the first tensor of the next loop wakes them within an iteration."""
    run = record_source(f"""{TRAINING}
for i in range(10_000):
    pass
N = 0
for i in range(6):
    if i == 0:
        for j in range(10_000):
            pass
    N += 1
    x = X @ W
dZ = X.T @ (X @ W - Y)
""")
    assert run.names["N"] == 6
    assert not [line for line in run.lines_left() if line > 40]


def test_a_function_that_runs_after_its_module():
    text = f"{TRAINING}def again():\n    global W\n    dW = X.T @ (X @ W - Y)\n    W = W - lr * dW\n"
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "step_in_a_function.py")
        path.write_text(text)
        program = load(parse_target(f"{path}::again"))
        recorder = NamespaceRecorder(program.sources)
        run(program, recorder)
    (end,) = {mark.when for mark in recorder.recording.marks if mark.what == "step-end"}
    assert [op.name for op in recorder.recording.ops[end:]].count("matmul") == 2


ENDLESS = {
    "for": ("for step in range(10_000_000):", ""),
    "while": ("while True:", ""),
    "nested": ("for epoch in range(10_000_000):\n  for batch in range(30):", "    "),
}


@pytest.mark.parametrize("name", ENDLESS)
def test_training_loops_are_left_after_an_early_end_too(name, monkeypatch):
    monkeypatch.setattr(control, "MAX_OPS", 8)
    header, indent = ENDLESS[name]
    body = "".join(f"{indent}{line}\n" for line in (STEP + "    W -= lr * dW").splitlines())
    run = record_source(
        f"{NETWORK}for i in range(500):\n    x = X @ W\n    seen = i\n{header}\n{body}\nafter = True\n"
    )
    assert run.names["after"]
    assert run.names["seen"] == 499
    assert 1 < run.names["count"] < 1_000
    assert run.recording.notes == ["recording ended after 8 tensor operations"]
