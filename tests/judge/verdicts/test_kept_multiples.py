"""Gradients that are kept as a multiple on the way, and of which one is forgotten."""

from __future__ import annotations

from gradcheck.judge.verdict import Verdict
from tests.support import VERDICTS_ONLY, report_on_source

SOURCE = """
    import torch

    torch.manual_seed(0)
    x, y = torch.randn(20, 4), torch.randn(20, 3)
    layers = [{{"W": torch.randn(a, b) * 0.5, "b": torch.zeros(b)}} for a, b in ((4, 6), (6, 3))]
    moments = [{{name: 0 * p for name, p in layer.items()}} for layer in layers]
    for step in range(3):
        kept, h = [], x
        for layer in layers:
            kept.append(h)
            h = torch.tanh(h @ layer["W"] + layer["b"])
        loss = ((h - y) ** 2).mean()
        dh = 2 * (h - y) / y.shape[1]  # the mean over the rows is taken of the parameters
        grads = []
        for layer, read in zip(reversed(layers), reversed(kept)):
            dz = dh * (1 - torch.tanh(read @ layer["W"] + layer["b"]) ** 2)
            dW = read.T @ dz / len(x)
            db = dz.sum(0){mean}
            grads.insert(0, {{"W": dW, "b": db}})
            dh = dz @ layer["W"].T
        for layer, moment, grad in zip(layers, moments, grads):
            for name in ("W", "b"):
                velocity = 0.9 * moment[name] + grad[name]
                moment[name] = velocity
                layer[name].add_(-0.1 * velocity)
"""


def verdicts(source: str) -> set[tuple[int, Verdict]]:
    return {(row.location.line, row.verdict) for row in report_on_source(source, **VERDICTS_ONLY).rows}


def test_a_mean_that_is_forgotten_is_no_multiple_that_is_meant():
    """What an optimiser makes of it at its first step is the gradient that it was."""
    assert {verdict for _, verdict in verdicts(SOURCE.format(mean=" / len(x)"))} == {Verdict.CORRECT}
    found = verdicts(SOURCE.format(mean=""))
    assert {line for line, verdict in found if verdict is Verdict.INTRODUCED} == {19}


DEEP = """
    import torch

    torch.manual_seed(0)
    sizes = [2, 9, 9, 9, 9, 3]
    x, y = torch.randn(20, 2), torch.randn(20, 3)
    Ws = [torch.randn(a, b) * a**-0.5 for a, b in zip(sizes, sizes[1:])]
    bs = [0.1 * torch.randn(1, b) for b in sizes[1:]]
    kept, h = [], x
    for W, b in zip(Ws, bs):
        z = h @ W + b
        kept.append((h, z))
        h = z.tanh()
    loss = ((h - y) ** 2).mean()

    dh = 2 * (h - y) / y.shape[1]  # the mean over the rows is taken of the parameters
    dWs, dbs = [], []
    for W, (read, z) in zip(reversed(Ws), reversed(kept)):
        dz = dh * (1 - z.tanh() ** 2)
        dWs.insert(0, read.T @ dz / len(x))
        dbs.insert(0, dz.sum(0, keepdim=True) / len(x))
        dh = dz @ W.T{too_small}
"""


def test_a_fault_in_every_turn_leaves_what_is_meant_as_it_is():
    assert {verdict for _, verdict in verdicts(DEEP.format(too_small=""))} == {Verdict.CORRECT}
    found = verdicts(DEEP.format(too_small=" * 0.9"))
    assert {line for line, verdict in found if verdict is Verdict.INTRODUCED} == {22}
