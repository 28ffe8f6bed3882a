"""Rows of gradients that cannot be compared at all: those still to be written, and those of a loss that cannot be
replayed."""

from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.fronts.places import Places
from gradcheck.fronts.tape import Recording
from gradcheck.judge.judge import Judge
from gradcheck.judge.lines import line_of
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.judge.pairing.placeholders import placeholders
from gradcheck.judge.verdict import GradientResult, PassResult, Problem, Verdict
from gradcheck.program.location import Location
from gradcheck.replay.passes import PassPlan

_CONSTANT = "it is the same number whatever the data and the parameters are: a factor that is computed of them is missing"


def all_unchecked(plan: PassPlan, places: Places, reason: str, index: int) -> list[GradientResult]:
    return [
        _unchecked(c.name, None, line_of(c.versions[-1], places), Problem.UNREACHED, reason, index)
        for c in plan.candidates
        if (c.of is not None or parse(c.name).form is not Form.NONE) and c.value.producer is not None
    ]


def unfinished(
    recording: Recording, plan: PassPlan, names: NameIndex, places: Places, result: PassResult
) -> list[GradientResult]:
    """Gradients that are still `None`, or a constant: the exercise is not finished there."""
    taken = {row.name for row in result.gradients}
    why = _CONSTANT, "it is None: the gradient is not written yet"
    return [
        _unchecked(name, of, places.line_location(code, line), Problem.UNFINISHED, why[none], result.index)
        for name, of, code, line, none in placeholders(recording, plan, names)
        if name not in taken
    ]


def unjudged(recording: Recording, judge: Judge, result: PassResult) -> list[GradientResult]:
    """Gradients that a statement of the backward pass names for a value, and for which there is no other row: they
    are not passed over in silence."""
    plan, places = judge.plan, judge.places
    taken = {row.name for row in result.gradients}
    forward = plan.forward_values
    plain = {
        b.variable
        for b in recording.bindings
        if b.value.birth <= plan.loss_op.index and parse(b.name).form is Form.NONE
    }
    found = []
    for candidate in plan.candidates:
        binding = candidate.binding
        if binding is None or binding.alias or binding.code is None or candidate.name in taken:
            continue
        parsed = parse(candidate.name)
        made = candidate.value.producer
        if parsed.form < Form.BARE_D or parsed.stem not in plain or binding.when <= plan.loss_op.index:
            continue
        if candidate.value in judge.influences.autograd or candidate.value in forward:
            continue
        taken.add(candidate.name)
        if made is None:
            reason = "what computed it was not recorded"
        elif any(parsed.stem in judge.names.forward_names(value) for value in forward):
            continue
        else:
            reason = (
                f"the forward pass does not use `{parsed.stem}`, as far as it was recorded: the loss does not depend "
                "on it, and its true gradient is zero"
            )
        where = line_of(candidate.versions[-1], places)
        found.append(_unchecked(candidate.name, parsed.stem, where, Problem.UNREACHED, reason, result.index))
    return found


def list_placeholders_once(results: list[PassResult]) -> None:
    """A `dW = None` far down in a notebook belongs to the last loss before it, not to every earlier one as well."""
    later: set[tuple[str, Location]] = set()
    for result in reversed(results):
        placeholders = {
            (row.name, row.location) for row in result.gradients if row.problem is Problem.UNFINISHED
        }
        again = placeholders & later
        result.gradients = [row for row in result.gradients if (row.name, row.location) not in again]
        later |= placeholders


def _unchecked(
    name: str, of: str | None, location: Location, problem: Problem, reason: str, index: int
) -> GradientResult:
    row = GradientResult(name, of, location, Verdict.UNCHECKED, problem=problem, reason=reason)
    row.lines, row.pass_index = [location], index
    return row
