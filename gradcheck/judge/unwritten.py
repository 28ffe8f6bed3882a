"""Rows of gradients that cannot be compared at all: those still to be written, and those of a loss that cannot be
replayed."""

from __future__ import annotations

from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.fronts.places import Places
from gradcheck.fronts.tape import Recording
from gradcheck.judge.lines import line_of
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.judge.verdict import GradientResult, PassResult, Problem, Verdict
from gradcheck.program.location import Location
from gradcheck.replay.passes import PassPlan


def all_unchecked(plan: PassPlan, places: Places, reason: str, index: int) -> list[GradientResult]:
    return [
        _unchecked(c.name, None, line_of(c.versions[-1], places), Problem.UNREACHED, reason, index)
        for c in plan.candidates
        if parse(c.name).form >= Form.EXPLICIT and c.value.producer is not None
    ]


def unfinished(
    recording: Recording, plan: PassPlan, names: NameIndex, places: Places, result: PassResult
) -> list[GradientResult]:
    """Gradients that are still `None`: the exercise is not finished there."""
    found = []
    taken = {row.name for row in result.gradients} | {b.name for b in recording.bindings}
    partners = {name for value in plan.forward_values for name in names.forward_names(value)}
    for name, code, line, when in recording.nones:
        parsed = parse(name)
        if name in taken or parsed.form < Form.BARE_D or name.endswith(".grad"):
            continue  # `p.grad = None` clears what autograd accumulates
        if parsed.stem not in partners or not plan.loss_op.index < when <= plan.stop:
            continue
        taken.add(name)
        reason, where = "it is None: the gradient is not written yet", places.line_location(code, line)
        found.append(_unchecked(name, parsed.stem, where, Problem.UNFINISHED, reason, result.index))
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
