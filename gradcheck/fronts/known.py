"""Which value of the tape an array of the program is: found by identity, for as long as the array lives."""

import weakref
from abc import ABC, abstractmethod
from typing import Any

from gradcheck.fronts.tape import Op, Value


class KnownValues(ABC):
    """Nothing here keeps an array alive. By id with a check of the object: arrays compare element by element, so they
    cannot be keys. A front end adds what it keeps of its arrays: the leaves, as they were when they were first met."""

    def __init__(self) -> None:
        self.known: dict[int, tuple[weakref.ref[Any], Value]] = {}
        self._earlier: dict[int, tuple[weakref.ref[Any], Value]] = {}

    def known_value(self, thing: object) -> Value | None:
        entry = self.known.get(id(thing))
        return entry[1] if entry is not None and entry[0]() is thing else None

    def earlier_value(self, thing: object) -> Value | None:
        """What it was before the aftermath."""
        entry = self._earlier.get(id(thing))
        return entry[1] if entry is not None and entry[0]() is thing else None

    def remember(self, array: Any, value: Value) -> None:
        self.known[id(array)] = (weakref.ref(array), value)

    def forget(self) -> None:
        """Whatever exists now is a leaf of what follows."""
        self.known.clear()

    def begin_again(self) -> None:
        """Whatever exists now is a leaf of what follows, and it is known what it was before."""
        self._earlier = dict(self.known)
        self.forget()

    @abstractmethod
    def new_value(self, array: Any, op: Op | None) -> Value:
        """A value for an array that has none, made by `op`."""

    @abstractmethod
    def loop_began(self) -> None:
        """A loop begins that is in no other."""

    @abstractmethod
    def settle(self, start: int) -> None:
        """The ops before `start` only prepared the step that began there: make leaves of what it starts from."""

    @abstractmethod
    def secure(self) -> None:
        """Calls are no longer seen: copy the leaves that the program may change."""

    @abstractmethod
    def drop_changed(self) -> int:
        """Calls are seen again: give up the leaves that were changed. How many they are."""

    @abstractmethod
    def keep_for_good(self) -> None:
        """Nothing is seen from now on: copy every leaf."""

    @abstractmethod
    def holds_more_than(self, most_bytes: int) -> bool:
        """Whether the leaves met since `begin_again` hold more memory that the program has given up."""

    @abstractmethod
    def count_no_more(self) -> None:
        """What leaves hold does not matter any more."""
