"""Gradients that are right for one value and handed on as that of another: the line that does so is at fault, and not the
one that computed them."""

from collections import defaultdict

from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.fronts.tape import Binding
from gradcheck.judge.case import Case
from gradcheck.judge.influence import Mark
from gradcheck.judge.judged import Judged
from gradcheck.replay.compare import distance


def note_handed_on(case: Case, judged: Judged) -> None:
    """Blame needs an intervention (principle 2): it was right as it was computed."""
    shown = case.judge.partners.shown
    judged.handed_on_at = _named_elsewhere(case)
    if judged.handed_on_at is not None:
        return
    equal = case.fingerprints.equals(case.found, case.tolerance, reshaped=True)
    # That of a target is that of the output, turned round.
    equal = [value for value in equal if value in case.judge.forward_made]
    if not equal or judged.of is None or case.candidate.returned is not None or _is_negative(case, judged):
        return
    judged.handed_on_at = _second_name(case) or _call(case)
    if judged.handed_on_at is not None:
        right = case.judge.partners.choose(case.candidate, equal, case.judge.paired).value
        judged.notes.append(
            f"it is the gradient of `{shown(right)}`, and this line hands it on as that of `{shown(judged.of)}`"
        )


def _is_negative(case: Case, judged: Judged) -> bool:
    """Whether it has the wrong sign: whoever wrote that did not mean the gradient of `y - out`."""
    expected = judged.expected
    if expected is None or expected.shape != case.found.shape:
        return False
    return distance(case.found, -expected) <= case.tolerance


def _named_elsewhere(case: Case) -> Binding | None:
    """`dz = slope(z)`: what a function that was given no gradient computed is one only where it is called so, unless the
    backward pass begins there."""
    if not case.judge.judged:
        return None
    binding, made = case.candidate.binding, case.candidate.value.producer
    if binding is None or made is None or binding.alias or binding.scope == made.scope:
        return None
    is_graded = case.judge.influences.has
    for own in case.judge.names.bound_in(made.scope):
        if parse(own.name).form is not Form.NONE or (own.alias and is_graded(own.value, Mark.GRADED)):
            return None
    return binding


def _second_name(case: Case) -> Binding | None:
    """`da = dh`: where code that has a name for it gives it another."""
    names: dict[int, set[str]] = defaultdict(set)
    for binding in case.judge.names.bindings(case.candidate.value):
        if binding.alias or binding.code is None:
            continue
        known = names[binding.scope]
        if known and binding.variable not in known:
            return binding
        known |= {binding.variable, binding.name}
    return None


def _call(case: Case) -> Binding | None:
    """`dx = back(dh)`: what is bound when a function returns that was given it, and that computes gradients from it."""
    value, names = case.candidate.value, case.judge.names
    bindings = names.bindings(value)
    readers = {op.scope for version in case.consumers.versions for op in version.writes if value in op.inputs}
    for argument in bindings:
        if not argument.alias or argument.scope not in readers:
            continue
        for own in bindings:
            if not own.alias and own.scope not in readers and own.when <= argument.when:
                return names.next_in(own.scope, argument.when)
    return None
