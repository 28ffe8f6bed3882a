"""The recorder: sees every torch call of the person's program and writes it on the tape.

The person's call is made exactly once, with the person's own arguments, and its own result is handed back.
"""

from __future__ import annotations

import gc
import sys
import weakref
from collections.abc import Callable
from contextlib import suppress
from types import CodeType, FrameType
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from gradcheck.fronts import live_steps
from gradcheck.fronts.bindings import Bindings
from gradcheck.fronts.names import NameTracer
from gradcheck.fronts.namespace import names_over, readable, tensors_of_namespace, visible_names
from gradcheck.fronts.repeats import Repeats
from gradcheck.fronts.sequences import CATEGORICAL_DRAWS
from gradcheck.fronts.steps import StepWatcher
from gradcheck.fronts.tape import Kind, Mark, Op, Pairing, Recording, Value
from gradcheck.fronts.torch import active
from gradcheck.fronts.torch.calls import CHANGES, Calls
from gradcheck.fronts.torch.functions import FunctionBridge
from gradcheck.fronts.torch.kinds import kind_of, known_kinds
from gradcheck.fronts.torch.mode_stack import put_back, take_out
from gradcheck.fronts.torch.quiet import Quiet
from gradcheck.fronts.torch.ufuncs import NotATensorError, UfuncBridge, as_tensor
from gradcheck.fronts.torch.values import Values, pairs
from gradcheck.fronts.torch.warning_places import WarningPlaces
from gradcheck.program.observer import LoopEnd
from gradcheck.program.source import SourceMap, SourceUnit

_MAX_OPS = 400_000
_AFTERMATH_OPS = 12_000  # recorded after the last wanted step: about a hundred names, letter by letter
_AFTERMATH_BYTES = 128 << 20  # that only the tape holds


