"""Which loops train, and so are left after the recorded step; and which must run to their end."""

from __future__ import annotations

import pytest

from gradcheck.fronts import steps
from gradcheck.judge.judgement import judge_recording
from gradcheck.judge.verdict import Verdict
from gradcheck.program.outcome import Ending
from tests.support import record_source

NETWORK = """
import torch
torch.manual_seed(0)
X, Y = torch.randn(16, 3), torch.randn(16, 1)
W, b = torch.randn(3, 1) * 0.1, torch.zeros(1)
lr, count = 0.1, 0
"""
STEP = """
    out = X @ W + b
    loss = ((out - Y) ** 2).mean()
    dout = 2 * (out - Y) / Y.numel()
    dW, db = X.T @ dout, dout.sum(0)
    count += 1
"""
TRAINING = {
    "in place": ("", "W -= lr * dW; b -= lr * db"),
    "in place on data": ("W.requires_grad_()", "W.data -= lr * dW; b.data -= lr * db"),
    "data and +=": ("", "W.data += -lr * dW; b.data += -lr * db"),
    "sub_ with alpha": ("", "W.sub_(dW, alpha=lr); b.sub_(db, alpha=lr)"),
    "add_ with a negative alpha": ("", "W.add_(dW, alpha=-lr); b.add_(db, alpha=-lr)"),
    "rebound": ("", "W = W - lr * dW; b = b - lr * db"),
    "rebound, rate after": ("", "W = W - dW * lr; b = b - db * lr"),
    "zipped lists": ("ps = [W, b]", "for p, g in zip(ps, [dW, db]): p -= lr * g"),
    "zipped lists on data": ("ps = [W, b]", "for p, g in zip(ps, [dW, db]): p.data += -lr * g"),
    "momentum in place": (
        "v = torch.zeros_like(W)",
        "v.mul_(0.9).add_(dW); W -= lr * v",
    ),
    "momentum rebound": ("v = torch.zeros_like(W)", "v = 0.9 * v - lr * dW; W += v"),
    "adam by hand": (
        "m, s = torch.zeros_like(W), torch.zeros_like(W)",
        "m = 0.9 * m + 0.1 * dW; s = 0.99 * s + 0.01 * dW ** 2; W -= lr * m / (s.sqrt() + 1e-8)",
    ),
    "an average of the gradients": (
        "d_avg = torch.zeros_like(W)",
        "d_avg = 0.9 * d_avg + 0.1 * dW; W -= lr * (d_avg + 0.01 * W)",
    ),
    "weight decay": ("", "W -= lr * (dW + 0.01 * W)"),
    "clipped": ("", "dW.clamp_(-1, 1); W -= lr * dW"),
    "torch.optim": (
        "W.requires_grad_(); opt = torch.optim.SGD([W], lr=lr)",
        "W.grad = dW.detach(); opt.step()",
    ),
    "torch.optim.Adam": (
        "W.requires_grad_(); opt = torch.optim.Adam([W], lr=lr)",
        "W.grad = dW.detach(); opt.step()",
    ),
    "autograd": (
        "W.requires_grad_()",
        "loss.backward()\n    with torch.no_grad(): W -= lr * W.grad\n    W.grad = None",
    ),
    "error convention": ("", "W_delta = X.T @ (Y - out); W += lr * W_delta"),
    "no names": ("", "W += lr * (X.T @ (Y - out)); b += lr * (Y - out).sum(0)"),
    "dict": ("P = {'W': W}", "P['W'] = P['W'] - lr * dW; W = P['W']"),
    "dict in place": ("P = {'W': W}", "P['W'] -= lr * dW"),
}


@pytest.mark.parametrize("name", TRAINING)
def test_a_training_loop_is_left_after_its_first_iteration(name):
    setup, update = TRAINING[name]
    run = record_source(f"{NETWORK}{setup}\nfor step in range(3_000):{STEP}    {update}\nafter = True\n")
    assert run.names["count"] == 1
    assert run.names["after"]
    assert not run.recording.notes


@pytest.mark.parametrize("header", ["while True:", "for epoch in range(2_000):\n  for batch in range(5):"])
def test_endless_and_nested_training_loops_are_left(header):
    indent = "    " if "epoch" in header else ""
    body = "".join(f"{indent}{line}\n" for line in (STEP + "    W -= lr * dW").splitlines())
    run = record_source(f"{NETWORK}\n{header}\n{body}\nafter = True\n")
    assert run.names["count"] == 1
    assert run.names["after"]


