"""`--resume`: reports that are finished are kept, and used again where nothing that they were made from has changed."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from importlib import metadata
from pathlib import Path
from typing import Any

from gradcheck.base import numbers
from gradcheck.base.codec import encode
from gradcheck.base.options import SessionOptions
from gradcheck.base.ours import may_be_replaced
from gradcheck.base.regular import read_regular
from gradcheck.base.version import __version__
from gradcheck.cli.output import json_text
from gradcheck.process.child import ChildResult
from gradcheck.program.errors import ProgramError
from gradcheck.program.target import parse_target
from gradcheck.report.model import Report

FOLDER = Path("reports/finished")
_MADE_FROM = "made_from"


class Finished:
    """A JSON report for each target, with what it was made from."""

    def __init__(self) -> None:
        self.used: list[str] = []
        try:
            FOLDER.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ProgramError(f"--resume: `{FOLDER}` cannot be written: {error.strerror}") from None

    def get(self, session: SessionOptions) -> ChildResult | None:
        try:
            kept = json.loads(read_regular(str(_file(session))))
            files = list(kept[_MADE_FROM]["files"])
            if kept[_MADE_FROM] != _made_from(session, files):
                return None
            result = ChildResult(Report.from_dict(kept), "", "", float(kept["seconds"]), tuple(files))
        except (OSError, ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
            return None
        self.used.append(session.target)
        return result

    def in_words(self, targets: int) -> str:
        return f"--resume: {len(self.used)} of {numbers.count(targets, 'report')} had been made before, from the same program"

    def keep(self, session: SessionOptions, result: ChildResult) -> None:
        file = _file(session)
        path = parse_target(session.target, session.cwd).path
        files = {*result.files, *([str(path)] if path else []), *session.data.values()}
        with suppress(OSError):  # then it is made again
            made_from = _made_from(session, files)
            if may_be_replaced(file):
                kept = {**result.report.to_dict(), "seconds": result.seconds, _MADE_FROM: made_from}
                file.write_text(json_text(kept), encoding="utf-8")


def _file(session: SessionOptions) -> Path:
    name = "".join(c if c.isalnum() else "-" for c in Path(session.target).stem)[:60]
    return FOLDER / f"{name}-{hashlib.sha256(session.target.encode(errors='replace')).hexdigest()[:8]}.json"


def _made_from(session: SessionOptions, files: Iterable[str]) -> dict[str, Any]:
    """Raises OSError for a file that is gone."""
    return {
        "gradcheck": __version__,
        "python": sys.version,
        "torch": metadata.version("torch"),
        "options": encode(session),
        "files": {
            file: hashlib.sha256(read_regular(os.path.realpath(file))).hexdigest() for file in sorted(files)
        },
    }
