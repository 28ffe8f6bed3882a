"""Warnings that a library raises in a recorded call are reported at the person's line, as in a bare run.

It names the innermost Python line, and while a call is recorded that is a line of ours. Such a warning is raised
again at the person's line, with the registry of the person's module, so that it is shown as often as it would be.
"""

import sys
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any, TextIO

_Show = Callable[..., Any]


class WarningPlaces:
    """`own` are the globals of the modules that make the person's calls; `user_frame` finds the person's frame."""

    def __init__(
        self, user_frame: Callable[[FrameType | None], FrameType | None], *own: dict[str, Any]
    ) -> None:
        self._user_frame = user_frame
        self._own = {names.get("__file__"): names for names in own}
        self._original: _Show | None = None

    def install(self) -> None:
        self._original = warnings.showwarning
        warnings.showwarning = self._show

    def remove(self) -> None:
        if self._original is not None and warnings.showwarning == self._show:
            warnings.showwarning = self._original
        self._original = None

    def _show(
        self, message: Warning | str, category: type[Warning], filename: str, lineno: int,
        file: TextIO | None = None, line: str | None = None,
    ) -> None:  # fmt: skip
        show = self._original or warnings.showwarning
        if filename not in self._own:
            show(message, category, filename, lineno, file, line)
            return
        # Or each would be reported once for all lines of the person's.
        self._own[filename].pop("__warningregistry__", None)
        frame = self._user_frame(sys._getframe(1))
        if frame is None:
            show(message, category, filename, lineno, file, line)
            return
        names = frame.f_globals
        warnings.warn_explicit(
            message,
            category,
            frame.f_code.co_filename,
            frame.f_lineno,
            names.get("__name__") or "<unknown>",
            names.setdefault("__warningregistry__", {}),
        )
