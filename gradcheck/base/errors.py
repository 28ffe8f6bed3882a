"""What the Python API raises, and the error for a fault of gradcheck itself. Imports no torch."""


class GradcheckError(Exception):
    """Whatever gradcheck itself raises through its Python API."""


class WatchError(GradcheckError, RuntimeError):
    """A watch that cannot begin, or is asked for its report too early."""


class NothingToCheckError(GradcheckError):
    """No manual gradient was found in what was watched; the message says why, if that is known."""


class GradientError(GradcheckError, AssertionError):
    """Gradients are wrong: the message is the report's findings, with excerpt and caret."""


for _error in (GradcheckError, WatchError, NothingToCheckError, GradientError):
    _error.__module__ = "gradcheck"  # the name a person imports them by, and reads above a traceback


class InternalError(Exception):
    """A bug of gradcheck, never of the person's program."""

    def __init__(self, summary: str, traceback: str) -> None:
        super().__init__(summary, traceback)
        self.summary = summary
        self.traceback = traceback


def internal_error(error: BaseException, traceback: str) -> dict[str, str]:
    return {"summary": f"{type(error).__name__}: {error}".strip(": "), "traceback": traceback}
