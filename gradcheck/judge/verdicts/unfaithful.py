"""What the program computed is not what a replay of it computes, or none can: something happened that was not recorded."""

from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.fronts.tape import Op, Value
from gradcheck.judge.case import Case
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import NOT_JUDGED, Ruling
from gradcheck.judge.pairing.partners import Proposal
from gradcheck.judge.verdict import Problem, Verdict
from gradcheck.replay.fidelity import Parting


def unfaithful(case: Case) -> Ruling | None:
    """Fidelity (principle 1): what cannot be replayed, and what was computed from where run and replay part, is `unchecked`,
    with the reason."""
    judge, candidate = case.judge, case.candidate
    reason = _reason(case)
    if reason is None or candidate.value in judge.influences.autograd:
        return None
    if candidate.returned and candidate.of is not None:
        proposal: Proposal | None = Proposal(candidate.of, candidate.of_evidence)
    elif case.found.numel():
        proposal = case.named
    else:
        proposal = judge.partners.propose_by_name(candidate)
    form = parse(candidate.name).form
    named = candidate.returned or form >= Form.BARE_D or (proposal is not None and candidate.of is not None)
    if not case.version.final or not named or (proposal is None and form < Form.BARE_D):
        return NOT_JUDGED
    return Ruling(case.judged(proposal, Verdict.UNCHECKED, Problem.UNREACHED, reason))


def of_another_forward_pass(case: Case) -> Ruling | None:
    """Fidelity (principle 1): where the forward pass is run again, after numbers that it reads were changed (a weight that
    is moved a little, and back), what is computed from that is the gradient of a loss that nobody computed."""
    plan, version = case.judge.plan, case.version
    if case.proposal is None:
        return None
    updates = {update.op for update in plan.updates}
    unchanged = set(plan.used)
    for change in case.judge.ops[plan.loss_op.index + 1 : version.after]:
        changed = {v.root for v in change.mutated} & unchanged if change not in updates else set()
        if not changed:
            continue
        unchanged -= changed
        before = {(op.code, op.lasti) for op in plan.forward_ops if not changed.isdisjoint(_read(op))}
        since = plan.slicer.slice([version.candidate.value], change.index + 1, version.after + 1)
        if any((op.code, op.lasti) in before and not changed.isdisjoint(_read(op)) for op in since):
            here = case.judge.names.shown(change.mutated[0])
            reason = (
                f"it is computed from another forward pass than the loss: {_line(case.judge, change)} changes `{here}` "
                "in between"
            )
            return Ruling(case.judged(case.proposal, Verdict.UNCHECKED, Problem.UNREACHED, reason))
    return None


def _read(op: Op) -> set[Value]:
    return {value.root for value in op.inputs}


def _reason(case: Case) -> str | None:
    judge, version = case.judge, case.version
    reason = judge.run.broken.get(id(version))
    if reason is not None:
        return reason
    fidelity, value = judge.prepared.fidelity, version.candidate.value
    parting = fidelity.parting(value, version.after)
    if parting is not None:
        return describe(judge, parting)
    parting = fidelity.parting(judge.plan.loss, judge.plan.loss_op.index)
    if parting is not None:
        return f"the loss cannot be replayed as it was computed: {describe(judge, parting)}"
    if value.root in judge.opaque:
        if value.producer is None:
            return "what computed it was not recorded"
        return "what it is computed from was not recorded, so that it cannot be tried with other numbers"
    return None


def describe(judge: Judge, parting: Parting) -> str:
    """Where run and replay parted, and why."""
    here = _line(judge, parting.op)
    names = " or ".join(f"`{_name(judge, root, parting.op)}`" for root in parting.changed)
    if not names:
        return f"`{judge.names.text(parting.op)}` gave something else in {here} than it gives when it is run again"
    shown = set(parting.changed.values())
    if None in shown:
        return f"{names} was changed without a recorded operation, and what it held in {here} is not known"
    places = [_line(judge, at) for at in shown if at is not None]
    when = f"between {places[0]} and {here}" if len(places) == 1 and places[0] != here else f"before {here}"
    return f"{names} changed {when} without a recorded operation"


def _name(judge: Judge, root: Value, op: Op) -> str:
    """Of those that share the storage, the one that is read there."""
    read = [value for value in op.inputs if value.root is root and judge.names.forward_names(value)]
    return judge.names.shown(read[0] if read else root)


def _line(judge: Judge, op: Op) -> str:
    location = judge.places.location(op)
    return f"line {location.line}" if location.cell is None else f"cell {location.cell} line {location.line}"
