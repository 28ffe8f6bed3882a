"""Gradients that are wrong although the gradients they were computed from explain nothing of it: their line is at
fault."""

import torch

from gradcheck.judge.case import Case
from gradcheck.judge.intervention import has_victim, heals, is_finished
from gradcheck.judge.judged import NOT_JUDGED, Fault, Ruling
from gradcheck.judge.pairing.partners import BY_NAME, Proposal
from gradcheck.judge.verdict import Problem, Verdict
from gradcheck.judge.verdicts.convention import kept_factor
from gradcheck.judge.verdicts.handed_on import note_handed_on
from gradcheck.judge.verdicts.inherited import inherited
from gradcheck.judge.verdicts.right import right_as
from gradcheck.judge.verdicts.written import written_at
from gradcheck.ops import Family
from gradcheck.replay.compare import distance, same_but_for_ones
from gradcheck.replay.earlier import Carried

_NAMED_FOR = 0.6


def harmless(case: Case) -> Ruling | None:
    """Blame needs a victim and an intervention (principle 2): it is not the gradient that its name suggests, and
    nothing that is wrong becomes right with the true gradient in its place."""
    proposal = case.proposal
    if proposal is None or proposal.value not in case.truth:
        return None
    if has_victim(case, proposal.value, kept_factor(case, proposal.value)):
        return None
    # A name says which layer, and not whether before its activation or after it: what heals says that.
    other = None
    if proposal.evidence == BY_NAME:
        other = case.consumers.agree_on(None, besides=proposal.value) or case.by_place
    if other is not None and heals(case, other.value):
        case.proposal = other
        return None
    if not is_finished(case) or case.judge.relations.successor(case.version) is not None:
        return NOT_JUDGED  # what it is a stage of is judged
    shown = case.judge.partners.shown(proposal.value)
    what_else = "nothing computed from it is wrong because of that"
    if case.outputs.spoils_one(case.version):
        what_else = "what is computed from it is wrong for another reason: fix that first, then check again"
    reason = f"it is not the gradient of `{shown}`, and {what_else}"
    return Ruling(case.judged(proposal, Verdict.UNCHECKED, Problem.HARMLESS, reason))


def meant(case: Case) -> Ruling | None:
    """Blame needs an intervention (principle 2): what reads it becomes right with the true gradient of that value."""
    value = case.judge.plan.meant.get(case.version)
    if value is None or value not in case.gradients:
        return None
    case.proposal = Proposal(value, "what is computed from it", certain=True)
    healed = inherited(case)
    if healed is not None and healed.judged is not None and healed.judged.of is value:
        return healed
    ruling = introduced(case)
    if ruling is not None and ruling.judged is not None and isinstance(value, Carried):
        line = case.judge.places.location(case.judge.ops[value.at]).line
        shown = case.judge.partners.shown(value)
        ruling.judged.notes.append(
            f"meant is the part of it that comes back from line {line}, which reads `{shown}` too"
        )
    return ruling


def introduced(case: Case) -> Ruling | None:
    """No principle: that it is an output, or that an output heals with it, is not asked."""
    proposal = case.proposal
    expected = case.gradients.get(proposal.value) if proposal is not None else None
    if proposal is None or expected is None:
        return None
    same = case.found.shape == expected.shape and distance(case.found, expected) <= case.tolerance
    if same and case.candidate.returned is None:
        return Ruling(right_as(case, proposal))  # what is computed from it has a fault of its own
    problem, reason = Problem.WRONG_VALUE, ""
    gradient: torch.Tensor | None = case.found
    if case.found.shape != expected.shape:
        if same_but_for_ones(case.found.shape, expected.shape):
            gradient = case.found.reshape(expected.shape)
        else:
            problem = Problem.SHAPE
            reason = (
                f"its shape is {tuple(case.found.shape)}, but `{case.judge.partners.shown(proposal.value)}` has "
                f"shape {tuple(expected.shape)}"
            )
            gradient = _summed(case.found, expected)
            further = [consumer.found.shape for consumer in case.consumers.finished]
            is_its_sum = gradient is not None and distance(gradient, expected) <= case.tolerance
            if not is_its_sum and proposal.evidence == BY_NAME and {*further} == {case.found.shape}:
                # `dscore`, with the shape of what it goes on to: the derivative of the score, and no gradient of it.
                return Ruling(case.judged(proposal, Verdict.UNCHECKED, Problem.HARMLESS, reason))
            made = case.candidate.value.producer
            is_summed = made is not None and made.operation.family is Family.REDUCTION
            # A number of Python's, `self.beta = 0.0`: the first update makes an array of what was summed in part. Or a
            # buffer with an axis of steps: a caller adds them up.
            is_number = is_summed and proposal.value.reference is None
            if is_its_sum and (is_number or _has_axis_of_its_own(case, expected)):
                reason += ": only the sum of this gradient could be compared, and it is right"
                return Ruling(case.judged(proposal, Verdict.UNCHECKED, Problem.HARMLESS, reason))
    # Autograd takes what a Function returns as it is.
    returned = case.candidate.returned is not None
    factor = None if returned else kept_factor(case, proposal.value)
    judged = case.judged(
        proposal, Verdict.INTRODUCED, problem, reason, expected=expected, faults=case.faults, scale=factor
    )
    judged.written_at = written_at(case, judged)
    note_handed_on(case, judged)
    judged.at_return = returned and _is_named_for_its_numbers(case)
    return Ruling(
        judged, Fault(judged, gradient if gradient is None or factor is None else gradient / factor)
    )


def _has_axis_of_its_own(case: Case, expected: torch.Tensor) -> bool:
    """Whether its array was made with more axes than its value has, and nothing here reads what it was filled with."""
    version, root = case.version, case.candidate.value.root
    is_made_so = len(version.writes) > 1 and version.writes[0].operation.family is Family.CONSTANT
    later = case.judge.ops[version.after + 1 :]
    is_read = any(value.root is root for op in later for value in op.inputs)
    return is_made_so and case.found.dim() > expected.dim() and not is_read


def _is_named_for_its_numbers(case: Case) -> bool:
    """Whether what a Function returns for one argument is the gradient of another value, and is called so."""
    equal = case.fingerprints.equals(case.found, case.tolerance)
    return any(case.judge.partners.score(case.candidate, value) >= _NAMED_FOR for value in equal)


def _summed(found: torch.Tensor, expected: torch.Tensor) -> torch.Tensor | None:
    """A gradient that was never summed over its broadcast dimensions, summed over them, if that is clear."""
    try:
        return found.sum_to_size(expected.shape)
    except RuntimeError:
        return None
