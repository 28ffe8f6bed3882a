"""Writes down which name held what: the bindings of a recording."""

import weakref
from contextlib import suppress
from itertools import islice
from types import CodeType, FrameType, ModuleType
from typing import Any

import numpy as np
import torch

from gradcheck.fronts import arrays
from gradcheck.fronts.gradient_names import Form, is_loss_name, parse, partial_derivative, split_path
from gradcheck.fronts.known import KnownValues
from gradcheck.fronts.namespace import tensors_of_namespace
from gradcheck.fronts.state import State
from gradcheck.fronts.tape import Binding, PlainBinding, Scope, Value
from gradcheck.ops import Family

_MOST_ATTRIBUTES = 100
_KEPT = (int, float, complex, str, bytes, torch.Size, torch.dtype, torch.device, slice, range, np.generic)


class Bindings:
    """What the name tracer sees goes onto the tape here, while anything is recorded."""

    def __init__(self, state: State, values: KnownValues) -> None:
        self._state = state
        self._recording = state.recording
        self._values = values
        self._last_bound: dict[tuple[int, str], Value] = {}
        self._last_plain: dict[tuple[int, str], PlainBinding] = {}
        self._plain_numbers: set[str | None] = set()  # names that once held one that nobody computed
        self._parameters: set[str] = set()  # of these, the names of those that the program moves
        self._of_the_forward: set[tuple[CodeType | None, str]] = set()  # names that a loss was computed from
        self._in_the_loss: set[Value] = set()  # what the first one was computed from
        self._named: set[Value] = set()  # what has a name that is no gradient's
        self._of_arrays: set[str] = set()  # names of what has several elements

    def knows(self, number: float) -> bool:
        """Whether a Python number is one that was computed of arrays."""
        return self._values.known_value(number) is not None

    def forget(self) -> None:
        """Every name is written down again."""
        self._last_bound.clear()
        self._last_plain.clear()

    def name_namespace(self, namespace: dict[str, object]) -> None:
        """Give names to the arrays that no traced statement has named."""
        with self._state.unrecorded:
            for name, tensor, owner in tensors_of_namespace(namespace):
                value = self._values.known_value(tensor)
                if isinstance(tensor, float) and self._is_by_a_constant(name):
                    continue
                if value is not None and (0, name) not in self._last_bound:
                    self._last_bound[0, name] = value
                    when = len(self._recording.ops)
                    self._recording.bindings.append(Binding(name, value, when, 0, None, 0, True, owner))

    def name_leaves(self, namespace: dict[str, object]) -> None:
        """Give names to the tensors that a step begins with: a parameter that is rebound in every step (`W = W - lr *
        dW`) has its name from an earlier one. A gradient is one of an earlier step, and is left out."""
        self.name_namespace({n: thing for n, thing in namespace.items() if parse(n).form is Form.NONE})

    def bound(
        self, name: str, array: Any, scope: int, code: CodeType, line: int, alias: bool, owner: int,
        evaluated: str = "",
    ) -> None:  # fmt: skip
        """`array` is None for a name that holds None."""
        if self._state.paused or not self._state.on:
            return
        recording = self._recording
        if array is None:
            recording.nones.append((name, code, line, len(recording.ops), None))
            return
        if isinstance(array, float) and self._is_by_a_constant(name):
            return
        if type(array) is float and not self.knows(array):
            return
        self._plain_numbers.discard(name)
        values = self._values
        value = values.known_value(array) or values.new_value(array, None)
        key = (scope, name)
        if self._last_bound.get(key) is not value:
            self._last_bound[key] = value
            entry = values.known.get(owner)
            of = entry[1] if entry is not None and entry[0]() is not None else None
            # `w.g` is the gradient of an array; of a layer, `layer.g` is its gain or its gate.
            a_gain = of is None and name.endswith(".g")
            is_loss = value.shape == () and is_loss_name(name, no_gradient=self._is_of_no_gradient(value))
            if is_loss and not self._in_the_loss:
                self._nothing_before_is_a_gradient(value)
            of_the_forward = value in self._in_the_loss or (code, name) in self._of_the_forward
            if value.shape:
                self._of_arrays.add(split_path(name)[1])
            # `dout_dz`: of an array, which is no loss.
            of_an_array = (partial_derivative(name) or ("", ""))[0] in self._of_arrays
            said = parse(evaluated or name)  # of `D[k]`, the key that it was
            speaks = said.form is not Form.NONE and not of_the_forward and not of_an_array and not is_loss
            if not speaks:
                self._named.add(value)
            if speaks and not alias and not a_gain and not self._is_second_name(value, name):
                recording.gradient_named.add(value)
            recording.bindings.append(
                Binding(name, value, len(recording.ops), scope, code, line, alias, owner, of, evaluated)
            )

    def _is_of_no_gradient(self, value: Value) -> bool:
        """Whether it is computed, and not from what is named for a gradient: `d_loss`, of a discriminator."""
        read = [] if value.producer is None else value.producer.inputs
        return bool(read) and self._recording.gradient_named.isdisjoint(read)

    def _is_second_name(self, value: Value, name: str) -> bool:
        """`dz_dh = W`, `dz_dw = h`: what has a name of its own is the derivative of something here, and stays what it is."""
        made = value.producer
        given = made is None or made.operation.family is Family.DRAW
        return value in self._named and (given or partial_derivative(name) is not None)

    def plain_since(self, name: str, scope: int) -> int:
        """How many ops there were when the name was last given a plain number, as far as that was seen."""
        last = self._last_plain.get((scope, name))
        return min(last.when, len(self._recording.ops)) if last is not None else 0

    def bound_number(self, name: str, value: Value, scope: int, frame: FrameType) -> None:
        """A plain number that is a parameter: its derivative is one like any other."""
        self._parameters.add(split_path(name)[1])
        self._recording.bindings.append(
            Binding(name, value, len(self._recording.ops), scope, frame.f_code, frame.f_lineno, True)
        )

    def _is_by_a_constant(self, name: str) -> bool:
        """Whether it is the derivative by a plain number that is no value: there is nothing to compare it with."""
        stem = parse(name).stem
        of_an_object = stem == split_path(name)[0]  # `other.grad`, whatever else has been called `other`
        return stem in self._plain_numbers and stem not in self._parameters and not of_an_object

    def _nothing_before_is_a_gradient(self, loss: Value) -> None:
        """What the first loss is computed from is no gradient, whatever its name: a bias `g`, data called `dt`."""
        recording = self._recording
        seen, pending = self._in_the_loss, [loss]
        seen.add(loss)
        while pending:
            op = pending.pop().producer
            new = [] if op is None else [value for value in op.inputs if value not in seen]
            seen.update(new)
            pending += new
        mistaken = seen & recording.gradient_named
        recording.gradient_named -= mistaken
        self._of_the_forward.update((b.code, b.name) for b in recording.bindings if b.value in mistaken)

    def bound_constant(self, name: str, number: float, code: CodeType, line: int) -> None:
        """A number that is computed of no array: the gradient its name says, if any, is not computed yet."""
        if self._state.on and not self._state.paused and parse(name).form >= Form.BARE_D:
            self._recording.nones.append((name, code, line, len(self._recording.ops), number))

    def bound_plain(self, name: str, thing: object, scope: int) -> None:
        if type(thing) in (int, float):
            self._plain_numbers.add(name)
        if self._state.paused or not self._state.on:
            return
        key = (scope, name)
        last = self._last_plain.get(key)
        now = len(self._recording.ops)
        if isinstance(thing, _KEPT):
            if last is not None and not last.identity and last.value is thing:
                return
            binding = PlainBinding(name, now, scope, thing)
        else:
            attributes = self._arrays_of_object(thing)
            if last is not None and last.holds(thing) and last.attributes == attributes:
                return
            binding = PlainBinding(name, now, scope, identity=id(thing), attributes=attributes)
            with suppress(TypeError):
                binding.reference = weakref.ref(thing)
        self._last_plain[key] = binding
        self._recording.plain.append(binding)

    def _arrays_of_object(self, thing: object) -> dict[str, Value]:
        attributes = getattr(thing, "__dict__", None)
        if type(attributes) is not dict or isinstance(thing, (type, ModuleType)):
            return {}
        found = {}
        for name, held in islice(dict.copy(attributes).items(), _MOST_ATTRIBUTES):
            value = self._values.known_value(held) if isinstance(held, (*arrays.KINDS, float)) else None
            if value is not None:
                found[name] = value
        return found

    def entered_scope(self, scope: int, frame: FrameType) -> None:
        self._recording.scopes[scope] = Scope(frame.f_code, frame.f_globals)
