"""Chains of elementwise operations: which values are a function, element by element, of one earlier value.

`(e**z - e**-z) / (e**z + e**-z)`, `h = z.clone(); h[z < 0] = 0` and `torch.tanh(z)` are all of them one function of
`z`, however many operations it takes. A chain ends at the values that something else reads: those are its ends.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.replay.engine import ReplayError

_ELEMENTWISE = frozenset(
    """
    add radd iadd sub rsub isub subtract mul rmul imul multiply div rdiv idiv truediv rtruediv itruediv divide
    true_divide neg negative pow rpow ipow square sqrt rsqrt reciprocal abs absolute exp exp2 expm1 log log1p log2
    log10 sin cos tan sinh cosh tanh asinh acosh atanh atan arctan erf erfc sigmoid expit logit relu relu6 leaky_relu
    prelu elu selu celu gelu silu swish mish softplus softsign hardtanh hardsigmoid hardswish hardshrink softshrink
    tanhshrink logsigmoid threshold rrelu maximum minimum fmax fmin max min clamp clip clamp_min clamp_max where
    masked_fill gt ge lt le eq ne greater greater_equal less less_equal logical_and logical_or logical_not and or
    invert sign sgn heaviside float double half bfloat16 to type type_as clone contiguous detach data alias lerp
    addcmul addcdiv copysign nan_to_num
    """.split()  # noqa: SIM905 - a table of names is easier to read so
)
# Of these, the call with a single tensor and no other operand is a reduction or a search.
_NEED_OPERANDS = {"max": 2, "min": 2, "where": 3}
_UNIFORM = frozenset(
    """
    zeros ones zeros_like ones_like full full_like new_zeros new_ones new_full empty empty_like new_empty
    """.split()  # noqa: SIM905
)
_MASKED = {"getitem", "masked_select"}


@dataclass(eq=False, slots=True)
class Chain:
    """`start` as it was when the chain began, and the `ops` that computed functions of it. `ends` are the members
    that something outside the chain reads. `kept` is False once `start` was overwritten: it is not to be had
    any more after the pass."""

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


class ElementwiseWalk:
    """Follows `ops` once; `chains` are those that have operations."""

    def __init__(self, ops: Sequence[Op], tensor: Callable[[Value], torch.Tensor]) -> None:
        self._tensor = tensor
        self._forms: dict[Value, _Form] = {}
        self._of_root: dict[Value, list[Value]] = defaultdict(list)
        self._uniform: dict[Value, Op] = {}  # tensors of one number throughout, with the op that made them
        self._chains: list[Chain] = []
        for op in ops:
            self._follow(op)

    @property
    def chains(self) -> list[Chain]:
        return [chain for chain in self._chains if chain.ops and chain.ends]

    # -- the walk ------------------------------------------------------------------------------------------------

    def _follow(self, op: Op) -> None:
        if op.kind is Kind.ESCAPE:
            return
        mutated = op.mutated
        joined: _Form | None = None
        if mutated:
            joined = self._follow_mutation(op, mutated[0])
        elif isinstance(op.out, Value) and any(op.out is value for value in op.inputs):
            return  # handed back the very tensor it was given
        elif op.kind in (Kind.PURE, Kind.CREATE) and isinstance(op.out, Value):
            joined = self._follow_pure(op, op.out)
        self._note_ends(op, joined)
        if joined is None:
            for value in (*op.outputs, *mutated):
                self._begin(value)

    def _follow_pure(self, op: Op, out: Value) -> _Form | None:
        name = plain_name(op)
        if name in _UNIFORM and not name.startswith(("empty", "new_empty")):
            self._uniform[out] = op
        if name in _MASKED and len(op.args) == 2 and isinstance(op.args[1], Value):
            form = self._masked(op.args[0], op.args[1])
        elif name in _ELEMENTWISE:
            form = self._common_form(op)
            if form is not None and form.mask is None and out.shape != form.chain.start.shape:
                form = None
        else:
            form = None
        if form is not None:
            self._join(form, op, out)
        return form

    def _follow_mutation(self, op: Op, target: Value) -> _Form | None:
        name = plain_name(op)
        if name == "setitem":
            form = self._assigned(op, target)
        elif name in _ELEMENTWISE or name == "fill":
            form = self._common_form(op)
            if form is not None and form.mask is None and target.shape != form.chain.start.shape:
                form = None
        else:
            form = None
        self._disturb(target, form)
        if form is not None:
            self._join(form, op, target)
        return form

    def _join(self, form: _Form, op: Op, value: Value) -> None:
        chain = form.chain
        for source in op.inputs:
            maker = self._uniform.get(source)
            # A tensor of zeros that is filled afterwards has to be made anew with the rest.
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

    def _begin(self, value: Value) -> Chain:
        chain = Chain(value)
        self._chains.append(chain)
        if value not in self._forms:
            self._of_root[value.root].append(value)
        self._forms[value] = _Form(chain)
        return chain

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

    def _common_form(self, op: Op) -> _Form | None:
        """The form that all operands have, constants aside."""
        operands = len(op.args) + len(op.kwargs or {})
        if operands < _NEED_OPERANDS.get(plain_name(op), 1):
            return None
        sources = [value for value in op.inputs if not self._is_constant(value)]
        if not sources:
            return None
        form = self._form(sources[0])
        shape = sources[0].shape
        for value in sources[1:]:
            other = self._form(value)
            if other.chain is not form.chain or value.shape != shape:
                return None
            if not self._same_mask(form.mask, other.mask):
                return None
        if plain_name(op) in ("max", "min") and not isinstance(op.args[1], Value):
            return None  # along a dimension
        return form

    def _masked(self, source: object, mask: Value) -> _Form | None:
        """`z[z > 0]`"""
        if not isinstance(source, Value) or self._is_constant(source) or source.shape != mask.shape:
            return None
        form, of_mask = self._form(source), self._form(mask)
        if form.chain is not of_mask.chain or form.mask is not None or of_mask.mask is not None:
            return None
        return _Form(form.chain, mask) if self._is_bool(mask) else None

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
        if first is second:
            return True
        if first is None or second is None:
            return False
        try:
            return torch.equal(self._tensor(first), self._tensor(second))
        except ReplayError:
            return False

    def _is_constant(self, value: Value) -> bool:
        """One number, as far as an element is concerned."""
        size = 1
        for length in value.shape:
            size *= length
        return size == 1 or value in self._uniform

    def _is_bool(self, value: Value) -> bool:
        try:
            return self._tensor(value).dtype is torch.bool
        except ReplayError:
            return False


def plain_name(op: Op) -> str:
    """`mul` for `mul`, `mul_`, `__mul__`."""
    return op.name.strip("_")
