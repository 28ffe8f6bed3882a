"""The outcomes of an experiment as lines of a file, written as they come, so that it can go on where it was left."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from gradcheck.base.codec import decode, encode
from gradcheck.base.ours import JOURNAL
from gradcheck.isolation.tasks import Outcome, Survey, Task
from gradcheck.program.errors import ProgramError

_FORMAT = 1


def fingerprint(survey: Survey, task: Task) -> str:
    """Of all that an outcome depends on but the task itself: the person's sources, and how they are run."""
    parts = _FORMAT, sorted(survey.sources.items()), encode(task.session)
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


class Journal:
    """To be used as a context. The first line says what it is, and holds the fingerprint."""

    def __init__(self, path: Path, print_of: str) -> None:
        self.path = path
        self._print = print_of
        self._file: IO[str] | None = None
        self._kept: dict[str, Any] = {}

    def read(self) -> str:
        """Takes over what the file holds; empty if that could be done, otherwise why not."""
        try:
            text = self.path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return f"there is no `{self.path}` to resume from"
        except (OSError, UnicodeDecodeError) as error:
            return f"`{self.path}` cannot be read: {error}"
        lines = list(_objects(text))
        if not lines or lines[0].get(JOURNAL) != self._print:
            return f"`{self.path}` belongs to another program, or to other options"
        self._kept = {
            line["key"]: line["outcome"]
            for line in lines[1:]
            if isinstance(line.get("key"), str) and "outcome" in line
        }
        return ""

    def known(self, tasks: Sequence[Task]) -> dict[int, Outcome]:
        """By the index of the task. What failed is tried again."""
        found = {}
        for number, task in enumerate(tasks):
            line = self._kept.get(task.key)
            with suppress(TypeError, ValueError):  # a damaged line: it is trained again
                if line is not None and not (outcome := decode(Outcome, line)).error:
                    found[number] = outcome
        return found

    def __enter__(self) -> Journal:
        """Raises ProgramError if the file cannot be written."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self.path.open("w", encoding="utf-8")
            self._line({JOURNAL: self._print})
            for key, outcome in self._kept.items():
                self._line({"key": key, "outcome": outcome})
        except OSError as error:
            raise ProgramError(f"`{self.path}` cannot be written: {error.strerror}") from None
        return self

    def __exit__(self, *exception: object) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, task: Task, outcome: Outcome) -> None:
        self._line({"key": task.key, "outcome": encode(outcome)})

    def _line(self, data: Mapping[str, Any]) -> None:
        assert self._file is not None
        self._file.write(json.dumps(data) + "\n")
        self._file.flush()


def _objects(text: str) -> Iterable[dict[str, Any]]:
    for line in text.split("\n"):
        try:
            found = json.loads(line)
        except ValueError:  # the last one, where writing it was interrupted
            continue
        if isinstance(found, dict):
            yield found
