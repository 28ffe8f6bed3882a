"""One change in a right program: exactly its line is accused, whatever is computed from it.

Each case was once missed, blamed on another line, or blamed on more lines than one.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from gradcheck.checks.finding import Severity
from tests.support import ROOT, VERDICTS_ONLY, in_child, report_on_source

ACCUSED = ("introduced", "compensated")


@dataclass(frozen=True)
class Case:
    about: str
    program: str
    old: str
    new: str
    line: int
    also: int | None = None


CASES = [
    Case("a wrong gradient that a right line uses as a sum", "classes_batchnorm_module.py",
         "self.dbeta = d.sum(0)", "self.dbeta = d.mean(0)", 45),
    Case("a convention (m times) that one parameter breaks", "functions_dict_params.py",
         "db2 = dZ2.sum(dim=1, keepdim=True) / m", "db2 = dZ2.sum(dim=1, keepdim=True) / (m - 1)", 33),
    Case("a convention and a wrong slope", "functions_dict_params.py", "(1 - A1**2)", "(1 - A1**3)", 34),
    Case("a convention and a factor of its own", "functions_dict_params.py", "dZ2 = A2 - Y", "dZ2 = 2 * (A2 - Y)", 31),
    Case("a gradient carried from step to step", "rnn_unrolled.py",
         'dh = P["Why"] @ dy + dhnext', 'dh = 2 * (P["Why"] @ dy + dhnext)', 38),
    Case("a returned gradient without a telling name", "classes_batchnorm_module.py",
         "1 - self.y**2", "1 - self.y**3", 61),
    Case("the first of several stages, wrong", "hinge_svm_loss.py", "(gap > 0).to(s.dtype) / len(y)",
         "(gap > 0).to(s.dtype)", 10),
    Case("a sum whose terms are right", "inline_branches_and_first_tries.py",
         "dcounts = dcounts1 + dcounts2", "dcounts = (dcounts1 + dcounts2) / n", 27),
    Case("a gradient that is rescaled afterwards", "loops_deep_relu_lists.py",
         "db = dz.sum(0)", "db = 2 * dz.sum(0)", 29),
    Case("a slope that a wrong gradient is multiplied with later on", "../../models/three_layer.py",
         "d_beta_2 = d_Z_2.sum(0, keepdim=True)", "d_beta_2 = -d_Z_2.sum(0, keepdim=True)", 126),
    Case("gradients that point uphill", "error_convention.py",
         "hid_error * slope_of(hid)", "hid_error / slope_of(hid)", 27),
    Case("a bias gradient that was never summed", "functions_dict_params.py",
         "dZ2.sum(dim=1, keepdim=True) / m", "dZ2 / m", 33),
    Case("a forward value under a gradient's name", "scalars_decay_fit.py",
         "grad_fitted = 2 * miss", "grad_fitted = miss", 18),
    Case("a gradient set on two tensors", "fastai_g_attributes.py",
         "out.g * inp.sigmoid()", "out.g", 19),
    Case("a name that looks like another notation (dout/db)", "datafile_names_model.py",
         "d_logits.sum(0)", "d_logits.mean(0)", 29),
    Case("a carried gradient that is changed at the end of each step", "lstm_cell_backward.py",
         "dc = dc * f", "dc = -(dc * f)", 39),
    Case("a gradient that momentum alone reads, whose name is given away", "updates_momentum_decay.py",
         "d_b1 = d_pre.sum(0)", "d_b1 = d_pre.mean(0)", 26),
    Case("a sign that turns round all unnamed steps", "unnamed_updates.py",
         "l2 * (1 - l2)", "l2 * (l2 - 1)", 16),
    Case("a wrong gradient, and another look at a mask afterwards", "inline_looked_at_aside.py",
         "dcounts = dprobs / total + dtotal", "dcounts = dprobs / total", 22),
    Case("one line in all turns of a loop", "microbatch_accumulate.py",
         "d_pre = torch.where", "d_pre = -torch.where", 25),
    Case("a mask that changes nothing", "inplace_mask_relu.py", "dh[h <= 0] = 0", "dh[h < 0] = 0", 30),
    Case("the gradient of a sum, read as that of a term", "residual_changed_in_place.py",
         "x_hat * mean_both) / deviation", "x_hat * mean_both) * deviation", 42),
    Case("a wrong gradient that decay is added to", "updates_l2_in_gradient.py",
         "dW2 = hidden.T @ dscores", "dW2 = hidden.T @ torch.ones_like(dscores)", 23),
    Case("the difference from the target, turned round", "rmsnorm_classes.py",
         "d = 2 * (h - y)", "d = 2 * (y - h)", 47),
    Case("a factor that comes twice on the way to the input", "fastai_g_attributes.py",
         "inp.g = out.g @ w.mT", "inp.g = 2 * (out.g @ w.mT)", 15),
    Case("a gradient copied from the line above", "attention_single_head.py",
         "dv.reshape(-1, head)", "dk.reshape(-1, head)", 30),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.about)
def test_only_its_line_is_accused(case: Case) -> None:
    path = ROOT / "tests" / "programs" / case.program
    text = path.read_text()
    assert text.count(case.old) >= 1
    data = {name.name: str(name) for name in path.parent.glob("*.txt")}
    data["data/names.txt"] = str(ROOT / "models" / "data" / "names.txt")
    report = in_child(
        lambda: report_on_source(text.replace(case.old, case.new, 1), data=data, **VERDICTS_ONLY).to_dict(),
        timeout_s=120.0,
    )
    lines = {row["location"]["line"] for row in report["gradients"] if row["verdict"] in ACCUSED}
    assert lines == {case.line} | ({case.also} if case.also else set())


# A gradient as a column: the name passes from one layer's gradient to the next, and none is a stage of another.
COLUMNS = """
import torch
torch.manual_seed(3)
class Affine:
    def __init__(self, i, o):
        self.W, self.b = torch.randn(o, i) * 0.5, torch.zeros(o, 1)
    def forward(self, x):
        self.x = x
        self.out = self.W @ x + self.b.view(-1)
    def backward(self, delta):
        self.delta = delta
        self.dW = self.delta @ self.x.view(1, -1)
        return self.W.t() @ self.delta
class Squash:
    def forward(self, x):
        self.x = x
        self.out = torch.tanh(x)
    def backward(self, delta):
        return delta * (1 - torch.tanh(self.x) ** 2).view(-1, 1)
class Squares:
    def __call__(self, out, goal):
        self.out, self.goal = out, goal
        self.value = (out - goal).pow(2).sum()
    def derivative(self):
        return slope(self.out, self.goal).view(-1, 1)
def slope(out, goal):
    return 2 / goal.shape[0] * (out - goal)
modules = [Affine(4, 5), Squash(), Affine(5, 2), Squash()]
x, goal, cost = torch.randn(4), torch.randn(2), Squares()
h = x
for module in modules:
    module.forward(h)
    h = module.out
cost(h, goal)
delta = cost.derivative()
for module in reversed(modules):
    delta = module.backward(delta)
for module in modules[::2]:
    module.W = module.W - 0.1 * module.dW
    module.b = module.b - 0.1 * module.delta
"""


def test_a_column_is_the_gradient_of_a_row() -> None:
    (finding,) = report_on_source(COLUMNS).findings
    assert finding.rule == "GC101"
    assert finding.location is not None
    assert finding.location.line == 27
    right = report_on_source(COLUMNS.replace("2 / goal.shape[0] * (", "2 * ("))
    assert [finding.rule for finding in right.findings if finding.severity is not Severity.NOTE] == []
