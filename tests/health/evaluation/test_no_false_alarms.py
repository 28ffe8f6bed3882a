"""Programs whose evaluation rightly differs from the training: none of it may be called a fault."""

from __future__ import annotations

import pytest

from tests.health.evaluation.programs import (
    DATA,
    NORMALISED,
    PLAIN,
    PLAIN_SAMPLING,
    PLAIN_SPLIT,
    RUNNING_SPLIT,
)
from tests.health.evaluation.styles import DROPOUT_LAYERS, LAYERS, RUN_LAYERS
from tests.health.evaluation.test_evaluation import findings, replaced

_HEADS = (
    DATA
    + """
C = torch.randn((11, 4), generator=g)
W1 = torch.randn((12, 16), generator=g) * 0.3
b1 = torch.zeros(16)
W2 = torch.randn((16, 11), generator=g) * 0.3
b2 = torch.zeros(11)
V2 = torch.randn((16, 2), generator=g) * 0.3
v2 = torch.zeros(2)
for step in range(300):
    ix = torch.randint(0, 400, (16,), generator=g)
    emb = C[X[ix]]
    flat = emb.view(16, 12)
    h = torch.tanh(flat @ W1 + b1)
    logits = h @ W2 + b2
    aside = h @ V2 + v2
    loss = F.cross_entropy(logits, Y[ix]) + F.cross_entropy(aside, Y[ix] % 2)
    dlogits = F.softmax(logits, 1)
    dlogits[range(16), Y[ix]] -= 1
    dlogits /= 16
    daside = F.softmax(aside, 1)
    daside[range(16), Y[ix] % 2] -= 1
    daside /= 16
    dh = dlogits @ W2.T + daside @ V2.T
    dW2, db2, dV2, dv2 = h.T @ dlogits, dlogits.sum(0), h.T @ daside, daside.sum(0)
    dz = dh * (1 - h**2)
    dW1, db1 = flat.T @ dz, dz.sum(0)
    dflat = dz @ W1.T
    dC = torch.zeros_like(C)
    dC.index_add_(0, X[ix].view(-1), dflat.view(-1, 4))
    for p, d in ((C, dC), (W1, dW1), (b1, db1), (W2, dW2), (b2, db2), (V2, dV2), (v2, dv2)):
        p -= 0.1 * d
"""
)

_AUTOENCODER = (
    DATA
    + """
inputs = torch.randn((400, 6), generator=g)
W1 = torch.randn((6, 3), generator=g) * 0.4
b1 = torch.zeros(3)
W2 = torch.randn((3, 6), generator=g) * 0.4
b2 = torch.zeros(6)
for step in range(300):
    x = inputs[torch.randint(0, 400, (16,), generator=g)]
    code = torch.tanh(x @ W1 + b1)
    out = code @ W2 + b2
    loss = ((out - x) ** 2).mean()
    dout = 2 * (out - x) / out.numel()
    dW2, db2 = code.T @ dout, dout.sum(0)
    dz = dout @ W2.T * (1 - code**2)
    dW1, db1 = x.T @ dz, dz.sum(0)
    for p, d in ((W1, dW1), (b1, db1), (W2, dW2), (b2, db2)):
        p -= 0.1 * d
"""
)

