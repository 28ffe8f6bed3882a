"""Wrong programs in the styles that people write, and the edit that is found for each: the diff exactly, and proved."""

from __future__ import annotations

import textwrap

import pytest

from gradcheck.analysis.session import run_report
from gradcheck.base.options import SessionOptions
from gradcheck.checks.finding import Finding
from gradcheck.report.model import Report
from tests.support import ROOT, in_child, report_on_source

TWO_LAYERS = """
    import torch
    import torch.nn.functional as F

    torch.manual_seed(3)
    n, hidden, classes = 16, 10, 5
    X = torch.randn(n, 7)
    Y = torch.randint(0, classes, (n,))
    W1 = torch.randn(7, hidden) * 0.5
    b1 = torch.randn(hidden) * 0.1
    W2 = torch.randn(hidden, classes) * 0.5
    b2 = torch.randn(classes) * 0.1

    z = X @ W1 + b1
    h = torch.tanh(z)
    logits = h @ W2 + b2
    loss = F.cross_entropy(logits, Y)

    dlogits = F.softmax(logits, 1)
    dlogits[range(n), Y] -= 1
    dlogits /= n
    dh = dlogits @ W2.T
    dW2 = h.T @ dlogits
    db2 = dlogits.sum(0)
    dz = dh * (1 - h**2)
    dW1 = X.T @ dz
    db1 = dz.sum(0)
"""


def fixed(source: str, **changes: str) -> list[Finding]:
    """The findings that have a fix; every one of these must be proved."""
    report = report_on_source(source, fix_budget_s=20.0, **changes)
    found = [finding for finding in report.findings if finding.fix is not None]
    assert all(finding.fix.verified for finding in found if finding.fix is not None)
    return found


def diff_of(finding: Finding) -> list[str]:
    assert finding.fix is not None
    return finding.fix.diff.split("\n")


def planted(old: str, new: str) -> str:
    text = textwrap.dedent(TWO_LAYERS)
    assert text.count(old) == 1
    return text.replace(old, new)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("dz = dh * (1 - h**2)", "dz = dh * (1 - h)"),
        ("dz = dh * (1 - h**2)", "dz = dh * (1 - z**2)"),
        ("dz = dh * (1 - h**2)", "dz = dh * (1 + h**2)"),
        ("dz = dh * (1 - h**2)", "dz = dh * (1 - h**3)"),
        ("dW2 = h.T @ dlogits", "dW2 = z.T @ dlogits"),
        ("dW2 = h.T @ dlogits", "dW2 = -h.T @ dlogits"),
        ("db2 = dlogits.sum(0)", "db2 = dlogits.mean(0)"),
        ("db1 = dz.sum(0)", "db1 = dh.sum(0)"),
        ("dW1 = X.T @ dz", "dW1 = X.T @ dh"),
        ("dlogits /= n", "dlogits /= classes"),
        ("dlogits[range(n), Y] -= 1", "dlogits[range(n), Y] += 1"),
        ("dlogits[range(n), Y] -= 1", "dlogits[range(n), Y] = 1"),
    ],
)
def test_a_slip_is_mended(right: str, wrong: str) -> None:
    (finding,) = fixed(planted(right, wrong))
    assert diff_of(finding) == [f"- {wrong}", f"+ {right}"]


@pytest.mark.parametrize(
    ("right", "wrong", "mended"),
    [
        (
            "dlogits /= n",
            "pass",
            ["- dlogits[range(n), Y] -= 1", "+ dlogits[range(n), Y] -= 1", "+ dlogits /= n"],
        ),
        ("dlogits /= n", "dlogits /= n - 1", ["- dlogits /= n - 1", "+ dlogits /= n"]),
        ("dz = dh * (1 - h**2)", "dz = dh", ["- dz = dh", "+ dz = dh * (1 - h**2)"]),  # a second name
        (
            "dW2 = h.T @ dlogits",
            "dW2 = (h * 2).T @ dlogits",
            ["- dW2 = (h * 2).T @ dlogits", "+ dW2 = h.T @ dlogits"],
        ),
        (
            "dh = dlogits @ W2.T",
            "dh = dlogits @ W2.T * n",
            ["- dh = dlogits @ W2.T * n", "+ dh = dlogits @ W2.T"],
        ),
    ],
)
def test_other_edits(right: str, wrong: str, mended: list[str]) -> None:
    (finding,) = fixed(planted(right, wrong))
    assert diff_of(finding) == mended


def test_the_cause_is_on_the_line_of_a_helper() -> None:
    source = planted("dz = dh * (1 - h**2)", "slope = 1 - h\ndz = dh * slope")
    (finding,) = fixed(source)
    assert diff_of(finding) == ["- slope = 1 - h", "+ slope = 1 - h**2"]
    assert finding.location.line + 1 == finding.evidence["gradient_line"]["line"]


