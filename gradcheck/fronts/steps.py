"""Follows the person's loops: which of them train, which iterations to record, when to leave, when to stop.

A loop trains if an iteration of it holds a parameter update. It is left, as if its iterator were exhausted, once
the iterations asked for are on the tape, and so are the loops around it. What follows is the aftermath.
"""

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType

from gradcheck.fronts.aftermath import Aftermath
from gradcheck.fronts.applying import only_applies
from gradcheck.fronts.control import Control
from gradcheck.fronts.dropping import drop_end
from gradcheck.fronts.gradient_names import is_loss_name
from gradcheck.fronts.namespace import names_in
from gradcheck.fronts.passes import only_prepares, reads_since
from gradcheck.fronts.reach import Reach
from gradcheck.fronts.tape import Mark
from gradcheck.fronts.unseen_loops import UnseenLoops
from gradcheck.fronts.updates import Update, UpdateFinder
from gradcheck.program.observer import LoopEnd
from gradcheck.program.source import SourceMap, SourceUnit

# A loop that has run this often without a training step is building data, whose ops are not worth the memory, or has no
# update.
_THIN_AFTER_ITERATIONS = 5_000
_THIN_AFTER_OPS = 100_000
_MAX_ACTIVATIONS = 12  # of one training loop that are each recorded again


@dataclass(slots=True)
class _Activation:
    loop: int
    first_op: int  # on the tape when the loop began
    first_binding: int
    start: int = 0  # on the tape when the current iteration began
    start_binding: int = 0
    starts: list[tuple[int, int]] = field(default_factory=list)  # of all iterations that added to the tape
    steps_before: int = 0
    thinning: bool = False


