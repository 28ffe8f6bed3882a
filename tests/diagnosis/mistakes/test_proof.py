"""What is not proved is not said."""

from __future__ import annotations

import pytest
import torch

from gradcheck.diagnosis.mistakes.case import Case
from gradcheck.diagnosis.mistakes.explain import explain
from gradcheck.diagnosis.mistakes.mistake import Explanation, Mistake
from gradcheck.judge.judged import Judged
from gradcheck.judge.judgement import JudgedPass, Judgement
from gradcheck.judge.verdict import Verdict
from tests.diagnosis.mistakes import programs
from tests.diagnosis.mistakes.explained import judged_text, told, with_line

# At the recorded point every element of `scale` is 2, so that its square is 4 and "2 times" fits as well.
CONSTANT_SCALE = with_line(
    programs.STEP_BY_STEP, "torch.rand(8) + 0.5, torch", "torch.full((8,), 2.0), torch"
)


def _wrong(text: str) -> tuple[Judgement, JudgedPass, Judged]:
    judgement = judged_text(text)
    judged_pass = judgement.passes[0]
    assert judged_pass.judge is not None
    wrong = [judged for judged in judged_pass.judge.judged if judged.verdict is Verdict.INTRODUCED]
    assert len(wrong) == 1
    return judgement, judged_pass, wrong[0]


def test_what_a_probe_point_refutes_is_not_said(monkeypatch: pytest.MonkeyPatch) -> None:
    judgement, judged_pass, judged = _wrong(
        with_line(CONSTANT_SCALE, "d_xhat = d_u * scale", "d_xhat = d_u * (scale.mean() + 2)")
    )
    assert explain(judgement, judged_pass, judged) == []
    # It is the probe points that refuse it: at the recorded point alone it would have been said.
    monkeypatch.setattr("gradcheck.diagnosis.mistakes.case.usable_points", lambda *_: [])
    assert [e.kind for e in explain(judgement, judged_pass, judged)] == ["constant-factor"]


def test_probe_points_tell_a_factor_from_a_constant() -> None:
    judgement, judged_pass, judged = _wrong(
        with_line(CONSTANT_SCALE, "d_xhat = d_u * scale", "d_xhat = d_u * scale**2")
    )
    assert [e.kind for e in explain(judgement, judged_pass, judged)] == ["extra-factor"]


@pytest.mark.parametrize(
    "wrong",
    [
        "d_xhat = d_u * scale + 0.01 * torch.sin(torch.arange(128.0)).reshape(16, 8)",
        "d_xhat = d_u * scale * torch.linspace(0.5, 1.5, 8)",
        "d_xhat = d_u * scale * (1 + d_u)",
        "d_xhat = (d_u * scale).roll(1, 0)",
        "d_xhat = d_u * scale + 3e-7 * torch.cos(torch.arange(128.0)).reshape(16, 8)",
    ],
)
def test_nothing_is_said_of_a_number_that_nothing_reproduces(wrong: str) -> None:
    found = told(judged_text(with_line(programs.STEP_BY_STEP, "d_xhat = d_u * scale", wrong)))
    assert [(one.name, one.explanations) for one in found] == [("d_xhat", [])]


def test_one_number_is_not_explained_by_an_arbitrary_factor() -> None:
    text = """
    import torch
    torch.manual_seed(0)
    x, y = torch.randn(9), torch.randn(9)
    w = torch.tensor(0.7)
    for step in range(4):
        p = torch.tanh(x * w)
        loss = ((p - y) ** 2).sum()
        dp = 2 * (p - y)
        dw = (dp * (1 - p**2) * x).sum() + 0.123 * (x * x).sum()
        w = w - 0.01 * dw
    """
    found = told(judged_text(text))
    assert [(one.name, one.explanations) for one in found] == [("dw", [])]


def test_a_derivative_of_one_number_is_explained() -> None:
    text = """
    import torch
    torch.manual_seed(0)
    x, y = torch.randn(9), torch.randn(9)
    slope = torch.tensor(0.7)
    for step in range(4):
        rate = torch.tanh(slope)
        p = x * rate
        loss = ((p - y) ** 2).sum()
        dp = 2 * (p - y)
        drate = (dp * x).sum()
        dslope = drate * (1 - rate)
        slope = slope - 0.01 * dslope
    """
    found = told(judged_text(text))
    assert [(one.name, [e.kind for e in one.explanations]) for one in found] == [
        ("dslope", ["wrong-derivative"])
    ]
    assert "`1 - rate`; it is `1 - rate**2`" in found[0].explanations[0].sentence


def test_an_error_of_its_own_makes_no_explanation(monkeypatch: pytest.MonkeyPatch) -> None:
    judgement, judged_pass, judged = _wrong(
        with_line(programs.STEP_BY_STEP, "d_xhat = d_u * scale", "d_xhat = d_u * 1.0")
    )
    assert len(explain(judgement, judged_pass, judged)) == 1

    def fails(case: Case) -> None:
        raise RuntimeError

    monkeypatch.setattr(
        "gradcheck.diagnosis.mistakes.explain.CATALOGUE", (Mistake("fails", predictions=fails),)
    )
    assert explain(judgement, judged_pass, judged) == []


def test_evidence_is_plain_data() -> None:
    judgement, judged_pass, judged = _wrong(
        with_line(programs.STEP_BY_STEP, "d_a = d_ac + d_mu / m", "d_a = d_ac")
    )
    (found,) = explain(judgement, judged_pass, judged)
    assert isinstance(found, Explanation)
    assert found.evidence == {
        "branches": [{"through": "mu", "factor": 0.0, "factor_text": "0"}],
        "points": 3,
    }
    assert not any(isinstance(item, torch.Tensor) for item in found.evidence.values())
