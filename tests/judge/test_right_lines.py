"""Right lines that were accused once, and what was taken for evidence there."""

from __future__ import annotations

import pytest

from gradcheck.judge.verdict import Verdict
from gradcheck.program.errors import ProgramError
from tests.support import report_on_source


def accused(text: str) -> list[str]:
    report = report_on_source(text)
    assert report.rows
    return [f"{finding.rule} {finding.message}" for finding in report.findings if finding.rule < "GC2"]


def test_a_loop_variable_of_another_rank_says_nothing() -> None:
    """`ds` is of all turns, stacked; `s` is that of one."""
    text = """
        import torch
        torch.manual_seed(0)
        X, W, V = torch.randn(3, 4, 5), torch.randn(5, 6), torch.randn(6, 2)
        total, all_s = torch.zeros(4, 2), []
        for t in range(3):
            s = torch.tanh(X[t] @ W)
            all_s.append(s)
            total = total + s @ V
        loss = (total ** 2).mean()
        dtotal = 2 * total / 8
        ds = dtotal.expand(3, -1, -1) @ V.T
        dW = torch.zeros_like(W)
        for t in range(3):
            dW += X[t].T @ (ds[t] * (1 - all_s[t] ** 2))
        W -= 0.1 * dW
    """
    assert accused(text) == []


def test_one_number_fits_a_parameter_of_one_element() -> None:
    text = """
        import torch
        torch.manual_seed(0)
        X, w, b, y = torch.randn(9, 3), torch.randn(3), torch.randn(1), torch.randn(9)
        out = X @ w + b
        loss = ((out - y) ** 2).mean()
        dout = 2 * (out - y) / 9
        dw = X.T @ dout
        db = dout.sum()
        w -= 0.1 * dw
        b -= 0.1 * db
    """
    assert accused(text) == []


def test_a_number_of_numpy_is_a_constant() -> None:
    text = """
        import numpy as np
        rng = np.random.default_rng(0)
        X, W, y = rng.normal(size=(4, 3)), rng.normal(size=(3, 2)), rng.normal(size=(4, 2))
        out = X @ W / np.sqrt(X.shape[1])
        loss = np.mean((out - y) ** 2)
        dout = 2 * (out - y) / out.size
        root = np.sqrt(X.shape[1])
        dW = X.T @ dout / root
        dX = dout @ W.T / root
        W -= 0.1 * dW
    """
    rows = {row.name: row.verdict for row in report_on_source(text).rows}
    assert rows == dict.fromkeys(("dout", "dW", "dX"), Verdict.CORRECT)


def test_what_a_loop_that_raised_would_have_filled_is_unfinished() -> None:
    text = """
        import numpy as np
        rng = np.random.default_rng(0)
        X, W = rng.normal(size=(4, 3)), rng.normal(size=(3, 2))
        out = X @ W
        loss = np.mean(out ** 2)
        dout = 2 * out / out.size
        dX, dW = np.zeros_like(X), np.zeros_like(W)
        for i in range(4):
            slope = np.ones(2) + np.ones(3)
            dW += np.outer(X[i], dout[i])
            dX[i] = W @ dout[i]
    """
    rows = {row.name: row.verdict for row in report_on_source(text).rows}
    assert rows == {"dout": Verdict.CORRECT, "dX": Verdict.UNCHECKED, "dW": Verdict.UNCHECKED}
    # What stands above it is at fault all the same.
    rows = {row.name: row.verdict for row in report_on_source(text.replace("2 * out", "3 * out")).rows}
    assert rows["dout"] is Verdict.INTRODUCED


ONE_AT_A_TIME = """
    import numpy as np
    rng = np.random.default_rng(0)
    w1, w2 = rng.normal(size=(3, 2)), rng.normal(size=3)
    examples = [([0.0, 0.0], 1.0), ([1.0, 0.5], 1.0), ([1.0, 1.0], 0.0)]
    for epoch in range(3):
        total_error = 0.0
        for x, t in examples:
            x = np.array(x)
            h = 1 / (1 + np.exp(-(w1 @ x)))
            o = 1 / (1 + np.exp(-(w2 @ h)))
            total_error += 0.5 * (t - o) ** 2
            delta_o = {error} * o * (1 - o)
            delta_h = delta_o * w2 * {slope}
            {update}
        print(epoch, total_error)
"""
BY_ARRAYS = "w1 -= 0.5 * np.outer(delta_h, x); w2 -= 0.5 * delta_o * h"
BY_NUMBERS = """
            for j in range(3):
                w2[j] -= 0.5 * delta_o * h[j]
                for i in range(2):
                    w1[j, i] -= 0.5 * delta_h[j] * x[i]
"""


