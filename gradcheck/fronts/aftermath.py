"""What the program does once the training steps asked for are on the tape: it calibrates, evaluates, samples.

It is recorded as well, for a while, and then the program runs on at its own speed. Where the rest of the program can
compute no gradients, its ops stand apart on the tape: no backward pass is looked for among them.
"""

from types import FrameType

from gradcheck.fronts.control import Control
from gradcheck.fronts.reach import Reach
from gradcheck.fronts.tape import LoopRun, Mark
from gradcheck.program.loops import LoopSite
from gradcheck.program.observer import LoopEnd
from gradcheck.program.source import SourceMap

_IDLE_ITERATIONS = 1_000  # without an op or, while nothing is recorded, a draw: loops need not be followed


class Aftermath:
    def __init__(self, control: Control, sources: SourceMap, reach: Reach) -> None:
        self._control = control
        self._state = control.state
        self._recording = control.recording
        self._sources = sources
        self._reach = reach
        self.runs = control.follower.runs

    @property
    def on(self) -> bool:
        return self.runs.on

    @property
    def apart(self) -> bool:
        return self._control.apart

    def begin(self, frame: FrameType) -> None:
        """All that was wanted is on the tape; the loop at whose header `frame` stands is left."""
        self.cancel()
        recording = self._recording
        if not self._reach.gradients_after(frame):
            recording.aftermath_cut = recording.lengths()
            self._state.loops_to_leave = self._reach.inside_loop(frame)
            self._control.stand_apart(frame)
        recording.marks.append(Mark(len(recording.ops), "aftermath", 0))
        self.runs.start()

    def cancel(self) -> None:
        """Another step is to be recorded."""
        if self.on:
            recording = self._recording
            recording.marks[:] = [mark for mark in recording.marks if mark.what != "aftermath"]
            recording.aftermath_cut = None
            self.runs.cancel()

    def loop_left(self, frame: FrameType) -> None:
        """A loop around the training."""
        self._state.loops_to_leave = self._reach.inside_loop(frame)
        if self._state.paused:
            self._control.rest()

    def finished(self, loop: int, activation: int, index: int) -> bool:
        """Whether the loop has no end, and should be left."""
        endless = self.runs.finished(loop, activation, index)
        if self.runs.idle > _IDLE_ITERATIONS and self.apart and not self._state.loops_to_leave:
            if self._state.paused:
                self._control.rest()
            else:
                self._control.follower.stop_listening()
        return endless

    def ended(self, activation: int, how: LoopEnd) -> None:
        run = self.runs.ended(activation, how)
        if run is not None and how is LoopEnd.LEFT:
            self._recording.notes.append(self._note(run))

    def _note(self, run: LoopRun) -> str:
        place = _place(run.site, self._sources)
        if run.site.is_while and not run.site.is_bounded:
            return (
                f"{place} was left after {run.turns:,} iterations: it drew a sample in each, and did not end"
            )
        return f"{place} was left after {run.turns:,} iterations: in the last of them samples did not end"


def _place(site: LoopSite, sources: SourceMap) -> str:
    unit = sources.unit(site.filename)
    where = "" if unit is None else f"{unit.file} " if unit.cell is None else f"cell {unit.cell} "
    return f"the loop in {where}line {site.line}"
