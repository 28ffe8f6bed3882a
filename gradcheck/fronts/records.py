"""What a recording notes besides calls: which name held what, where steps and loops began and ended."""

from __future__ import annotations

import weakref
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from gradcheck.fronts.op import Value
from gradcheck.program.loops import LoopSite
from gradcheck.program.observer import LoopEnd


@dataclass(slots=True, eq=False)
class Binding:
    """After `when` ops, `name` (as written: `dW1`, `self.dW`, `grads['W1']`) held `value`."""

    name: str
    value: Value
    when: int
    scope: int
    code: CodeType | None
    line: int
    alias: bool  # a parameter or loop variable: another name for what exists already
    owner: int = 0  # identity of the object an attribute or item belongs to
    of: Value | None = None  # that object, if it is a tensor: what `x.g = ...` was set on
    evaluated: str = ""  # of an item, the name with its key as it was: `dW[2]` for `dW[i]`

    @property
    def variable(self) -> str:
        """What distinguishes one variable from another: the name, with its key as it was."""
        return self.evaluated or self.name

    @property
    def is_parameter(self) -> bool:
        """Whether it is the parameter of a function, and no loop variable."""
        code = self.code
        if code is None or not self.alias:
            return False
        return self.name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


@dataclass(slots=True, eq=False)
class PlainBinding:
    """After `when` ops, `name` held something that is no tensor: a number, kept as it is, or an object, of which
    only the identity is kept (and a weak reference, where it allows one), so that it lives no longer than it would."""

    name: str
    when: int
    scope: int
    value: object = None  # of a number, string, shape and the like
    identity: int = 0  # of any other object; 0 if `value` is what was held
    reference: weakref.ref[Any] | None = None
    attributes: dict[str, Value] = field(default_factory=dict)  # the tensors it held when the name was bound

    def holds(self, thing: object) -> bool:
        """Whether `thing` is the object that was held, as far as it is known."""
        return self.reference() is thing if self.reference is not None else self.identity == id(thing)


@dataclass(frozen=True, slots=True, eq=False)
class Pairing:
    """The person's word, by `gradcheck.pair`, that one value is the gradient of another."""

    gradient: Value
    of: Value


@dataclass(frozen=True, slots=True)
class Scope:
    """One activation of one of the person's frames: its code, and the global names it sees."""

    code: CodeType
    namespace: dict[str, Any]

    @property
    def is_module(self) -> bool:
        return self.code.co_name == "<module>"


@dataclass(frozen=True, slots=True)
class Mark:
    """A boundary on the tape: the start of a unit, of a recorded training iteration, or of what comes after them."""

    when: int
    what: str  # "unit" or "step" or "step-end" or "aftermath"
    number: int  # cell number, or number of the training iteration, or 0
    loop: int = -1


@dataclass(slots=True, eq=False)
class LoopRun:
    """One run of one of the person's loops after the training, from its first iteration to its end. Its ops are those
    from `begin` on, up to but without `end`; runs are nested as the loops were, across functions."""

    site: LoopSite
    activation: int
    begin: int  # ops on the tape when it began
    parent: LoopRun | None = None  # the innermost loop that ran around it
    iterations: list[int] = field(default_factory=list)  # ops on the tape when each iteration began
    turns: int = 0  # iterations in all, those that were not recorded among them
    whole: bool = True  # False: its first iterations were not followed
    end: int | None = None  # ops on the tape when it ended
    how: LoopEnd | None = None  # None: its end was not seen

    @property
    def depth(self) -> int:
        return 0 if self.parent is None else self.parent.depth + 1

    def runs_inside(self, other: LoopRun) -> bool:
        return self.parent is not None and (self.parent is other or self.parent.runs_inside(other))