@pytest.mark.parametrize("update", [BY_ARRAYS, BY_NUMBERS])
@pytest.mark.parametrize("uphill", [False, True])
def test_one_example_at_a_time(update: str, uphill: bool) -> None:
    """An output of one number, and a `delta` of one, are not the loss: the parameters are moved by what they make."""
    update = update.replace("-=", "+=") if uphill else update
    error = "(t - o)" if uphill else "(o - t)"
    right = ONE_AT_A_TIME.format(error=error, slope="h * (1 - h)", update=update)
    assert accused(right) == []
    wrong = ONE_AT_A_TIME.format(error=error, slope="h", update=update)
    # With zeros as inputs, the first layer does not move.
    wrong = report_on_source(wrong.replace("[0.0, 0.0]", "[0.5, 1.0]"))
    assert [(f.rule, f.location.line) for f in wrong.findings if f.rule < "GC2"] == [("GC101", 14)]


SUMMED_OVER_SINGLE_ROWS = """
    import numpy as np
    rng = np.random.default_rng(7)
    X, Y = rng.normal(size=(12, 3)), rng.normal(size=(12, 2))
    W, b = rng.normal(size=(3, 2)), np.zeros(2)
    for epoch in range(3):
        sumW, sumb = 0, 0
        for x, y in zip(X, Y):
            p = np.tanh(x @ W + b)
            delta = 2 * (p - y) * (1 - p**2)
            sumW = sumW + np.outer(x, delta)
            sumb = sumb + delta
        W -= 0.1 * sumW / (12 * 2)
        b -= 0.1 * sumb / (12 * 2)
"""


def test_sums_over_single_rows() -> None:
    """What moves a parameter is moved at a probe point, and no value that is computed from it."""
    assert accused(SUMMED_OVER_SINGLE_ROWS) == []


TWO_LOSSES = """
    import torch
    torch.manual_seed(9)
    s, a, ret = torch.randn(10, 4), torch.randint(0, 3, (10,)), torch.randn(10)
    A, C = torch.randn(4, 3), torch.randn(4)
    for turn in range(2):
        v = s @ C
        critic_loss = 0.5 * ((v - ret) ** 2).mean()
        advantage = ret - v
        logits = s @ A
        actor_loss = -(advantage * torch.log_softmax(logits, 1)[torch.arange(10), a]).mean()
        dv = (v - ret) / 10
        dC = {dC}
        dlogits = torch.softmax(logits, 1)
        dlogits[torch.arange(10), a] -= 1
        dlogits *= advantage[:, None] / {count}
        dA = s.T @ dlogits
        A -= 0.1 * dA
        C -= 0.1 * dC
"""


def test_two_losses_with_gradients_of_their_own() -> None:
    assert accused(TWO_LOSSES.format(dC="s.T @ dv", count=10)) == []
    wrong = accused(TWO_LOSSES.format(dC="2 * s.T @ dv", count=10))
    assert wrong == ["GC101 `dC` is not the gradient of `C`"]
    wrong = accused(TWO_LOSSES.format(dC="s.T @ dv", count=9))
    assert wrong == ["GC101 `dlogits` is not the gradient of `logits`"]


ONLY_REPORTED = """
    import numpy as np
    np.random.seed(1)
    X = np.random.randn(40, 3)
    y = (X[:, 0] > 0).astype(int)
    W, b = np.random.randn(3, 2) * 0.1, np.zeros(2)
    for epoch in range(2):
        epoch_loss = 0
        for i in range(0, 40, 10):
            xb, yb = X[i:i + 10], y[i:i + 10]
            p = np.exp(xb @ W + b)
            p /= p.sum(axis=1, keepdims=True)
            {loss}
            p[np.arange(10), yb] -= 1
            dW = xb.T @ p / 10
            db = p.sum(axis=0) / {count}
            W -= 0.5 * dW
            b -= 0.5 * db
        print(epoch, epoch_loss / 40)
"""