# `dv` is no gradient yet when it is computed, whatever it is called: the line that returns is at fault, or the helper.
HELPER = """
import torch
torch.manual_seed(2)
class Scaled:
    def forward(self, v):
        self.n = v.norm(dim=0, keepdim=True)
        self.u = v / self.n
        return self.u
    def backward(self, up):
        dv = up - self.u * (up * self.u).sum(0, keepdim=True)
        return dv / self.n
x, y, W = torch.randn(6, 4), torch.randn(6, 3), torch.randn(4, 3)
layer = Scaled()
pre = x @ W
loss = ((layer.forward(pre) - y) ** 2).sum()
dpre = layer.backward(2 * (layer.u - y))
dW = x.T @ dpre
W -= 0.1 * dW
"""


@pytest.mark.parametrize(
    ("right", "wrong"), [("dv / self.n", "dv * self.n"), (").sum(0, keep", ").sum(1, keep")]
)
def test_of_a_helper_and_what_is_returned_one_line_is_at_fault(right: str, wrong: str) -> None:
    report = report_on_source(HELPER.replace(right, wrong), fix_budget_s=20.0)
    line = HELPER[: HELPER.index(right)].count("\n") + 1
    errors = [finding for finding in report.findings if finding.rule == "GC101"]
    assert [finding.location.line for finding in errors if finding.location] == [line]
    assert errors[0].fix is not None
    assert errors[0].fix.verified


def test_independent_faults_are_mended_each_on_its_line() -> None:
    source = planted("db2 = dlogits.sum(0)", "db2 = dlogits.mean(0)").replace("(1 - h**2)", "(1 - h)")
    assert [diff_of(finding)[1] for finding in fixed(source)] == [
        "+ db2 = dlogits.sum(0)",
        "+ dz = dh * (1 - h**2)",
    ]


def test_one_cause_with_several_symptoms_is_one_finding() -> None:
    source = textwrap.dedent(TWO_LAYERS).replace(
        "dh = dlogits @ W2.T\ndW2 = h.T @ dlogits\n",
        "def back(g, w):\n    return g @ w.T * n\nda = back(dlogits, W2)\ndh = da * 1\ndW2 = h.T @ dlogits\n",
    )
    (finding,) = fixed(source)
    assert diff_of(finding) == ["- return g @ w.T * n", "+ return g @ w.T"]


def test_hidden_by_the_initialisation() -> None:
    source = """
        import torch

        torch.manual_seed(5)
        x = torch.randn(12, 4)
        W = torch.randn(4, 3)
        gain = torch.ones(1, 3)
        shift = torch.zeros(1, 3)
        target = torch.randn(12, 3)
        u = x @ W
        y = gain * u + shift
        loss = ((y - target) ** 2).mean()
        dy = 2 * (y - target) / y.numel()
        dgain = (dy * u).sum(0, keepdim=True)
        dshift = dy.sum(0, keepdim=True)
        du = dy
        du = du * 1.0
        dW = x.T @ du
    """
    findings = fixed(source)
    assert [finding.rule for finding in findings] == ["GC102"]
    assert "gain" in diff_of(findings[0])[1]


def test_classes_dicts_and_loops_over_layers() -> None:
    source = """
        import torch

        class Net:
            def __init__(self, sizes):
                self.W = [torch.randn(a, b) * 0.5 for a, b in zip(sizes, sizes[1:])]
                self.grads = {}

            def forward(self, x):
                self.a = [x]
                for W in self.W:
                    self.a.append(torch.tanh(self.a[-1] @ W))
                return self.a[-1]

            def backward(self, d):
                for i in range(len(self.W) - 1, -1, -1):
                    dz = d * (1 - self.a[i + 1])
                    self.grads[f"W{i}"] = self.a[i].T @ dz
                    d = dz @ self.W[i].T

        torch.manual_seed(1)
        net = Net([5, 6, 7, 4])
        x, y = torch.randn(9, 5), torch.randn(9, 4)
        out = net.forward(x)
        loss = ((out - y) ** 2).sum()
        dout = 2 * (out - y)
        net.backward(dout)
        for i, W in enumerate(net.W):
            W -= 0.01 * net.grads[f"W{i}"]
    """
    (finding,) = fixed(source)
    assert diff_of(finding) == ["- dz = d * (1 - self.a[i + 1])", "+ dz = d * (1 - self.a[i + 1]**2)"]


def test_a_repeated_index() -> None:
    source = """
        import torch

        torch.manual_seed(2)
        C = torch.randn(6, 3)
        ix = torch.tensor([0, 1, 1, 5, 0, 2])
        emb = C[ix]
        loss = (emb**2).sum()
        demb = 2 * emb
        dC = torch.zeros_like(C)
        dC[ix] += demb
        C -= 0.1 * dC
    """
    (finding,) = fixed(source)
    assert diff_of(finding) == ["- dC[ix] += demb", "+ dC.index_add_(0, ix, demb)"]


