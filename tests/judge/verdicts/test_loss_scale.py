"""A loss that is scaled and added up over micro-batches, with the scale taken out somewhere else."""

from __future__ import annotations

from itertools import product

import pytest

from gradcheck.judge.verdict import Verdict
from tests.support import VERDICTS_ONLY, report_on_source

SOURCE = """
    import torch

    torch.manual_seed(1)
    X, Y = torch.randn(32, 6), torch.randint(0, 3, (32,))
    W1, b1, W2 = torch.randn(6, 8) * 0.3, torch.randn(8) * 0.1, torch.randn(8, 3) * 0.3
    scale, accum, lr = 1024.0, 4, 0.1
    for step in range(3):
        total = [torch.zeros_like(p) for p in (W1, b1, W2)]
        for i in range(accum):
            x, y = X[i * 8 : i * 8 + 8], Y[i * 8 : i * 8 + 8]
            z = x @ W1 + b1
            h = torch.relu(z)
            logits = h @ W2
            loss = torch.nn.functional.cross_entropy(logits, y)
            {scaled}
            d = torch.softmax(logits, 1)
            d[torch.arange(8), y] -= 1
            d = d * scale / 8{mean_in_d}
            {line_of_gW2}
            {line_of_dh}
            dz = dh * (h > 0)
            gW1 = x.T @ dz
            {line_of_gb1}
            for t, g in zip(total, (gW1, gb1, gW2)):
                t += g{each}
        for t in total:
            t /= {together}
        for p, t in zip((W1, b1, W2), total):
            p -= lr * t{at_last}
"""
RIGHT = {"gW2": "gW2 = h.T @ d", "dh": "dh = d @ W2.T", "gb1": "gb1 = dz.sum(0)"}
WRONG = {"gW2": "gW2 = h.T @ d / 8", "dh": "dh = 0.5 * d @ W2.T", "gb1": "gb1 = dz.mean(0)"}
SCALED = "scaled = loss * scale / accum"
STYLES = [*product((SCALED, "pass"), ("each", "together", "at_last"), ("mean_in_d", "at_last"))]
STYLES = [style for style in STYLES if style[0] == "pass" or style[2] == "mean_in_d"]


def verdicts(style: tuple[str, str, str], wrong: str | None = None) -> dict[str, set[Verdict]]:
    scaled, unscaled, mean = style
    parts = {"each": "", "together": "1", "at_last": "", "mean_in_d": ""}
    parts[unscaled] = "scale" if unscaled == "together" else " / scale"
    parts[mean] += " / accum"
    lines = {f"line_of_{name}": (WRONG if name == wrong else RIGHT)[name] for name in RIGHT}
    report = report_on_source(SOURCE.format(scaled=scaled, **parts, **lines), **VERDICTS_ONLY)
    found: dict[str, set[Verdict]] = {}
    for row in report.rows:
        found.setdefault(row.name, set()).add(row.verdict)
    return found


@pytest.mark.parametrize("style", STYLES, ids="-".join)
def test_a_scale_that_is_taken_out_again_is_no_fault_whatever_line_does_it(style: tuple[str, str, str]):
    assert set().union(*verdicts(style).values()) == {Verdict.CORRECT}


@pytest.mark.parametrize(
    ("style", "wrong"), [(style, [*WRONG][i % 3]) for i, style in enumerate(STYLES)], ids=str
)
def test_only_the_line_that_puts_its_own_factor_to_it_is_accused(style: tuple[str, str, str], wrong: str):
    found = verdicts(style, wrong)
    assert {name for name, said in found.items() if Verdict.INTRODUCED in said} == {wrong}


def test_the_gradient_before_a_wrong_one_has_the_scale_of_the_whole_pass():
    found = verdicts((SCALED, "at_last", "mean_in_d"), "dh")
    assert found["gW2"] == found["d"] == {Verdict.CORRECT}
    assert found["dh"] == {Verdict.INTRODUCED}
