"""The list of hypotheses: each says what justifies it, and only the loop changes what is known."""

from __future__ import annotations

import pytest

from gradcheck.judge.case import Case
from gradcheck.judge.judge import Judge
from gradcheck.judge.judgement import judge_recording
from gradcheck.judge.loop import HYPOTHESES, judge_all
from gradcheck.judge.outputs import Outputs
from gradcheck.judge.verdict import Verdict
from tests.fronts.torch.test_steps import NETWORK, STEP
from tests.support import record_source


@pytest.mark.parametrize("hypothesis", HYPOTHESES, ids=lambda hypothesis: hypothesis.__name__)
def test_a_hypothesis_says_what_justifies_it(hypothesis):
    assert "principle" in hypothesis.__doc__


def judge_of(step: str) -> Judge:
    run = record_source(f"{NETWORK}for step in range(3):{step}    W -= lr * dW\n    b -= lr * db\n")
    (judged_pass,) = judge_recording(run.recording, run.program.sources).passes
    known = judged_pass.judge
    assert known is not None
    return Judge(known.plan, known.ops, known.run, known.coarse, known.partners, known.opaque)


def state(judge: Judge) -> tuple[object, ...]:
    return list(judge.judged), list(judge.faults), dict(judge.paired)


@pytest.mark.parametrize("step", [STEP, STEP.replace("db = ", "db = 2 * ")], ids=["right", "wrong"])
def test_hypotheses_change_nothing(step, monkeypatch):
    judge = judge_of(step)
    accept, asked = Judge.accept, []

    def ask_all_then_accept(self, ruling):
        version = ruling.judged.version if ruling.judged is not None else None
        if version is not None and self.captured(version) is not None:
            case = Case(self, version, self.captured(version), self.influence(version), Outputs(self))
            before = state(self)
            asked.extend(hypothesis(case) for hypothesis in HYPOTHESES)
            assert state(self) == before
        accept(self, ruling)

    monkeypatch.setattr(Judge, "accept", ask_all_then_accept)
    judge_all(judge)
    assert any(j.verdict is Verdict.INTRODUCED for j in judge.judged) == (step != STEP)
    assert any(ruling is not None for ruling in asked)
