"""Networks trained by hand, as text: any depth and width, one non-linearity, and what may be wrong with it."""

from __future__ import annotations

# What computes the activation `a` of `z`, and the gradient of `z` from that of `a`.
FUNCTIONS = {
    "tanh": ("torch.tanh(z)", "d * (1 - a**2)", "(5 / 3) / fan**0.5"),
    "relu": ("torch.relu(z)", "d * (z > 0)", "(2 / fan) ** 0.5"),
    "leaky": ("torch.where(z > 0, z, 0.01 * z)", "torch.where(z > 0, d, 0.01 * d)", "(2 / fan) ** 0.5"),
    "gentle": ("torch.where(z > 0, z, 0.3 * z)", "torch.where(z > 0, d, 0.3 * d)", "(2 / fan) ** 0.5"),
    "sigmoid": ("1 / (1 + torch.exp(-z))", "d * a * (1 - a)", "1 / fan**0.5"),
}


def network(
    function: str = "tanh",
    *,
    depth: int = 2,
    width: int = 60,
    scale: str = "",
    change: str = "",
    rows: int = 2000,
    inputs: int = 30,
    batch: str = "torch.randint(0, len(X), (N,))",
    seed: int = 1,
) -> str:
    """`scale` is what the random weights are multiplied by, `change` a line between the set-up and the training."""
    forward, backward, good_scale = FUNCTIONS[function]
    return f"""
import torch
import torch.nn.functional as F
torch.manual_seed({seed})
N = 32
X = torch.randn({rows}, {inputs})
Y = torch.randint(0, 10, ({rows},))
sizes = [{inputs}] + [{width}] * {depth}
Ws = [torch.randn(fan, out) * {scale or good_scale} for fan, out in zip(sizes, sizes[1:])]
bs = [torch.zeros(out) for out in sizes[1:]]
V = torch.randn({width}, 10) * 0.1
{change}
for step in range(2000):
    ix = {batch}
    a = X[ix]
    acts, zs = [a], []
    for W, b in zip(Ws, bs):
        z = a @ W + b
        a = {forward}
        zs.append(z)
        acts.append(a)
    logits = a @ V
    loss = F.cross_entropy(logits, Y[ix])
    dlogits = F.softmax(logits, 1)
    dlogits[range(N), Y[ix]] -= 1
    dlogits /= N
    dV = a.T @ dlogits
    d = dlogits @ V.T
    dWs, dbs = [], []
    for i in reversed(range(len(Ws))):
        z, a = zs[i], acts[i + 1]
        dz = {backward}
        dWs.insert(0, acts[i].T @ dz)
        dbs.insert(0, dz.sum(0))
        d = dz @ Ws[i].T
    V -= 0.1 * dV
    for W, b, dW, db in zip(Ws, bs, dWs, dbs):
        W -= 0.1 * dW
        b -= 0.1 * db
"""


ONE_LAYER = """
import numpy as np
import torch
import torch.nn.functional as F
torch.manual_seed(3)
X = torch.randn(400, 6)
Y = torch.randint(0, 4, (400,))
W1 = torch.randn(6, 9) * 0.5
W2 = torch.randn(9, 4) * 0.3
for step in range(50):
    ix = torch.randint(0, 400, (16,))
    z = X[ix] @ W1
{activation}
    logits = a @ W2
    loss = F.cross_entropy(logits, Y[ix])
    dlogits = F.softmax(logits, 1)
    dlogits[range(16), Y[ix]] -= 1
    dlogits /= 16
    dW2 = a.T @ dlogits
    W2 -= 0.1 * dW2
    W1 -= 0.0 * W1
"""


def one_layer(activation: str) -> str:
    """`activation` is one or more statements that compute `a` from `z`, shape (16, 9)."""
    indented = "\n".join("    " + line for line in activation.splitlines())
    return ONE_LAYER.replace("{activation}", indented)
