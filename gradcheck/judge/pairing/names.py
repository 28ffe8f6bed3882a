"""Which names a value had, and which of them to show."""

import ast
from collections import defaultdict
from types import CodeType

from gradcheck import ops
from gradcheck.fronts.gradient_names import Form, is_loss_name, name_affinity, parse, split_path
from gradcheck.fronts.places import Places
from gradcheck.fronts.tape import Binding, Kind, Op, Recording, Value
from gradcheck.program.reading.tree import parts_of, span_of
from gradcheck.replay.earlier import as_of_now


class NameIndex:
    def __init__(self, recording: Recording, places: Places) -> None:
        self.places = places
        self._by_value: dict[Value, list[Binding]] = defaultdict(list)
        self._aliased: dict[str, set[Value]] = defaultdict(set)
        self._plain: dict[str, set[Value]] = defaultdict(set)
        self._by_scope: dict[int, list[Binding]] = defaultdict(list)
        self._by_place: dict[tuple[int, str], list[Binding]] = defaultdict(list)
        for binding in recording.bindings:
            self._by_scope[binding.scope].append(binding)
            self._by_value[binding.value].append(binding)
            if binding.owner:
                self._by_place[binding.owner, split_path(binding.variable)[1]].append(binding)
            known = self._aliased[binding.name] if binding.alias else self._plain[binding.variable]
            known.add(binding.value)
        # By instruction: loops repeat them.
        self._statement_names: dict[tuple[CodeType, int], str | None] = {}
        self._escaped_as: dict[Value, str] = {}
        self._copies: dict[Value, list[Value]] = defaultdict(list)
        self._copied: dict[Value, Value] = {}
        changed = {value.root for op in recording.ops for value in op.mutated}
        for op in recording.ops:
            copies = op.kind is Kind.PURE and op.operation in ops.NO_COMPUTATION and op.inputs
            if copies and isinstance(op.out, Value) and op.out.producer is op and op.out.root not in changed:
                copied = op.inputs[0]
                self._copies[copied].append(op.out)
                self._copied[op.out] = self._copied.get(copied, copied)
            if op.kind is Kind.ESCAPE and op.inputs:
                name = self.statement_name(op)
                if name is not None and is_loss_name(name):
                    self._escaped_as[op.inputs[0]] = name

    def bindings(self, value: Value) -> list[Binding]:
        return self._by_value.get(as_of_now(value), [])

    def is_set_again(self, binding: Binding) -> bool:
        """Whether the attribute or item of the same object is given to another value later on, whatever the object is called
        there."""
        later = self._by_place.get((binding.owner, split_path(binding.variable)[1]), ())
        return any(b.when > binding.when and b.value is not binding.value for b in later)

    def next_in(self, scope: int, when: int) -> Binding | None:
        """What is bound first in that activation of a frame, once more ops than these have run."""
        later = (b for b in self.bound_in(scope) if b.when > when and b.code is not None)
        return min(later, key=lambda b: b.when, default=None)

    def bound_in(self, scope: int) -> list[Binding]:
        return self._by_scope.get(scope, [])

    def copies(self, value: Value) -> list[Value]:
        """The values that hold the same numbers for good: `x = a.detach().clone()`."""
        found = list(self._copies.get(value, ()))
        for copy in found:
            found += self._copies.get(copy, ())
        return found

    def original(self, value: Value) -> Value:
        """What it is a copy of, or itself."""
        return self._copied.get(value, value)

    def is_passed_around(self, name: str) -> bool:
        """Whether a parameter or loop variable of this name was given several values."""
        return len(self._aliased.get(name, ())) > 1

    def all_names(self, value: Value) -> list[str]:
        return list(dict.fromkeys(name for b in self.bindings(value) for name in (b.name, b.variable)))

    def forward_names(self, value: Value) -> list[str]:
        """Its names that do not speak of gradients, the most telling first."""
        bindings = sorted(self.bindings(value), key=lambda b: b.alias)
        plain = [b.variable for b in bindings if parse(b.name).form is not Form.EXPLICIT]
        return list(dict.fromkeys(plain or [b.variable for b in bindings]))

    def shown(self, value: Value) -> str:
        """The name a person would recognise, or the source text of what made it: what was handed over (`act(x @ W)`) is not
        called as the parameter is, if something else is."""
        found, op = self.forward_names(value), value.producer
        if op is None:
            return found[0] if found else "a tensor made elsewhere"
        handed = not op.operation.keeps_numbers and all(
            b.alias and b.scope != op.scope for b in self.bindings(value)
        )
        is_told = found and not (handed and self._plain[found[0]] - {value})
        return found[0] if is_told else self.text(op)

    def shown_last(self, value: Value) -> str:
        """The name that was given to it last."""
        found = [b.variable for b in self.bindings(value)]
        return found[-1] if found else self.shown(value)

    def text(self, op: Op) -> str:
        text = " ".join(self.places.text(op).split())
        return text if len(text) <= 60 else text[:57] + "..."

    def line(self, op: Op) -> tuple[str, int]:
        """The source line of an op."""
        return op.code.co_filename, self.places.span(op.code, op.lasti)[0]

    def statement(self, op: Op) -> ast.stmt | None:
        """The statement that an op is part of."""
        return self.places.statement(op)

    def is_returned(self, op: Op) -> bool:
        """Whether what the op computes is what its function returns, or an item of it; not a part of it."""
        statement = self.statement(op)
        returned = parts_of(statement.value) if isinstance(statement, ast.Return) else ()
        return self.places.span(op.code, op.lasti) in map(span_of, returned)

    def returned_text(self, op: Op) -> str | None:
        """The source of what is returned at a position, for an op that marks it."""
        statement = self.statement(op)
        if not isinstance(statement, ast.Return) or not isinstance(op.extra, int):
            return None
        items = parts_of(statement.value)
        if op.extra >= len(items) or any(isinstance(item, ast.Starred) for item in items):
            return None
        return ast.unparse(items[op.extra])

    def shown_for(self, value: Value, gradient_name: str) -> str:
        """Of several names for one value (a parameter of a function, its argument), the one that fits the gradient's."""
        stem = parse(gradient_name).stem
        found = self.forward_names(value)
        if stem is None or len(found) < 2:
            return self.shown(value)
        return max(found, key=lambda name: (name_affinity(stem, name), -found.index(name)))

    def loss_name(self, value: Value) -> str | None:
        names = [b.name for b in self.bindings(value) if not b.alias] or self.all_names(value)
        for name in names:
            if is_loss_name(name):
                return name
        return names[0] if names else self._escaped_as.get(value)

    def statement_name(self, op: Op) -> str | None:
        """The name that the statement around an op assigns to."""
        key = op.code, op.lasti
        if key not in self._statement_names:
            self._statement_names[key] = self._statement_name(op)
        return self._statement_names[key]

    def _statement_name(self, op: Op) -> str | None:
        statement = self.places.statement(op)
        if isinstance(statement, ast.Assign):
            return ast.unparse(statement.targets[0])
        if isinstance(statement, (ast.AugAssign, ast.AnnAssign)):
            return ast.unparse(statement.target)
        return None
