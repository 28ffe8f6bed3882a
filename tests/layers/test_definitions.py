"""`gradcheck report` on a file that only defines things, and layers in packages and notebooks."""

from __future__ import annotations

import json

import pytest

from gradcheck.analysis.session import run_report
from gradcheck.base.options import SessionOptions
from gradcheck.layers.definitions import report_on_definitions
from gradcheck.layers.options import LayerOptions
from gradcheck.layers.run import run_layer
from gradcheck.process import worker
from gradcheck.process.child import run_in_child
from gradcheck.program.errors import NothingFoundError
from gradcheck.report import sentences

PAIR = """
import torch

def cube_forward(x):
    return x**3, x

def cube_backward(dout, x):
    return dout * 3 * x  # wrong
"""

LAYER = """
class Linear:
    def __init__(self, n_in, n_out):
        self.W = torch.randn(n_in, n_out)

    def forward(self, x):
        self.x = x
        return x @ self.W

    def backward(self, dout):
        self.dW = self.x.T @ dout
        return dout @ self.W.T
"""


def test_every_layer_of_a_file_is_judged_in_one_table(tmp_path, forked):
    path = tmp_path / "layers.py"
    path.write_text(PAIR + LAYER)
    report = run_in_child(SessionOptions(str(path), fix_budget_s=0.0)).report
    assert [step.layer for step in report.passes] == ["cube_forward, cube_backward", "Linear"]
    assert report.summary["introduced"] == 1
    assert report.summary["correct"] == 2
    (finding,) = report.findings
    assert finding.location.line == 8
    assert any(note.startswith("smallest input: (1") for note in finding.notes)
    assert (
        finding.notes[-1] == f"rerun: gradcheck layer {path}::cube_forward,cube_backward --shape 1,1 --seed 0"
    )
    assert report.exit_status == 1
    assert "`Linear`, checked as a layer" in report.to_markdown()


def test_a_layer_that_cannot_be_called_is_told(tmp_path):
    path = tmp_path / "layers.py"
    path.write_text(LAYER.replace("n_in, n_out):", "n_in, n_out, path: str):") + PAIR)
    report = report_on_definitions(SessionOptions(str(path), fix_budget_s=0.0))
    assert [step.layer for step in report.passes] == ["cube_forward, cube_backward"]
    assert any("`Linear` was not judged" in note for note in report.program.notes)
    assert report.program.unread == ["Linear"]


SUM = """
import torch

class Sum(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, residual):
        both = torch.tanh(x + residual)
        ctx.save_for_backward(both)
        return both

    @staticmethod
    def backward(ctx, up):
        (both,) = ctx.saved_tensors
        return up * (1 - both**2), None
"""


def test_a_gradient_that_is_judged_in_no_case_leaves_the_report_incomplete(tmp_path):
    path = tmp_path / "layers.py"
    path.write_text(LAYER.replace("class", "import torch\nclass") + SUM)
    report = report_on_definitions(SessionOptions(str(path), fix_budget_s=0.0))
    assert "`d_residual of Sum` was not judged" in sentences.conclusion(report)


def test_a_file_without_layers_is_no_table(tmp_path):
    path = tmp_path / "nothing.py"
    path.write_text("def f(x):\n    return x\n")
    assert report_on_definitions(SessionOptions(str(path))) is None


def test_relative_imports_and_notebooks(tmp_path):
    package = tmp_path / "package"
    package.mkdir()
    (package / "linear.py").write_text("import torch\n" + LAYER)
    (package / "deep.py").write_text("from .linear import Linear\n\nclass Deep(Linear):\n    pass\n")
    options = LayerOptions(f"{package / 'deep.py'}::Deep", fix_budget_s=0.0)
    assert run_layer(options).exit_status == 0
    cells = [PAIR, "raise ValueError('a cell that does not run')", LAYER]
    notebook = tmp_path / "layers.ipynb"
    cell = {"cell_type": "code", "metadata": {}, "outputs": [], "execution_count": None}
    notebook.write_text(
        json.dumps(
            {
                "nbformat": 4,
                "nbformat_minor": 5,
                "metadata": {},
                "cells": [cell | {"source": text} for text in cells],
            }
        )
    )
    assert run_layer(LayerOptions(f"{notebook}::Linear", fix_budget_s=0.0)).exit_status == 0
    wrong = run_layer(LayerOptions(f"{notebook}::cube_forward", fix_budget_s=0.0))
    assert wrong.exit_status == 1
    assert wrong.failures[0].report.findings[0].location.line == 8


