"""Writes the calls of the person's on the tape, once each has been made."""

import sys
import weakref
from collections.abc import Callable
from typing import Any

import torch

from gradcheck.fronts import arrays, crossing
from gradcheck.fronts.control import Control
from gradcheck.fronts.fingerprint import WHOLE, fingerprint
from gradcheck.fronts.markers import with_given_upstream
from gradcheck.fronts.numpy.functions import stacked_as
from gradcheck.fronts.numpy.memory import tensor_of
from gradcheck.fronts.tape import Kind, Op, Value
from gradcheck.fronts.torch.function_gradients import FunctionGradients
from gradcheck.fronts.torch.kinds import is_categorical
from gradcheck.fronts.torch.ufuncs import NotATensorError, as_tensor
from gradcheck.fronts.torch.values import Values, pairs

_READ_GRAD: Callable[..., Any] = vars(torch._C.TensorBase)["grad"].__get__

_GIVEN = ("gradient", "grad_tensors", "grad_outputs")  # what the gradients are called that autograd is given

# On a tape longer than this, only results up to so many bytes are kept whole: it may grow to 400,000 calls.
_KEPT_WHOLE, _LATER_WHOLE = 10_000, 256


class Writer:
    def __init__(self, control: Control, values: Values, gradients: FunctionGradients) -> None:
        self._control = control
        self._state = control.state
        self._follower = control.follower
        self._ops = control.recording.ops
        self._values = values
        self._gradients = gradients
        self._without: list[tuple[torch.Tensor, Value]] = []  # leaves that have no gradient yet

    def begins_backward(self, op: Op) -> None:
        """A backward pass of autograd's comes before what it calls, with the gradients it begins with."""
        with self._state.guard:
            if op.kind is Kind.BACKWARD:
                self._write_given_upstream(op)
                self._without = self._gradients.leaves_without([root for root, _ in _seeds(op)])
            self._ops.append(op)
            for root, given in _seeds(op):
                self._gradients.seeded(root, given)

    def _write_given_upstream(self, op: Op) -> None:
        """`out.backward(dy)`: no loss has been computed, but there is one that it is the backward pass of."""
        seeds = [(out, given) for out, given in _seeds(op) if out.shape == given.shape and out.shape]
        if seeds:
            results, given = zip(*seeds, strict=True)
            loss = Op(
                len(self._ops), with_given_upstream, Kind.PURE, (results, given), None, op.code, op.lasti
            )
            loss.out = Value(loss, loss.index, ())
            loss.scope = op.scope
            self._ops.append(loss)
            op.index = len(self._ops)

    def write(self, op: Op, result: Any) -> None:
        """`op` as it was before the call, and what the call returned."""
        kind = op.kind
        if kind is Kind.BACKWARD:
            if op.func is torch.autograd.grad:
                self._gradients_of_autograd(op, result)
            else:
                self._gradients_of_leaves(op)
        elif op.args is None:
            if isinstance(result, torch.Tensor):
                self._values.keep_leaf(self._values.new_value(result, None), result)
        elif op.func is crossing.in_same_memory:
            self._crossed(op, result)
        elif op.func is stacked_as:
            op.args = (*op.args, result.dtype)
            self._with_result(op, result)
        elif op.func is torch.empty and not result.numel():
            pass  # it is given its memory unseen (`torch.load`): a leaf, as it is when it is first read
        elif kind is Kind.ESCAPE:
            self._ops.append(op)
            if type(result) is float and not result.is_integer():
                self._values.escaped[result] = op.args[0]
        else:
            self._with_result(op, result)

    def _crossed(self, op: Op, result: Any) -> None:
        """A tensor as an array, or an array as a tensor."""
        source: Value = op.args[0]
        held = source.reference() if source.reference is not None else None
        shared = crossing.converted(op, held, tensor_of(result))
        value = op.out = self._values.new_value(result, op)
        if shared:
            value.root = source.root
        else:
            op.fingerprint = fingerprint(tensor_of(result), WHOLE)
        self._ops.append(op)
        self._control.written()

    def ufunc_called(self, function: Callable[..., Any], inputs: tuple[Any, ...], result: Any) -> None:
        """NumPy has computed `function` of tensors."""
        if not self._state.records:
            return
        with self._state.guard:
            frame = self._follower.caller()
            if frame is None:
                return
            op = Op(len(self._ops), function, Kind.PURE, None, None, frame.f_code, frame.f_lasti)
            with self._state.unrecorded:
                try:
                    tensors = [x if isinstance(x, arrays.FOREIGN) else as_tensor(x) for x in inputs]
                except NotATensorError:
                    return
                op.args = tuple([self._values.encode(x) for x in tensors])
                self._with_result(op, result)
            self._follower.wake(frame)
            op.scope = self._follower.tracer.scope_of(frame)

    def _with_result(self, op: Op, result: Any) -> None:
        out = op.out = self._values.encode_result(op, result)
        kind = op.kind
        if kind is not Kind.PURE:
            if kind is Kind.RANDOM:
                for value, tensor in pairs(out, result):
                    if value.producer is op:
                        self._values.keep_leaf(value, tensor)
                if is_categorical(op.func):
                    self._control.drew_category()
            elif kind is Kind.RANDOM_MUTATE:
                if isinstance(result, torch.Tensor):
                    op.extra = result.detach().clone()
            elif kind is Kind.GRAD_READ:
                if not isinstance(out, Value):
                    return
                if out.producer is op:
                    out.autograd_of = op.args[0]
                    self._values.keep_leaf(out, result)
                    self._values.of_autograd.append((weakref.ref(result), out))
            elif out is None and kind is Kind.CREATE:
                return
        elif out is None:
            return
        # A view has no numbers of its own.
        if not (isinstance(out, Value) and out.root is not out and kind is Kind.PURE):
            whole = WHOLE if len(self._ops) < _KEPT_WHOLE else _LATER_WHOLE
            op.fingerprint = fingerprint(result if result is not None else _first_argument(op), whole)
        self._ops.append(op)
        self._control.written()

    def _gradients_of_autograd(self, op: Op, result: Any) -> None:
        """What `torch.autograd.grad` returns is noted as if it were read from `.grad`; or, where it was given gradients
        to begin with, as what follows from those. It may be the very tensor that a Function of the person's has
        returned, so it gets a value of its own."""
        seeds = _seeds(op)
        frame = self._follower.user_frame(sys._getframe(1)) if seeds else None
        inputs = op.args[1] if len(op.args) > 1 else (op.kwargs or {}).get("inputs")
        inputs = inputs if isinstance(inputs, (tuple, list)) else (inputs,)
        for of, gradient in zip(inputs, result if isinstance(result, (tuple, list)) else (), strict=False):
            if not isinstance(gradient, torch.Tensor) or not isinstance(of, Value):
                continue
            if frame is not None:
                self._gradients.vector_jacobian(of, gradient, seeds, frame)
                continue
            read = Op(len(self._ops), _READ_GRAD, Kind.GRAD_READ, (of,), None, op.code, op.lasti)
            value = read.out = self._values.new_value(gradient, read)
            value.autograd_of = of
            self._values.keep_leaf(value, gradient)
            self._ops.append(read)

    def _gradients_of_leaves(self, op: Op) -> None:
        """Where part of the forward pass is computed once more and autograd goes back through that: what it leaves in
        `.grad` follows from the gradients that it was given."""
        frame, seeds = self._follower.user_frame(sys._getframe(1)), _seeds(op)
        for leaf, of in self._without:
            if frame is not None and seeds and leaf.grad is not None:
                self._gradients.vector_jacobian(of, leaf.grad, seeds, frame)
        self._without = []


def _first_argument(op: Op) -> torch.Tensor | None:
    """The tensor itself: `a[0] = 1` returns nothing."""
    first = op.args[0] if op.args else None
    return first.reference() if isinstance(first, Value) and first.reference is not None else None


def _seeds(op: Op) -> list[tuple[Value, Value]]:
    """The gradients that autograd was given for the results that it begins with."""
    if not op.args:
        return []
    position = 2 if op.func is torch.autograd.grad else 1
    named = next((given for name, given in (op.kwargs or {}).items() if name in _GIVEN), None)
    given = op.args[position] if len(op.args) > position else named
    outputs = op.args[0] if isinstance(op.args[0], (tuple, list)) else (op.args[0],)
    given = given if isinstance(given, (tuple, list)) else (given,)
    seeds = zip(outputs, given, strict=False)
    return [(o, g) for o, g in seeds if isinstance(o, Value) and isinstance(g, Value)]
