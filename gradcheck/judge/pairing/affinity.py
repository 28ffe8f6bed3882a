"""How well the names of a gradient fit the names of a forward value."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import cached_property

from gradcheck.fronts.gradient_names import Form, may_fit, name_affinity, parse, split_path
from gradcheck.fronts.tape import Binding, Value
from gradcheck.judge.pairing.names import NameIndex
from gradcheck.replay.passes import Candidate

GOOD_AFFINITY = 0.6
_WHOLE = 0.95  # `d_out_b` may be dout/db; where there is an `out_b` it is the gradient of that
ALIAS = 0.8  # a parameter or loop variable is another name for what exists already
_BESIDE = 0.9  # the one value of an object is most likely what its `grad` is of
# self.dW and self.W of the same object belong together; those of two objects do not.
_SAME_OWNER, _OTHER_OWNER = 0.2, -0.25


class Affinity:
    """`forward_names` are those of the values of the forward pass."""

    def __init__(self, names: NameIndex, forward_names: Mapping[Value, list[str]], loss: Value) -> None:
        self._names = names
        # Where an engine of the person's own keeps numbers, the loss among them.
        self._loss = loss
        self._kept_at = {(b.code, b.line) for b in names.bindings(loss) if b.owner}
        self._forward_names = forward_names
        self._known: dict[tuple[Candidate, Value], float] = {}

    def between(self, candidate: Candidate, value: Value) -> float:
        key = candidate, value
        if key not in self._known:
            beside = self._beside(value) if value in self.beside(candidate) else 0.0
            self._known[key] = max(beside, self._best(candidate.bindings, value))
        return self._known[key]

    def fitting(self, candidate: Candidate, names: Iterable[str]) -> list[str]:
        """The names that may fit well, by their letters alone."""
        after = {name for b in candidate.bindings for name in _after_d(b.variable)}
        stems = {stem for b in candidate.bindings for stem in _stems(b.variable)}
        return [
            name
            for name in names
            if name in after
            or any(may_fit(stem, name) and name_affinity(stem, name) >= GOOD_AFFINITY for stem in stems)
        ]

    def beside(self, candidate: Candidate) -> list[Value]:
        """The value that an object holds beside its gradient: `self.data` beside `self.grad`, and nothing else."""
        holders = {b.owner for b in candidate.bindings if parse(b.variable).stem == split_path(b.variable)[0]}
        return [value for owner in holders if len(held := self._held[owner]) == 1 for value in held]

    def _beside(self, value: Value) -> float:
        of_engine = any((b.code, b.line) in self._kept_at for b in self._names.bindings(value) if b.owner)
        return 1.0 if of_engine else _BESIDE

    @cached_property
    def _held(self) -> dict[int, set[Value]]:
        """What each object holds of the forward pass."""
        found: dict[int, set[Value]] = defaultdict(set)
        for value in self._forward_names:
            for binding in self._names.bindings(value):
                of_gradient = parse(binding.variable).form is not Form.NONE
                if binding.owner and not of_gradient and value is not self._loss:
                    found[binding.owner].add(value)
        return found

    def of_variables(self, candidate: Candidate, value: Value) -> float:
        """The same, without what it was set on as an attribute (`W.grad = dV`)."""
        return self._best([b for b in candidate.bindings if b.of is None], value)

    def _best(self, bindings: list[Binding], value: Value) -> float:
        names = self._forward_names.get(value, [])
        fits = (self._of_binding(b, value, self._at(b, value, names)) for b in bindings if names)
        return max(fits, default=0.0)

    def _at(self, gradient: Binding, value: Value, names: list[str]) -> list[str]:
        """Of the names of `value`, those that say something beside this name of a gradient. The parameters of a helper
        (`compare(dt, t)`) belong together in one call of it, and a loop variable (`for t in (pre, act)`) names whatever
        comes."""
        if not gradient.alias:
            return names
        bindings = self._names.bindings(value)
        beside = {b.variable for b in bindings if not b.alias or b.scope == gradient.scope}
        return [name for name in names if name in beside or not self._names.is_passed_around(name)]

    def _of_binding(self, binding: Binding, value: Value, names: list[str]) -> float:
        parsed = parse(binding.variable)
        if not names:
            return 0.0
        exact = _WHOLE * any(name in _after_d(binding.variable) for name in names)
        if not exact and (parsed.form is Form.NONE or parsed.stem is None):
            return 0.0
        if parsed.stem is not None and _names_an_operation(binding, parsed.stem):
            return 0.0
        stems = _stems(binding.variable)
        fits = (name_affinity(stem, n) * self._weight(binding, value, n) for stem in stems for n in names)
        affinity = max(exact, *fits)
        if binding.alias:
            affinity *= ALIAS
        owned = [b for b in self._names.bindings(value) if b.owner]
        if affinity < GOOD_AFFINITY or not binding.owner or not owned:
            return affinity
        if any(b.owner == binding.owner for b in owned):
            return affinity + _SAME_OWNER
        # grads['b'] and params['b'] are two dicts anyway.
        base = split_path(binding.variable)[0]
        same_base = any(split_path(b.variable)[0] == base for b in owned)
        return affinity + _OTHER_OWNER if same_base else affinity

    def _weight(self, gradient: Binding, value: Value, name: str) -> float:
        """What a function elsewhere calls what it was handed says less."""
        own = [b for b in self._names.bindings(value) if b.variable == name]
        elsewhere = bool(own) and all(b.alias and b.scope != gradient.scope for b in own)
        return ALIAS if elsewhere and not gradient.alias else 1.0


def _after_d(name: str) -> tuple[str, ...]:
    """What follows the d of a plain name: `out_b` for `d_out_b`, `s` for `ds`."""
    return (name[1:], name[2:]) if name.startswith("d_") else (name[1:],) if name.startswith("d") else ()


def _stems(name: str) -> list[str]:
    """What it may be the gradient of, by its letters: of `grads['dec']` an `ec`, or a `dec` that has this key too."""
    parsed = parse(name)
    keyed = parsed.form is Form.EXPLICIT and name.endswith(("']", '"]'))
    return [parsed.stem or "", *([split_path(name)[1]] if keyed else [])]


def _names_an_operation(binding: Binding, stem: str) -> bool:
    """`mean_grad = grad.mean(-1)` is the mean of a gradient, and says nothing of a forward value `mean`."""
    producer = binding.value.producer
    name = split_path(binding.variable)[1]
    return producer is not None and producer.name == stem and name.startswith(f"{stem}_")