def test_objects_that_hold_their_parameters():
    run = record_source(f"""{NETWORK}
class Layer:
    def __init__(self): self.w, self.b = torch.randn(3, 1), torch.zeros(1)
    def forward(self, x): self.x = x; return x @ self.w + self.b
    def backward(self, g): self.dw, self.db = self.x.T @ g, g.sum(0); return g @ self.w.T
    def update(self, lr): self.w -= lr * self.dw; self.b = self.b - lr * self.db
layer = Layer()
for step in range(3_000):
    out = layer.forward(X)
    layer.backward(2 * (out - Y) / 16)
    layer.update(lr)
    count += 1
""")
    assert run.names["count"] == 1


def test_parameters_that_no_call_seen_made():
    run = record_source(f"""{NETWORK}
P = torch.nn.Parameter(torch.Tensor(3, 1).fill_(0.5))
for step in range(3_000):
    x = X[torch.randint(0, 16, (4,))]
    out = x @ P.data
    dP = x.T @ out / 4
    P.data -= lr * dP
    count += 1
""")
    assert run.names["count"] == 1


KEPT = {
    "recurrent": "h = torch.zeros(1, 3)\nA = torch.randn(3, 3)\nfor t in range(6):\n    h = torch.tanh(h @ A)\n    N += 1",
    "recurrent, residual": (
        "h = torch.zeros(1, 3)\nA = torch.randn(3, 3)\nfor t in range(6):\n    h = h + torch.tanh(h @ A)\n    N += 1"
    ),
    "recurrent, leaky": (
        "h = torch.zeros(1, 3)\nA = torch.randn(3, 3)\n"
        "for t in range(6):\n    h = h + 0.1 * (torch.tanh(h @ A) - h)\n    N += 1"
    ),
    "residual layers": "x = X.clone()\nfor A in [torch.randn(3, 3)] * 6:\n    x += torch.relu(x @ A)\n    N += 1",
    "centred layers": (
        "x = X.clone()\nfor A in [torch.randn(3, 3)] * 6:\n"
        "    x = x @ A\n    x = x - x.mean(0)\n    x = x / x.std(0)\n    N += 1"
    ),
    "evaluation": "total = 0.0\nfor i in range(6):\n    total += ((X[i] @ W - Y[i]) ** 2).sum()\n    N += 1",
    "evaluation in a tensor": (
        "total = torch.zeros(())\nfor i in range(6):\n    total += ((X[i] @ W - Y[i]) ** 2).sum()\n    N += 1"
    ),
    "numerical gradient": (
        "G = torch.zeros_like(W)\nfor i in range(3):\n  for j in range(1):\n    old = W[i, j].item()\n"
        "    W[i, j] = old + 1e-3\n    up = ((X @ W - Y) ** 2).mean()\n    W[i, j] = old - 1e-3\n"
        "    down = ((X @ W - Y) ** 2).mean()\n    W[i, j] = old\n    G[i, j] = (up - down) / 2e-3\n    N += 2"
    ),
    "numerical gradient in place": (
        "for i in range(6):\n    W[i % 3] += 1e-3\n    up = ((X @ W - Y) ** 2).mean()\n"
        "    W[i % 3] -= 1e-3\n    down = ((X @ W - Y) ** 2).mean()\n    N += 1"
    ),
    "building data": (
        "D = torch.zeros(6, 3)\nfor i in range(6):\n    D[i] = X[i] * 2\n    D[i, 0] += 1\n    N += 1"
    ),
    "counting bigrams": "C = torch.zeros(4, 4)\nfor i in range(6):\n    C[i % 4, (i * 3) % 4] += 1\n    N += 1",
    "running statistics": (
        "mean = torch.zeros(3)\nfor i in range(6):\n    mean = 0.9 * mean + 0.1 * X[i:].mean(0)\n    N += 1"
    ),
    "running statistics in place": (
        "mean = torch.zeros(3)\nfor i in range(6):\n    mean += 0.1 * (X[i:].mean(0) - mean)\n    N += 1"
    ),
    "embedding gradient": (
        "C = torch.randn(5, 2)\nix = torch.randint(0, 5, (6,))\ndemb = C[ix] * 2\ndC = torch.zeros_like(C)\n"
        "for k in range(6):\n    dC[ix[k]] += demb[k]\n    N += 1"
    ),
    "embedding gradient, double": (
        "C = torch.randn(5, 2)\nix = torch.randint(0, 5, (3, 2))\ndemb = C[ix] * 2\ndC = torch.zeros_like(C)\n"
        "for k in range(3):\n  for j in range(2):\n    dC[ix[k, j]] += demb[k, j]\n    N += 1"
    ),
    "gradient of a batch, sample by sample": (
        "dW = torch.zeros_like(W)\nfor i in range(6):\n    err = X[i] @ W - Y[i]\n    dW += X[i][:, None] * err\n    N += 1"
    ),
    "applying finished gradients, with decay": (
        "ps = [torch.randn(3, 1) for _ in range(6)]\ndW = X.T @ (X @ W - Y)\n"
        "for p in ps:\n    p -= 0.1 * (dW + 0.01 * p)\n    N += 1"
    ),
    "applying finished gradients, decayed first": (
        "ps = [torch.randn(3, 1) for _ in range(6)]\ndW = X.T @ (X @ W - Y)\n"
        "for p in ps:\n    g = dW + 0.01 * p\n    p -= 0.1 * g\n    N += 1"
    ),
    "backward in time": (
        "A = torch.randn(3, 3)\ndA, dh = torch.zeros_like(A), torch.ones(1, 3)\n"
        "hs = [torch.randn(1, 3) for _ in range(7)]\n"
        "for t in reversed(range(6)):\n    dz = dh * (1 - hs[t + 1] ** 2)\n    dA += hs[t].T @ dz\n"
        "    dh = dz @ A.T\n    N += 1"
    ),
    "backward through residual layers": (
        "As = [torch.randn(3, 3) for _ in range(6)]\ndx = torch.ones(1, 3)\n"
        "for A in reversed(As):\n    dh = dx @ A.T\n    dx = dx + dh\n    N += 1"
    ),
    "generation": (
        "h = torch.zeros(1, 3)\nfor i in range(6):\n    p = torch.softmax(h @ torch.eye(3), 1)\n"
        "    k = torch.multinomial(p, 1).item()\n    h = h * 0.5\n    h[0, k] += 1\n    N += 1"
    ),
    "power iteration": "v = torch.ones(3)\nM = X.T @ X\nfor i in range(6):\n    v = M @ v\n    v = v / v.norm()\n    N += 1",
    "gradients zeroed": "gs = [torch.ones(3)] * 6\nfor g in gs:\n    g -= g.mean()\n    N += 1",
}


