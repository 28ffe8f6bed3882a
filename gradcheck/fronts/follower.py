"""Follows the person's code while it runs: whose frame makes a call, what its names hold, when its loops report.

Following costs as much as recording. So frames are traced and loops report only near operations on arrays: each one
turns it on, and a long time without one turns it off.
"""

import sys
from types import CodeType, FrameType

from gradcheck.fronts.bindings import Bindings
from gradcheck.fronts.loop_runs import LoopRuns
from gradcheck.fronts.names import NameTracer
from gradcheck.fronts.repeats import Repeats
from gradcheck.fronts.state import State
from gradcheck.fronts.tape import Op
from gradcheck.program.source import SourceMap


class Follower:
    def __init__(self, state: State, sources: SourceMap, bindings: Bindings, runs: LoopRuns) -> None:
        self.runs = runs
        self.tracer = NameTracer(sources, state, bindings, self._lost_interest)
        self.repeats = Repeats()
        self.awake_since = 0  # ops on the tape when loops began to report again
        self._state = state
        self._ops = state.recording.ops
        self._sources = sources
        # By identity, because a code's hash reads all of it.
        self._is_user_code: dict[int, tuple[CodeType, bool]] = {}
        state.when_ended_early.append(self.tracer.sleep)

    def user_frame(self, frame: FrameType | None) -> FrameType | None:
        """The nearest frame of the person's code, from `frame` outwards."""
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

    def caller(self) -> FrameType | None:
        return self.user_frame(sys._getframe(1))

    def is_user(self, code: CodeType) -> bool:
        return self._sources.is_user(code.co_filename)

    def called(self, op: Op, frame: FrameType) -> None:
        """`frame` has made the call `op`."""
        tracer, repeats = self.tracer, self.repeats
        if self._state.attention and tracer.awake:
            tracer.idle = 0
            if repeats.on and repeats.is_repetitive(op):
                tracer.sleep()
        elif repeats.on and repeats.is_old(op):
            self._attend()
        else:
            self.wake(frame)
        watched = tracer.frames.get(id(frame))
        # The usual case of `scope_of`, in place: a call by a frame that is watched.
        if watched is not None and watched.code is frame.f_code:
            op.scope = watched.scope
        else:
            op.scope = tracer.scope_of(frame)

    def put(self, op: Op, frame: FrameType | None) -> None:
        """Write an op that is no call of the person's; `frame` is where it happens, unless that is known."""
        self._ops.append(op)
        if frame is not None:
            self.wake(frame)
            op.scope = self.tracer.scope_of(frame)

    def wake(self, frame: FrameType) -> None:
        if self._state.paused:
            return  # since a moment ago
        self._attend()
        if self._state.on:
            self.tracer.wake(frame)

    def listen(self) -> None:
        """Nothing is recorded, but loops report again."""
        self._state.attention = True
        self._attended_since(len(self._ops))

    def stop_listening(self) -> None:
        """Long without an op: loops run at their own speed again."""
        self._state.attention = False
        self.runs.lost_attention()

    def _attend(self) -> None:
        state = self._state
        if not state.attention and not state.paused:
            self._attended_since(max(0, len(self._ops) - 1))
            state.attention = state.on or state.ended_early

    def _attended_since(self, when: int) -> None:
        self.awake_since = when
        self.runs.gained_attention(when)

    def _lost_interest(self) -> None:
        """The person's lines have run for long without an op. A loop around the training must still report, because it
        would train once more."""
        state = self._state
        if state.recording.aftermath_cut is not None and state.loops_to_leave:
            state.attention = True
        else:
            self.stop_listening()