RIGHT = {
    "normalised by the split's own statistics": (
        NORMALISED
        + replaced(
            RUNNING_SPLIT,
            ("(z1 - running_mean1) / torch.sqrt(running_var1 + 1e-5)", "(z1 - z1.mean(0)) / z1.std(0)"),
            ("(z2 - running_mean2) / torch.sqrt(running_var2 + 1e-5)", "(z2 - z2.mean(0)) / z2.std(0)"),
        ),
        {("GC503", "note")},
    ),
    "sizes written out": (
        NORMALISED
        + "n = 400\n"
        + replaced(
            RUNNING_SPLIT,
            (
                "(z1 - running_mean1) / torch.sqrt(running_var1 + 1e-5)",
                "(z1 - 1 / n * z1.sum(0)) / z1.std(0)",
            ),
        ),
        {("GC503", "note")},
    ),
    "another epsilon": (NORMALISED + replaced(RUNNING_SPLIT, ("1e-5", "1e-3")), set()),
    "an aside head": (
        _HEADS + "print(F.cross_entropy(torch.tanh(C[X].view(-1, 12) @ W1 + b1) @ W2 + b2, Y).item())\n",
        set(),
    ),
    "the other head": (
        _HEADS + "print((torch.tanh(C[X].view(-1, 12) @ W1 + b1) @ V2 + v2).argmax(1).sum().item())\n",
        set(),
    ),
    "decoder alone": (
        _AUTOENCODER + "print((torch.randn((5, 3), generator=g) @ W2 + b2).mean().item())\n",
        set(),
    ),
    "encoder alone": (
        _AUTOENCODER + "print(torch.tanh(inputs @ W1 + b1).mean().item())\n",
        set(),
    ),
    "dropout scaled at evaluation": (
        replaced(
            LAYERS,
            ("[LAYERS]", "[Embedding(11, 4), Linear(12, 24), Tanh(), Dropout(0.4), Linear(24, 11)]"),
            (" / (1 - self.p)", ""),
            ("        return x\n", "        return x * 0.6\n"),
        )
        + "for layer in layers:\n    layer.training = False\n"
        + RUN_LAYERS,
        set(),
    ),
    "averaged over dropout": (
        DROPOUT_LAYERS
        + "x0, y0 = X[:30], Y[:30]\nfor _ in range(8):\n    x = x0\n    for layer in layers:\n"
        + "        x = layer(x)\n    print(F.cross_entropy(x, y0).item())\n",
        {("GC503", "note")},
    ),
    "a mask of whole numbers": (
        replaced(
            PLAIN,
            (
                "    z2 = h1 @ W2",
                "    h1 = h1 * (2 * torch.randint(0, 2, h1.shape, generator=g))\n    z2 = h1 @ W2",
            ),
        )
        + PLAIN_SPLIT,
        set(),
    ),
    "greedy": (
        PLAIN
        + replaced(
            PLAIN_SAMPLING, ("torch.multinomial(probs, 1, generator=g).item()", "probs.argmax(1).item()")
        ),
        set(),
    ),
    "in tensors": (
        PLAIN
        + """
context = torch.zeros((4, 3), dtype=torch.long)
for _ in range(6):
    logits = torch.tanh(torch.tanh(C[context].flatten(1) @ W1 + b1) @ W2 + b2) @ W3 + b3
    drawn = torch.multinomial(F.softmax(logits, 1), 1, generator=g)
    context = torch.cat([context[:, 1:], drawn], 1)
""",
        set(),
    ),
    "greedy in tensors": (
        PLAIN
        + """
context = torch.zeros((4, 3), dtype=torch.long)
for _ in range(6):
    logits = torch.tanh(torch.tanh(C[context].flatten(1) @ W1 + b1) @ W2 + b2) @ W3 + b3
    context = torch.cat([context[:, 1:], logits.argmax(1, keepdim=True)], 1)
""",
        set(),
    ),
    "in batches": (
        PLAIN
        + PLAIN_SPLIT
        + "total = sum(split_loss(x, y) * len(x) for x, y in zip(X.split(150), Y.split(150)))\n",
        set(),
    ),
    "gradients follow": (
        PLAIN
        + PLAIN_SPLIT
        + "for p in parameters:\n    p.requires_grad_()\nloss = split_loss(X, Y)\nloss.backward()\ndW9 = W1.grad\n",
        set(),
    ),
    "pruned": (
        PLAIN + replaced(PLAIN_SPLIT, ("@ W2", "@ (W2 * (W2.abs() > 0.05))")),
        set(),
    ),
    "an untrained matrix instead": (
        replaced(PLAIN, ("parameters = [", "R = torch.randn((24, 24), generator=g)\nparameters = ["))
        + replaced(PLAIN_SPLIT, ("@ W2", "@ R")),
        {("GC501", "warning")},
    ),
    "layers looked at": (
        PLAIN
        + "flat = C[X].view(-1, 12)\nz = flat @ W1\nprint((z > 0).float().mean(0).min().item())\n"
        + "h = torch.tanh(z + b1)\nprint((h.abs() > 0.97).float().mean().item(), (h @ W2).std().item())\n",
        set(),
    ),
}


@pytest.mark.parametrize("style", RIGHT)
def test_what_rightly_differs_is_not_accused(style: str) -> None:
    text, expected = RIGHT[style]
    assert {(rule, severity) for rule, severity, _ in findings(text)} == expected
