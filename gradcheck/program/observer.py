"""What the program stage reports to an observer of the run. The front end implements it."""

from collections.abc import Callable
from enum import StrEnum
from types import FrameType
from typing import Protocol

from gradcheck.program.source import SourceUnit


class LoopEnd(StrEnum):
    """How a run of a loop ended."""

    EXHAUSTED = "exhausted"  # a `for` loop ran out
    CONDITION = "condition"  # that of a `while` was false
    BROKEN = "broken"  # `break` or `return`; of a `for` loop also an exception
    RAISED = "raised"  # an exception went through a `while`
    LEFT = "left"  # the observer asked for it


class Observer(Protocol):
    """Called by the runner while the person's code runs, in the thread and process that runs it."""

    # Set before the run: how many iterations a run of a loop (an `activation`) has left, where that is known.
    iterations_left: Callable[[int], int | None]

    @property
    def attention(self) -> bool:
        """Whether loops report their iterations. A loop reads it twice per iteration, which is all a loop costs while it
        is False. Switched on inside an iteration, it makes that iteration report its end although it did not report its
        beginning."""

    def start(self) -> None:
        """The first unit is about to run."""

    def stop(self) -> None:
        """The last unit has ended, however it ended. Called once; must be idempotent."""

    def unit_started(self, unit: SourceUnit) -> None:
        """A cell (or the script) is about to run."""

    def unit_finished(self, unit: SourceUnit, namespace: dict[str, object]) -> None:
        """A cell (or the script) has ended; `namespace` is the program's `__main__` namespace."""

    def iteration_started(self, loop: int, activation: int, index: int, frame: FrameType) -> None:
        """Iteration `index` (from 0) of loop statement `loop` begins. `activation` distinguishes runs of the
        same loop; `frame` is the frame that holds the loop."""

    def iteration_finished(self, loop: int, activation: int, index: int, frame: FrameType) -> bool:
        """The iteration has ended. True: the loop is to end now, as if its iterator were exhausted."""
        ...

    def loop_ended(self, loop: int, activation: int, how: LoopEnd) -> None:
        """That run of the loop has ended, after the end of its last iteration was reported. May be left out for a loop of
        which no iteration was reported."""
