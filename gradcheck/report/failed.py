"""What stands in the place of a report on a target that could not be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gradcheck.base.version import __version__
from gradcheck.program.errors import ProgramError


@dataclass(frozen=True, slots=True)
class FailedTarget:
    target: str
    error: ProgramError

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": 1,
            "version": __version__,
            "target": self.target,
            "exit_status": 2,
            "error": self.error.to_dict(),
        }
