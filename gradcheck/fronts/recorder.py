"""The recorder: runs beside the person's program and writes what it does on a tape. It only joins the parts together;
each has its own file and its own state."""

from collections.abc import Callable
from types import CodeType, FrameType
from typing import Any

from gradcheck.fronts import active, arrays, live_steps
from gradcheck.fronts.bindings import Bindings
from gradcheck.fronts.control import Control
from gradcheck.fronts.follower import Follower
from gradcheck.fronts.loop_runs import LoopRuns
from gradcheck.fronts.namespace import names_over, readable, visible_names
from gradcheck.fronts.numpy.front import NumpyFront
from gradcheck.fronts.own_code import OwnCode
from gradcheck.fronts.state import State
from gradcheck.fronts.steps import StepWatcher
from gradcheck.fronts.tape import Mark, Pairing, Recording
from gradcheck.fronts.torch.front import TorchFront
from gradcheck.fronts.torch.values import Values
from gradcheck.program.observer import LoopEnd
from gradcheck.program.source import SourceMap, SourceUnit


class Recorder:
    """Implements `gradcheck.program.observer.Observer`; the result is `recording`."""

    def __init__(self, sources: SourceMap, at: tuple[int, ...] = (0,), *, live: bool = False) -> None:
        """`live`: what is recorded is a part of a program that goes on afterwards."""
        self.live = live
        self.recording = Recording()
        self._state = state = State(self.recording)
        self._values = values = Values(self.recording.ops)
        self.recording.value_of = values.known_value
        self.recording.earlier_value_of = values.earlier_value
        self._bindings = Bindings(state, values)
        runs = LoopRuns(self.recording, sources.loops.sites)
        self._follower = Follower(state, sources, self._bindings, runs)
        self._control = Control(state, self._follower, self._bindings, values, live=live)
        self._control.fronts.append(TorchFront(self._control, values))
        self._control.fronts.append(NumpyFront(self._control, values, sources.loops))
        self.iterations_left: Callable[[int], int | None] = lambda activation: None
        left = lambda activation: self.iterations_left(activation)  # noqa: E731  it is set later
        self._steps = StepWatcher(self._control, at, sources, left)
        self._own_code = OwnCode(state, self._follower.tracer)
        self._namespace: dict[str, object] = {}
        self._borrowed: list[tuple[FrameType, Any]] = []  # frames that ran already, and what traced them
        self._started = False

    @property
    def last_return(self) -> tuple[CodeType, int, int] | None:
        """Where a function of the person's returned last: its code, the instruction, its scope."""
        return self._follower.tracer.last_return

    @property
    def attention(self) -> bool:
        return self._state.attention

    # -- Observer ------------------------------------------------------------------------------------------

    def start(self) -> None:
        active.begin(self)
        self._state.on = self._started = True
        for front in self._control.fronts:
            front.install()

    def stop(self) -> None:
        self._state.on = False
        self._follower.tracer.sleep()
        while self._borrowed:
            borrowed, trace = self._borrowed.pop()
            borrowed.f_trace = trace
        if not self.live:  # there, it goes on changing
            self.recording.final_namespace = readable(self._namespace)
        self._namespace = {}
        self._control.come_back()
        for front in reversed(self._control.fronts):
            front.remove()
        if self._started:
            self._started = False
            active.end(self)
            if self.live:
                self._control.keep_for_good()
                with self._state.guard:
                    live_steps.mark_first_step(self.recording)

    def unit_started(self, unit: SourceUnit) -> None:
        self._steps.unit_started(unit)
        self.recording.marks.append(Mark(len(self.recording.ops), "unit", unit.cell or 0))

    def unit_finished(self, unit: SourceUnit, namespace: dict[str, object]) -> None:
        self._namespace = namespace
        with self._own_code:
            if self._state.goes_on:
                self._bindings.name_namespace(namespace)
            self._steps.unit_finished()

    def iteration_started(self, loop: int, activation: int, index: int, frame: FrameType) -> None:
        if self._state.between_steps and loop != self._steps.paused_by:
            return  # between two recorded steps only the loop that they are iterations of counts
        with self._own_code:
            self._steps.iteration_started(loop, activation, index, frame)
            self._control.meet_if_forgotten(frame)

    def iteration_finished(self, loop: int, activation: int, index: int, frame: FrameType) -> bool:
        if self._state.between_steps:
            return False
        with self._own_code:
            left = self._steps.iteration_finished(loop, activation, index, frame)
            self._control.meet_if_forgotten(frame)
            return left
        return False

    def loop_ended(self, loop: int, activation: int, how: LoopEnd) -> None:
        with self._own_code:
            self._steps.loop_ended(loop, activation, how)

    # -- for code that is running already -----------------------------------------------------------------------

    def begin_in(self, frame: FrameType, more: dict[str, object] | None = None) -> None:
        """Recording begins in the midst of `frame`: whatever it can name, or `more` names, is there before the step."""
        self.begin_with(names_over(more or {}, visible_names(frame)), frame)
        with self._state.guard:
            self._follower.wake(frame)

    def begin_with(self, names: dict[str, object], frame: FrameType) -> None:
        """Recording begins in something that `frame` calls; what `names` hold is there before the step."""
        with self._own_code:
            self._control.meet_names(names)
            self._bindings.name_namespace(names)
            self._bindings.forget()  # at the end, the same names may hold something else
            running: FrameType | None = frame
            while running is not None:  # a debugger may trace them
                self._borrowed.append((running, running.f_trace))
                running = running.f_back

    def flush_names(self, frame: FrameType) -> None:
        self._follower.tracer.flush(frame)

    def bind(self, name: str, array: object, code: CodeType, line: int, *, alias: bool) -> None:
        """Give an array a name, as if a statement at that line had."""
        with self._state.unrecorded:
            self._bindings.bound(name, array, 0, code, line, alias, 0)

    def knows(self, array: object) -> bool:
        return isinstance(array, arrays.KINDS) and self._values.known_value(array) is not None

    def pair(self, forward: object, gradient: object) -> None:
        """The person says that `gradient` is the gradient of `forward`."""
        if self._state.paused:
            return
        of, found = self._values.known_value(forward), self._values.known_value(gradient)
        if of is not None and found is not None:
            self.recording.pairings.append(Pairing(found, of))
            return
        missing = "forward tensor" if of is None else "gradient"
        note = f"gradcheck.pair: the {missing} took no part in what was recorded"
        if note not in self.recording.notes:
            self.recording.notes.append(note)
