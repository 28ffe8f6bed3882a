"""Right under intervention (principle 3): another upstream gradient than the one of this loss.

A backward function is written for every gradient that may arrive: one that ignores it, or reads one element of it, is
right for the ones of a `sum()` and wrong for everybody else. So what arrives is replaced by random numbers, at the
`backward` of a custom Function and at the parameters of a helper, and its lines have to give the VJP of those.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import CodeType

import torch

from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.fronts.tape import Binding, Kind, Value
from gradcheck.graph import flow
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Judged
from gradcheck.judge.verdict import Problem, Verdict
from gradcheck.ops import ROUND
from gradcheck.program.reading.names import names_decided_by
from gradcheck.replay.compare import ROUNDING_FLOOR, differentiable, distance, norm, same_but_for_ones

_WRONG = 1e-6  # relative: a float64 replay that follows its upstream gradient is far closer
_SEED = 20


@dataclass
class _Arrival:
    """Where gradients arrive, and random ones for the values they are of. `versions` are the tensors to replace."""

    given: dict[Value, torch.Tensor] = field(default_factory=dict)
    versions: dict[int, torch.Tensor] = field(default_factory=dict)
    scopes: set[int] = field(default_factory=set)  # the calls they arrive in
    # Whatever a `backward` returns follows from them: one at a helper may come along with others.
    everywhere: bool = False


def try_other_upstreams(judge: Judge) -> None:
    """Marks the lines that are right for the upstream gradient of this loss alone."""
    known: set[Judged] = set()
    _replace_upstream(judge, known)
    _doubt_lines_behind_nothing(judge, known)


def _replace_upstream(judge: Judge, known: set[Judged]) -> None:
    """In backward functions, which are written for any."""
    for arrival in (_at_functions(judge), *_at_parameters(judge)):
        for judged, error in _wrong_lines(judge, arrival, known):
            judged.verdict, judged.problem = Verdict.INTRODUCED, Problem.UPSTREAM
            judged.reason = "right for the upstream gradient of this loss, wrong for another one"
            judged.scale, judged.hidden_error = None, error


def _doubt_lines_behind_nothing(judge: Judge, known: set[Judged]) -> None:
    """A line whose upstream gradient is zero, or the same everywhere, is not shown to be right by that."""
    for upstream in judge.judged:
        if upstream in known or upstream.found is None or not upstream.version.final:
            continue
        empty = upstream.verdict is Verdict.UNOBSERVABLE
        if not (empty or (upstream.verdict is Verdict.CORRECT and _is_constant(upstream.found))):
            continue
        arrival = _Arrival()
        _replace(arrival, upstream, judge)
        reads = {id(version) for version in judge.relations.consumers(upstream.version)}
        for judged, _ in _wrong_lines(judge, arrival, known, reads):
            judged.verdict = Verdict.UNOBSERVABLE
            how = "zero" if empty else "the same number everywhere"
            judged.reason = (
                f"right only because `{upstream.candidate.name}`, which it is computed from, is {how} here: with "
                "other numbers there this line would not give the gradient"
            )


def _at_functions(judge: Judge) -> _Arrival:
    """The gradients that autograd hands to the `backward` of custom Functions."""
    arrival = _Arrival(everywhere=True)
    tape = judge.ops[judge.plan.start : judge.plan.stop]
    for op in tape:  # also what no line of the backward reads
        if op.kind is Kind.UPSTREAM and op.extra is None and op.args[0] in judge.run.graph.truth:
            arrival.given[op.args[0]] = _random(judge.run.graph.truth[op.args[0]], len(arrival.given))
    arrival.scopes.update(op.scope for op in tape if op.kind is Kind.RETURNED)
    return arrival


def _at_parameters(judge: Judge) -> list[_Arrival]:
    """Gradients that functions of the person's are called with, by function."""
    known: dict[Value, list[Judged]] = {}
    for judged in judge.judged:
        known.setdefault(judged.candidate.value, []).append(judged)
    arrivals: dict[CodeType | None, _Arrival] = {}
    for candidate in judge.plan.candidates:
        upstream = known.get(candidate.value, [])
        if len(upstream) != 1 or not upstream[0].version.final:
            continue  # of one tensor that is two gradients, nobody can say which of them arrives
        if upstream[0].problem is Problem.HARMLESS:
            continue  # nor whose gradient that is
        for binding in candidate.bindings:
            # A buffer that the function is to fill is no gradient yet when it arrives.
            if not binding.is_parameter or binding.when <= upstream[0].version.after:
                continue
            if not _decides(judge, binding):
                arrival = arrivals.setdefault(binding.code, _Arrival())
                arrival.scopes.add(binding.scope)
                if upstream[0].of not in arrival.given:
                    _replace(arrival, upstream[0], judge)
    return list(arrivals.values())


def _decides(judge: Judge, parameter: Binding) -> bool:
    """Whether conditions of the function read numbers of what arrives: for another gradient it would take branches that a
    replay does not know, as where it looks for the elements that are not zero."""
    code = parameter.code
    unit = judge.places.unit_of(code) if code is not None else None
    function = unit.tree.function(code.co_name, code.co_firstlineno) if unit is not None and code else None
    decided_by = names_decided_by(function) if function is not None else frozenset()
    if not decided_by:
        return False
    inside = [op for op in judge.ops[judge.plan.start : judge.plan.stop] if op.scope == parameter.scope]
    follows = flow.forward(inside, [parameter.value], key=flow.storage)
    named = (b for op in inside for value in (*op.inputs, *op.outputs) for b in judge.names.bindings(value))
    return any(
        b.scope == parameter.scope and b.variable in decided_by and b.value.root in follows for b in named
    )