def test_edits_that_would_share_a_tensor_spoil_nothing() -> None:
    """`dW = dh` (tried on the way) and `dW += ...` behind it must not change the `dh` that other edits read."""
    source = """
        import torch

        torch.manual_seed(6)
        reg = 0.01
        x, W, V = torch.randn(7, 7), torch.randn(7, 7), torch.randn(7, 7)
        z = x @ W
        h = torch.relu(z)
        out = h @ V
        loss = (out**2).sum() + reg * (W**2).sum()
        dout = 2 * out
        dh = dout @ V.T
        dh[h <= 0] = 0
        dW = x.T @ dh
        dW += 2 * reg
        W -= 0.1 * dW
    """
    found = fixed(source)
    assert diff_of(found[-1]) == ["- dW += 2 * reg", "+ dW += 2 * reg * W"]


def test_a_parameter_read_after_its_update_in_place() -> None:
    source = textwrap.dedent(TWO_LAYERS).replace(
        "dh = dlogits @ W2.T\ndW2 = h.T @ dlogits\n",
        "dW2 = h.T @ dlogits\nW2 -= 0.5 * dW2\ndh = dlogits @ W2.T\n",
    )
    (finding,) = fixed(source)
    assert diff_of(finding) == [
        "- W2 -= 0.5 * dW2",
        "- dh = dlogits @ W2.T",
        "+ dh = dlogits @ W2.T",
        "+ W2 -= 0.5 * dW2",
    ]
    assert any(help_text.startswith("move this line above line") for help_text in finding.helps)


def test_a_gradient_read_before_it_is_complete() -> None:
    source = """
        import torch

        torch.manual_seed(4)
        x, W, V = torch.randn(8, 3), torch.randn(3, 4), torch.randn(4, 2)
        z = x @ W
        h = torch.tanh(z)
        o = h @ V
        loss = (o**2).sum() + (h**2).sum()
        do = 2 * o
        dh = do @ V.T
        dz = dh * (1 - h**2)
        dh += 2 * h
        dW = x.T @ dz
    """
    (finding,) = fixed(source)
    assert diff_of(finding) == [
        "- dz = dh * (1 - h**2)",
        "- dh += 2 * h",
        "+ dh += 2 * h",
        "+ dz = dh * (1 - h**2)",
    ]


def test_another_shape() -> None:
    (finding,) = fixed((ROOT / "tests/programs/inline_bias_shape.py").read_text())
    assert finding.rule == "GC106"
    assert diff_of(finding) == ["- db2 = dz2", "+ db2 = dz2.sum(0)"]


def test_a_notebook_is_edited_in_its_cell() -> None:
    path = ROOT / "tests/programs/notebook_three_passes.ipynb"
    report = in_child(lambda: run_report(SessionOptions(str(path))).to_dict(), timeout_s=100.0)
    (fix,) = [finding["fix"] for finding in report["findings"] if finding["fix"]]
    assert fix["verified"]
    assert (fix["location"]["cell"], fix["location"]["line"], fix["replacement"]) == (5, 15, "h**2")


def test_a_forward_line_that_does_not_normalise() -> None:
    source = """
        import torch

        torch.manual_seed(7)
        n = 24
        x, W, V = torch.randn(n, 5), torch.randn(5, 6), torch.randn(6, 3)
        gamma, beta = torch.rand(1, 6) + 0.5, torch.randn(1, 6)
        y = torch.randn(n, 3)
        u = x @ W
        centred = u - u.mean(0, keepdim=True)
        var = (centred**2).mean(0, keepdim=True)
        inv = (var + 1e-5) ** 0.5
        norm = centred * inv
        z = gamma * norm + beta
        out = z @ V
        loss = ((out - y) ** 2).mean()
        dout = 2 * (out - y) / out.numel()
        dz = dout @ V.T
        dgamma = (norm * dz).sum(0, keepdim=True)
        dbeta = dz.sum(0, keepdim=True)
        du = gamma * inv / n * (n * dz - dz.sum(0) - norm * (dz * norm).sum(0))
        dW = x.T @ du
    """
    (finding,) = fixed(source)
    assert diff_of(finding) == ["- inv = (var + 1e-5) ** 0.5", "+ inv = (var + 1e-5) ** -0.5"]
    assert finding.evidence["forward"] is True


def test_no_time_no_fix() -> None:
    report: Report = report_on_source(planted("(1 - h**2)", "(1 - h)"))
    assert [finding.rule for finding in report.findings] == ["GC101"]
    assert report.findings[0].fix is None


