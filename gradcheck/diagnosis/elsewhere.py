"""Where an edit is tried beside the recorded step: at probe points, on fresh draws, at other sizes, with other constants."""

import ast
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import chain, islice

import torch

from gradcheck import ops
from gradcheck.diagnosis.namespace import BindingIndex, Namespace
from gradcheck.diagnosis.points import probe_overrides
from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.graph import flow
from gradcheck.health.sweep import row_choice
from gradcheck.judge.judge import Judge
from gradcheck.judge.judged import Judged
from gradcheck.judge.judgement import JudgedPass, Judgement
from gradcheck.judge.points import Point
from gradcheck.judge.verdict import Verdict
from gradcheck.ops import Family
from gradcheck.program.reading.tree import operands
from gradcheck.replay.fresh import fresh_draws
from gradcheck.replay.run import PassOps
from gradcheck.replay.runner import Patch
from gradcheck.replay.variation import Variation, resized

FRESH_DRAWS = 2  # beside the probe points, which keep the batch: another batch, other masks
_MOST_SIZES = 3  # that are varied, of those that can be
_MOST_TRIED = 6
_LARGER_BY = (2, 3, 1, 5)
_DOUBLED = 100_000  # elements of the largest tensor up to which a size is doubled
_OTHER_CONSTANT = 1.37


@dataclass(eq=False)
class Place:
    """`wrong` are the gradients that are wrong there without any edit, with their relative errors; `true` those that are
    the true ones, if only because two faults cancel."""

    kind: str  # recorded, probe, fresh, size, constant
    overrides: Mapping[Value, torch.Tensor]
    variation: Variation | None = None
    wrong: dict[int, float] = field(default_factory=dict)
    true: frozenset[int] = frozenset()

    def point(self, prepared: PassOps, judge: Judge, patches: Mapping[int, Patch] | None = None) -> Point:
        return Point(prepared, judge, self.overrides, patches, variation=self.variation)


