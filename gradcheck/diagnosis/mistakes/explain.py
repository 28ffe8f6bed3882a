"""Explains a wrong gradient: an entry of the catalogue is reported only if it predicts the very number found, at the
recorded point and at every probe point."""

from gradcheck.diagnosis.mistakes.case import CannotExplainError, Case
from gradcheck.diagnosis.mistakes.catalogue import CATALOGUE
from gradcheck.diagnosis.mistakes.mistake import Explanation
from gradcheck.diagnosis.mistakes.wording import explanation
from gradcheck.judge.judged import Judged
from gradcheck.judge.judgement import JudgedPass, Judgement
from gradcheck.judge.verdict import Verdict


def explain(judgement: Judgement, judged_pass: JudgedPass, judged: Judged) -> list[Explanation]:
    """Why a wrong gradient is wrong: exactly one explanation, or none where nothing reproduces the number. Never
    raises: an explanation is a help, and a report without it is still right."""
    try:
        return proved(judgement, judged_pass, judged)
    except Exception:
        return []


def proved(judgement: Judgement, judged_pass: JudgedPass, judged: Judged) -> list[Explanation]:
    """The same, but errors of its own come out."""
    if judged.verdict not in (Verdict.INTRODUCED, Verdict.COMPENSATED):
        return []
    try:
        case = Case(judgement, judged_pass, judged)
    except CannotExplainError:
        return []
    for mistake in CATALOGUE:
        predictions = mistake.predictions(case) if mistake.predictions is not None else iter(())
        for number, prediction in enumerate(predictions):
            if number >= case.most_tries:
                break
            if all(scene.agrees(prediction.predict(scene)) for scene in case.scenes):
                return [explanation(case, prediction)]
    return []
