"""Gradients that a loss returns for its input, and that are not its own: a sigmoid or a softmax in front of the loss is
differentiated along with it, as `p - y` is the gradient of what `p` was made of under a cross-entropy."""

from collections.abc import Iterator

import torch

from gradcheck.fronts.markers import OUR_PLACE
from gradcheck.judge.case import Case
from gradcheck.judge.judged import Ruling
from gradcheck.judge.verdict import Problem, Verdict
from gradcheck.replay.compare import distance, norm

_NEARLY = 1e-5  # what keeps a logarithm finite in the forward pass is left out of this gradient
_NOTHING = 1e-9
_REASON = (
    "it is the gradient of what a {} turns into `{}`{}: right where one comes in front of this loss, which cannot be seen "
    "from here"
)


def before_activation(case: Case) -> Ruling | None:
    """Fidelity (principle 1): what comes before the input of a loss was not recorded, and the line may be right for it."""
    judge, proposal = case.judge, case.proposal
    plan, of = judge.plan, proposal.value if proposal is not None else None
    if of is None or of.root not in plan.handed or plan.loss_op.code.co_filename == OUR_PLACE:
        return None
    truth, given = case.truth.get(of), judge.run.graph.tensor(of).detach()
    if truth is None or not truth.shape == given.shape == case.found.shape or not given.ndim:
        return None
    if not bool(((given >= 0) & (given <= 1)).all()):
        return None
    counts = {
        given.numel(): ", times the number of elements",
        given.numel() // given.shape[-1]: ", times that of rows",
    }
    for name, before in _before(given, truth):
        size = max(norm(case.found), norm(before))
        slack = _NEARLY * size + _NOTHING * norm(given)
        for count, said in {**counts, 1: ""}.items():
            if distance(case.found, count * before) <= slack:
                reason = _REASON.format(name, judge.partners.shown(of), said)
                return Ruling(case.judged(proposal, Verdict.UNCHECKED, Problem.UNREACHED, reason))
    return None


def _before(given: torch.Tensor, truth: torch.Tensor) -> Iterator[tuple[str, torch.Tensor]]:
    weighted = given * truth
    yield "sigmoid", weighted * (1 - given)
    yield "softmax", weighted - given * weighted.sum(-1, keepdim=True)
