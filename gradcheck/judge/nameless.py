"""What an accused line reads and nobody has called a gradient: further names, results without a name, pieces."""

from collections.abc import Iterable, Iterator

from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Judged
from gradcheck.ops import Family
from gradcheck.replay.passes import Candidate, Version


def read_by(judge: Judge, accused: Iterable[Judged]) -> list[Candidate]:
    """These as candidates."""
    found = {candidate.value: candidate for candidate in _further_names(judge)}
    for judged in accused:
        for value, made in _read(judge, judged.version):
            if value not in found and value.producer is not None:
                candidate = Candidate(value, judge.names.text(value.producer), None)
                candidate.versions.append(Version(candidate, value.producer.index, made, final=True))
                found[value] = candidate
    return list(found.values())


def _further_names(judge: Judge) -> Iterator[Candidate]:
    """`carry = dc`: read under this name, it may be meant to be another gradient."""
    called = {(known.value, known.variable) for known in judge.plan.candidates}
    for known in judge.plan.candidates:
        first = known.binding
        for binding in judge.names.bindings(known.value) if first is not None else ():
            later = first is not None and binding.scope == first.scope and binding.when > first.when
            if later and binding.code is not None and (known.value, binding.variable) not in called:
                candidate = Candidate(known.value, binding.name, binding, [binding], second_name=True)
                candidate.versions.append(Version(candidate, binding.when - 1, [], final=True))
                yield candidate


def _read(judge: Judge, version: Version) -> Iterator[tuple[Value, list[Op]]]:
    """What its statement reads of what the backward pass has computed, with the ops whose line made it."""
    names, plan = judge.names, judge.plan
    known, forward = {c.value: c for c in plan.candidates}, plan.forward_values
    paired = {judged.candidate for judged in judge.judged if judged.of is not None}
    if not version.writes:
        return
    last = version.writes[-1]
    own, pending = names.statement(last), list(last.inputs)
    while pending:
        value = pending.pop()
        made = value.producer
        if made is None or value in forward or value in known or made.index <= plan.loss_op.index:
            continue
        if made.kind is Kind.UPSTREAM:  # autograd's
            continue
        is_piece = made.operation.keeps_numbers or made.operation.family is Family.GATHER
        if made.scope != last.scope or names.statement(made) is not own:
            yield value, [made]
        elif is_piece and made.inputs and made.inputs[0] in known:
            whole = known[made.inputs[0]]
            if whole not in paired:  # what it is a piece of is judged
                yield value, whole.versions[-1].writes
        else:
            pending += made.inputs
