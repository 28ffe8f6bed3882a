"""Which recorded value a tensor of the program is, and what is kept of those that no recorded op made."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

import torch

from gradcheck.fronts.tape import Kind, Number, Op, Value
from gradcheck.fronts.torch.entries import EntryStates
from gradcheck.fronts.torch.kinds import shares_storage

# Numbers in a tensor that is copied when recording pauses: 16 MB in float32, more than most parameters hold. Data sets
# are larger, and no program changes them in place as a rule; whether it did is seen from their version.
_MOST_COPIED = 2**22


class Values:
    """Tensors are told apart by identity, for as long as they live; nothing here keeps one alive but the leaves."""

    def __init__(self, ops: list[Op]) -> None:
        self._ops = ops
        self.known: dict[int, tuple[weakref.ref[torch.Tensor], Value]] = {}
        self._leaves: dict[int | None, list[Value]] = {}  # by storage
        self.of_autograd: list[tuple[weakref.ref[torch.Tensor], Value]] = []
        self.escaped: dict[float, Value] = {}
        self.entries = EntryStates(ops)
        self._unwatched: list[tuple[Value, int]] = []
        self._earlier: dict[int, tuple[weakref.ref[torch.Tensor], Value]] = {}
        self._counted: list[Value] | None = None  # leaves met since it began anew
        self._bytes = 0  # of those met since it was last looked at what they hold

    def forget(self) -> None:
        """Whatever exists now is a leaf of what follows."""
        self.known.clear()
        self.escaped.clear()

    def begin_anew(self) -> None:
        """Whatever exists now is a leaf of what follows, which still tells what it was."""
        self._earlier = dict(self.known)
        self.forget()
        self.of_autograd.clear()
        self.entries.no_more()
        self._counted, self._bytes = [], 0

    def secure(self) -> None:
        """Calls are no longer seen: whatever the program may change is copied now. Of what is too large for that, it is
        kept which version it is."""
        for leaves in self._leaves.values():
            for leaf in leaves:
                data = leaf.data
                if data is None:
                    continue
                if data.numel() <= _MOST_COPIED:
                    leaf.data = data.clone()
                else:
                    self._unwatched.append((leaf, data._version))
        self._leaves.clear()

    def drop_changed(self) -> int:
        """Calls are seen again. What was changed in the meantime is not known as it was; how many leaves that is."""
        changed = [
            leaf
            for leaf, version in self._unwatched
            if leaf.data is not None and leaf.data._version != version
        ]
        for leaf in changed:
            leaf.data = None
        self._unwatched.clear()
        return len(changed)

    def count_no_more(self) -> None:
        self._counted, self._bytes = None, 0

    def earlier_value(self, tensor: torch.Tensor) -> Value | None:
        entry = self._earlier.get(id(tensor))
        return entry[1] if entry is not None and entry[0]() is tensor else None

    def holds_more_than(self, most_bytes: int) -> bool:
        """Whether the leaves met since it began anew hold more that nobody but the tape has kept."""
        if self._counted is None or self._bytes <= most_bytes // 4:
            return False
        self._bytes = 0  # counts up to the next time it is worth looking
        alone = (v.data for v in self._counted if v.reference is None or v.reference() is None)
        return sum(data.nbytes for data in alone if data is not None) > most_bytes

    def encode(self, thing: Any) -> Any:
        kind = type(thing)
        if kind is torch.Tensor or isinstance(thing, torch.Tensor):
            return self.value_of(thing)
        if kind is int:
            return thing
        if kind is float:
            source = self.escaped.get(thing)
            return thing if source is None else Number(thing, source)
        if kind is tuple or kind is list:
            encode = self.encode
            return kind([encode(x) for x in thing])
        if kind is dict:
            return {key: self.encode(x) for key, x in thing.items()}
        if kind is slice:
            return slice(self.encode(thing.start), self.encode(thing.stop), self.encode(thing.step))
        if isinstance(thing, (tuple, list)) and not isinstance(thing, torch.Size):
            return tuple([self.encode(x) for x in thing])
        return thing

    def encode_result(self, op: Op, result: Any) -> Any:
        if isinstance(result, torch.Tensor):
            entry = self.known.get(id(result))
            return entry[1] if entry is not None and entry[0]() is result else self.new_value(result, op)
        if isinstance(result, (tuple, list)):
            return tuple([self.encode_result(op, x) for x in result])
        return None

    def known_value(self, tensor: torch.Tensor) -> Value | None:
        entry = self.known.get(id(tensor))
        return entry[1] if entry is not None and entry[0]() is tensor else None

    def new_value(self, tensor: torch.Tensor, op: Op | None) -> Value:
        reference = weakref.ref(tensor)
        value = Value(op, len(self._ops), tensor.shape, reference)
        value.requires_grad = tensor.requires_grad
        if op is not None and op.args and (tensor._is_view() or shares_storage(op.func)):
            first = op.args[0]
            if isinstance(first, Value):
                value.root = first.root
        elif op is None and self._earlier:
            value.earlier = self.earlier_value(tensor)
        self.known[id(tensor)] = (reference, value)
        return value

    def value_of(self, tensor: torch.Tensor) -> Value:
        """The value of an argument. One that no recorded op made is a leaf; it is kept as it is now."""
        entry = self.known.get(id(tensor))
        if entry is not None and entry[0]() is tensor:
            value = entry[1]
            if value.producer is None and value.data is None:
                self.keep_leaf(value, tensor)
            return value
        value = self.new_value(tensor, None)
        self.keep_leaf(value, tensor)
        return value

    def keep_leaf(self, value: Value, tensor: torch.Tensor) -> None:
        """Keep the tensor as it is now: an alias, which is copied just before the storage is changed in place."""
        value.data = tensor.detach()
        if self._counted is not None and tensor.layout is torch.strided:
            self._counted.append(value)
            self._bytes += tensor.nbytes
        key = _storage(tensor)
        if key is None:
            return
        kept = self._leaves.get(key)
        # Leaves that were given up hold no storage any more, and its address may have been used again.
        if kept is None or (kept[0].data is None and kept[-1].data is None):
            self._leaves[key] = [value]
            return
        if value.producer is None:
            value.root = kept[0].root
        kept.append(value)

    def keep_for_good(self) -> None:
        """Copy every leaf: from now on nobody sees what the program changes in place."""
        for leaves in self._leaves.values():
            for leaf in leaves:
                if leaf.data is not None:
                    leaf.data = leaf.data.clone()
        self._leaves.clear()

    def keep_before_change(self, kind: Kind, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Before tensors are changed in place, copy the leaves that share their storage."""
        if kind is Kind.DATA_WRITE:
            # It lets go of the storage, and does not change it.
            self.entries.before_change(self.known_value(args[0]))
            return
        changed: Any = kwargs.get("out") if kwargs else None
        if changed is None:
            changed = args if kind is Kind.PURE else args[0] if args else next(iter(kwargs.values()), None)
        for tensor in _tensors_in(changed):
            self.entries.before_change(self.known_value(tensor))
            leaves = self._leaves.pop(_storage(tensor), None)
            for leaf in leaves or ():
                if leaf.data is not None:
                    leaf.data = leaf.data.clone()

    def keep_before_backward(self) -> None:
        """Autograd adds to the gradients that are there already: what was read of them is another value."""
        for reference, value in self.of_autograd:
            tensor = reference()
            if value.data is not None:
                value.data = value.data.clone()
            if tensor is not None and self.known_value(tensor) is value:
                del self.known[id(tensor)]
                self._leaves.pop(_storage(tensor), None)
        self.of_autograd.clear()


def _storage(tensor: torch.Tensor) -> int | None:
    """What tells storages apart as long as something holds them; None for a tensor without one (sparse)."""
    try:
        key: int = tensor.untyped_storage()._cdata
    except (RuntimeError, NotImplementedError):
        return None
    return key


def _tensors_in(thing: Any) -> Iterator[torch.Tensor]:
    if isinstance(thing, torch.Tensor):
        yield thing
    elif isinstance(thing, (tuple, list)):
        for item in thing:
            yield from _tensors_in(item)


def pairs(values: Any, tensors: Any) -> list[tuple[Value, torch.Tensor]]:
    if isinstance(values, Value) and isinstance(tensors, torch.Tensor):
        return [(values, tensors)]
    if isinstance(values, tuple) and isinstance(tensors, (tuple, list)):
        return [pair for v, t in zip(values, tensors, strict=True) for pair in pairs(v, t)]
    return []
