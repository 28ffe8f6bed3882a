"""Which recorded value a tensor of the program is."""

import weakref
from typing import Any

import torch

from gradcheck.fronts import arrays
from gradcheck.fronts.crossing import Foreign
from gradcheck.fronts.known import KnownValues
from gradcheck.fronts.tape import NESTED, Kind, Number, Op, Value, rebuilt
from gradcheck.fronts.torch.entries import EntryStates
from gradcheck.fronts.torch.kinds import may_share_storage
from gradcheck.fronts.torch.leaves import Leaves, storage_of, tensors_in

# A tensor of a class of the program's has a function of its own for every call: what we ask it is none of the program's.
WithoutSubclasses = torch._C.DisableTorchFunctionSubclass


class Values(KnownValues):
    """`ops` is the growing tape."""

    def __init__(self, ops: list[Op]) -> None:
        super().__init__()
        self._ops = ops
        self._leaves = Leaves()
        self._entries = EntryStates(ops)
        self.keep_leaf = self._leaves.keep
        self.of_autograd: list[tuple[weakref.ref[torch.Tensor], Value]] = []
        self.escaped: dict[float, Value] = {}
        self.foreign: Foreign

    # -- for the control -----------------------------------------------------------------------------------------

    def forget(self) -> None:
        super().forget()
        self.escaped.clear()

    def begin_again(self) -> None:
        super().begin_again()
        self.of_autograd.clear()
        self._entries.no_more()
        self._leaves.count(True)

    def loop_began(self) -> None:
        self._entries.loop_began()

    def settle(self, start: int) -> None:
        self._entries.settle(start, self.keep_leaf)

    def secure(self) -> None:
        self._leaves.secure()

    def drop_changed(self) -> int:
        return self._leaves.drop_changed()

    def keep_for_good(self) -> None:
        self._leaves.keep_for_good()

    def count_no_more(self) -> None:
        self._leaves.count(False)

    def holds_more_than(self, most_bytes: int) -> bool:
        return self._leaves.holds_more_than(most_bytes)

    # -- arguments and results -----------------------------------------------------------------------------------

    def encode(self, thing: Any) -> Any:
        kind = type(thing)
        if kind is torch.Tensor or isinstance(thing, torch.Tensor):
            return self.value_of(thing)
        if kind is int:
            return thing
        if kind is float:
            source = self.escaped.get(thing) or self.known_value(thing)
            return thing if source is None else Number(thing, source)
        if kind in NESTED:
            return rebuilt(thing, self.encode)
        if isinstance(thing, (tuple, list)) and not isinstance(thing, torch.Size):
            return tuple([self.encode(x) for x in thing])
        return self.foreign.argument(thing) if isinstance(thing, arrays.FOREIGN) else thing

    def encode_result(self, op: Op, result: Any) -> Any:
        if isinstance(result, torch.Tensor):
            entry = self.known.get(id(result))
            return entry[1] if entry is not None and entry[0]() is result else self.new_value(result, op)
        if isinstance(result, (tuple, list)):
            return tuple([self.encode_result(op, x) for x in result])
        return None

    def new_value(self, array: Any, op: Op | None) -> Value:
        if not isinstance(array, torch.Tensor):
            return self.foreign.new_value(array, op)
        if type(array) is torch.Tensor:
            return self._new_value(array, op)
        with WithoutSubclasses():
            return self._new_value(array, op)

    def _new_value(self, array: torch.Tensor, op: Op | None) -> Value:
        reference = weakref.ref(array)
        value = Value(op, len(self._ops), array.shape, reference)
        if array.requires_grad:
            value.asked_for(array.is_leaf)
        if op is not None and op.args:
            first = op.args[0]
            if isinstance(first, Value) and (
                array._is_view() or (may_share_storage(op.func) and _is_alias(array, first))
            ):
                value.root = first.root
        elif op is None and self._earlier:
            value.earlier = self.earlier_value(array)
        self.known[id(array)] = (reference, value)
        return value

    def value_of(self, tensor: torch.Tensor) -> Value:
        """The value of an argument. One that no recorded op made is a leaf; it is kept as it is now."""
        entry = self.known.get(id(tensor))
        if entry is not None and entry[0]() is tensor:
            value = entry[1]
            if value.producer is None and value.data is None:
                self.keep_leaf(value, tensor)
            if tensor.requires_grad and not value.requires_grad:
                value.asked_for(tensor.is_leaf)
            return value
        value = self.new_value(tensor, None)
        self.keep_leaf(value, tensor)
        return value

    def let_go(self, tensor: torch.Tensor) -> Value | None:
        """Hold no reference to it until `hold_again`."""
        value = self.known_value(tensor)
        for known in (self.known, self._earlier):
            entry = known.get(id(tensor))
            if entry is not None and entry[0]() is tensor:
                del known[id(tensor)]
                entry[1].reference = None
        self.of_autograd[:] = [pair for pair in self.of_autograd if pair[0]() is not tensor]
        return value

    def hold_again(self, tensor: torch.Tensor, value: Value) -> None:
        value.reference = weakref.ref(tensor)
        self.remember(tensor, value)

    # -- before a call -------------------------------------------------------------------------------------------

    def before_change(self, kind: Kind, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Before tensors are changed in place, copy the leaves that share their storage."""
        if kind is Kind.DATA_WRITE:
            # It lets go of the storage, and does not change it.
            self._entries.before_change(self.known_value(args[0]))
            return
        changed: Any = kwargs.get("out") if kwargs else None
        if changed is None:
            changed = args if kind is Kind.PURE else args[0] if args else next(iter(kwargs.values()), None)
        for tensor in tensors_in(changed):
            value = self.known_value(tensor)
            self.before_change_of(value, tensor)
            if arrays.FOREIGN and value is not None and value.root.reference is not None:
                whole = value.root.reference()  # of an array's part, torch does not know what it is a part of
                if isinstance(whole, torch.Tensor) and whole is not tensor:
                    self._leaves.before_change(whole)

    def before_change_of(self, value: Value | None, tensor: torch.Tensor) -> None:
        self._entries.before_change(value)
        self._leaves.before_change(tensor)

    def before_backward(self) -> None:
        """Autograd adds to the gradients that are there already: what was read of them is another value."""
        for reference, value in self.of_autograd:
            tensor = reference()
            if value.data is not None:
                value.data = value.data.clone()
            if tensor is not None and self.known_value(tensor) is value:
                del self.known[id(tensor)]
                self._leaves.let_go(tensor)
        self.of_autograd.clear()


def _is_alias(tensor: torch.Tensor, of: Value) -> bool:
    held = of.reference() if of.reference is not None else None
    return held is not None and (key := storage_of(tensor)) is not None and key == storage_of(held)


def pairs(values: Any, tensors: Any, strict: bool = True) -> list[tuple[Value, torch.Tensor]]:
    if isinstance(values, Value) and isinstance(tensors, torch.Tensor):
        return [(values, tensors)]
    if isinstance(values, tuple) and isinstance(tensors, (tuple, list)):
        return [pair for v, t in zip(values, tensors, strict=strict) for pair in pairs(v, t, strict)]
    return []
