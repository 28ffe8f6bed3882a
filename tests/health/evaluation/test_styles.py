"""Evaluations in many styles: right ones, and faults that only one style can have."""

from __future__ import annotations

import pytest

from tests.health.evaluation.programs import (
    CALIBRATED_SAMPLING,
    CALIBRATION,
    NORMALISED,
    PLAIN,
    PLAIN_SPLIT,
    RUNNING_SPLIT,
)
from tests.health.evaluation.styles import (
    ATTENTION,
    BATCH_NORM_LAYERS,
    BIGRAM,
    COLUMNS,
    DICTIONARY,
    DROPOUT_LAYERS,
    MODULE,
    RECURRENT,
    RUN_ATTENTION,
    RUN_COLUMNS,
    RUN_DICTIONARY,
    RUN_LAYERS,
    RUN_RECURRENT,
    SAMPLE_BIGRAM,
    SWITCH_OFF,
    WITHOUT_MASK,
    WITHOUT_POSITIONS,
)
from tests.health.evaluation.test_evaluation import findings, replaced
from tests.support import report_on_source

RIGHT = {
    "layers": BATCH_NORM_LAYERS + SWITCH_OFF + RUN_LAYERS,
    "layers with dropout": DROPOUT_LAYERS + SWITCH_OFF + RUN_LAYERS,
    "dictionary": DICTIONARY + RUN_DICTIONARY,
    "bigram": BIGRAM + SAMPLE_BIGRAM,
    "recurrent": RECURRENT + RUN_RECURRENT,
    "columns": COLUMNS + RUN_COLUMNS,
    "attention": ATTENTION + RUN_ATTENTION,
    "module switched to evaluation": MODULE.replace("SWITCH", "drop.eval()"),
}


@pytest.mark.parametrize("style", RIGHT)
def test_right_evaluations_are_not_accused(style: str) -> None:
    report = report_on_source(RIGHT[style], select=("GC5",))
    assert [(f.rule, f.message) for f in report.findings] == []
    states = {check.rule: check.state.value for check in report.checks}
    assert [states[rule] for rule in ("GC501", "GC502", "GC503")] == ["passed"] * 3


PLANTED = {
    "layers left out of the list": (
        BATCH_NORM_LAYERS + SWITCH_OFF + RUN_LAYERS.replace("in layers:", "in layers[:2] + layers[3:]:"),
        {("GC501", "error")},
    ),
    "activation left out of the list": (
        BATCH_NORM_LAYERS + SWITCH_OFF + RUN_LAYERS.replace("in layers:", "in layers[:3] + layers[4:]:"),
        {("GC502", "error")},
    ),
    "layers swapped": (
        BATCH_NORM_LAYERS
        + SWITCH_OFF
        + "layers[2], layers[3], layers[5] = layers[5], layers[3], layers[2]\n"
        + RUN_LAYERS,
        {("GC501", "error")},
    ),
    "relu left out of a dictionary": (
        DICTIONARY
        + "e = params['C'][X].reshape(400, -1)\n"
        + "logits = (e @ params['W1'] + params['b1']) @ params['W2'] + params['b2']\n",
        {("GC502", "error")},
    ),
    "bias left out of a dictionary": (
        DICTIONARY
        + "e = params['C'][X].reshape(400, -1)\n"
        + "logits = torch.relu(e @ params['W1']) @ params['W2'] + params['b2']\n",
        {("GC501", "error")},
    ),
    "recurrence without tanh": (
        RECURRENT + RUN_RECURRENT.replace("h = torch.tanh(F.one_hot(x[", "h = (F.one_hot(x["),
        {("GC502", "error")},
    ),
    "columns without sigmoid": (
        COLUMNS + RUN_COLUMNS.replace("torch.sigmoid(W1 @ inputs + b1)", "(W1 @ inputs + b1)"),
        {("GC502", "error")},
    ),
    "columns without bias": (
        COLUMNS + RUN_COLUMNS.replace("+ b1) + b2", "+ b1)"),
        {("GC501", "error")},
    ),
    "no positions": (ATTENTION + WITHOUT_POSITIONS, {("GC501", "error")}),
    "no causal mask": (ATTENTION + WITHOUT_MASK, {("GC502", "error")}),
    "module left in training mode": (MODULE.replace("SWITCH", "pass"), {("GC503", "error")}),
    "dropout left on": (DROPOUT_LAYERS + RUN_LAYERS, {("GC503", "error")}),
    "batch statistics left on": (
        BATCH_NORM_LAYERS + RUN_LAYERS.split("context")[0],
        {("GC503", "note")},
    ),
    "batch statistics of one sample": (BATCH_NORM_LAYERS + RUN_LAYERS, {("GC503", "error")}),
    "multiplied by the deviation": (
        NORMALISED + replaced(RUNNING_SPLIT, ("/ torch.sqrt(running_var2", "* torch.sqrt(running_var2")),
        {("GC502", "warning")},
    ),
    "multiplied by the calibrated deviation": (
        NORMALISED
        + CALIBRATION
        + replaced(CALIBRATED_SAMPLING, ("(fixed_var2 + 1e-5) ** -0.5", "(fixed_var2 + 1e-5) ** 0.5")),
        {("GC502", "warning")},
    ),
    "library dropout left on": (
        PLAIN + replaced(PLAIN_SPLIT, ("@ W1 + b1)", "@ W1 + b1)\n    h1 = F.dropout(h1, 0.5)")),
        {("GC503", "error")},
    ),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_planted_faults_are_found_by_their_rule(fault: str) -> None:
    text, expected = PLANTED[fault]
    assert {(rule, severity) for rule, severity, _ in findings(text)} == expected


def test_a_calibration_is_no_evaluation() -> None:
    """It leaves out the last layer, and the first normalisation: what is stale then is not this family's."""
    calibration = """
z1 = C[X].view(-1, 12) @ W1
fixed_mean1, fixed_var1 = z1.mean(0, keepdim=True), z1.var(0, keepdim=True)
z2 = torch.tanh(z1) @ W2
fixed_mean2, fixed_var2 = z2.mean(0, keepdim=True), z2.var(0, keepdim=True)
"""
    assert findings(NORMALISED + calibration + CALIBRATED_SAMPLING) == []