class Recorder(TorchFunctionMode):
    """Implements `gradcheck.program.observer.Observer`; the result is `recording`."""

    def __init__(self, sources: SourceMap, at: tuple[int, ...] = (0,), *, live: bool = False) -> None:
        """`live`: what is recorded is a part of a program that goes on afterwards."""
        super().__init__()
        self.live = live
        self._borrowed: list[tuple[FrameType, Any]] = []  # frames that ran already, and what traced them
        self.recording = Recording()
        self._values = Values(self.recording.ops)
        self.recording.value_of = self._values.known_value
        self.recording.earlier_value_of = self._values.earlier_value
        self._bindings = Bindings(self.recording, self._values)
        self._sources = sources
        self._quiet = Quiet()
        self._tracer = NameTracer(
            sources,
            self._quiet,
            self._bindings.bound,
            self._bindings.bound_plain,
            self._bindings.entered_scope,
            self.doze,
            self._failed,
        )
        self._ufuncs = UfuncBridge(self._ufunc_called)
        self._functions = FunctionBridge(self, self._values)
        self._calls = Calls(self.recording.ops, self._values, self._functions)
        self._warnings = WarningPlaces(self._user_frame, globals())
        self._steps = StepWatcher(self, at, sources)
        self._repeats = Repeats()
        self._most_ops = _MAX_OPS
        self._most_bytes = _AFTERMATH_BYTES
        self._namespace: dict[str, object] = {}
        self._is_user_code: dict[
            int, tuple[CodeType, bool]
        ] = {}  # by identity: a code's hash reads all of it
        self._forgotten = False
        self.attention = False
        self.awake_since = 0  # ops on the tape when loops were last told to report their iterations
        self._on = False
        self._entered = False
        self._look_at = live_steps.LOOK_EVERY  # ops on the tape when it is looked at next
        self._place: int | None = None  # in torch's stack of modes, while it is out of it
        self.paused = False
        self.ended_early = False

    # -- Observer ------------------------------------------------------------------------------------------

    def start(self) -> None:
        active.begin(self)
        self._ufuncs.install()
        self._functions.install()
        self._warnings.install()
        gc.freeze()  # the tape grows: without this, each full collection walks all of torch's modules as well
        self._on = self._bindings.on = True
        self._entered = True
        self.__enter__()  # type: ignore[no-untyped-call]

    def stop(self) -> None:
        self._on = self._bindings.on = False
        self._tracer.sleep()
        while self._borrowed:
            borrowed, trace = self._borrowed.pop()
            borrowed.f_trace = trace
        self._ufuncs.remove()
        self._functions.remove()
        self._warnings.remove()
        gc.unfreeze()
        if not self.live:  # there, it goes on changing
            self.recording.final_namespace = readable(self._namespace)
        self._namespace = {}
        self._come_back()
        if self._entered:
            self._entered = False
            self.__exit__(None, None, None)  # type: ignore[no-untyped-call]
            active.end(self)
            if self.live:
                self._keep_for_good()
                try:
                    live_steps.mark_first_step(self.recording)
                except Exception as error:
                    self._failed(error)

    def unit_started(self, unit: SourceUnit) -> None:
        self._steps.unit_started(unit)
        self.recording.marks.append(Mark(len(self.recording.ops), "unit", unit.cell or 0))

    def unit_finished(self, unit: SourceUnit, namespace: dict[str, object]) -> None:
        self._namespace = namespace
        try:
            if not self.paused and not self.ended_early:
                self.name_namespace(namespace)
            self._steps.unit_finished()
        except Exception as error:
            self._failed(error)

    def iteration_started(self, loop: int, activation: int, index: int, frame: FrameType) -> None:
        if self._place is not None and loop != self._steps.paused_by:
            return  # between two recorded steps only the loop that they are iterations of counts
        self._tracer.hold()
        try:
            with self._quiet:
                self._steps.iteration_started(loop, activation, index, frame)
                if self._forgotten and not self.paused and not self.ended_early:
                    self._meet(frame)
        except Exception as error:
            self._failed(error)
        finally:
            self._tracer.go_on()

    def iteration_finished(self, loop: int, activation: int, index: int, frame: FrameType) -> bool:
        if self._place is not None:
            return False
        self._tracer.hold()
        try:
            with self._quiet:
                left = self._steps.iteration_finished(loop, activation, index, frame)
                if self._forgotten and not self.paused and not self.ended_early:
                    self._meet(frame)
                return left
        except Exception as error:
            self._failed(error)
            return False
        finally:
            self._tracer.go_on()

    def loop_ended(self, loop: int, activation: int, how: LoopEnd) -> None:
        self._tracer.hold()
        try:
            self._steps.loop_ended(loop, activation, how)
        except Exception as error:
            self._failed(error)
        finally:
            self._tracer.go_on()

    # -- for code that is running already -----------------------------------------------------------------------

    def begin_in(self, frame: FrameType, more: dict[str, object] | None = None) -> None:
        """Recording begins in the midst of `frame`: whatever it can name, or `more` names, is there before the step."""
        self.begin_with(names_over(more or {}, visible_names(frame)), frame)
        try:
            self._wake(frame)
        except Exception as error:
            self._failed(error)

    def begin_with(self, names: dict[str, object], frame: FrameType) -> None:
        """Recording begins in something that `frame` calls; what `names` hold is there before the step."""
        try:
            with self._quiet:
                for _, tensor, _ in tensors_of_namespace(names):
                    if self._values.known_value(tensor) is None:
                        self._values.new_value(tensor, None)
                self._bindings.name_namespace(names)
                self._bindings.forget()  # at the end, the same names may hold something else
            running: FrameType | None = frame
            while running is not None:  # a debugger may trace them
                self._borrowed.append((running, running.f_trace))
                running = running.f_back
        except Exception as error:
            self._failed(error)

    def bind(self, name: str, tensor: torch.Tensor, code: CodeType, line: int, *, alias: bool) -> None:
        """Give a tensor a name, as if a statement at that line had."""
        with self._quiet:
            self._bindings.bound(name, tensor, 0, code, line, alias, 0)

    def knows(self, tensor: object) -> bool:
        return isinstance(tensor, torch.Tensor) and self._values.known_value(tensor) is not None

    def pair(self, forward: object, gradient: object) -> None:
        """The person says that `gradient` is the gradient of `forward`."""
        if self.paused:
            return
        with self._quiet:
            values = [
                self._values.known_value(t) if isinstance(t, torch.Tensor) else None
                for t in (forward, gradient)
            ]
        for value, what in zip(values, ("forward tensor", "gradient"), strict=True):
            if value is None:
                note = f"gradcheck.pair: the {what} took no part in what was recorded"
                if note not in self.recording.notes:
                    self.recording.notes.append(note)
                return
        of, found = values
        assert of is not None
        assert found is not None
        self.recording.pairings.append(Pairing(found, of))

    # -- for the step watcher --------------------------------------------------------------------------------

    def pause(self) -> None:
        """Record nothing until `resume`; the program runs on, at its own speed."""
        self._sleep()
        if self._place is None:
            self._values.secure()
            self._place = take_out(self)

    def _sleep(self) -> None:
        self.paused = True
        self._bindings.on = False
        self._tracer.sleep()

    def rest(self, attention: bool) -> None:
        """Record nothing any more. `attention`: loops around are still to be told, so that they are left."""
        self._sleep()
        self.attention = attention

    def resume(self) -> None:
        """Record again, as if the program began here: whatever exists now is a leaf of what follows."""
        self.paused = False
        self._come_back()
        self._bindings.on = self._on
        self._most_ops = _MAX_OPS
        self._repeats.on = False
        self._values.count_no_more()
        self.forget()

    def _come_back(self) -> None:
        """Into torch's stack of modes."""
        if self._place is None:
            return
        put_back(self, self._place)
        self._place = None
        changed = self._values.drop_changed()
        if changed:
            self.recording.notes.append(
                f"{changed} large tensor{'s' * (changed > 1)} that a recorded step reads changed between the recorded "
                "iterations: what was computed from them is not checked"
            )

    def forget(self) -> None:
        self._forgotten = True
        self._values.forget()
        self._bindings.forget()

    def listen(self) -> None:
        """Nothing is recorded, but loops are to be told again."""
        self.awake_since = len(self.recording.ops)
        self.attention = True
        self._steps.aftermath.runs.gained_attention(self.awake_since)

    def stand_apart(self, frame: FrameType) -> None:
        """What follows is recorded, as far as it goes, as if the program began here."""
        self._most_ops = min(_MAX_OPS, len(self.recording.ops) + _AFTERMATH_OPS)
        self._repeats.on = True
        self._values.begin_anew()
        self._bindings.forget()
        self._meet(frame)
        self.name_namespace({**frame.f_globals, **frame.f_locals})

    def _meet(self, frame: FrameType) -> None:
        """What exists when recording begins again was there before the step, wherever in it it is first used."""
        self._forgotten = False
        namespace = {**frame.f_globals, **frame.f_locals}
        for _, tensor, _ in tensors_of_namespace(namespace):
            if self._values.known_value(tensor) is None:
                self._values.new_value(tensor, None)
        self._bindings.name_leaves(namespace)

    def loop_began(self) -> None:
        """A loop begins that is in no other."""
        self._values.entries.loop_began()

    def settle(self, start: int) -> None:
        """The ops before `start` were only to get ready for the step that began there."""
        self._values.entries.settle(start, self._values.keep_leaf)

    def flush_names(self, frame: FrameType) -> None:
        self._tracer.flush(frame)

    def name_namespace(self, namespace: dict[str, object]) -> None:
        """Give names to the tensors that no traced statement has named."""
        with self._quiet:
            self._bindings.name_namespace(namespace)

    # -- TorchFunctionMode ---------------------------------------------------------------------------------

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if kwargs is None:
            kwargs = {}
        if self._quiet.level or not self._on:
            return func(*args, **kwargs)
        if self.paused:
            return self._unrecorded(func, args, kwargs)
        if _in_transform():
            return func(*args, **kwargs)  # its tensors are wrappers that are gone when the transform is over
        op = frame = None
        tracer = self._tracer
        tracer.hold()
        try:
            try:
                kind = known_kinds.get(func) or kind_of(func)
                if kind is not Kind.IGNORE:
                    frame = self._user_frame(sys._getframe(1))
                    if frame is not None:
                        op = self._calls.prepared(func, kind, args, kwargs, frame)
            except Exception as error:
                op = None
                self._failed(error)
            if op is not None and op.kind is Kind.BACKWARD:
                self._begins_backward(op, args, kwargs)
                tracer.go_on()  # it calls functions of the person's
            result = func(*args, **kwargs)  # the person's call: its errors are the person's
            if op is not None and frame is not None:
                try:
                    self._after(op, result)
                    if self.attention and tracer.awake:
                        tracer.idle = 0
                        if self._repeats.on and self._repeats.weary(op):
                            tracer.sleep()
                    elif self._repeats.on and self._repeats.is_old(op):
                        self._listen_again()
                    else:
                        self._wake(frame)
                    watched = tracer.frames.get(id(frame))
                    # The usual case of `scope_of`, in place: a call by a frame that is watched.
                    if watched is not None and watched.code is frame.f_code:
                        op.scope = watched.scope
                    else:
                        op.scope = tracer.scope_of(frame)
                except Exception as error:
                    self._failed(error)
        finally:
            tracer.go_on()
        return result

    def _unrecorded(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call while nothing is recorded: only what is on the tape already must not change with it."""
        try:
            kind = known_kinds.get(func) or kind_of(func)
            if kind in CHANGES:
                self._values.keep_before_change(kind, args, kwargs)
            elif func in CATEGORICAL_DRAWS and not self.ended_early:
                self._steps.aftermath.drew()
        except Exception as error:
            self._failed(error)
        return func(*args, **kwargs)

    def _failed(self, error: Exception) -> None:
        """A fault of ours must never reach the person's program: it runs on, unrecorded."""
        if not self.ended_early:
            self._end_early(
                f"recording ended early, after {len(self.recording.ops):,} tensor operations, by an error inside "
                f"gradcheck: {type(error).__name__}: {error}"
            )
        else:
            self.attention = False  # not even loops can be followed

    def _end_early(self, note: str) -> None:
        """What is on the tape counts. Training loops must still be left, or the program runs for hours."""
        self._on = self._bindings.on = False
        self.ended_early = True
        self.attention = True
        self._tracer.sleep()
        self.recording.notes.append(note)
        self._keep_for_good()

    def _keep_for_good(self) -> None:
        """From now on nobody tells what the program changes in place."""
        with suppress(Exception), self._quiet, torch.no_grad():
            self._values.keep_for_good()

    def _user_frame(self, frame: FrameType | None) -> FrameType | None:
        is_user = self._is_user_code
        while frame is not None:
            code = frame.f_code
            known = is_user.get(id(code))
            if known is None:
                known = is_user[id(code)] = code, self._sources.is_user(code.co_filename)
            if known[1]:
                return frame
            frame = frame.f_back
        return None

    def _after(self, op: Op, result: Any) -> None:
        kind = op.kind
        if kind is Kind.BACKWARD:
            if op.func is torch.autograd.grad:
                self._gradients_of_autograd(op, result)
        elif op.args is None:
            if isinstance(result, torch.Tensor):
                self._values.keep_leaf(self._values.new_value(result, None), result)
        elif kind is Kind.ESCAPE:
            self.recording.ops.append(op)
            if type(result) is float and not result.is_integer():
                self._values.escaped[result] = op.args[0]
        else:
            self._write(op, result)

    def _gradients_of_autograd(self, op: Op, result: Any) -> None:
        """What `torch.autograd.grad` hands over is noted as if it were read from `.grad`; or, where it was given
        gradients to begin with, as what follows from those. It may be the very tensor that a Function of the person's
        has returned, so it gets a value of its own."""
        seeds = _seeds(op)
        frame = self._user_frame(sys._getframe(1)) if seeds else None
        inputs = op.args[1] if len(op.args) > 1 else (op.kwargs or {}).get("inputs")
        inputs = inputs if isinstance(inputs, (tuple, list)) else (inputs,)
        for of, gradient in zip(inputs, result if isinstance(result, (tuple, list)) else (), strict=False):
            if isinstance(gradient, torch.Tensor) and isinstance(of, Value):
                if frame is not None:
                    self._functions.vector_jacobian(of, gradient, seeds, frame)
                    continue
                read = Op(
                    len(self.recording.ops),
                    _READ_GRAD,
                    Kind.GRAD_READ,
                    (of,),
                    None,
                    op.code,
                    op.lasti,
                )
                value = read.out = self._values.new_value(gradient, read)
                value.autograd_of = of
                self._values.keep_leaf(value, gradient)
                self.recording.ops.append(read)

    def _write(self, op: Op, result: Any) -> None:
        out = op.out = self._values.encode_result(op, result)
        kind = op.kind
        if kind is not Kind.PURE:
            if kind is Kind.RANDOM:
                for value, tensor in pairs(out, result):
                    if value.producer is op:
                        self._values.keep_leaf(value, tensor)
                if op.func in CATEGORICAL_DRAWS:
                    self._steps.aftermath.drew()
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
        ops = self.recording.ops
        ops.append(op)
        if len(ops) >= self._most_ops or self._values.holds_more_than(self._most_bytes):
            self._enough()
        elif self.live and len(ops) >= self._look_at:
            self._look_at += live_steps.LOOK_EVERY
            steps = live_steps.steps_so_far(self.recording)
            if steps >= live_steps.ENOUGH:
                self._end_early(f"recording ended after {steps} training steps: one is enough for a report")

    def _enough(self) -> None:
        if not self._steps.aftermath.apart:
            self._end_early(f"recording ended after {_MAX_OPS:,} tensor operations")
            return
        frame = self._user_frame(sys._getframe(1))
        if frame is not None:
            self.name_namespace({**frame.f_globals, **frame.f_locals})
        self.recording.cut_short = True
        self._steps.aftermath.spent()

    def _ufunc_called(self, function: Callable[..., Any], inputs: tuple[Any, ...], result: Any) -> None:
        if self._quiet.level or self.paused or not self._on:
            return
        try:
            frame = self._user_frame(sys._getframe(1))
            if frame is None:
                return
            op = Op(len(self.recording.ops), function, Kind.PURE, None, None, frame.f_code, frame.f_lasti)
            with self._quiet:
                tensors = tuple([as_tensor(x) for x in inputs])
                op.args = tuple([self._values.encode(x) for x in tensors])
                self._write(op, result)
            self._wake(frame)
            op.scope = self._tracer.scope_of(frame)
        except NotATensorError:
            return
        except Exception as error:
            self._failed(error)

    # -- for the functions of the person's that autograd calls --------------------------------------------------

    def listens(self) -> bool:
        return self._on and not self.paused and not self._quiet.level and not _in_transform()

    def caller(self) -> FrameType | None:
        return self._user_frame(sys._getframe(1))

    def is_user(self, code: CodeType) -> bool:
        return self._sources.is_user(code.co_filename)

    def failed(self, error: Exception) -> None:
        self._failed(error)

    def put(self, op: Op, frame: FrameType | None) -> None:
        """Write an op that is no call of the person's."""
        self.recording.ops.append(op)
        if frame is not None:
            self._wake(frame)
            op.scope = self._tracer.scope_of(frame)

    def within_backward(self, call: Callable[[], Any], frame: FrameType) -> Any:
        """Make a call of the person's that autograd makes while this mode is off."""
        self._tracer.last_return = None
        self._tracer.go_on()
        if self in torch.overrides._get_current_function_mode_stack():  # type: ignore[no-untyped-call]
            return call()
        with self:
            return call()

    def last_return(self) -> tuple[CodeType, int, int] | None:
        return self._tracer.last_return

    def _begins_backward(self, op: Op, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """A backward pass of autograd's stands on the tape before what it calls, with the gradients it begins with."""
        try:
            self.recording.ops.append(op)
            position = 2 if op.func is torch.autograd.grad else 1
            given = args[position] if len(args) > position else None
            names = ("gradient", "grad_tensors", "grad_outputs")
            gradients = next((kwargs[name] for name in names if name in kwargs), given)
            if args and gradients is not None:
                self._functions.seeded(args[0], gradients)
        except Exception as error:
            self._failed(error)

    def _wake(self, frame: FrameType) -> None:
        if self.paused:
            return  # since a moment ago
        self._listen_again()
        if self._on:
            self._tracer.wake(frame)

    def _listen_again(self) -> None:
        if not self.attention and not self.paused:
            self.awake_since = max(0, len(self.recording.ops) - 1)
            self._steps.aftermath.runs.gained_attention(self.awake_since)
            self.attention = self._on or self.ended_early

    def doze(self) -> None:
        """Long without an op: loops may run at their own speed again, unless one of them is to be left."""
        self.attention = self._steps.aftermath.must_listen
        if not self.attention:
            self._steps.aftermath.runs.lost_attention()


_in_transform = torch._C._are_functorch_transforms_active
_READ_GRAD: Callable[..., Any] = vars(torch._C.TensorBase)["grad"].__get__


def _seeds(op: Op) -> list[tuple[Value, Value]]:
    """The gradients that `torch.autograd.grad` was given for its outputs."""
    given = op.args[2] if len(op.args) > 2 else (op.kwargs or {}).get("grad_outputs")
    outputs = op.args[0] if isinstance(op.args[0], (tuple, list)) else (op.args[0],)
    given = given if isinstance(given, (tuple, list)) else (given,)
    pairs = zip(outputs, given, strict=False)
    return [(o, g) for o, g in pairs if isinstance(o, Value) and isinstance(g, Value)]
