"""What keeps a step from being trained again."""

from __future__ import annotations


class CannotIsolateError(Exception):
    """The recorded step cannot be run in a loop; the message says why."""
