"""Programs that evaluate the network they trained, and such that evaluate another one."""

from __future__ import annotations

import pytest

from gradcheck.report.model import Report
from tests.health.evaluation.programs import (
    CALIBRATED_SAMPLING,
    CALIBRATION,
    NORMALISED,
    PLAIN,
    PLAIN_SAMPLING,
    PLAIN_SPLIT,
    REBOUND,
    RUNNING_SPLIT,
)
from tests.support import report_on_source


def findings(text: str) -> list[tuple[str, str, str]]:
    """(rule, severity, source line) of every finding about evaluation."""
    report = report_on_source(text, select=("GC5",))
    lines = text.splitlines()
    return [(f.rule, f.severity.value, lines[f.location.line - 1].strip()) for f in report.findings]


def replaced(text: str, *edits: tuple[str, str]) -> str:
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    return text


def looked_at(report: Report) -> dict[str, str]:
    return {c.rule: c.state.value for c in report.checks if c.rule.startswith("GC5")}


RIGHT = {
    "function": PLAIN + PLAIN_SPLIT,
    "inline": PLAIN + PLAIN_SAMPLING,
    "both": PLAIN + PLAIN_SPLIT + PLAIN_SAMPLING,
    "rebound": REBOUND + PLAIN_SPLIT + PLAIN_SAMPLING,
    "fixed shape": PLAIN + replaced(PLAIN_SPLIT, (".view(x.shape[0], -1)", ".view(-1, 12)")),
    "frozen rows": PLAIN + replaced(PLAIN_SPLIT, (".view(x.shape[0], -1)", ".view(len(x), 12)")),
    "list as index": PLAIN + replaced(PLAIN_SAMPLING, ("C[torch.tensor([context])]", "C[context]")),
    "unbatched": PLAIN
    + replaced(
        PLAIN_SAMPLING,
        ("C[torch.tensor([context])].view(1, -1)", "C[torch.tensor(context)].view(-1)"),
        ("dim=1", "dim=0"),
    ),
    "fused calls": PLAIN
    + replaced(PLAIN_SPLIT, ("flat @ W1 + b1", "F.linear(flat, W1.T, b1)"), ("C[x]", "F.embedding(x, C)")),
    "other form of tanh": PLAIN
    + replaced(PLAIN_SPLIT, ("torch.tanh(flat @ W1 + b1)", "2 * torch.sigmoid(2 * (flat @ W1 + b1)) - 1")),
    "calibrated": NORMALISED + CALIBRATION + CALIBRATED_SAMPLING,
    "running": NORMALISED + RUNNING_SPLIT,
    "standard deviations": NORMALISED
    + CALIBRATION
    + "sd1, sd2 = fixed_var1.sqrt(), fixed_var2.sqrt()\n"
    + replaced(
        CALIBRATED_SAMPLING,
        ("* (fixed_var1 + 1e-5) ** -0.5", "/ (sd1 + 1e-5)"),
        ("* (fixed_var2 + 1e-5) ** -0.5", "/ sd2"),
    ),
    "library normalisation": NORMALISED
    + replaced(
        RUNNING_SPLIT,
        (
            "g1 * (z1 - running_mean1) / torch.sqrt(running_var1 + 1e-5) + s1",
            "F.batch_norm(z1, running_mean1[0], running_var1[0], g1[0], s1[0])",
        ),
    ),
    "folded": NORMALISED
    + CALIBRATION
    + "k1 = g1 * (fixed_var1 + 1e-5) ** -0.5\nV1, v1 = W1 * k1, s1 - fixed_mean1 * k1\n"
    + replaced(
        CALIBRATED_SAMPLING,
        ("z1 = flat @ W1\n", "z1 = flat @ V1 + v1\n"),
        ("        n1 = (z1 - fixed_mean1) * (fixed_var1 + 1e-5) ** -0.5\n", ""),
        ("g1 * n1 + s1", "z1"),
    ),
    "copied parameters": PLAIN
    + "D, V1 = C.clone(), W1.detach()\n"
    + replaced(PLAIN_SPLIT, ("C[x]", "D[x]"), ("flat @ W1", "flat @ V1")),
    "averaged weights": replaced(
        PLAIN,
        ("parameters = [", "A1, A2, A3 = W1.clone(), W2.clone(), W3.clone()\nparameters = ["),
        (
            "        p -= 0.1 * d\n",
            "        p -= 0.1 * d\n    A1 = 0.9 * A1 + 0.1 * W1\n    A2 = 0.9 * A2 + 0.1 * W2\n"
            "    A3 = 0.9 * A3 + 0.1 * W3\n",
        ),
    )
    + replaced(PLAIN_SPLIT, ("@ W1", "@ A1"), ("@ W2", "@ A2"), ("@ W3", "@ A3")),
    "hidden layer only": PLAIN + "h1 = torch.tanh(C[X].view(-1, 12) @ W1)\nprint(h1.abs().mean().item())\n",
    "look at parameters": PLAIN
    + "print((C @ C.T).mean().item(), W3.std().item(), [p.norm().item() for p in parameters])\n",
}


