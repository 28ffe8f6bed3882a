"""Follows the runs of the person's loops after the training: which runs inside which, and how each of them ended.

A sampler whose network never draws the end of a word would run for ever. A `while` loop that counts nothing and draws
from a distribution exactly once in each of very many iterations is left.

Loops report their iterations only while the recorder pays attention, so a run may be met late, at the end of one of its
iterations: then it is the parent of the runs that were met since. One that is not heard of for a while may have ended.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gradcheck.fronts.tape import LoopRun, Recording
from gradcheck.program.loops import LoopSite
from gradcheck.program.observer import LoopEnd

ENDLESS_DRAWS = 2_000  # in a row: many times as many as the longest word, name or line has tokens
_ENDLESS_RUNS = 3  # in a row: the next one will be endless too, and so the loop around them is left
_DRAWS_OF_MORE = 100  # of a run that follows these, where there is no loop around them that is followed
_MOST_EVENTS = 200_000


@dataclass(slots=True, eq=False)
class _Running:
    """A run that has not ended, as far as is known."""

    run: LoopRun
    heard: int = 0  # ops on the tape when attention was lost
    seen: bool = False  # whether the current iteration was followed from its beginning
    draws: int = 0  # in the current iteration, and in no loop inside it
    drew: bool = False  # ever
    steady: bool = True  # every iteration that was followed drew exactly once
    steady_turns: int = 0
    endless: bool = False
    endless_inside: int = 0  # runs inside it in a row


class LoopRuns:
    """`sites` are the loops of the program; `place` says where in the person's source one stands."""

    def __init__(self, recording: Recording, sites: Mapping[int, LoopSite]) -> None:
        self._recording = recording
        self._sites = sites
        self.on = False
        self.writes = False  # whether what is met is put on the tape
        self._begin = 0
        self._since = 0  # when loops began to report their iterations again
        self._stack: list[_Running] = []
        self._unheard: dict[int, _Running] = {}  # by activation: they were running when attention was lost
        self._orphans: list[_Running] = []  # runs met since then that run inside none that is known
        self._endless_at: dict[int, int] = {}  # runs of each loop in a row
        self._events = 0
        self._then = 0  # ops on the tape at the end of the last iteration
        self.idle = 0  # iterations since the last op, or the last draw

    def start(self) -> None:
        self.clear()
        self.on = self.writes = True
        self._begin = self._since = self._now

    def cancel(self) -> None:
        self.on = self.writes = False
        self.clear()
        self._recording.loop_runs.clear()

    def clear(self) -> None:
        """No loop is running."""
        for running in self._stack:
            self._close(running.run, None)
        for running in self._unheard.values():
            running.run.end = running.heard
        self._stack.clear()
        self._unheard.clear()
        self._orphans.clear()

    def lost_attention(self) -> None:
        for running in self._stack:
            running.heard = self._now
            self._unheard[running.run.activation] = running
        self._stack.clear()
        self._orphans.clear()

    def gained_attention(self, since: int) -> None:
        self._since = max(since, self._begin)

    def dropped(self, first_op: int) -> None:
        """The tape now ends there."""
        runs = self._recording.loop_runs
        runs[:] = [run for run in runs if run.begin < first_op or run.end is None]
        for run in runs:
            run.begin = min(run.begin, first_op)
            run.end = None if run.end is None else min(run.end, first_op)
            while run.iterations and run.iterations[-1] > first_op:
                run.iterations.pop()

    # -- what happens ----------------------------------------------------------------------------------------

    def drew(self) -> None:
        self.idle = 0
        if self._stack:
            self._stack[-1].draws += 1
            self._stack[-1].drew = True

    def started(self, loop: int, activation: int, index: int) -> None:
        running = self._reached(activation)
        if running is None:
            running = self._meet(loop, activation, self._now, index == 0)
            running.run.parent = self._stack[-1].run if self._stack else None
            if not self._stack:
                self._orphans.append(running)
            self._stack.append(running)
        running.seen = True
        running.draws = 0
        running.run.turns = index + 1
        self._events += 1
        if self.writes and self._events < _MOST_EVENTS:
            running.run.iterations.append(self._now)

    def finished(self, loop: int, activation: int, index: int) -> bool:
        """Whether the loop should be left."""
        self.idle = self.idle + 1 if self._now == self._then else 0
        self._then = self._now
        running = self._reached(activation) or self._met_late(loop, activation)
        run = running.run
        run.turns = max(run.turns, index + 1)
        if running.seen:
            running.steady = running.steady and running.draws == 1
            running.steady_turns += 1
        running.seen = False
        site = run.site
        if site.is_while and not site.is_bounded and running.steady:
            often = self._endless_at.get(site.loop, 0) >= _ENDLESS_RUNS
            running.endless = running.steady_turns >= (_DRAWS_OF_MORE if often else ENDLESS_DRAWS)
        if running.endless_inside >= _ENDLESS_RUNS:
            running.endless = True
        return running.endless

    def ended(self, activation: int, how: LoopEnd) -> LoopRun | None:
        """The run, if it was left because it had no end."""
        running = self._reached(activation)
        if running is None:
            return None
        self._stack.pop()
        self._close(running.run, how)
        if running.drew:
            loop = running.run.site.loop
            self._endless_at[loop] = self._endless_at.get(loop, 0) + 1 if running.endless else 0
        if self._stack:
            _count(self._stack[-1], running)
        return running.run if running.endless else None

    # -- which runs inside which -----------------------------------------------------------------------------

    @property
    def _now(self) -> int:
        return len(self._recording.ops)

    def _reached(self, activation: int) -> _Running | None:
        """The run, now the innermost one: those that seemed to run inside it have ended."""
        for position in range(len(self._stack) - 1, -1, -1):
            if self._stack[position].run.activation == activation:
                for inner in self._stack[position + 1 :]:
                    self._close(inner.run, None)
                del self._stack[position + 1 :]
                return self._stack[position]
        running = self._unheard.pop(activation, None)
        if running is not None:
            running.seen = False
            self._adopt(running)
        return running

    def _met_late(self, loop: int, activation: int) -> _Running:
        running = self._meet(loop, activation, self._since, False)
        self._adopt(running)
        return running

    def _adopt(self, parent: _Running) -> None:
        """`parent` has been running since before all that were met since attention was gained."""
        for inner in self._stack:
            self._close(inner.run, None)
        for orphan in self._orphans:
            if orphan.run.parent is None and orphan.run.begin >= self._since:
                orphan.run.parent = parent.run
            if orphan.run.parent is parent.run:
                _count(parent, orphan)
        for activation, other in list(self._unheard.items()):
            if other.run.runs_inside(parent.run):  # it would have been heard of first
                other.run.end = other.heard
                del self._unheard[activation]
        self._orphans = [parent]
        self._stack = [parent]

    def _meet(self, loop: int, activation: int, begin: int, whole: bool) -> _Running:
        run = LoopRun(self._sites[loop], activation, begin, whole=whole)
        self._events += 1
        if self.writes and self._events < _MOST_EVENTS:
            self._recording.loop_runs.append(run)
        return _Running(run)

    def _close(self, run: LoopRun, how: LoopEnd | None) -> None:
        run.end, run.how = self._now, how


def _count(parent: _Running, inner: _Running) -> None:
    """An inner run has ended: how many in a row had no end?"""
    if inner.endless:
        parent.endless_inside += 1
    elif inner.drew:
        parent.endless_inside = 0
