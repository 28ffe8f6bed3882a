"""Values that are no manual gradients: autograd's own, and data that no gradient was computed from."""

from gradcheck import ops
from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.fronts.op import Value
from gradcheck.graph import flow
from gradcheck.judge.case import Case
from gradcheck.judge.influence import Mark
from gradcheck.judge.judged import NOT_JUDGED, Ruling
from gradcheck.judge.verdict import Problem, Verdict


def data(case: Case) -> Ruling | None:
    """Scope, no principle: only what somebody wrote as a gradient is judged. What is computed from autograd's
    gradients of parameters alone is the step of an optimiser; what a `backward` computes without the gradient that autograd
    handed it is something recomputed."""
    influences, candidate = case.judge.influences, case.candidate
    not_theirs = candidate.value in influences.autograd or candidate.value in influences.optimisers
    if not_theirs or (case.found.numel() == 0 and not _should_hold_something(case)):
        return NOT_JUDGED
    unmarked = candidate.of is None and parse(candidate.name).form is Form.NONE
    if unmarked and case.judge.partners.is_said_to_be_one(candidate):
        return None
    if influences.ignores_upstream(candidate.value) and (
        unmarked or (candidate.of is None and influences.meets_upstream(candidate.value))
    ):
        return NOT_JUDGED
    return NOT_JUDGED if unmarked and not influences.has(candidate.value, Mark.LIVE) else None


def _should_hold_something(case: Case) -> bool:
    """Whether it is empty, and what it is the gradient of is not."""
    meant = case.named if case.candidate.of is not None else None
    truth = case.truth.get(meant.value) if meant is not None else None
    return truth is not None and truth.numel() > 0


def measured(case: Case) -> Ruling | None:
    """Scope, no principle: what is computed from the difference of two losses (`(f(x + h) - f(x - h)) / (2 * h)`) is there to
    compare manual gradients with."""
    loss = case.judge.plan.loss_op
    written = [value for op in case.version.writes[-1:] for value in op.inputs if value.shape == ()]
    numbers = flow.ancestors(*written, stop=lambda value: value.shape != ())

    def is_loss(value: Value) -> bool:
        behind = flow.ancestors(value, stop=lambda v: v.shape != ())
        return any((op := v.producer) and (op.code, op.lasti) == (loss.code, loss.lasti) for v in behind)

    differences = (op.inputs for v in numbers if (op := v.producer) and op.operation is ops.SUB)
    return NOT_JUDGED if any(len(two) == 2 and all(map(is_loss, two)) for two in differences) else None


def unrelated(case: Case) -> Ruling | None:
    """Scope, no principle: what is computed from nothing of the step is no gradient of it, unless it is used as one."""
    derived = case.judge.influences.has(case.candidate.value, Mark.DERIVED)
    return NOT_JUDGED if not derived and case.candidate.of is None else None


def whole_numbers(case: Case) -> Ruling | None:
    """Scope, no principle: whole numbers (a row of zeros and a one) have no gradient to compare with."""
    if case.candidate.of is not None or not case.judge.is_of_whole_numbers(case.version):
        return None
    reason = "it is made as the gradient of an array of whole numbers, which has none"
    return Ruling(case.judged(None, Verdict.UNCHECKED, Problem.HARMLESS, reason))
