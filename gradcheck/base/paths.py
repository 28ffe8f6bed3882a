"""Attributes of records, named by text: `location.line`."""

from typing import Any


def at(record: object, path: str) -> Any:
    """None where a part of the path is None."""
    found: Any = record
    for part in path.split("."):
        found = None if found is None else getattr(found, part)
    return found


def picked(record: object, fields: str, **more: Any) -> dict[str, Any]:
    """`fields` are names of attributes, or `name=path`, with spaces between them; `more` is added as it is."""
    pairs = (field.partition("=") for field in fields.split())
    return {name: at(record, path or name) for name, _, path in pairs} | more
