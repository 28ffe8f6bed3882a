"""What workers found, as text on its way to the parent: JSON, of which nothing is taken for granted.

A pickled object would be made again by code of its own, and a program is free to hand over what it likes.
"""

from __future__ import annotations

import json
from typing import Any

from gradcheck.base.codec import decode, encode
from gradcheck.isolation.tasks import Outcome, Survey
from gradcheck.program.errors import ProgramError

_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, RecursionError)


def outcomes_as_text(outcomes: list[tuple[int, Outcome]]) -> str:
    return json.dumps([[number, encode(outcome)] for number, outcome in outcomes])


def outcomes_from_text(text: str) -> list[tuple[int, Outcome]]:
    try:
        return [(int(number), decode(Outcome, row)) for number, row in _loaded(text)]
    except _MALFORMED as error:
        raise _unreadable(error) from None


def survey_as_text(survey: Survey) -> str:
    return json.dumps(encode(survey))


def survey_from_text(text: str) -> Survey:
    try:
        return decode(Survey, _loaded(text))
    except _MALFORMED as error:
        raise _unreadable(error) from None


def _loaded(text: Any) -> Any:
    if type(text) is not str:
        raise TypeError(f"text expected, not {type(text).__name__}")
    return json.loads(text)


def _unreadable(error: Exception) -> ProgramError:
    return ProgramError(f"what a worker process sent cannot be read: {type(error).__name__}: {error}")
