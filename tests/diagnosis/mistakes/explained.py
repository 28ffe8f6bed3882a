"""Programs given as text, recorded, judged and explained."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

from gradcheck.diagnosis.mistakes.explain import proved
from gradcheck.diagnosis.mistakes.mistake import Explanation
from gradcheck.fronts.recorder import Recorder
from gradcheck.judge.judgement import Judgement, judge_recording
from gradcheck.judge.verdict import Verdict
from gradcheck.program.program import load
from gradcheck.program.runner import run
from gradcheck.program.target import parse_target
from tests.support import record_source, torch_settings_kept


@dataclass(frozen=True)
class Told:
    """One wrong gradient and what is said about it."""

    name: str
    verdict: Verdict
    explanations: list[Explanation]


def judged_text(text: str) -> Judgement:
    recorded = record_source(text)
    return judge_recording(recorded.recording, recorded.program.sources)


def judged_file(path: Path) -> Judgement:
    with torch_settings_kept():
        program = load(parse_target(str(path)))
        recorder = Recorder(program.sources, (0,))
        run(program, recorder, timeout_s=120.0)
        return judge_recording(recorder.recording, program.sources)


def told(judgement: Judgement) -> list[Told]:
    """Everything that explanations are asked for; right gradients must have none."""
    found = []
    for judged_pass in judgement.passes:
        for judged in judged_pass.judge.judged if judged_pass.judge else []:
            explanations = proved(judgement, judged_pass, judged)
            if judged.verdict in (Verdict.INTRODUCED, Verdict.COMPENSATED):
                found.append(Told(judged.candidate.name, judged.verdict, explanations))
            else:
                assert explanations == []
    return found


def with_line(text: str, right: str, wrong: str) -> str:
    """The program with one line (or a part of it) replaced."""
    text = textwrap.dedent(text)
    assert text.count(right) == 1, f"{right!r} stands {text.count(right)} times in the program"
    return text.replace(right, wrong)
