"""Follows the person's loops: which of them train, which iterations to record, when to leave, when to stop.

A loop trains if an iteration of it holds a parameter update. It is left, as if its iterator were exhausted, once
the iterations asked for are on the tape, and so are the loops around it. What follows is the aftermath.
"""

from __future__ import annotations

from dataclasses import dataclass
from types import FrameType
from typing import Protocol

from gradcheck.fronts.aftermath import Aftermath
from gradcheck.fronts.applying import only_applies
from gradcheck.fronts.gradient_names import Form, is_loss_name, parse
from gradcheck.fronts.reach import Reach
from gradcheck.fronts.tape import Kind, Mark, PlainBinding, Recording
from gradcheck.fronts.updates import UpdateFinder
from gradcheck.program.observer import LoopEnd
from gradcheck.program.source import SourceMap, SourceUnit

# A loop that has run this often without a training step is building data; its ops are not worth the memory.
_THIN_AFTER_ITERATIONS = 5_000
_THIN_AFTER_OPS = 100_000
_MAX_ACTIVATIONS = 12  # of one training loop that are each recorded anew
# A loop over layers or time steps computes no loss of its own, and one over micro-batches sums its gradients up.
_PASSES_THAT_TRAIN = 8
_UNSEEN_ITERATIONS = 100  # of a loop that may train, after recording has ended early


class Tape(Protocol):
    recording: Recording
    paused: bool
    attention: bool
    ended_early: bool
    awake_since: int

    def pause(self) -> None: ...
    def rest(self, attention: bool) -> None: ...
    def listen(self) -> None: ...
    def doze(self) -> None: ...
    def stand_apart(self, frame: FrameType) -> None: ...
    def resume(self) -> None: ...
    def forget(self) -> None: ...
    def loop_began(self) -> None: ...
    def settle(self, start: int) -> None: ...
    def flush_names(self, frame: FrameType) -> None: ...
    def name_namespace(self, namespace: dict[str, object]) -> None: ...


@dataclass(slots=True)
class _Activation:
    loop: int
    first_op: int  # on the tape when the loop began
    first_binding: int
    start: int = 0  # on the tape when the current iteration began
    start_binding: int = 0
    steps_before: int = 0
    thinning: bool = False
    passes: int = 0  # iterations in a row that held a whole backward pass
    first_pass: tuple[int, int, int] = (
        0,
        0,
        0,
    )  # of these the first: its ops, and the bindings up to its end