@pytest.mark.parametrize("name", KEPT)
def test_a_loop_that_does_not_train_runs_to_its_end(name):
    run = record_source(f"{NETWORK}N = 0\n{KEPT[name]}\nafter = True\n")
    assert run.outcome.ended is Ending.COMPLETED
    assert run.names["N"] == 6
    assert not run.left


def test_loops_inside_a_training_step_run_to_their_end():
    run = record_source(f"""{NETWORK}
A = torch.randn(3, 3) * 0.1
layers = evals = 0
for step in range(2_000):
    h, hs = X, [X]
    for k in range(4):
        h = h + torch.tanh(h @ A)
        hs.append(h)
        layers += 1
    loss = (h ** 2).mean()
    dh, dA = 2 * h / h.numel(), torch.zeros_like(A)
    for k in reversed(range(4)):
        dz = dh * (1 - torch.tanh(hs[k] @ A) ** 2)
        dA += hs[k].T @ dz
        dh = dh + dz @ A.T
        layers += 1
    A -= lr * dA
    count += 1
for i in range(5):
    evals += 1
    miss = (torch.tanh(X[i] @ A) ** 2).sum()
""")
    assert (run.names["count"], run.names["layers"], run.names["evals"]) == (1, 8, 5)


def test_a_loop_over_the_layers_that_moves_them_runs_to_its_end():
    """What arrives is called a gradient by the function that it is handed to."""
    run = record_source(f"""{NETWORK}
def back(dout, p, x):
    dz = dout * (1 - torch.tanh(x @ p["w"]) ** 2)
    return dz @ p["w"].T, {{"w": x.T @ dz}}
net = [{{"w": torch.randn(3, 3)}} for _ in range(4)]
layers = 0
for step in range(2_000):
    h, hs = X, []
    for p in net:
        hs.append(h)
        h = torch.tanh(h @ p["w"])
    loss = (h ** 2).mean()
    d = 2 * h / h.numel()
    for p, x in zip(reversed(net), reversed(hs)):
        d, new = back(d, p, x)
        for k in p:
            p[k] = p[k] - lr * new[k]
        layers += 1
    count += 1
""")
    assert (run.names["count"], run.names["layers"]) == (1, 4)


@pytest.mark.parametrize("at", [(2,), (0, 3), (0, 1, 2), (1, 40)])
def test_the_iterations_asked_for_are_recorded(at):
    run = record_source(f"{NETWORK}for step in range(3_000):{STEP}    W -= lr * dW\nafter = True\n", at=at)
    assert run.names["count"] == at[-1] + 1
    assert [m.number for m in run.recording.marks if m.what == "step-end"][-len(at) :] == list(at)
    losses = [op for op in run.ops if op.name == "mean"]
    assert len(losses) == len(at)
    assert not run.recording.notes