def test_a_sum_that_is_only_reported() -> None:
    loss = "epoch_loss += -np.log(p[np.arange(10), yb]).sum()"
    assert accused(ONLY_REPORTED.format(loss=loss, count=10)) == []
    assert accused(ONLY_REPORTED.format(loss=loss, count=11)) != []
    # A loss that has a name is what the gradients are of.
    named = "loss = -np.log(p[np.arange(10), yb]).sum(); epoch_loss += loss"
    assert accused(ONLY_REPORTED.format(loss=named, count=10)) != []


def test_a_refusal_says_what_there_was() -> None:
    text = """
        import numpy as np
        rng = np.random.default_rng(0)
        X, W = rng.normal(size=(4, 3)), rng.normal(size=(3, 2))
        score = (X @ W).mean()
        grad_buffer = np.ones((4, 3)) * 2
    """
    with pytest.raises(ProgramError, match="no manual gradient was found") as refused:
        report_on_source(text)
    assert "numbers that could be the loss: `score`" in refused.value.hint


HINGE = """
    import numpy as np
    rng = np.random.default_rng(0)
    X, y, W = rng.normal(size=(8, 5)), rng.integers(0, 4, 8), rng.normal(size=(5, 4))
    score = X @ W
    margins = np.maximum(0, score - score[np.arange(8), y][:, None] + 1)
    margins[np.arange(8), y] = 0
    hinge = margins.sum() / 8
    up = (margins > 0).astype(float)
    up[np.arange(8), y] {signs}
    up = up / 8
    gW = X.T @ up
    W -= 0.1 * gW
    print(hinge)
"""


def test_a_hinge_is_a_loss_that_is_to_fall() -> None:
    """Its name says nothing, and no gradient is right: what it is made of says that it is one."""
    assert accused(HINGE.format(signs="-= up.sum(axis=1)")) == []
    assert accused(HINGE.format(signs="= -1")) != []


def test_what_moves_a_parameter_whose_first_name_is_not_known() -> None:
    """`stiff` has the name of its new value at the end, and what it was is read as `stiff` all the same."""
    text = """
        import numpy as np
        stiff = np.array([4.0, 3.0, 5.0])
        x0, goal = np.array([-1.0, -1.5, -1.2]), np.array([-1.3, -1.9, -1.4])
        x, seen = x0, [x0]
        for n in range(3):
            x = np.tanh(stiff * x)
            seen.append(x)
        error = 0.5 * np.sum((x - goal) ** 2)
        dE_dk = np.zeros(3)
        dx = x - goal
        for n in (2, 1, 0):
            dz = dx * (1 - seen[n + 1] ** 2)
            dE_dk += {sign}np.diag(seen[n]) @ dz
            dx = dz * stiff
        stiff = stiff - 0.01 * dE_dk
    """
    assert accused(text.format(sign="")) == []
    assert accused(text.format(sign="-")) != []


ENGINE = """
    import numpy as np
    class Node:
        def __init__(self, data, parents=()):
            self.data = np.asarray(data, dtype=float)
            self.grad = np.zeros_like(self.data)
            self.parents, self.step = parents, lambda: None
        def __matmul__(self, other):
            out = Node(self.data @ other.data, (self, other))
            def step():
                self.grad += out.grad @ other.data.T
                other.grad {writes} self.data.T @ out.grad
            out.step = step
            return out
        def tanh(self):
            t = np.tanh(self.data)
            out = Node(t, (self,))
            def step():
                self.grad += out.grad * (1 - t**2)
            out.step = step
            return out
        def mean(self):
            out = Node(self.data.mean(), (self,))
            def step():
                self.grad += np.ones_like(self.data) * out.grad / self.data.size
            out.step = step
            return out
        def backward(self):
            order = []
            def visit(node):
                if node not in order:
                    for parent in node.parents:
                        visit(parent)
                    order.append(node)
            visit(self)
            self.grad = np.ones_like(self.data)
            for node in reversed(order):
                node.step()
    rng = np.random.default_rng(0)
    x, w = Node(rng.normal(size=(4, 4))), Node(rng.normal(size=(4, 4)))
    out = ((x @ w).tanh() @ w).tanh().mean()
    out.backward()
    w.data -= 0.1 * w.grad
"""


