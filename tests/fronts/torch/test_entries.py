"""A training step stands on its own: what it starts from are leaves, and what led to them is forgotten."""

from __future__ import annotations

import pytest

from tests.fronts.torch.test_steps import NETWORK, STEP
from tests.support import record_source

LOOP = f"for step in range(3_000):{STEP}    W -= lr * dW\n"


def step_begin(run):
    return next(mark.when for mark in run.recording.marks if mark.what == "step")


def test_what_led_to_the_step_is_forgotten():
    run = record_source(f"""{NETWORK}
raw = torch.randn(16, 3) * 4
X = (raw - raw.mean(0)) / raw.std(0)
W = torch.randn(3, 1) * 0.1
before, data = W.clone(), X.clone()
{LOOP}""")
    begin = step_begin(run)
    assert begin > 5
    assert not any(op.inputs or op.outputs for op in run.ops[:begin])
    x, w = next(op.args for op in run.ops[begin:] if op.name == "matmul")
    assert w.data.equal(run.names["before"])
    assert not run.names["W"].equal(run.names["before"])
    assert x.data.equal(run.names["data"])
    (raw,) = run.bound("raw")
    assert raw.data is None


UPDATES = {
    "in place": "W -= lr * dW",
    "on data": "W.data -= lr * dW",
    "data replaced": "W.data = W.data - lr * dW",
    "rebound": "W = W - lr * dW",
    "sub_": "W.sub_(dW, alpha=lr)",
    "an optimiser": "W.grad = dW; opt.step()",
}


@pytest.mark.parametrize("name", UPDATES)
def test_parameters_are_kept_as_they_were(name):
    run = record_source(f"""{NETWORK}
opt = torch.optim.SGD([W], lr=lr)
before = W.clone()
for step in range(3_000):{STEP}    {UPDATES[name]}
""")
    begin = step_begin(run)
    w = next(op.args[1] for op in run.ops[begin:] if op.name == "matmul")
    assert w.data.equal(run.names["before"])
    assert not any(op.outputs for op in run.ops[:begin])


def test_a_pass_before_the_loop_keeps_its_ops():
    run = record_source(f"{NETWORK}{STEP.replace(chr(10) + '    ', chr(10))}\n{LOOP}")
    begin = step_begin(run)
    assert sum(op.name == "matmul" for op in run.ops[:begin] if op.inputs) == 2


def test_views_of_what_the_step_changes_keep_what_made_them():
    """A view and its base are one storage: as two leaves, the one would not see what is done to the other."""
    run = record_source(f"""{NETWORK}
W = torch.randn(3, 1) * 0.1
Wt = W.T
for step in range(3_000):{STEP}    W -= lr * dW
    norm = (Wt ** 2).sum()
""")
    begin = step_begin(run)
    assert [op.name for op in run.ops[:begin] if op.outputs] == ["randn", "mul", "T"]


def test_what_is_used_later_only_is_kept_as_it_is_then():
    run = record_source(f"""{NETWORK}
Z = torch.ones(3, 2) * 2
{LOOP}
Z += 1
dZ = X.T @ (X @ Z)
""")
    z = next(
        op.args[1] for op in run.ops[step_begin(run) :] if op.name == "matmul" and op.args[1].shape == (3, 2)
    )
    assert z.data is not None
    assert z.data.mean() == 2
    assert any(z in op.mutated for op in run.ops)