def test_iterations_that_never_came_are_told():
    loop = f"step = 0\nwhile step < 5:\n    step += 1{STEP}    W -= lr * dW\n"
    run = record_source(NETWORK + loop, at=(0, 50))
    assert run.names["count"] == 5
    assert run.recording.notes == [
        "iteration 50 was asked for, but the loop ran only 5 times; --at 0,4 has its last one"
    ]


def test_of_a_loop_of_known_length_the_last_iteration_is_recorded_instead():
    run = record_source(f"{NETWORK}for step in range(5):{STEP}    W -= lr * dW\n", at=(0, 3, 50))
    assert [m.number for m in run.recording.marks if m.what == "step-end"] == [0, 3, 4]
    assert run.recording.notes == [
        "iteration 50 was asked for, but the loop has only 5: its last one, 4, was recorded"
    ]


def test_a_loop_inside_another_may_begin_again():
    loop = f"for epoch in range(3):\n    for step in range(4):{STEP}    W -= lr * dW\n".replace(
        "\n    ", "\n        "
    )
    loop = loop.replace("\n        for step", "\n    for step")
    run = record_source(NETWORK + loop, at=(0, 9))
    assert [m.number for m in run.recording.marks if m.what == "step-end"] == [0, 9]
    assert not run.recording.notes


def test_leaves_of_a_recorded_step_do_not_change_while_nothing_is_recorded():
    run = record_source(f"""{NETWORK}
scale = torch.randn(3)
first = scale.clone()
for step in range(3_000):
    x = X * scale
    out = x @ W
    dW = x.T @ (out - Y)
    W -= lr * dW
    if step > 1: scale *= 0.5
""", at=(0, 6))  # fmt: skip
    kept = run.bound("scale")[0]
    assert kept.data.equal(run.names["first"])


UNSEEN_UPDATE = """
    import numpy as np, torch
    torch.manual_seed(0)
    X, Y = torch.randn(16, 5), torch.randn(16, 2)
    W = np.ones((5, 2))
    steps = 0
    for step in range({iterations}):
        steps += 1
        Wt = torch.tensor(W, dtype=torch.float32)
        pred = X @ Wt
        loss = ((pred - Y) ** 2).mean()
        dpred = 2 * (pred - Y) / Y.numel()
        dW = X.T @ dpred
        W = np.array([[w - 0.1 * g for w, g in zip(*rows)] for rows in zip(W.tolist(), dW.tolist())])
"""


def test_of_a_loop_whose_update_cannot_be_seen_the_first_passes_are_reported() -> None:
    found = record_source(UNSEEN_UPDATE.format(iterations=40))
    assert found.names["steps"] == 40
    judgement = judge_recording(found.recording, found.program.sources)
    assert len(judgement.passes) == 8
    assert any("the loss was computed 40 times by the same line" in note for note in found.recording.notes)
    # What is judged does not grow with what the loop goes on to do.
    assert len(judgement.recording.ops) < len(found.recording.ops) / 4


def test_a_long_loop_that_moves_nothing_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """What data are built in is thinned out instead, whatever it is called."""
    monkeypatch.setattr(steps, "_THIN_AFTER_ITERATIONS", 20)
    found = record_source("""
        import torch
        torch.manual_seed(0)
        data = []
        for number in range(300):
            data.append(torch.randn(5))
        X, Y, W = torch.stack(data), torch.randn(300, 2), torch.randn(5, 2)
        for step in range(100):
            loss = ((X @ W - Y) ** 2).mean()
            dW = X.T @ (2 * (X @ W - Y) / Y.numel())
    """)
    assert len(found.names["data"]) == 300
    assert found.names["step"] == 20
    judgement = judge_recording(found.recording, found.program.sources)
    assert {row.verdict for result in judgement.results for row in result.gradients} == {Verdict.CORRECT}


def test_a_loop_over_micro_batches_runs_to_its_end() -> None:
    found = record_source("""
        import torch
        torch.manual_seed(0)
        X, Y, W = torch.randn(40, 16, 5), torch.randn(40, 16, 2), torch.randn(5, 2)
        dW = torch.zeros(5, 2)
        batches = 0
        for x, y in zip(X, Y):
            pred = x @ W
            loss = ((pred - y) ** 2).mean()
            dpred = 2 * (pred - y) / y.numel()
            dW = dW + x.T @ dpred
            batches += 1
        W -= 0.1 * dW
    """)
    assert found.names["batches"] == 40
