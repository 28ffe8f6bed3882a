"""What parent and child leave for each other in their folder."""

from __future__ import annotations

OPTIONS = "options.json"
RESULT = "result.json"  # {"report": ...}, {"error": ...} or {"internal": ...}
PROGRESS = "progress.txt"
STDOUT = "stdout.txt"
STDERR = "stderr.txt"


class InternalError(Exception):
    """A fault of ours, never of the person's program."""

    def __init__(self, summary: str, traceback: str) -> None:
        super().__init__(summary)
        self.summary = summary
        self.traceback = traceback


def internal_error(error: BaseException, traceback: str) -> dict[str, str]:
    return {"summary": f"{type(error).__name__}: {error}".strip(": "), "traceback": traceback}
