"""Where our own code runs in the midst of the program."""

from gradcheck.fronts.names import NameTracer
from gradcheck.fronts.state import Guard, State


class OwnCode(Guard):
    """`with own_code:` is not traced, not recorded, and keeps its errors from the program. Cannot be nested."""

    __slots__ = ("_tracer",)

    def __init__(self, state: State, tracer: NameTracer) -> None:
        super().__init__(state)
        self._tracer = tracer

    def __enter__(self) -> None:
        self._tracer.hold()
        self._state.unrecorded.level += 1

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        self._state.unrecorded.level -= 1
        try:
            return super().__exit__(kind, error, trace)
        finally:
            self._tracer.go_on()
