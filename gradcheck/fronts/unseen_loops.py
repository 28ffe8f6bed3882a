"""Leaves training loops after recording has ended early: recognised by their source, and only after so many
iterations that no loop over layers or parameters is cut short."""

from types import FrameType

from gradcheck.fronts.reach import Reach

_UNSEEN_ITERATIONS = 100


class UnseenLoops:
    def __init__(self, reach: Reach) -> None:
        self._reach = reach
        self._iterations: dict[int, int] = {}  # per loop statement
        self._may_train: dict[int, bool] = {}
        self._left = 0  # loops so far
        self._left_before: dict[int, int] = {}  # when the iteration of an activation began

    def started(self, activation: int) -> None:
        self._left_before[activation] = self._left

    def finished(self, loop: int, activation: int, frame: FrameType) -> bool:
        """Whether the loop should be left."""
        if self._left > self._left_before.get(activation, 0):
            return True
        count = self._iterations[loop] = self._iterations.get(loop, 0) + 1
        if count < _UNSEEN_ITERATIONS:
            return False
        if loop not in self._may_train:
            self._may_train[loop] = self._reach.gradients_in_loop(frame)
        self._left += self._may_train[loop]
        return self._may_train[loop]