def _replace(arrival: _Arrival, upstream: Judged, judge: Judge) -> None:
    truth = judge.run.graph.truth.get(upstream.of) if upstream.of is not None else None
    if truth is None or upstream.of is None or upstream.found is None or truth.shape != upstream.found.shape:
        return
    like = truth if upstream.verdict is Verdict.CORRECT else torch.zeros_like(truth)
    given = arrival.given[upstream.of] = _random(like, len(arrival.given))
    # It is the gradient of these too: `y = W @ h + b` and `b` have one and the same; as a column, that of a row.
    truths, known = judge.run.graph.truth, judge.expectation(frozenset())[1]
    tolerance = judge.tolerance(upstream.version, norm(truth), upstream.noise)
    rows = [v for v in known.equals(truth, tolerance, reshaped=True) if truths[v].shape != truth.shape]
    for other in (*upstream.alternatives, *rows):
        same = truths.get(other)
        if same is not None and other not in arrival.given and same_but_for_ones(same.shape, given.shape):
            arrival.given[other] = given.reshape(same.shape)
    arrival.versions[id(upstream.version)] = given * (1.0 if upstream.scale is None else upstream.scale)


def _wrong_lines(
    judge: Judge, arrival: _Arrival, known: set[Judged], among: set[int] | None = None
) -> Iterator[tuple[Judged, float]]:
    """The right lines that spoil an output once random gradients arrive, with their relative errors. What is `known` to
    be one of them is not told again, and what is computed from it is compared with what follows from it."""
    if not arrival.given:
        return
    asked = [
        judged
        for judged in judge.judged
        if id(judged.version) not in arrival.versions
        and (judged in known or _is_asked(judge, judged, arrival, among))
    ]
    if not asked:
        return
    found = judge.run.with_replaced(arrival.versions, arrival.given, [judged.version for judged in asked])
    partners = {value for judged in asked for value in (judged.of, *judged.alternatives) if value is not None}
    first = judge.run.graph.gradients(arrival.given, partners)
    if not any(_error(judged, found, first, 0.0) > _WRONG for judged in asked):
        return
    first = judge.run.graph.gradients(arrival.given)
    sizes = map(norm, (*arrival.given.values(), *first.values()))
    floor = ROUNDING_FLOOR * max((size for size in sizes if math.isfinite(size)), default=0.0)
    wrong = {id(judged.version) for judged in asked if _error(judged, found, first, floor) > _WRONG}
    inside = {j.version for j in asked}
    given = dict(arrival.given)
    for judged in asked:
        if id(judged.version) not in wrong or judged.of is None or judged.of in arrival.given:
            continue
        error = _error(judged, found, judge.run.graph.gradients(given), floor)
        later = [version for version in judge.relations.consumers(judged.version) if version in inside]
        leaves = judged.candidate.returned is not None  # what arrives next is replaced too
        harms = leaves or not later or any(id(version) in wrong for version in later)
        if error > _WRONG and harms and judged not in known:
            known.add(judged)
            yield judged, error
        tensor = found[id(judged.version)]
        if tensor.numel() == judge.run.graph.tensor(judged.of).numel():
            given[judged.of] = tensor / (1.0 if judged.scale is None else judged.scale)


def _is_asked(judge: Judge, judged: Judged, arrival: _Arrival, among: set[int] | None) -> bool:
    version = judged.version
    if among is not None and id(version) not in among:
        return False
    if judged.verdict is not Verdict.CORRECT or judged.of is None or not version.final:
        return False
    # It is called nothing like a gradient, and this loss alone has shown what it is; or it is quantised.
    unnamed = version.candidate.returned is None and parse(version.candidate.name).form is Form.NONE
    if unnamed or any(op.operation is ROUND for op in version.writes):
        return False
    if judged.surrogate or judged.rounded_data or version.candidate.value.root in judge.opaque:
        return False
    if judged.faults or not version.writes:
        return False
    returned = arrival.everywhere and version.candidate.returned is not None
    return among is not None or returned or any(op.scope in arrival.scopes for op in version.writes)


def _error(
    judged: Judged, found: dict[int, torch.Tensor], gradients: dict[Value, torch.Tensor], floor: float
) -> float:
    """Relative to the larger of both; 0 where they cannot be compared, or differ by what float64 leaves of numbers that
    cancel (behind a softmax that is saturated, say)."""
    tensor = found.get(id(judged.version))
    if tensor is None or not differentiable(tensor):
        return 0.0
    scale = 1.0 if judged.scale is None else judged.scale
    options = [scale * gradients[v] for v in (judged.of, *judged.alternatives) if v in gradients]
    errors = [
        off / max(norm(tensor), norm(expected)) if (off := distance(tensor, expected)) > floor else 0.0
        for expected in options
        if expected.numel() == tensor.numel()
    ]
    return min(errors, default=0.0)


def _random(like: torch.Tensor, number: int) -> torch.Tensor:
    """No larger than the gradient that is there, so that what is clipped there is clipped here."""
    generator = torch.Generator().manual_seed(_SEED + number)
    largest = float(like.abs().max()) if like.numel() else 0.0
    drawn = 2 * torch.rand(like.shape, generator=generator, dtype=torch.float64) - 1
    return (largest or 1.0) * drawn.to(like.dtype)


def _is_constant(found: torch.Tensor) -> bool:
    flat = found.reshape(-1)
    return flat.numel() > 1 and bool((flat == flat[0]).all())