def test_the_gradient_that_backward_begins_with_is_no_loss() -> None:
    """Weights that are used twice get two terms: `=` keeps the last one."""
    assert accused(ENGINE.format(writes="+=")) == []
    assert accused(ENGINE.format(writes="=")) == ["GC101 `other.grad` is not the gradient of `self.data`"]


def test_a_parameter_that_is_moved_is_no_loss() -> None:
    """A number too, and computed before the cost, whose name says nothing."""
    text = """
        import numpy as np
        rng = np.random.default_rng(0)
        X = rng.standard_normal((300, 8)) + 2
        y = (X[:, 0] > 2.3).astype(int)
        X = (X - X.mean(axis=0)) / X.std(axis=0)
        w, b, history = np.zeros(8), 0, []
        for i in range(4):
            p = 1 / (1 + np.exp(-(X @ w + b)))
            dz = p - y
            dw = X.T @ dz / 300
            db = dz.sum() / 300
            w -= 0.1 * dw
            b -= 0.1 * db
            j = -(y * np.log(p) + (1 - y) * np.log(1 - p)).sum() / 300
            history.append(j)
    """
    assert accused(text) == []
    assert {row.name for row in report_on_source(text).rows} == {"dz", "dw", "db"}


_ON_COPIES = """
    import torch
    torch.manual_seed(3)
    U, c, V = torch.randn(8, 12) * 0.4, torch.zeros(12), torch.randn(12, 9) * 0.1
    X, Y = torch.randn(20, 8), torch.randint(0, 9, (20,))
    U_a, c_a, V_a = [p.clone().detach().requires_grad_(True) for p in (U, c, V)]
    loss_a = torch.nn.functional.cross_entropy(torch.tanh(X @ U_a + c_a) @ V_a, Y)
    loss_a.backward()
    hidden = torch.tanh(X @ U + c)
    dscores = torch.softmax(hidden @ V, 1)
    dscores[range(20), Y] -= 1.0
    dscores /= 20
    dV = hidden.T @ dscores
    dpre = (dscores @ V.T) * (1 - hidden**2)
    dU, dc = X.T @ dpre, dpre.sum(0)
    print(*(torch.allclose(a, b, atol=1e-6) for a, b in ((dV, V_a.grad), (dU, U_a.grad), (dc, c_a.grad))))
"""


def test_gradients_that_are_compared_with_those_of_copies() -> None:
    """Moved away from the recorded point, a parameter and its copy are still the same."""
    assert not [each for each in accused(_ON_COPIES) if "GC107" not in each]
    wrong = _ON_COPIES.replace("dscores /= 20", "dscores /= 10")
    assert [each for each in accused(wrong) if "GC101" in each]


def test_what_no_step_is_made_of_is_not_searched_for_a_gradient() -> None:
    """A running mean is a multiple of the gradient of a sum of squares, as any mean is. Autograd does the training."""
    text = """
        import torch
        torch.manual_seed(1)
        W, V = torch.randn(4, 16) * 0.5, torch.randn(16, 3) * 0.2
        b, gain, average = torch.zeros(16), torch.ones(16), torch.zeros(16)
        for p in (W, b, gain, V):
            p.requires_grad_(True)
        data, labels = torch.randn(60, 4), torch.randint(0, 3, (60,))
        for step in range(5):
            rows = torch.randint(0, 60, (16,))
            x = data[rows] @ W + b
            mean, var = x.mean(0), x.var(0, unbiased=False)
            with torch.no_grad():
                average = 0.9 * average + 0.1 * mean
            out = torch.tanh(gain * (x - mean) / torch.sqrt(var + 1e-5)) @ V
            loss = torch.nn.functional.cross_entropy(out, labels[rows])
            for p in (W, b, gain, V):
                p.grad = None
            loss.backward()
            for p in (W, b, gain, V):
                p.data += -0.1 * p.grad
    """
    with pytest.raises(ProgramError, match="no manual gradient"):
        report_on_source(text)


