"""The backward lines of a right program: where bugs are planted, and where they should be found.

A backward line is a statement that made something the manual gradients were computed from, and nothing the loss was.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider

from benchmarks.planted.counts import divisors
from benchmarks.planted.observed import Observed
from benchmarks.planted.scenes import Mutation, Scene, mutations, text
from gradcheck.fronts.tape import Binding, Kind, Op, Value
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Judged
from gradcheck.judge.verdict import Verdict
from gradcheck.program.source import SourceUnit

Span = tuple[str, int | None, int, int]  # file, cell, first and last line
# In a hand-written optimiser: what cannot be taken for another learning rate, momentum or decay.
_NOT_OF_STEP_SIZE = (
    "dropped transpose", "swapped matrix product", "sum over the wrong axis", "dropped sum", "another gradient",
    "another forward value", "sum before product", "slope at another value", "1 - t for 1 - t**2", "flipped sign",
    "reversed difference", "missing branch", "dropped carry", "first try left standing", "neighbouring layer",
    "off-by-one index",
)  # fmt: skip
_SMALL = (cst.Assign, cst.AnnAssign, cst.AugAssign, cst.Return, cst.Expr)


@dataclass
class Site:
    """One backward statement. `accepted`: where a finding about it may stand: at the gradient it is part of or,
    where it computes a helper, at the gradients it feeds."""

    unit: SourceUnit
    span: Span
    pass_index: int
    scene: Scene
    is_gradient: bool
    in_optimiser: bool = False  # it reads a finished gradient of a parameter
    accepted: set[Span] = field(default_factory=set)

    def accepts(self, location: dict, delta: int) -> bool:  # type: ignore[type-arg]
        """Whether a location of the changed program, whose later lines stand `delta` lines further down, is one."""
        for file, cell, first, last in self.accepted:
            moved_first, moved_last = (
                n + (delta if n > self.span[3] or (n == self.span[3] and n is last) else 0)
                for n in (first, last)
            )
            same_piece = (location["file"], location["cell"]) == (file, cell)
            if (
                same_piece
                and location["line"] <= max(moved_last, moved_first)
                and (location["end_line"] >= moved_first)
            ):
                return True
        return False


def find_sites(observed: Observed) -> list[Site]:
    found: dict[Span, Site] = {}
    forward = {
        _span(observed, op)
        for judge in observed.judges.values()
        for op in judge.plan.forward_ops
        if op.index >= judge.plan.start
    }
    for index, judge in sorted(observed.judges.items()):
        by_span: dict[Span, list[Op]] = defaultdict(list)
        updates = {_span(observed, update.op) for update in judge.plan.updates}
        after = list(_after_the_gradients(judge))
        optimising = {span for op in after if (span := _span(observed, op)) is not None}
        for op in [*_backward(observed, judge), *after]:
            span = _span(observed, op)
            if op.index >= judge.plan.start and span is not None and span not in forward:
                by_span[span].append(op)
        for span, ops in by_span.items():
            site = found.get(span) or _site(observed, index, span, ops[0])
            if site is not None:
                found[span] = site
                direct, accepted = _findable(observed, judge, ops)
                site.is_gradient |= direct
                site.in_optimiser |= span in updates or span in optimising
                site.accepted |= accepted | {span}
                if site.in_optimiser:  # found by what it does to the update
                    site.accepted |= {span, *optimising}
    return [found[span] for span in sorted(found, key=lambda s: (s[0], s[1] or 0, s[2]))]


def _backward(observed: Observed, judge: Judge) -> list[Op]:
    """What the gradients in the report were computed by."""
    wanted = [j.candidate.value for j in judge.judged if j.of is not None]
    last = max((j.version.after for j in judge.judged), default=-1)
    return judge.plan.slicer.slice(wanted, 0, last + 1)


def _after_the_gradients(judge: Judge) -> Iterator[Op]:
    """What is computed from the parameters' gradients, once they are finished: hand-written optimisers. What stands
    for the gradient of the same parameter a second time (a velocity) is of the optimiser too."""
    parameters = set(parameters_of(judge))
    first: dict[Value, Judged] = {}
    for judged in sorted(judge.judged, key=lambda each: each.version.after):
        if judged.of in parameters:
            first.setdefault(judged.of, judged)
    building = {op for judged in judge.judged if judged.of not in parameters for op in judged.version.writes}
    building |= {op for judged in first.values() for op in judged.version.writes}
    finished = {judged.candidate.value.root for judged in first.values()}
    for op in judge.ops[judge.plan.start : judge.plan.stop]:
        computes = op not in building and op.kind not in (Kind.ESCAPE, Kind.BACKWARD)
        if computes and any(value.root in finished for value in op.inputs):
            finished.update(value.root for value in (*op.outputs, *op.mutated))
            yield op


def mutations_of(site: Site, unit_text: str) -> Iterator[tuple[Mutation, str]]:
    """Mutations of the statement, and the whole changed text for each."""
    positions = _positions(unit_text)
    rows = unit_text.split("\n")
    for node, position in positions.items():
        if isinstance(node, _SMALL) and position.start.line == site.span[2]:
            for mutation in mutations(node, site.scene):
                if site.in_optimiser and mutation.kind not in _NOT_OF_STEP_SIZE:
                    continue
                yield mutation, _put(rows, positions[mutation.old], text(mutation.new))


@lru_cache(maxsize=8)
def _positions(unit_text: str) -> Mapping[cst.CSTNode, CodeRange]:
    wrapper = MetadataWrapper(cst.parse_module(unit_text), unsafe_skip_copy=True)
    return wrapper.resolve(PositionProvider)


def _put(rows: list[str], place: CodeRange, new: str) -> str:
    """The text with the new expression in its place. Brackets around the old one are outside of its range, and stay."""
    start, end = place.start, place.end
    before = [*rows[: start.line - 1], rows[start.line - 1][: start.column]]
    after = [rows[end.line - 1][end.column :], *rows[end.line :]]
    return "\n".join(before) + new + "\n".join(after)


def parameters_of(judge: Judge) -> dict[Value, Judged]:
    """What the step starts from, with the manual gradient of each: the last that was judged."""
    forward = set(judge.plan.forward_ops)
    return {
        judged.of: judged
        for judged in judge.judged
        if judged.of is not None
        and judged.of.producer not in forward
        and judged.verdict is not Verdict.UNCHECKED
    }


def _span(observed: Observed, op: Op) -> Span | None:
    assert observed.places is not None
    statement = observed.places.statement(op)
    if not isinstance(statement, (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Return, ast.Expr)):
        return None
    place = observed.places.location(op)
    return place.file, place.cell, statement.lineno, statement.end_lineno or statement.lineno


def _site(observed: Observed, index: int, span: Span, op: Op) -> Site | None:
    unit = observed.sources.unit(op.code.co_filename)
    if unit is None:
        return None
    return Site(unit, span, index, _scene(observed, op, unit), False)


# -- where a finding should stand --------------------------------------------------------------------------------


def _findable(observed: Observed, judge: Judge, ops: list[Op]) -> tuple[bool, set[Span]]:
    writers: dict[Op, list[Judged]] = defaultdict(list)
    for judged in judge.judged:
        for op in judged.version.writes:
            writers[op].append(judged)
    direct = [judged for op in ops for judged in writers.get(op, ())]
    # A line that ran several times may have made a gradient at one time and a branch of one at another.
    own = [op for judged in direct for op in judged.version.writes]
    fed = _fed_by(judge, [*ops, *own], writers)
    if direct:
        names = {judged.candidate.name for judged in direct}
        unjudged = [op for op in ops if not writers.get(op)]
        fed = [j for j in fed if j.candidate.name in names] + _fed_by(judge, unjudged, writers, own)
    before = {value.root for op in ops for value in op.inputs}
    same_name = {b.name for judged in direct for b in judged.candidate.bindings}
    stages = [
        candidate.versions[-1]
        for candidate in judge.plan.candidates
        if candidate.value.root in before and same_name & {b.name for b in candidate.bindings}
    ]
    spans = _spans(observed, [*direct, *fed])
    spans |= {span for v in stages for op in v.writes if (span := _span(observed, op)) is not None}
    return bool(direct), spans


def _fed_by(
    judge: Judge, ops: list[Op], writers: dict[Op, list[Judged]], ignored: Iterable[Op] = ()
) -> list[Judged]:
    """The gradients whose statements read what `ops` made, directly or through what has no row."""
    reached = {value.root for op in ops for value in (*op.outputs, *op.mutated)}
    own = {*ops, *ignored}
    found = []
    for op in judge.ops[min((op.index for op in ops), default=judge.plan.stop) : judge.plan.stop]:
        if op in own or op.kind in (Kind.ESCAPE, Kind.BACKWARD):
            continue
        if any(value.root in reached for value in op.inputs):
            if op in writers:
                found += writers[op]
            else:
                reached.update(value.root for value in (*op.outputs, *op.mutated))
    return found


def _spans(observed: Observed, gradients: Iterable[Judged]) -> set[Span]:
    found = set()
    for judged in gradients:
        found |= {span for op in judged.version.writes if (span := _span(observed, op)) is not None}
        binding = judged.candidate.binding
        if judged.candidate.second_name and binding is not None and binding.code is not None:
            assert observed.places is not None
            place = observed.places.line_location(binding.code, binding.line)
            found.add((place.file, place.cell, place.line, place.end_line))
    return found


# -- what is in scope --------------------------------------------------------------------------------------------


def _scene(observed: Observed, op: Op, unit: SourceUnit) -> Scene:
    shapes = {
        binding.name: binding.value.shape
        for binding in observed.recording.bindings
        if binding.when <= op.index and _in_scope(binding, op.code)
    }
    gradients, parameters = set(), set()
    for judge in observed.judges.values():
        gradients |= {b.name for j in judge.judged for b in j.candidate.bindings}
        roots = set(parameters_of(judge))
        parameters |= {b.name for b in observed.recording.bindings if b.value in roots}
    return Scene(shapes, frozenset(gradients), frozenset(parameters), divisors(unit.text, shapes))


def _in_scope(binding: Binding, code: CodeType) -> bool:
    if binding.code is None or binding.code.co_filename != code.co_filename:
        return False
    if binding.code is code or binding.code.co_name == "<module>":
        return True
    of_class = code.co_qualname.rpartition(".")[0]
    return binding.name.startswith("self.") and binding.code.co_qualname.rpartition(".")[0] == of_class != ""
