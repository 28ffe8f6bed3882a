"""Evaluating an edit computes and does nothing else."""

from __future__ import annotations

import ast
import random
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gradcheck.diagnosis.evaluation import CannotEvaluateError, Evaluable, evaluating
from gradcheck.diagnosis.sandbox import NotAllowedError, state_kept
from tests.support import report_on_source

LOG: list[str] = []


def defined(text: str, **names: Any) -> Any:
    """The function `f` of a program that is no library."""
    namespace: dict[str, Any] = {"torch": torch, **names}
    exec(compile(textwrap.dedent(text), "/home/somebody/program.py", "exec"), namespace)
    return namespace["f"]


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
    ],
)
def test_what_does_more_than_compute_is_refused(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    log: list[int] = []
    cache: dict[str, Any] = {}
    function = defined(text, log=log, cache=cache, holder=ast.Name())
    with pytest.raises(NotAllowedError), evaluating(torch.float64):
        function(torch.ones(2))
    assert not log
    assert not cache
    assert not list(tmp_path.iterdir())
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "text",
    [
        "def f(x): return torch.tanh(x) * 2",
        "def f(x):\n  out = []\n  for row in x: out.append(row * 2)\n  return torch.stack(out)",
        "def f(x):\n  def inner(y): return y + 1\n  return inner(x).sum()",
        "def f(x):\n  y = x.clone()\n  y[x > 0] = 0\n  return y",
    ],
)
def test_what_computes_is_allowed(text: str) -> None:
    function = defined(text)
    with evaluating(torch.float64):
        assert isinstance(function(torch.ones(2)), torch.Tensor)


@pytest.mark.parametrize("text", ["a * b", "a + b.T", "a @ b", "torch.where(a > 0, a, b)"])
def test_what_would_fill_the_memory_is_refused_before_it_is_made(text: str) -> None:
    column, row = torch.ones(100_000, 1), torch.ones(1, 100_000)
    code = compile(f"_result_ = {text}", "<edited>", "exec")
    names = {"a": column, "b": row.T if ".T" in text else row, "torch": torch}
    with pytest.raises(CannotEvaluateError, match="far larger"):
        Evaluable(code, objects=names).result(lambda value: torch.ones(1), torch.float64)


def test_numbers_are_made_in_the_precision_of_the_replay() -> None:
    code = compile("_result_ = torch.full((2,), 0.1)", "<edited>", "exec")
    made = Evaluable(code, objects={"torch": torch}).result(lambda value: torch.ones(1), torch.float64)
    assert made.dtype is torch.float64
    assert float(made[0]) == 0.1
    assert torch.get_default_dtype() is torch.float32


def test_random_states_and_settings_stay() -> None:
    torch.manual_seed(1)
    np.random.seed(1)
    random.seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1].tolist(), random.getstate()  # type: ignore[union-attr]
    with state_kept():
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
    report = report_on_source(source, fix_budget_s=5.0)
    assert any(finding.rule == "GC101" for finding in report.findings)
    assert count.read_text() == "x"
