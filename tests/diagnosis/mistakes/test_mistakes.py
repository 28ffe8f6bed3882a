"""Every kind of mistake is told by what it is, and nothing is told of the same program without it."""

from __future__ import annotations

import pytest

from gradcheck.judge.verdict import Verdict
from tests.diagnosis.mistakes import programs
from tests.diagnosis.mistakes.examples import MISTAKES, Mistake
from tests.diagnosis.mistakes.explained import judged_text, told, with_line

RIGHT = {name: text for name, text in vars(programs).items() if name.isupper()}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES.keys())
def test_a_mistake_is_explained(mistake: Mistake) -> None:
    found = told(judged_text(with_line(mistake.program, mistake.right, mistake.wrong)))
    assert [one.name for one in found] == [mistake.gradient]
    assert len(found[0].explanations) == 1, "it is not explained, or not by one explanation"
    explanation = found[0].explanations[0]
    assert explanation.kind == mistake.kind, explanation.sentence
    for words in mistake.words:
        assert words in explanation.sentence
    assert "\n" not in explanation.sentence
    assert explanation.evidence["points"] == 3  # the recorded one and two probe points


@pytest.mark.parametrize("text", RIGHT.values(), ids=RIGHT.keys())
def test_right_gradients_have_no_explanation(text: str) -> None:
    judgement = judged_text(text)
    rows = [row for result in judgement.results for row in result.gradients]
    assert len(rows) > 4
    assert {row.verdict for row in rows} <= {Verdict.CORRECT, Verdict.UNOBSERVABLE}
    assert told(judgement) == []


TWICE = """
import torch
torch.manual_seed(0)
x, y = torch.randn(12, 5), torch.randn(12, 2)
W = torch.randn(5, 2)
out = x @ W
loss = ((out - y) ** 2).mean()
dout = 2 * (out - y) / len(y)
dW = x.T @ dout
"""


def test_twice_of_what_it_should_be_is_no_two_that_was_forgotten() -> None:
    (found,) = told(judged_text(TWICE))
    sentences = [explanation.sentence for explanation in found.explanations]
    assert [sentence for sentence in sentences if "2 is the size of" in sentence]
    assert not [sentence for sentence in sentences if "square" in sentence]