class StepWatcher:
    def __init__(
        self,
        control: Control,
        at: tuple[int, ...],
        sources: SourceMap,
        left: Callable[[int], int | None] = lambda activation: None,
    ) -> None:
        self._left = left
        self._control = control
        self._state = control.state
        self._recording = control.recording
        self._values = control.values
        self._reach = reach = Reach(sources)
        self.aftermath = Aftermath(control, sources, reach)
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
        self._unseen = UnseenLoops(reach)

    def unit_started(self, unit: SourceUnit) -> None:
        cut = self._recording.aftermath_cut
        if cut is not None and unit.cell is None:
            # A function that is run after its module: what it does was no part of the rest of the module.
            self.aftermath.cancel()
            self._drop(cut.ops, cut.bindings)
            self._recording.cut_to(cut)
            self._control.resume()

    def iteration_started(self, loop: int, activation: int, index: int, frame: FrameType) -> None:
        if self._state.ended_early:
            self._unseen.started(activation)
            return
        if self.aftermath.on:
            self.aftermath.runs.started(loop, activation, index)
        if self.aftermath.apart:
            self._activations.setdefault(activation, _Activation(loop, 0, 0)).steps_before = self._steps
            return
        number = self._iterations[loop] = self._iterations.get(loop, -1) + 1
        if self._state.paused and self.paused_by == loop and number in self._outstanding[loop]:
            self._control.resume()
            self._known_step_of = loop
        recording = self._recording
        record = self._activations.get(activation)
        if record is None:
            record = self._activations[activation] = _Activation(
                loop, len(recording.ops), len(recording.bindings)
            )
            if not self._state.paused and not self._reach.inside_loop(frame):
                self._values.loop_began()
        record.start = len(recording.ops)
        record.start_binding = len(recording.bindings)
        if not record.starts or record.starts[-1][0] < record.start:
            record.starts.append((record.start, record.start_binding))
        record.steps_before = self._steps
        if loop in self._trains and not self._state.paused:
            recording.marks.append(Mark(record.start, "step", number, loop))

    def iteration_finished(self, loop: int, activation: int, index: int, frame: FrameType) -> bool:
        if self._state.ended_early:
            return self._unseen.finished(loop, activation, frame)
        if not self._state.paused:
            self._control.follower.tracer.flush(frame)
        endless = self.aftermath.on and self.aftermath.finished(loop, activation, index)
        if self.aftermath.apart:
            return self._is_around_the_training(loop, activation, index, frame) or endless
        return not self._state.paused and (self._looked_at(loop, activation, index, frame) or endless)

    def loop_ended(self, loop: int, activation: int, how: LoopEnd) -> None:
        if self.aftermath.on and not self._state.ended_early:
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
            # Its beginning was not reported, because nothing had touched a tensor yet.
            self._iterations.setdefault(loop, index)
            since = self._control.follower.awake_since
            record = self._activations[activation] = _Activation(loop, since, 0, since, 0)
            record.first_binding = record.start_binding = len(self._recording.bindings)
            record.starts.append((since, record.start_binding))
            record.steps_before = sum(end <= since for end in self._step_ends)
        return record

    def _looked_at(self, loop: int, activation: int, index: int, frame: FrameType) -> bool:
        """Whether the loop should be left, now that an iteration of it is on the tape."""
        if self._known_step_of is not None:
            if loop != self._known_step_of:
                return False  # a loop inside the step: over its parameters, say
            self._known_step_of = None
        record = self._activation(loop, activation, index)
        ops = self._recording.ops
        if self._steps > record.steps_before:
            # A loop around a training loop: it ends when the inner one has nothing left to record.
            return not any(self._outstanding.values())
        if len(ops) == record.start:
            return False
        updates = UpdateFinder(self._recording, record.start).between(record.start)
        if not updates or only_applies(self._recording, record.start, updates):
            return self._thin(record, index)
        return self._step_finished(loop, activation, record, frame, updates)

    def unit_finished(self) -> None:
        """What was still to be recorded did not come; what follows is recorded again."""
        self._activations.clear()
        self._known_step_of = None
        self.aftermath.runs.clear()
        if self._state.paused and not self.aftermath.apart:
            self._control.resume()
        for loop, numbers in self._outstanding.items():
            if numbers:
                last = self._iterations[loop]
                there = sorted({last, *(n for n in self._at if n < last)})
                self._recording.notes.append(
                    f"iteration {', '.join(map(str, numbers))} was asked for, but the loop ran only "
                    f"{last + 1} times; --at {','.join(map(str, there))} has its last one"
                )
                numbers.clear()

    def _still_to_come(self, number: int, activation: int, frame: FrameType) -> list[int]:
        """What was asked for, from iteration `number` on; the last one there will be, instead of one that will not be. (A
        loop inside another one may begin again.)"""
        wanted = [n for n in self._at if n >= number] or [number]
        left = None if self._reach.inside_loop(frame) else self._left(activation)
        if left is None or wanted[-1] <= number + left:
            return wanted
        last = number + left
        beyond = ", ".join(str(n) for n in wanted if n > last)
        self._recording.notes.append(
            f"iteration {beyond} was asked for, but the loop has only {last + 1}: its last one, {last}, was recorded"
        )
        return sorted({min(n, last) for n in wanted})

    def _step_finished(
        self, loop: int, activation: int, record: _Activation, frame: FrameType, updates: Sequence[Update]
    ) -> bool:
        recording = self._recording
        self.aftermath.cancel()
        number = self._iterations[loop]
        if loop not in self._trains or not self._outstanding[loop]:
            if loop not in self._trains:
                # What several iterations added up to is one step: none of them moved the parameters.
                since = reads_since(recording, record.first_op, record.start, updates)
                place = max(0, bisect_right(record.starts, (since, len(recording.bindings))) - 1)
                record.start, record.start_binding = record.starts[place]
                if only_prepares(recording, record.start, record.start_binding):
                    self._values.settle(record.start)
                recording.marks.append(Mark(record.start, "step", number, loop))
            else:
                self._completed[loop] = self._completed.get(loop, 0) + 1
                if self._completed[loop] >= _MAX_ACTIVATIONS:
                    self._drop(record.start, record.start_binding)
                    return True
            self._trains.add(loop)
            self._outstanding[loop] = self._still_to_come(number, activation, frame)
        outstanding = self._outstanding[loop]
        self._control.bindings.name_namespace({**frame.f_globals, **names_in(frame)})
        recording.marks.append(Mark(len(recording.ops), "step-end", number, loop))
        if number in outstanding:
            outstanding.remove(number)
            self._steps += 1
            self._step_ends.append(len(recording.ops))
        else:
            self._drop(record.start, record.start_binding)
        if outstanding and outstanding[0] > number + 1:
            self.paused_by = loop
            self._control.pause()
        elif outstanding:
            self._control.resume()
        else:
            self._end_if_done(frame)
        return not outstanding

    def _end_if_done(self, frame: FrameType) -> None:
        if not any(self._outstanding.values()):
            self.aftermath.begin(frame)

    def _thin(self, record: _Activation, index: int) -> bool:
        """Whether the loop should be left: each of its iterations computes a loss and gradients, and moves nothing."""
        many = len(self._recording.ops) - record.first_op >= _THIN_AFTER_OPS
        if index < _THIN_AFTER_ITERATIONS and not many and not record.thinning:
            return False
        bound = self._recording.bindings[record.start_binding :]
        has_gradient = any(each.value in self._recording.gradient_named for each in bound)
        if not record.thinning and has_gradient and any(is_loss_name(each.name) for each in bound):
            return True
        if not record.thinning:
            record.thinning = True
            self._drop(record.first_op, record.first_binding)
        else:
            self._drop(record.start, record.start_binding)
        return False

    def _drop(self, first_op: int, first_binding: int) -> None:
        drop_end(self._recording, first_op, first_binding)
        self.aftermath.runs.dropped(first_op)