class StepWatcher:
    def __init__(self, tape: Tape, at: tuple[int, ...], sources: SourceMap) -> None:
        self._tape = tape
        self._reach = reach = Reach(sources)
        self.aftermath = Aftermath(tape, sources, reach)
        self._at = tuple(sorted(set(at))) or (0,)
        self._activations: dict[int, _Activation] = {}
        self._iterations: dict[int, int] = {}  # iterations begun, per loop statement
        self._trains: set[int] = set()
        self._outstanding: dict[int, list[int]] = {}  # per training loop, the iterations still to record
        self._completed: dict[int, int] = {}
        self._steps = 0  # recorded steps so far
        self._step_ends: list[int] = []  # their places on the tape
        self.paused_by: int | None = None
        self._known_step_of: int | None = None  # the loop known to train whose wanted iteration is running
        self._unseen = _UnseenLoops(reach)

    def unit_started(self, unit: SourceUnit) -> None:
        cut = self._tape.recording.aftermath_cut
        if cut is not None and unit.cell is None:
            # A function that is run after its module: what it does was no part of the rest of the module.
            self.aftermath.cancel()
            self._drop(cut.ops, cut.bindings)
            self._tape.recording.cut_to(cut)
            self._tape.resume()

    def iteration_started(self, loop: int, activation: int, index: int, frame: FrameType) -> None:
        if self._tape.ended_early:
            self._unseen.started(activation)
            return
        if self.aftermath.on:
            self.aftermath.runs.started(loop, activation, index)
        if self.aftermath.apart:
            self._activations.setdefault(activation, _Activation(loop, 0, 0)).steps_before = self._steps
            return
        number = self._iterations[loop] = self._iterations.get(loop, -1) + 1
        if self._tape.paused and self.paused_by == loop and number in self._outstanding[loop]:
            self._tape.resume()
            self._known_step_of = loop
        recording = self._tape.recording
        record = self._activations.get(activation)
        if record is None:
            record = self._activations[activation] = _Activation(
                loop, len(recording.ops), len(recording.bindings)
            )
            if not self._tape.paused and not self._reach.inside_loop(frame):
                self._tape.loop_began()
        record.start = len(recording.ops)
        record.start_binding = len(recording.bindings)
        record.steps_before = self._steps
        if loop in self._trains and not self._tape.paused:
            recording.marks.append(Mark(record.start, "step", number, loop))

    def iteration_finished(self, loop: int, activation: int, index: int, frame: FrameType) -> bool:
        if self._tape.ended_early:
            return self._unseen.finished(loop, activation, frame)
        if not self._tape.paused:
            self._tape.flush_names(frame)
        endless = self.aftermath.on and self.aftermath.finished(loop, activation, index)
        if self.aftermath.apart:
            return self._is_around_the_training(loop, activation, index, frame) or endless
        if self._tape.paused:
            return False
        return self._looked_at(loop, activation, index, frame) or endless

    def loop_ended(self, loop: int, activation: int, how: LoopEnd) -> None:
        if self.aftermath.on and not self._tape.ended_early:
            self.aftermath.ended(activation, how)
            if self.aftermath.apart:
                self._activations.pop(activation, None)

    def _is_around_the_training(self, loop: int, activation: int, index: int, frame: FrameType) -> bool:
        if self._steps == self._activation(loop, activation, index).steps_before:
            return False
        self.aftermath.loop_left(frame)
        return True

    def _activation(self, loop: int, activation: int, index: int) -> _Activation:
        record = self._activations.get(activation)
        if record is None:
            # Its beginning was not told, because nothing had touched a tensor yet.
            self._iterations.setdefault(loop, index)
            since = self._tape.awake_since
            record = self._activations[activation] = _Activation(loop, since, 0, since, 0)
            record.first_binding = record.start_binding = len(self._tape.recording.bindings)
            record.steps_before = sum(end <= since for end in self._step_ends)
        return record

    def _looked_at(self, loop: int, activation: int, index: int, frame: FrameType) -> bool:
        """Whether the loop is to be left, now that an iteration of it is on the tape."""
        if self._known_step_of is not None:
            if loop != self._known_step_of:
                return False  # a loop inside the step: over its parameters, say
            self._known_step_of = None
        record = self._activation(loop, activation, index)
        ops = self._tape.recording.ops
        if self._steps > record.steps_before:
            # A loop around a training loop: it ends when the inner one has nothing left to record.
            return not any(self._outstanding.values())
        if len(ops) == record.start:
            return False
        updates = UpdateFinder(self._tape.recording, record.start).between(record.start)
        if not updates or only_applies(self._tape.recording, record.start, updates):
            if self._repeats_a_pass(loop, record):
                self._end_if_done(frame)
                return True
            self._thin(record, index)
            return False
        return self._step_finished(loop, record, frame)

    def unit_finished(self) -> None:
        """What was still to be recorded did not come; what follows is recorded again."""
        self._activations.clear()
        self._known_step_of = None
        self.aftermath.runs.clear()
        if self._tape.paused and not self.aftermath.apart:
            self._tape.resume()
        for loop, numbers in self._outstanding.items():
            if numbers:
                self._tape.recording.notes.append(
                    f"iteration {', '.join(map(str, numbers))} was asked for but the loop ran only "
                    f"{self._iterations[loop] + 1} times"
                )
                numbers.clear()

    def _step_finished(self, loop: int, record: _Activation, frame: FrameType) -> bool:
        recording = self._tape.recording
        self.aftermath.cancel()
        number = self._iterations[loop]
        if loop not in self._trains or not self._outstanding[loop]:
            if loop not in self._trains:
                if self._only_made_ready(record):
                    self._tape.settle(record.start)
                recording.marks.append(Mark(record.start, "step", number, loop))
            else:
                self._completed[loop] = self._completed.get(loop, 0) + 1
                if self._completed[loop] >= _MAX_ACTIVATIONS:
                    self._drop(record.start, record.start_binding)
                    return True
            self._trains.add(loop)
            self._outstanding[loop] = [n for n in self._at if n >= number] or [number]
        outstanding = self._outstanding[loop]
        self._tape.name_namespace({**frame.f_globals, **frame.f_locals})
        recording.marks.append(Mark(len(recording.ops), "step-end", number, loop))
        if number in outstanding:
            outstanding.remove(number)
            self._steps += 1
            self._step_ends.append(len(recording.ops))
        else:
            self._drop(record.start, record.start_binding)
        if outstanding and outstanding[0] > number + 1:
            self.paused_by = loop
            self._tape.pause()
        elif outstanding:
            self._tape.resume()
        else:
            self._end_if_done(frame)
        return not outstanding

    def _end_if_done(self, frame: FrameType) -> None:
        if not any(self._outstanding.values()):
            self.aftermath.begin(frame)

    def _only_made_ready(self, record: _Activation) -> bool:
        """Whether nothing before this step can be a backward pass of its own."""
        recording = self._tape.recording
        return not (
            any(op.kind in (Kind.BACKWARD, Kind.GRAD_WRITE) for op in recording.ops[: record.start])
            or any(
                parse(b.name).form is not Form.NONE or is_loss_name(b.name)
                for b in recording.bindings[: record.start_binding]
            )
        )

    def _repeats_a_pass(self, loop: int, record: _Activation) -> bool:
        """Whether the loop has computed a loss and its gradients, each time anew, so often that it must be training,
        although how it moves its parameters cannot be seen (through NumPy, say). Then the first time is kept."""
        recording = self._tape.recording
        if not self._holds_a_pass(record):
            record.passes = 0
            return False
        record.passes += 1
        if record.passes == 1:
            record.first_pass = (record.start, len(recording.ops), len(recording.bindings))
        if record.passes < _PASSES_THAT_TRAIN:
            return False
        start, end, end_binding = record.first_pass
        self._drop(end, end_binding, steps_before=True)
        self._tape.forget()
        self._trains.add(loop)
        self._outstanding[loop] = []
        number = self._iterations[loop] - _PASSES_THAT_TRAIN + 1
        recording.marks += [Mark(start, "step", number, loop), Mark(end, "step-end", number, loop)]
        self._steps += 1
        self._step_ends.append(end)
        recording.notes.append(
            f"a loop that computed a loss and its gradients {_PASSES_THAT_TRAIN} times was left, although no update "
            f"of a parameter was seen in it; what is reported is its iteration {number}"
        )
        return True

    def _holds_a_pass(self, record: _Activation) -> bool:
        recording = self._tape.recording
        bound = [
            b
            for b in recording.bindings[record.start_binding :]
            if b.value.producer is not None and b.value.producer.index >= record.start
        ]
        if not any(is_loss_name(b.name) for b in bound):
            return False
        gradients = [b for b in bound if not b.alias and parse(b.name).form >= Form.BARE_D]
        named = recording.gradient_named
        # Gradients that are summed over the iterations are not finished before the loop is.
        summed = any(
            v in named and v.birth < record.start for op in recording.ops[record.start :] for v in op.inputs
        )
        return bool(gradients) and not summed

    def _thin(self, record: _Activation, index: int) -> None:
        many = len(self._tape.recording.ops) - record.first_op >= _THIN_AFTER_OPS
        if index < _THIN_AFTER_ITERATIONS and not many and not record.thinning:
            return
        if not record.thinning:
            record.thinning = True
            self._drop(record.first_op, record.first_binding)
        else:
            self._drop(record.start, record.start_binding)

    def _drop(self, first_op: int, first_binding: int, steps_before: bool = False) -> None:
        """Take the end of the tape away; what it made is, from now on, simply there. With `steps_before`, what is left
        of the tape holds steps that are to be replayed: what they started from stays as it was."""
        recording = self._tape.recording
        for op in recording.ops[first_op:]:
            for value in op.outputs:
                # A view of something older has the older one for its root, which is still needed.
                for touched in {value, value.root} if value.root.birth >= first_op else {value}:
                    touched.producer = None
                    touched.data = None
            for value in op.mutated:
                if not steps_before or value.root.birth >= first_op:
                    value.root.producer = value.root.data = None
        del recording.ops[first_op:]
        del recording.bindings[first_binding:]
        recording.marks[:] = [m for m in recording.marks if m.when <= first_op]
        self.aftermath.runs.dropped(first_op)
        _forget_but_the_last(recording.plain, first_op)


