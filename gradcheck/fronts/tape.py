"""The tape: what one run did to arrays, as plain records. Nothing here runs anything."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from gradcheck.fronts.op import NESTED as NESTED
from gradcheck.fronts.op import Kind as Kind
from gradcheck.fronts.op import Number as Number
from gradcheck.fronts.op import Op as Op
from gradcheck.fronts.op import Value as Value
from gradcheck.fronts.op import existed_before as existed_before
from gradcheck.fronts.op import function_name as function_name
from gradcheck.fronts.op import rebuilt as rebuilt
from gradcheck.fronts.op import values_in as values_in
from gradcheck.fronts.records import Binding as Binding
from gradcheck.fronts.records import LoopRun as LoopRun
from gradcheck.fronts.records import Mark as Mark
from gradcheck.fronts.records import Pairing as Pairing
from gradcheck.fronts.records import PlainBinding as PlainBinding
from gradcheck.fronts.records import Scope as Scope

_LISTS = ("ops", "bindings", "marks", "nones", "plain")


@dataclass(frozen=True, slots=True)
class Lengths:
    """How far the lists of a recording went at one moment, and which values were named as gradients."""

    ops: int
    bindings: int
    marks: int
    nones: int
    plain: int
    gradient_named: frozenset[Value]


@dataclass
class Recording:
    """Everything one run left behind.

    What the program does after its last wanted training step is the aftermath. It stands apart if nothing in it can
    compute gradients: then every tensor is a leaf of it, kept as it was when the aftermath first used it, so that it
    can be replayed alone, and `before_aftermath` is all there is to judge.
    """

    ops: list[Op] = field(default_factory=list)
    bindings: list[Binding] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    gradient_named: set[Value] = field(default_factory=set)  # values that had the name of a gradient
    # Names bound to None, or to a number that is computed of no array.
    nones: list[tuple[str, CodeType, int, int, float | None]] = field(default_factory=list)
    plain: list[PlainBinding] = field(default_factory=list)
    scopes: dict[int, Scope] = field(default_factory=dict)
    value_of: Callable[[Any], Value | None] = lambda array: None  # of an array that is still alive
    pairings: list[Pairing] = field(default_factory=list)
    loss: Value | None = None  # where it is known which value that is
    trained: list[Value] = field(default_factory=list)  # what gradients are wanted of, beside what moves
    handed: set[Value] = field(default_factory=set)  # the storages of what a layer was called with
    notes: list[str] = field(default_factory=list)
    loop_runs: list[LoopRun] = field(default_factory=list)  # of the aftermath, as they were first met
    aftermath_cut: Lengths | None = None  # set if the aftermath stands apart: how far all went before it
    earlier_value_of: Callable[[Any], Value | None] = lambda array: None  # what it was before that
    cut_short: bool = False  # whether the end of the aftermath was not recorded
    # What the module's names held in the end.
    final_namespace: dict[str, object] = field(default_factory=dict)

    @property
    def aftermath(self) -> int | None:
        """The first op after the last wanted training step; None if the recording did not get there."""
        return next((mark.when for mark in reversed(self.marks) if mark.what == "aftermath"), None)

    @property
    def aftermath_ops(self) -> list[Op]:
        return [] if self.aftermath is None else self.ops[self.aftermath :]

    def before_aftermath(self) -> Recording:
        """The part of the recording that may hold backward passes."""
        cut = self.aftermath_cut
        return self if cut is None else self._part(cut, self.earlier_value_of)

    def before(self, op: int) -> Recording:
        """The part of the recording before an op."""
        named = (v for v in self.gradient_named if v.producer is None or v.producer.index < op)
        when = {name: lambda each: each.when for name in ("bindings", "marks", "plain")}
        when["nones"] = lambda none: none[3]
        counts = {name: bisect_right(getattr(self, name), op, key=key) for name, key in when.items()}
        return self._part(Lengths(op, **counts, gradient_named=frozenset(named)), self.value_of)

    def _part(self, cut: Lengths, value_of: Callable[[Any], Value | None]) -> Recording:
        return Recording(
            **{name: getattr(self, name)[: getattr(cut, name)] for name in _LISTS},
            gradient_named=set(cut.gradient_named),
            scopes=self.scopes,
            value_of=value_of,
            notes=self.notes,
            pairings=self.pairings,
            loss=self.loss,
            trained=self.trained,
            handed=self.handed,
        )

    def cut_to(self, cut: Lengths) -> None:
        """Forget whatever was added since."""
        for name in _LISTS:
            del getattr(self, name)[getattr(cut, name) :]
        self.gradient_named.intersection_update(cut.gradient_named)

    def lengths(self) -> Lengths:
        counts = {name: len(getattr(self, name)) for name in _LISTS}
        return Lengths(**counts, gradient_named=frozenset(self.gradient_named))
