"""Whether anything is recorded at the moment, and what happens when our own code fails."""

from collections.abc import Callable

from gradcheck.fronts.tape import Recording
from gradcheck.fronts.unrecorded import Unrecorded


class State:
    """`attention`: loops report their iterations. `loops_to_leave`: a loop around the training has to be left."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.unrecorded = Unrecorded()
        self.guard = Guard(self)
        self.on = False  # from the start of the recording to its end
        self.paused = False  # between two recorded steps, or after the last one
        self.between_steps = False  # so that calls are not even seen
        self.ended_early = False
        self.attention = False
        self.loops_to_leave = False
        self.when_ended_early: list[Callable[[], None]] = []

    @property
    def records(self) -> bool:
        return self.on and not self.paused and not self.unrecorded.level

    @property
    def goes_on(self) -> bool:
        """Whether what happens in the program's steps is on the tape or soon will be."""
        return not self.paused and not self.ended_early

    def failed(self, error: Exception) -> None:
        """An error of ours must never reach the person's program: it runs on, unrecorded."""
        if self.ended_early:
            self.attention = False  # not even loops can be followed
        else:
            self.end_early(
                f"recording ended early, after {len(self.recording.ops):,} tensor operations, by an error inside "
                f"gradcheck: {type(error).__name__}: {error}"
            )

    def end_early(self, note: str) -> None:
        """What is on the tape counts. Training loops must still be left, or the program runs for hours."""
        self.on = False
        self.ended_early = True
        self.attention = True
        self.recording.notes.append(note)
        for react in self.when_ended_early:
            react()


class Guard:
    """`with guard:` keeps an error of our own code from the person's program."""

    __slots__ = ("_state",)

    def __init__(self, state: State) -> None:
        self._state = state

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        if isinstance(error, Exception):
            self._state.failed(error)
            return True
        return False