class _UnseenLoops:
    """Leaves training loops after recording has ended early: told from their source, and only after so many
    iterations that no loop over layers or parameters is cut short."""

    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._iterations: dict[int, int] = {}  # per loop statement
        self._may_train: dict[int, bool] = {}
        self._left = 0  # loops so far
        self._left_before: dict[int, int] = {}  # when the iteration of an activation began

    def started(self, activation: int) -> None:
        self._left_before[activation] = self._left

    def finished(self, loop: int, activation: int, frame: FrameType) -> bool:
        if self._left > self._left_before.get(activation, 0):
            return True
        count = self._iterations[loop] = self._iterations.get(loop, 0) + 1
        if count < _UNSEEN_ITERATIONS:
            return False
        if loop not in self._may_train:
            self._may_train[loop] = self._reach.gradients_in_loop(frame)
        self._left += self._may_train[loop]
        return self._may_train[loop]


def _forget_but_the_last(plain: list[PlainBinding], first_op: int) -> None:
    """Of what was bound after `first_op`, what each name held in the end, as if it had held it from there on."""
    last: dict[tuple[int, str], PlainBinding] = {}
    while plain and plain[-1].when > first_op:
        binding = plain.pop()
        last.setdefault((binding.scope, binding.name), binding)
    for binding in reversed(last.values()):
        binding.when = first_op
        plain.append(binding)