@pytest.mark.parametrize(
    "update", ["w = w - 0.1 * dw\n            b = b - 0.1 * db", "w -= 0.1 * dw\n            b -= 0.1 * db"]
)
def test_a_step_has_the_shape_of_its_parameter_but_for_ones(update: str) -> None:
    """A loop that moves a parameter of shape (1,) by a number, or (1, 2) by (2,), trains."""
    text = f"""
        import numpy as np
        rng = np.random.default_rng(0)
        x = rng.random(30)
        y = 3 * x + 1 + 0.1 * rng.standard_normal(30)
        w, b = np.zeros(1), np.zeros(1)
        for turn in range(5):
            pred = w * x + b
            loss = np.mean((y - pred) ** 2)
            dw = -2 / 30 * np.sum(x * (y - pred))
            db = -2 / 30 * np.sum(y - pred)
            {update}
    """
    assert accused(text) == []
    (step,) = report_on_source(text).passes
    assert step.iteration == 0


def test_losses_of_a_difference_are_no_losses() -> None:
    """What a numerical derivative is taken of; the gradients are of the test of a layer above it, whose upstream gradient
    is drawn, and copied in another type."""
    text = """
        import numpy as np
        class Scale:
            def __init__(self, n):
                self.gain, self.dgain = np.ones(n), np.zeros(n)
            def forward(self, x):
                self.hat = x / np.sqrt((x ** 2).mean(axis=0) + 1e-5)
                return self.gain * self.hat
            def backward(self, dout):
                self.dgain[...] = (dout * self.hat).sum(axis=0)
        rng = np.random.default_rng(1)
        x, dout = rng.normal(size=(6, 3)), rng.normal(size=(6, 3)).astype(np.float64)
        layer = Scale(3)
        out = layer.forward(x)
        layer.backward(dout)
        dgain, numeric, eps = layer.dgain.copy(), np.zeros(3), 1e-4
        def objective():
            return np.sum(layer.forward(x) * dout * layer.gain)
        for i in range(3):
            layer.gain[i] += eps
            loss_plus = objective()
            layer.gain[i] -= 2 * eps
            loss_minus = objective()
            layer.gain[i] += eps
            numeric[i] = (loss_plus - loss_minus) / (2 * eps)
        print(np.abs(dgain - numeric).max())
    """
    assert accused(text) == []
    assert "(out * dout).sum()" in report_on_source(text).passes[0].loss


def test_a_constant_in_the_place_of_a_gradient_has_a_row() -> None:
    text = """
        import numpy as np
        x, m, b, n = np.random.rand(30), 0.5, 0.2, 30
        y = 3 * x + 1
        for turn in range(3):
            pred = m * x + b
            loss = np.mean((y - pred) ** 2)
            dm = -2 / n * np.sum(x * (y - pred))
            db = -2 / n
            m -= 0.1 * dm
            b -= 0.1 * db
    """
    report = report_on_source(text)
    assert {row.name: row.verdict for row in report.rows} == {"dm": Verdict.CORRECT, "db": Verdict.UNCHECKED}
    assert [finding.rule for finding in report.findings] == ["GC109"]


def test_labels_that_are_truth_values_and_sums_that_leave_out_nan() -> None:
    text = """
        import numpy as np
        rng = np.random.default_rng(0)
        X, W = rng.normal(size=(8, 3)), rng.normal(size=(3, 1))
        Y = rng.random((8, 1)) > 0.5
        Z = X @ W
        A = 1 / (1 + np.exp(-Z))
        cost = -np.nansum(Y * np.log(A) + (1 - Y) * np.log(1 - A)) / 8
        dZ = (A - Y) / 8
        dW = X.T @ dZ
        W -= 0.1 * dW
    """
    report = report_on_source(text)
    assert {row.name: row.verdict for row in report.rows} == {"dZ": Verdict.CORRECT, "dW": Verdict.CORRECT}
    wrong = report_on_source(text.replace("(A - Y) / 8", "(A - (1 - Y)) / 8"))
    assert [finding.location.line for finding in wrong.findings if finding.rule == "GC101"] == [9]


