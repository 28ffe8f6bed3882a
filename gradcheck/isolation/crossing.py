"""What workers found, as text on its way to the parent: JSON, of which nothing is taken for granted.

A pickled object would be made again by code of its own, and a program is free to hand over what it likes.
"""

import json
from typing import Any, TypeVar

from gradcheck.base.codec import decode, encode
from gradcheck.isolation.tasks import Done, Survey
from gradcheck.program.errors import ProgramError

Sent = TypeVar("Sent", Done, Survey)


def as_text(found: Done | Survey) -> str:
    return json.dumps(encode(found))


def from_text(kind: type[Sent], text: Any) -> Sent:
    try:
        if type(text) is not str:
            raise TypeError(f"text expected, not {type(text).__name__}")
        return decode(kind, json.loads(text))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        why = f"{type(error).__name__}: {error}"
        raise ProgramError(f"what a worker process sent cannot be read: {why}") from None
