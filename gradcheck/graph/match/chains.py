"""Chains of elementwise operations: which values are a function, element by element, of one earlier value.

`(e**z - e**-z) / (e**z + e**-z)`, `h = z.clone(); h[z < 0] = 0` and `torch.tanh(z)` are all of them one function of
`z`, however many operations it takes. A chain ends at the values that something else reads: those are its ends.
"""

import math
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

import torch

from gradcheck import ops
from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.graph.match.rows import Tensors


@dataclass(eq=False, slots=True)
class Chain:
    """`start` as it was when the chain began, and the `ops` that computed functions of it. `ends` are the members
    that something outside the chain reads. `kept` is False once `start` was overwritten: after the pass it is
    lost."""

    start: Value
    ops: list[Op] = field(default_factory=list)
    members: list[Value] = field(default_factory=list)
    ends: dict[Value, Op] = field(default_factory=dict)  # with the first op that reads it
    kept: bool = True


@dataclass(frozen=True, slots=True)
class _Form:
    """What a value is: the member of a chain, or (with `mask`) the elements of one that a mask picks out."""

    chain: Chain
    mask: Value | None = None


def find_chains(steps: Iterable[Op], tensor: Tensors) -> list[Chain]:
    """Those that have operations and ends, in the order in which they begin."""
    walk = _Walk(tensor)
    for op in steps:
        walk.follow(op)
    return [chain for chain in walk.chains if chain.ops and chain.ends]


class _Walk:
    def __init__(self, tensor: Tensors) -> None:
        self._tensor = tensor
        self._forms: dict[Value, _Form] = {}
        self._of_root: dict[Value, list[Value]] = defaultdict(list)
        self._uniform: dict[Value, Op] = {}  # tensors of one number throughout, with the op that made them
        self.chains: list[Chain] = []

    def follow(self, op: Op) -> None:
        if op.kind is Kind.ESCAPE:
            return
        mutated = op.mutated
        joined: _Form | None = None
        if mutated:
            joined = self._form_made(op, mutated[0])
            self._disturb(mutated[0], joined)
            if joined is not None:
                self._join(joined, op, mutated[0])
        elif isinstance(op.out, Value) and op.kind in (Kind.PURE, Kind.CREATE):
            if any(op.out is value for value in op.inputs):
                return  # handed back the very tensor it was given
            if op.operation in ops.UNIFORM and op.operation is not ops.EMPTY:
                self._uniform[op.out] = op
            joined = self._form_made(op, op.out)
            if joined is not None:
                self._join(joined, op, op.out)
        self._note_ends(op, joined)
        if joined is None:
            for value in (*op.outputs, *mutated):
                self._begin(value)

    def _join(self, form: _Form, op: Op, value: Value) -> None:
        chain = form.chain
        for source in op.inputs:
            maker = self._uniform.get(source)
            # A tensor of zeros that is filled afterwards has to be made again with the rest.
            if maker is not None and maker not in chain.ops and source.root is value.root:
                chain.ops.append(maker)
        if value in self._uniform and not isinstance(op.out, Value):
            del self._uniform[value]
        chain.ops.append(op)
        if form.mask is None and value not in chain.members:
            chain.members.append(value)
        if value not in self._forms:
            self._of_root[value.root].append(value)
        self._forms[value] = form

    def _disturb(self, target: Value, form: _Form | None) -> None:
        """What shares the storage of a value that is changed in place is not what it was."""
        for value in list(self._of_root[target.root]):
            known = self._forms[value]
            known.chain.ends.pop(value, None)
            if known.chain.start is value:
                known.chain.kept = False
            if value is target and form is not None and known.chain is form.chain:
                continue
            if value in known.chain.members:
                known.chain.members.remove(value)
            if value is not target:
                del self._forms[value]
                self._of_root[target.root].remove(value)
        if form is not None and form.chain.start.root is target.root:
            form.chain.kept = False

    def _begin(self, value: Value) -> None:
        self.chains.append(Chain(value))
        if value not in self._forms:
            self._of_root[value.root].append(value)
        self._forms[value] = _Form(self.chains[-1])

    def _form(self, value: Value) -> _Form:
        if value not in self._forms:
            self._begin(value)
        return self._forms[value]

    def _note_ends(self, op: Op, joined: _Form | None) -> None:
        for value in op.inputs:
            form = self._forms.get(value)
            if form is None or form.mask is not None or (joined is not None and joined.chain is form.chain):
                continue
            if value in form.chain.members:
                form.chain.ends.setdefault(value, op)

    # -- what an op computes -------------------------------------------------------------------------------------

    def _form_made(self, op: Op, target: Value) -> _Form | None:
        """The form of what `op` writes to `target`."""
        operation = op.operation
        if operation is ops.SETITEM:
            return self._assigned(op, target) if op.mutated and len(op.args) == 3 else None
        if operation in (ops.GETITEM, ops.MASKED_SELECT) and not op.mutated:
            return self._masked(*op.args) if len(op.args) == 2 else None
        if operation is not ops.FILL and not operation.is_elementwise:
            return None
        form = self._common_form(op)
        fits = form is not None and (form.mask is not None or target.shape == form.chain.start.shape)
        return form if fits else None

    def _common_form(self, op: Op) -> _Form | None:
        """The form that all operands have, constants aside."""
        if op.operation is ops.WHERE and len(op.args) + len(op.kwargs or {}) < ops.WHERE.arity:
            return None  # a search
        sources = [value for value in op.inputs if not self._is_constant(value)]
        if not sources:
            return None
        form = self._form(sources[0])
        for value in sources[1:]:
            other = self._form(value)
            if other.chain is not form.chain or value.shape != sources[0].shape:
                return None
            if not self._same_mask(form.mask, other.mask):
                return None
        return form

    def _masked(self, source: object, mask: object) -> _Form | None:
        """`z[z > 0]`"""
        if not isinstance(source, Value) or not isinstance(mask, Value) or source.shape != mask.shape:
            return None
        if self._is_constant(source) or not self._is_bool(mask):
            return None
        form, of_mask = self._form(source), self._form(mask)
        if form.chain is not of_mask.chain or form.mask is not None or of_mask.mask is not None:
            return None
        return _Form(form.chain, mask)

    def _assigned(self, op: Op, target: Value) -> _Form | None:
        """`h[z < 0] = 0`, `h[z < 0] = 0.01 * z[z < 0]`; `h` may hold one number throughout till then."""
        _, mask, new = op.args
        if not isinstance(mask, Value) or mask.shape != target.shape or not self._is_bool(mask):
            return None
        form = self._form(mask)
        if form.mask is not None:
            return None
        if not self._is_constant(target) and self._form(target) != form:
            return None
        if isinstance(new, Value) and not self._is_constant(new):
            of_new = self._form(new)
            if of_new.chain is not form.chain or not self._same_mask(of_new.mask, mask):
                return None
        return form

    def _same_mask(self, first: Value | None, second: Value | None) -> bool:
        if first is None or second is None:
            return first is second
        left, right = self._tensor(first), self._tensor(second)
        return first is second or (left is not None and right is not None and torch.equal(left, right))

    def _is_constant(self, value: Value) -> bool:
        """One number, as far as an element is concerned."""
        return math.prod(value.shape) == 1 or value in self._uniform

    def _is_bool(self, value: Value) -> bool:
        tensor = self._tensor(value)
        return tensor is not None and tensor.dtype is torch.bool
