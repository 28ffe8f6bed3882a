"""The loop over the gradients of a pass: each is a case, and the first hypothesis that says something decides it."""

from collections import defaultdict
from collections.abc import Callable

import torch

from gradcheck.fronts.gradient_names import parse
from gradcheck.judge.case import Case
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import NOT_JUDGED, Judged, Ruling
from gradcheck.judge.outputs import Outputs
from gradcheck.judge.verdict import Verdict
from gradcheck.judge.verdicts.clipped import bounded, clipped
from gradcheck.judge.verdicts.compensated import compensated
from gradcheck.judge.verdicts.convention import convention, out_of_convention
from gradcheck.judge.verdicts.data import data, measured, unrelated, whole_numbers
from gradcheck.judge.verdicts.inherited import inherited
from gradcheck.judge.verdicts.introduced import harmless, introduced, meant
from gradcheck.judge.verdicts.merged import merged
from gradcheck.judge.verdicts.not_finite import not_finite
from gradcheck.judge.verdicts.replaced import beside_a_better_one, replaced_unread
from gradcheck.judge.verdicts.right import right, right_but_for_rounding
from gradcheck.judge.verdicts.surrogate import estimated, of_another_loss, surrogate
from gradcheck.judge.verdicts.unchecked import unpaired, unreached, upstream_unusable
from gradcheck.judge.verdicts.unfaithful import of_another_forward_pass, unfaithful
from gradcheck.judge.verdicts.unfinished import part, stage
from gradcheck.judge.verdicts.weight_decay import weight_decay
from gradcheck.judge.verdicts.zero import zero
from gradcheck.replay.passes import Version

Hypothesis = Callable[[Case], Ruling | None]

HYPOTHESES: tuple[Hypothesis, ...] = (
    measured,
    unfaithful,
    data,
    not_finite,
    zero,
    out_of_convention,
    bounded,
    meant,
    # It is the gradient of something.
    right,
    compensated,
    right_but_for_rounding,
    inherited,
    # It is no gradient of its own.
    whole_numbers,
    clipped,
    replaced_unread,
    weight_decay,
    unrelated,
    convention,
    stage,
    part,
    beside_a_better_one,
    # It is wrong, or nothing can be said.
    upstream_unusable,
    unpaired,
    surrogate,
    of_another_loss,
    unreached,
    of_another_forward_pass,
    merged,
    estimated,
    harmless,
    introduced,
)


def judge_all(judge: Judge) -> None:
    """Judges the gradients of the pass, in the order the program ran."""
    by_op: dict[int, list[Version]] = defaultdict(list)
    for candidate in judge.plan.candidates:
        for version in () if candidate.divided else candidate.versions:
            by_op[version.after].append(version)
    outputs = Outputs(judge)
    for op in judge.ops[judge.plan.start : max(by_op, default=-1) + 1]:
        judge.follow(op)
        for version in by_op.get(op.index, ()):
            judge.accept(_ruling(judge, version, outputs))
    by_version = {judged.version: judged for judged in reversed(judge.judged)}
    judge.judged = [judged for judged in judge.judged if not _is_stage_of_another(judge, judged, by_version)]


def _ruling(judge: Judge, version: Version, outputs: Outputs) -> Ruling:
    found = judge.captured(version)
    case = Case(judge, version, torch.empty(0) if found is None else found, judge.influence(version), outputs)
    rulings = (hypothesis(case) for hypothesis in HYPOTHESES)
    return next((ruling for ruling in rulings if ruling is not None), NOT_JUDGED)


def _is_stage_of_another(judge: Judge, judged: Judged, by_version: dict[Version, Judged]) -> bool:
    """Whether a value is right for what it is made of, and only a stage of the gradient its name says: what is built over
    several lines is one gradient, and its last value counts."""
    if judged.candidate.divided:
        # The gradient that moves its parameter by this has a row.
        return judged.verdict is not Verdict.INTRODUCED
    if judged.verdict not in (Verdict.CORRECT, Verdict.UNOBSERVABLE, Verdict.INHERITED) or judged.of is None:
        return False
    later = judge.relations.successor(judged.version)
    final = by_version.get(later) if later is not None else None
    if final is None or final.of is None:
        return False
    # `grad = pull(grad)`: a name as general as that passes from one gradient to the next.
    if parse(judged.candidate.name).stem is None or final.of is judged.of:
        return final.of is judged.of
    named = judge.partners.is_named_for
    return named(final.candidate, final.of) and not named(judged.candidate, judged.of)
