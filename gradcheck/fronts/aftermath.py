"""What the program does once the training steps asked for are on the tape: it calibrates, evaluates, samples.

It is recorded as well, for a while, and then the program runs on at its own speed. Where the rest of the program can
compute no gradients, its ops stand apart on the tape: no backward pass is looked for among them.
"""

from __future__ import annotations

from types import FrameType
from typing import Protocol

from gradcheck.fronts.loop_runs import LoopRuns
from gradcheck.fronts.reach import Reach
from gradcheck.fronts.tape import LoopRun, Mark, Recording
from gradcheck.program.loops import LoopSite
from gradcheck.program.observer import LoopEnd
from gradcheck.program.source import SourceMap

_IDLE_ITERATIONS = 1_000  # without an op or, while nothing is recorded, a draw: loops need not be followed


class Tape(Protocol):
    recording: Recording
    paused: bool
    attention: bool

    def rest(self, attention: bool) -> None: ...
    def listen(self) -> None: ...
    def doze(self) -> None: ...
    def stand_apart(self, frame: FrameType) -> None: ...


class Aftermath:
    def __init__(self, tape: Tape, sources: SourceMap, reach: Reach) -> None:
        self._tape = tape
        self._sources = sources
        self._reach = reach
        self._around = False  # whether loops around the training are still to be left
        self.runs = LoopRuns(tape.recording, sources.loops.sites)
        self.apart = False

    @property
    def on(self) -> bool:
        return self.runs.on

    @property
    def must_listen(self) -> bool:
        """Whether a loop around the training is still to be left: unheard, it would train once more."""
        return self.apart and self._around

    def begin(self, frame: FrameType) -> None:
        """All that was wanted is on the tape; the loop at whose header `frame` stands is left."""
        self.cancel()
        recording = self._tape.recording
        self.apart = not self._reach.gradients_after(frame)
        if self.apart:
            recording.aftermath_cut = recording.lengths()
            self._around = self._reach.inside_loop(frame)
            self._tape.stand_apart(frame)
        recording.marks.append(Mark(len(recording.ops), "aftermath", 0))
        self.runs.start()

    def cancel(self) -> None:
        """Another step is to be recorded."""
        if self.on:
            recording = self._tape.recording
            recording.marks[:] = [mark for mark in recording.marks if mark.what != "aftermath"]
            recording.aftermath_cut = None
            self.apart = False
            self.runs.cancel()

    def spent(self) -> None:
        """Enough is on the tape: the program runs on by itself."""
        self.runs.writes = False
        self._rest(self._around)

    def loop_left(self, frame: FrameType) -> None:
        """A loop around the training."""
        self._around = self._reach.inside_loop(frame)
        if self._tape.paused:
            self._rest(self._around)

    def finished(self, loop: int, activation: int, index: int) -> bool:
        """Whether the loop has no end, and is to be left."""
        endless = self.runs.finished(loop, activation, index)
        if self.runs.idle > _IDLE_ITERATIONS and self.apart and not self._around:
            if self._tape.paused:
                self._rest(False)
            else:
                self._tape.doze()
        return endless

    def ended(self, activation: int, how: LoopEnd) -> None:
        run = self.runs.ended(activation, how)
        if run is not None and how is LoopEnd.LEFT:
            self._tape.recording.notes.append(self._note(run))

    def drew(self) -> None:
        """From a distribution over categories."""
        if not self.on:
            return
        if self._tape.paused and not self._tape.attention:
            self._tape.listen()
        self.runs.drew()

    def _rest(self, attention: bool) -> None:
        self._tape.rest(attention)
        if not attention:
            self.runs.lost_attention()

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