def test_the_faults_of_a_program_share_a_budget() -> None:
    """Fourteen faults nothing mends: the search ends before the last of them, and says so."""
    layers = "\n".join(
        f"    dz{i} = torch.sin(dz{i + 1} * 3 + z{i}).roll(1, 0) @ (W{i + 1}.T * W{i + 1}.T).cos()\n"
        f"    dW{i} = h{i - 1}.T @ dz{i}"
        for i in range(14, 0, -1)
    )
    forward = "\n".join(f"    z{i} = h{i - 1} @ W{i}\n    h{i} = torch.tanh(z{i})" for i in range(1, 15))
    weights = "\n".join(f"W{i} = torch.randn(5, 5) * 0.5" for i in range(1, 16))
    updates = "\n".join(f"    W{i} -= 0.1 * dW{i}" for i in range(1, 16))
    report = report_on_source(
        f"""
import torch
torch.manual_seed(0)
h0, y = torch.randn(9, 5), torch.randn(9, 5)
{weights}
for step in range(20):
{forward}
    z15 = h14 @ W15
    loss = ((z15 - y) ** 2).mean()
    dz15 = 2 * (z15 - y) / 45
    dW15 = h14.T @ dz15
{layers}
{updates}
""",
        fix_budget_s=5.0,
        total_budget_s=0.3,
    )
    wrong = [f for f in report.findings if f.rule == "GC101"]
    left = [f for f in wrong if any("the search for a fix was not finished" in note for note in f.notes)]
    assert len(wrong) >= 13
    assert left
    assert not any("cause was not found" in note for finding in left for note in finding.notes)
    said = f"the search for a fix was not finished for {len(left)} of {len(wrong)} faults"
    assert any(said in note and "--total-budget" in note for note in report.program.notes)


def test_a_loop_back_through_time_whose_last_turn_is_of_another_value() -> None:
    """While `dh` is wrong, the last turn's is taken for the gradient of a state that it is not that of."""
    target = SessionOptions(str(ROOT / "tests" / "programs" / "rnn_missing_carry.py"), fix_budget_s=20.0)
    report = Report.from_dict(in_child(lambda: run_report(target).to_dict(), timeout_s=100.0))
    fixes = [f.fix.diff for f in report.findings if f.fix is not None and f.fix.verified]
    assert fixes == ["- return dh @ U.T\n+ return draw @ U.T"]


def test_gradients_that_are_returned_in_another_order() -> None:
    source = """
        import torch

        class Scaled(torch.autograd.Function):
            @staticmethod
            def forward(ctx, rows, gain):
                ctx.save_for_backward(rows, gain)
                return rows * gain, rows + 1

            @staticmethod
            def backward(ctx, dscaled, dmoved):
                rows, gain = ctx.saved_tensors
                drows = dscaled * gain + dmoved
                dgain = dscaled * rows
                return dgain, drows

        torch.manual_seed(0)
        rows = torch.randn(5, 4, requires_grad=True)
        gain = torch.randn(5, 4, requires_grad=True)
        scaled, moved = Scaled.apply(rows, gain)
        loss = (scaled * moved).sin().mean()
        loss.backward()
    """
    (finding,) = report_on_source(source, fix_budget_s=20.0).findings
    assert finding.location.line == 15
    assert finding.fix is None  # the lines that computed them are right
    assert "it is the gradient of `rows`; that of `gain` belongs here" in finding.notes


SEMI_GRADIENT = """
    import torch

    torch.manual_seed(2)
    states, following = torch.randn(20, 4), torch.randn(20, 4)
    rewards = torch.randn(20, 1)
    W1, b1 = torch.randn(4, 16) * 0.4, torch.zeros(16)
    W2, b2 = torch.randn(16, 1) * 0.4, torch.zeros(1)

    def value(s):
        h = torch.tanh(s @ W1 + b1)
        return h, h @ W2 + b2

    for step in range(3):
        h, v = value(states)
        target = rewards + 0.9 * value(following)[1]
        loss = ((v - target) ** 2).mean()
        dv = 2 * (v - target) / len(v)
        dW2, db2 = h.T @ dv, dv.sum(0)
        dz = (dv @ W2.T) * (1 - h**2)
        dW1, db1 = states.T @ dz, dz.sum(0)
        for p, g in zip([W1, b1, W2, b2], [dW1, db1, dW2, db2]):
            p -= 0.05 * g
"""


def test_what_is_right_if_one_value_is_a_constant_is_told_once_and_not_fixed() -> None:
    (finding,) = report_on_source(SEMI_GRADIENT, fix_budget_s=20.0).findings
    assert finding.rule == "GC101"
    assert finding.fix is None
    assert finding.notes[0] == "it is right if `target` (line 16) is a constant"
    assert "`target.detach()` says so" in finding.helps[0]
    assert set(finding.evidence["same_cause"]) == {"db2", "dW1", "db1"}