SCRIPTED = """
import torch

@torch.jit.script
def gate(x):
    return torch.sigmoid(x)

@torch.jit.script
def slope(x, up):
    return up * x * gate(x)  # wrong

class Gated(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * gate(x)

    @staticmethod
    def backward(ctx, up):
        return slope(ctx.saved_tensors[0], up)

if __name__ == "__main__":
    assert not SCRIPT or "sigmoid" in gate.code
    Gated.apply(torch.linspace(-1.0, 2.0, 4, requires_grad=True)).pow(2).sum().backward()
"""


@pytest.mark.parametrize("compiler", ["torch.jit.script", "torch.compile", "torch.compile(mode='default')"])
def test_what_is_compiled_is_judged_as_python(tmp_path, compiler):
    path = tmp_path / "scripted.py"
    is_script = compiler == "torch.jit.script"
    path.write_text(SCRIPTED.replace("torch.jit.script", compiler).replace("SCRIPT", str(is_script)))
    report = run_layer(LayerOptions(f"{path}::Gated", ranks=(2,), fix_budget_s=0.0))
    assert [failure.report.findings[0].location.line for failure in report.failures if failure.report] == [10]
    rows = run_report(SessionOptions(str(path), fix_budget_s=0.0)).rows
    assert [(row.of, row.location.line, row.verdict.value) for row in rows] == [("x", 10, "introduced")]


def test_what_raises_before_it_trains_has_its_layers_checked(tmp_path):
    path = tmp_path / "raises.py"
    path.write_text(f"{PAIR}\nif __name__ == '__main__':\n    torch.zeros(3)[7]\n")
    report = worker._report(SessionOptions(str(path), fix_budget_s=0.0, allow_writes=True), str(tmp_path), ())
    text = " ".join(str(report).split())
    assert report.summary["introduced"] == 1
    assert "incomplete: the program raised before its first training step" in text
    assert "index 7 is out of bounds" in text


GUESSED = """
import torch


class Spike(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, alpha):
        ctx.save_for_backward(x)
        ctx.alpha = alpha
        return (x >= 0).to(x)

    @staticmethod
    def backward(ctx, dout):
        (x,) = ctx.saved_tensors
        return (1 + 2 / (ctx.alpha - 1) * x.abs()).pow(-ctx.alpha) * dout, None
"""


def test_what_is_nan_for_a_number_that_was_guessed_has_no_row(tmp_path):
    (tmp_path / "spike.py").write_text(GUESSED)
    report = report_on_definitions(SessionOptions(str(tmp_path / "spike.py"), fix_budget_s=0.0))
    assert report is not None
    assert not report.rows
    assert report.program.unread == ["Spike"]


def test_what_only_says_what_others_define_is_no_layer(tmp_path):
    base = "class Base:\n" + "".join(
        f"    def {half}(self, *given):\n        raise NotImplementedError\n\n"
        for half in ("forward", "backward")
    )
    path = tmp_path / "layers.py"
    path.write_text("import torch\n" + base + LAYER)
    report = report_on_definitions(SessionOptions(str(path), fix_budget_s=0.0))
    assert [step.layer for step in report.passes] == ["Linear"]
    assert report.program.notes == []


def test_what_trains_may_be_the_method_of_a_class(tmp_path) -> None:
    """Its call is told, with what has to be given."""
    path = tmp_path / "net.py"
    path.write_text(
        "import numpy as np\n"
        "class Net:\n"
        "    def __init__(self, sizes, rate=0.1):\n"
        "        self.W = [np.random.randn(a, b) for a, b in zip(sizes, sizes[1:])]\n"
        "    def fit(self, X, y, epochs=10):\n"
        "        for epoch in range(epochs):\n"
        "            self.step(X, y)\n"
        "    def step(self, X, y):\n"
        "        for W in self.W:\n"
        "            X = np.tanh(X @ W)\n"
    )
    with pytest.raises(NothingFoundError) as raised:
        run_report(SessionOptions(target=str(path)))
    assert f"'{path}::Net(sizes).fit(X, y)'" in raised.value.hint
