"""Evaluating an edit computes and does nothing else."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gradcheck.diagnosis.evaluation import CannotEvaluateError, Evaluable
from gradcheck.diagnosis.namespace import BindingIndex, Namespace
from gradcheck.program.reading.tree import expression
from gradcheck.program.torch_settings import kept_random_states, kept_torch_settings
from gradcheck.replay.runner import Runner
from tests.support import record_source, report_on_source

PROGRAM = """
import numpy as np
import torch
log, cache, count = [], {}, 0
class Holder: pass
holder = Holder()
x = torch.ones(2) * 1.0
long, wide = torch.ones(100_000, 1) * 1.0, torch.ones(1, 100_000) * 1.0
tall = torch.ones(100_000, 1) * 1.0
class Twice(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        log.append(1)
        return x * 2
class Layer(torch.nn.Module):
    def forward(self, x):
        self.x = x
        return x
layer, layers = Layer(), torch.nn.Sequential(Layer())
class Value:
    def __mul__(self, other):
        log.append(1)
        return other
value = Value()
FUNCTION
torch.sin(x)
"""


def evaluated(text: str, function: str = "") -> tuple[torch.Tensor, dict[str, Any]]:
    """What the expression gives at the end of a program with this function, and the names of the program."""
    recorded = record_source(PROGRAM.replace("FUNCTION", function))
    op = next(op for op in recorded.ops if op.name == "sin")
    names = Namespace(BindingIndex(recorded.recording, recorded.program.sources), op, op.index)
    replay = Runner(torch.float64)
    replay.run(recorded.ops[: op.index])
    try:
        return Evaluable(expression(text), names).result(replay.tensor, torch.float64), recorded.names
    finally:
        assert recorded.names["log"] == []
        assert recorded.names["cache"] == {}
        assert recorded.names["count"] == 0
        assert not vars(recorded.names["holder"])


@pytest.mark.parametrize(
    "text",
    [
        "def f(x): print('again'); return x",
        "def f(x): open('again.txt', 'w'); return x",
        "def f(x): input(); return x",
        "def f(x): log.append(1); return x",
        "def f(x):\n  global count\n  count = 1\n  return x",
        "def f(x): holder.x = x; return x",
        "def f(x): cache['x'] = x; return x",
        "def f(x): torch.save(x, 'again.pt'); return x",
        "def f(x): eval('log.append(1)'); return x",
        "def f(x): return Twice.apply(x)",
        "def f(x): return layer(x)",
        "def f(x): return layers(x)",
        "def f(x): return value * x",
        "def f(x): return sum(map(log.append, [1])) or x",
        "def f(x):\n  import os\n  os.mkdir('again')\n  return x",
        "def f(x):\n  while True: pass",
        "def f(x):\n  for i in range(10**9): pass\n  return x",
        "def f(x): return f(x)",
    ],
)
def test_what_does_more_than_compute_is_not_evaluated(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CannotEvaluateError):
        evaluated("f(x)", text)
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "text",
    [
        "def f(x): return torch.tanh(x) * 2",
        "def f(x):\n  out = []\n  for row in x: out.append(row * 2)\n  return torch.stack(out)",
        "def f(x):\n  def inner(y): return y + 1\n  return inner(x).sum()",
        "def f(x):\n  y = x.clone()\n  y[x > 0] = 0\n  return y",
        "@torch.no_grad()\ndef f(x): return x * 2",
    ],
)
def test_what_computes_is_evaluated(text: str) -> None:
    found, names = evaluated("f(x)", text)
    torch.testing.assert_close(found, names["f"](names["x"]).double())


@pytest.mark.parametrize(
    "text", ["long * wide", "long + tall.T", "long @ wide", "torch.where(long > 0, long, wide)"]
)
def test_what_would_fill_the_memory_is_refused_before_it_is_made(text: str) -> None:
    with pytest.raises(CannotEvaluateError, match="far larger"):
        evaluated(text)


def test_numbers_are_made_in_the_precision_of_the_replay() -> None:
    made, _ = evaluated("torch.full((2,), 0.1)")
    assert made.dtype is torch.float64
    assert float(made[0]) == 0.1
    assert torch.get_default_dtype() is torch.float32


def test_random_states_and_settings_stay() -> None:
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # type: ignore[union-attr]
    with kept_torch_settings(), kept_random_states():
        torch.rand(3)
        np.random.rand()
        random.random()
        torch.set_default_dtype(torch.float64)
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1] == np.random.get_state()[1].tolist()  # type: ignore[union-attr]
    assert before[2] == random.getstate()
    assert torch.get_default_dtype() is torch.float32


def test_a_program_is_run_once_however_long_is_searched(tmp_path: Path) -> None:
    """The helper of a wrong line counts its calls: edits of the line that call it are not evaluated."""
    count = tmp_path / "calls"
    source = f"""
        import torch

        calls = []

        def slope(h):
            calls.append(1)
            with open({str(count)!r}, "a") as file:
                file.write("x")
            return 1 - h

        torch.manual_seed(0)
        x, W = torch.randn(8, 3), torch.randn(3, 4)
        z = x @ W
        h = torch.tanh(z)
        loss = (h**2).sum()
        dh = 2 * h
        dz = dh * slope(h)
        dW = x.T @ dz
    """
    report = report_on_source(source, fix_budget_s=5.0, allow_writes=True)
    assert any(finding.rule == "GC101" for finding in report.findings)
    assert count.read_text() == "x"
