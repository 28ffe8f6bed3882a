"""Two derivatives that are written as one: that of a loss and that of the sigmoid or softmax in front of it, as `p - y` is
the gradient of what `p` was made of under a cross-entropy. Of two layers, one returns all of it and the other nothing."""

import torch

from gradcheck.fronts.markers import OUR_PLACE
from gradcheck.fronts.tape import Value
from gradcheck.judge.case import Case
from gradcheck.judge.judged import Ruling
from gradcheck.judge.verdict import Problem, Verdict
from gradcheck.replay.compare import distance, multiple_of, norm

_NEARLY = 1e-5  # what keeps a logarithm finite in the forward pass is left out of this gradient
_NOTHING = 1e-9
_BY_THE_LOSS = (
    "it is the gradient of what a {} turns into `{}`{}: right where one comes in front of this loss, which cannot be seen "
    "from here"
)
_BY_THE_SOFTMAX = (
    "it is the upstream gradient as it is: right where the loss behind this softmax returns the gradient of `{}`, which cannot "
    "be seen from here"
)


def merged(case: Case) -> Ruling | None:
    """Fidelity (principle 1): the layer before or behind this one was not recorded, and the line may be right for it."""
    judge, proposal = case.judge, case.proposal
    of = proposal.value if proposal is not None else None
    truth = case.truth.get(of) if of is not None and of.root in judge.plan.handed else None
    if of is None or truth is None or not truth.ndim or not truth.numel():
        return None
    if not truth.shape == of.shape == case.found.shape:
        return None
    by = _by_the_softmax if judge.plan.loss_op.code.co_filename == OUR_PLACE else _by_the_loss
    reason = by(case, of, truth)
    return Ruling(case.judged(proposal, Verdict.UNCHECKED, Problem.UNREACHED, reason)) if reason else None


def _by_the_loss(case: Case, of: Value, truth: torch.Tensor) -> str:
    given = case.judge.run.graph.tensor(of).detach()
    if not bool(((given >= 0) & (given <= 1)).all()):
        return ""
    weighted = given * truth
    softmax = weighted - given * weighted.sum(-1, keepdim=True)
    for name, before in (("sigmoid", weighted * (1 - given)), ("softmax", softmax)):
        slack = _NEARLY * max(norm(case.found), norm(before)) + _NOTHING * norm(given)
        count = round(factor := multiple_of(case.found, before, slack))
        if count > 0 and given.numel() % count == 0 and abs(factor - count) <= _NEARLY * count:
            said = f", times {'the number of the elements' if count == given.numel() else count}"
            return _BY_THE_LOSS.format(name, case.judge.partners.shown(of), said if count > 1 else "")
    return ""


def _by_the_softmax(case: Case, of: Value, _: torch.Tensor) -> str:
    graph, forward_ops = case.judge.run.graph, case.judge.plan.forward_ops
    given = graph.tensor(of).detach()
    softmaxes = [given.reshape(-1).softmax(0).reshape(given.shape), *map(given.softmax, range(given.ndim))]
    for out in {v for op in forward_ops if op.code.co_filename == OUR_PLACE for v in op.inputs}:
        made, arriving = graph.tensor(out).detach(), case.truth.get(out)
        if arriving is None or made.shape != given.shape or distance(case.found, arriving) > case.tolerance:
            continue
        if any(distance(made, each) <= _NOTHING * norm(made) for each in softmaxes):
            return _BY_THE_SOFTMAX.format(case.judge.partners.shown(of))
    return ""
