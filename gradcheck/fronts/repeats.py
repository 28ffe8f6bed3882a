"""Recognises when the program does the same over and over: names are then followed no longer.

Following names line by line costs as much as recording, and a sampling loop binds the same names a thousand times.
"""

from gradcheck.fronts.tape import Op

_OFTEN = 8  # a place in the source that has made so many calls is old
_IN_A_ROW = 100


class Repeats:
    def __init__(self) -> None:
        self.on = False
        self._calls: dict[tuple[int, int], int] = {}  # by place; the ops on the tape keep its code alive
        self._old_in_a_row = 0

    def is_old(self, op: Op) -> bool:
        place = id(op.code), op.lasti
        calls = self._calls[place] = self._calls.get(place, 0) + 1
        old = calls > _OFTEN
        self._old_in_a_row = self._old_in_a_row + 1 if old else 0
        return old

    def is_repetitive(self, op: Op) -> bool:
        """Whether many calls in a row have been made from old places."""
        return self.is_old(op) and self._old_in_a_row > _IN_A_ROW