class Elsewhere:
    """The places of one pass, each looked at once without an edit."""

    def __init__(
        self, judgement: Judgement, judged_pass: JudgedPass, judge: Judge, index: BindingIndex
    ) -> None:
        self._judgement, self._index = judgement, index
        self._pass = judged_pass
        self._judge = judge
        self._plain = [self._looked_at(Place("recorded", {}))]
        moved = probe_overrides(judgement, judged_pass, judge)
        self._is_frozen = moved is None  # numbers were read out: they would stay what they were
        self._moved = moved or []
        self._plain += [self._looked_at(Place("probe", overrides)) for overrides in self._moved]
        prepared = judged_pass.prepared
        of = {judged.of.root for judged in judge.judged if judged.of is not None}
        rows = row_choice(prepared.manual, prepared.mutated.keys() | of)
        for seed in range(FRESH_DRAWS if moved is not None else 0):
            drawn = fresh_draws(prepared.manual, seed) or (rows.other_rows(seed) if rows is not None else {})
            if drawn:
                beside = self._moved[seed % len(self._moved)] if self._moved else {}
                self._plain.append(self._looked_at(Place("fresh", {**drawn, **beside})))
        # The same with numbers that are written out as sizes, by the identity of the place.
        self._otherwise: dict[int, list[Place]] = {}

    def __call__(self, fixed: Iterable[Judged]) -> Iterator[Place]:
        yield from self._plain
        if not self._is_frozen:
            yield from self._other_constants(fixed)
            yield from self.other_sizes

    @property
    def has_sizes(self) -> bool:
        """Whether there is any size that could be another one."""
        return any(size > 1 for value in self._judge.run.graph.values for size in value.shape)

    @cached_property
    def other_sizes(self) -> list[Place]:
        return [*islice(self._resized(), _MOST_SIZES)]

    def _resized(self) -> Iterator[Place]:
        for old in self._sizes_in_play()[:_MOST_TRIED]:
            both = chain.from_iterable(self._resizings(old, literals) for literals in (False, True))
            yield from islice(self._usable(both), 1)

    def _sizes_in_play(self) -> list[int]:
        """Of the gradients that are wrong first, then of all others."""
        judged = sorted(self._judge.judged, key=lambda j: j.verdict is not Verdict.INTRODUCED)
        values = [j.of for j in judged if j.of is not None]
        return list(dict.fromkeys(size for value in values for size in value.shape if size > 1))

    def readings(self, place: Place) -> Iterator[Place]:
        """Whether a number that is written out (`/ 32`) is a size, nobody says: the place as it is, and if anybody asks for
        more, with such numbers as sizes."""
        yield place
        if place.kind == "size" and place.variation is not None and not place.variation.literals:
            if id(place) not in self._otherwise:
                resizings = self._resizings(next(iter(place.variation.sizes)), literals=True)
                self._otherwise[id(place)] = [*islice(self._usable(resizings), 1)]
            yield from self._otherwise[id(place)]

    def _resizings(self, old: int, literals: bool) -> Iterator[Place]:
        tape = (*self._pass.prepared.manual, *self._pass.plan.forward_ops)
        values = {value for op in tape for value in (*op.inputs, *op.outputs)}
        known = {size for value in values for size in value.shape}
        # One more row is one more in every count of rows (of those that a mask keeps, say): a size that is doubled, and
        # one more, is what no such count is.
        small = max(math.prod(value.shape) for value in values) <= _DOUBLED
        by = (old + 1, *_LARGER_BY) if small else _LARGER_BY
        new = next((old + more for more in by if old + more not in known), old + 7)
        overrides = self._moved[0] if self._moved else {}
        for multiples in (False, True):
            sizes = resized(old, new, values, multiples)
            variation = Variation(sizes, is_literal=self._is_literal, literals=literals)
            if not any(self._stays(op, variation) for op in self._pass.prepared.manual):
                yield Place("size", overrides, variation)

    def _other_constants(self, fixed: Iterable[Judged]) -> Iterator[Place]:
        """What the loss is weighted with, say, is no matter of a line further up: other numbers than those on the way
        from its value to the next gradients must leave it right."""
        own, forward = set[int](), {*self._pass.plan.forward_ops}
        ends = {j.of for j in self._judge.judged if j.of is not None}
        ends.update(op.args[0] for op in self._pass.prepared.manual if op.kind is Kind.UPSTREAM and op.args)
        for judged in fixed:
            if judged.of is not None:
                beyond = ends - {judged.of}
                segment = flow.between(
                    self._pass.plan.forward_ops, [judged.of], {*beyond, self._pass.plan.loss},
                    into=lambda v, beyond=beyond: v not in beyond, key=flow.itself,  # type: ignore[misc]
                )  # fmt: skip
                own.update(op.index for op in segment)
        numbers: dict[bool, set[float]] = {True: set(), False: set()}
        literal: set[float] = set()
        for op in (*self._pass.plan.forward_ops, *self._pass.prepared.manual):
            if op.operation in ops.SCALING:
                given = {abs(a) for a in op.args if type(a) in (int, float)}
                numbers[op.index in own] |= given if op in forward else set()
                literal |= given if self._is_literal(op) else set()
        # So must another number of its own that has a name: what the constructor of a layer is given.
        named = numbers[True] - literal
        others = {n for n in numbers[False] - numbers[True] | named if n not in (0, 1, 2) and n < math.inf}
        if others:
            constants = {s * n: s * n * _OTHER_CONSTANT for n in others for s in (1, -1)}
            overrides = self._moved[0] if self._moved else {}
            yield from self._usable(iter([Place("constant", overrides, Variation(constants=constants))]))

    def _usable(self, places: Iterator[Place]) -> Iterator[Place]:
        """Those at which no gradient that is right becomes wrong, without an edit: the numbers were understood."""
        known = {wrong for place in self._plain for wrong in place.wrong}
        for place in places:
            try:
                looked = self._looked_at(place)
            except Exception:
                continue
            if set(looked.wrong) <= known and float("nan") not in looked.wrong.values():
                yield looked

    def _looked_at(self, place: Place) -> Place:
        point = place.point(self._pass.prepared, self._judge)
        told = {id(j): point.judge(j) if point.usable else None for j in self._judge.judged}
        wrong = {
            which: math.inf if each is None else each[1]
            for which, each in told.items()
            if not each or each[0]
        }
        if place.variation is not None and not point.usable:
            raise ValueError("it cannot be replayed there")
        true = frozenset(id(j) for j in self._judge.judged if point.usable and point.is_true(j))
        return replace(place, wrong=wrong, true=true)

    def _stays(self, op: Op, variation: Variation) -> bool:
        """Whether a number that an op computes with is worked out of a size (`0.1 / classes`), and stays what it was."""
        numbers = [a for a in op.args if type(a) in (int, float) and variation.number(a) == a]
        if not numbers or op.operation.family not in (Family.ELEMENTWISE, Family.COMPARE):
            return False
        names = Namespace(self._index, op, op.index)
        for operand in operands(self._judgement.places.node(op)):
            held = [names.known_as(node) for node in ast.walk(operand) if isinstance(node, ast.Name)]
            if all(type(each) in (int, float) for each in held) and any(
                type(each) is int and variation.sizes.get(each, each) != each for each in held
            ):
                return True
        return False

    def _is_literal(self, op: Op) -> bool:
        """Whether a number that an op computes with is written right there."""
        return any(map(_is_number, operands(self._judgement.places.node(op))))


def _is_number(node: ast.expr) -> bool:
    return not any(isinstance(n, (ast.Name, ast.Call, ast.Attribute)) for n in ast.walk(node)) and any(
        isinstance(n, ast.Constant) and type(n.value) in (int, float) for n in ast.walk(node)
    )