@pytest.mark.parametrize("style", RIGHT)
def test_right_evaluations_are_not_accused(style: str) -> None:
    assert findings(RIGHT[style]) == []


PLANTED = {
    "activation missing in sampling": (
        PLAIN + PLAIN_SPLIT + replaced(PLAIN_SAMPLING, ("torch.tanh(flat @ W1 + b1)", "flat @ W1 + b1")),
        ("GC502", "error", "h2 = torch.tanh(h1 @ W2 + b2)"),
    ),
    "another activation": (
        PLAIN + replaced(PLAIN_SPLIT, ("torch.tanh(h1 @", "torch.relu(h1 @")),
        ("GC502", "error", "h2 = torch.relu(h1 @ W2 + b2)"),
    ),
    "activation applied twice": (
        PLAIN
        + replaced(PLAIN_SPLIT, ("h2 = torch.tanh(", "h2 = torch.tanh(torch.tanh(")).replace(
            "h1 @ W2 + b2)", "h1 @ W2 + b2))"
        ),
        ("GC502", "error", "h2 = torch.tanh(torch.tanh(h1 @ W2 + b2))"),
    ),
    "bias missing in the middle": (
        PLAIN + replaced(PLAIN_SAMPLING, ("h1 @ W2 + b2", "h1 @ W2")),
        ("GC501", "error", "h2 = torch.tanh(h1 @ W2)"),
    ),
    "last bias missing": (
        PLAIN + replaced(PLAIN_SAMPLING, ("h2 @ W3 + b3", "h2 @ W3")),
        ("GC501", "error", "logits = h2 @ W3"),
    ),
    "last bias missing after rebinding": (
        REBOUND + replaced(PLAIN_SPLIT, ("h2 @ W3 + b3", "h2 @ W3")),
        ("GC501", "error", "logits = h2 @ W3"),
    ),
    "layer missing": (
        PLAIN + replaced(PLAIN_SPLIT, ("    h2 = torch.tanh(h1 @ W2 + b2)\n", ""), ("h2 @ W3", "h1 @ W3")),
        ("GC501", "error", "logits = h1 @ W3 + b3"),
    ),
    "weights of another layer": (
        PLAIN + replaced(PLAIN_SPLIT, ("+ b2", "+ b1")),
        ("GC501", "error", "h2 = torch.tanh(h1 @ W2 + b1)"),
    ),
    "wrong gamma": (
        NORMALISED + CALIBRATION + replaced(CALIBRATED_SAMPLING, ("g2 * n2", "g1 * n2")),
        ("GC501", "error", "h2 = torch.tanh(g1 * n2 + s2)"),
    ),
    "normalisation forgotten": (
        NORMALISED
        + CALIBRATION
        + replaced(
            CALIBRATED_SAMPLING,
            ("        n2 = (z2 - fixed_mean2) * (fixed_var2 + 1e-5) ** -0.5\n", ""),
            ("torch.tanh(g2 * n2 + s2)", "torch.tanh(z2)"),
        ),
        ("GC501", "error", "h2 = torch.tanh(z2)"),
    ),
    "normalisation without scale and shift": (
        NORMALISED + replaced(RUNNING_SPLIT, ("g2 * (z2", "(z2"), (" + s2)", ")")),
        ("GC501", "error", "h2 = torch.tanh((z2 - running_mean2) / torch.sqrt(running_var2 + 1e-5))"),
    ),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_planted_faults_are_found_at_their_line(fault: str) -> None:
    text, expected = PLANTED[fault]
    assert findings(text) == [expected]
