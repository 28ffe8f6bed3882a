"""The one way to say that a program, or an argument, cannot be used."""

from __future__ import annotations

from gradcheck.base.codec import checked_text


class ProgramError(Exception):
    """One clear line, what may help, and the person's own line where there is one.

    Printed as `error: message`, then the excerpt, then `help: hint`; never with a traceback of ours.
    """

    def __init__(self, message: str, hint: str = "", excerpt: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.excerpt = excerpt

    def to_dict(self) -> dict[str, str]:
        return {"message": self.message, "hint": self.hint, "excerpt": self.excerpt}

    @staticmethod
    def from_dict(data: dict[str, str]) -> ProgramError:
        """Raises TypeError or KeyError for what is none."""
        return ProgramError(*(checked_text(data[name]) for name in ("message", "hint", "excerpt")))


class NothingFoundError(ProgramError):
    """The program ran, as far as it went, and no backward pass was in what it did: it may define layers."""


class RaisedFirstError(NothingFoundError):
    """It raised before that: what else it defines is judged, and the report says so."""