_Q_LEARNING = """
    import torch
    torch.manual_seed(0)
    W1, W2 = torch.randn(4, 8) * 0.5, torch.randn(8, 3) * 0.5

    def values(state):
        hidden = torch.relu(state @ W1)
        return hidden @ W2, hidden

    for step in range(20):
        now = torch.randn(12, 4)
        action, reward = torch.randint(0, 3, (12,)), now.sum(1)
        with torch.no_grad():
            best = values(now + 0.1)[0].max(1).values
            target = reward + 0.9 * best
        q, hidden = values(now)
        taken = q[torch.arange(12), action]
        loss = ((taken - target) ** 2).mean()
        dq = torch.zeros_like(q)
        dq[torch.arange(12), action] = 2 * (taken - target) / 12
        dW2 = hidden.T @ dq
        dW1 = now.T @ (dq @ W2.T * (hidden > 0))
        W1 -= 0.01 * dW1
        W2 -= 0.01 * dW2
"""


def test_what_is_computed_without_gradients_is_a_constant() -> None:
    """The target comes from the same weights: autograd would not go back through it either."""
    assert accused(_Q_LEARNING) == []
    assert accused(_Q_LEARNING.replace("2 * (taken - target)", "(taken - target)")) != []


_ADVERSARIAL = """
    import torch
    torch.manual_seed(0)
    G, D = torch.randn(3, 2) * 0.5, torch.randn(2, 1) * 0.5
    ones, zeros = torch.ones(8, 1), torch.zeros(8, 1)
    for step in range(20):
        x = torch.cat([torch.randn(8, 2) + 2, torch.randn(8, 3) @ G])
        y = torch.cat([ones, zeros])
        logit = x @ D
        d_loss = torch.nn.functional.binary_cross_entropy_with_logits(logit, y)
        grad_logit = (torch.sigmoid(logit) - y) / 16
        D -= 0.1 * x.T @ grad_logit

        z = torch.randn(8, 3)
        logit = z @ G @ D
        g_loss = torch.nn.functional.softplus(-logit).mean()
        grad_logit = -torch.sigmoid(-logit) / 8
        G -= 0.1 * z.T @ (grad_logit @ D.T)
        if step % 5 == 0:
            print(d_loss.item(), g_loss.item())
"""


@pytest.mark.parametrize("names", [("d_loss", "g_loss"), ("loss_d", "loss_g")])
def test_the_losses_of_a_discriminator_and_a_generator_are_no_gradients(names: tuple[str, str]) -> None:
    text = _ADVERSARIAL.replace("d_loss", names[0]).replace("g_loss", names[1])
    assert accused(text) == []
    report = report_on_source(text)
    assert [step.loss for step in report.passes] == [*names]


_SCALED = """
    import torch
    torch.manual_seed(3)
    X, y = torch.randn(64, 6), torch.randint(0, 3, (64,))
    W1, W2 = torch.randn(6, 9) * 0.4, torch.randn(9, 3) * 0.4
    loss_scale = 128.0
    for step in range(20):
        rows = torch.randint(0, 64, (16,))
        a = X[rows] @ W1
        h = torch.nn.functional.silu(a)
        logp = torch.log_softmax(h @ W2, dim=1)
        loss = -logp[torch.arange(16), y[rows]].mean()
        dlogits = logp.exp()
        dlogits[torch.arange(16), y[rows]] -= 1
        dlogits = dlogits * loss_scale / 16
        dW2 = h.T @ dlogits
        dh = dlogits @ W2.T
        s = torch.sigmoid(a)
        da = dh * s * (1 + a * (1 - s))
        dW1 = X[rows].T @ da
        for weight, g in zip((W1, W2), (dW1, dW2)):
            g = g / loss_scale
            weight -= 0.5 * g
"""


def test_a_scale_of_the_loss_is_taken_out_in_a_line_of_its_own() -> None:
    assert accused(_SCALED) == []


def test_what_is_wrong_under_a_scale_of_the_loss_is_one_line() -> None:
    """The scale is no part of what is wrong, nor of a fix."""
    report = report_on_source(_SCALED.replace("s * (1 + a * (1 - s))", "s * (1 - s)"))
    assert [row.name for row in report.rows if row.verdict is Verdict.INTRODUCED] == ["da"]
    (finding,) = [finding for finding in report.findings if finding.rule == "GC101"]
    assert finding.fix is None or "loss_scale" not in finding.fix.replacement
