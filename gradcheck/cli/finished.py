"""`--resume`: reports that are finished are kept, and used again where nothing that they were made from has changed."""

import hashlib
import json
import os
import sys
from collections.abc import Callable
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
from gradcheck.program.own_files import own_files
from gradcheck.report.model import Report

FOLDER = Path("reports/finished")
_MADE_FROM = "made_from"


class Finished:
    """A JSON report for each target, with what it was made from."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder
        self.used: list[str] = []
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ProgramError(f"--resume: `{folder}` cannot be written: {error.strerror}") from None

    def result(self, session: SessionOptions, make: Callable[[], ChildResult]) -> ChildResult:
        """The kept one, or else the one that `make` makes; kept under what the files held before."""
        try:
            made_from = _made_from(session)
        except (ProgramError, OSError):
            return make()
        file = self._file(session)
        kept = _read(file, made_from)
        if kept is not None:
            self.used.append(session.target)
            return kept
        result = make()
        if result.report.program.stopped:
            return result
        with suppress(OSError):  # then it is made again
            if may_be_replaced(file):
                made = {"seconds": result.seconds, _MADE_FROM: made_from}
                file.write_text(json_text({**result.report.to_dict(), **made}), encoding="utf-8")
        return result

    def in_words(self, targets: int) -> str:
        return f"--resume: {len(self.used)} of {numbers.count(targets, 'report')} had been made before, from the same program"

    def _file(self, session: SessionOptions) -> Path:
        name = "".join(c if c.isalnum() else "-" for c in Path(session.target).stem)[:60]
        mark = hashlib.sha256(session.target.encode(errors="replace")).hexdigest()[:8]
        return self._folder / f"{name}-{mark}.json"


def _read(file: Path, made_from: dict[str, Any]) -> ChildResult | None:
    try:
        kept = json.loads(read_regular(str(file)))
        if kept[_MADE_FROM] != made_from:
            return None
        return ChildResult(Report.from_dict(kept), "", "", float(kept["seconds"]))
    except (OSError, ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
        return None


def _made_from(session: SessionOptions) -> dict[str, Any]:
    """Raises OSError or ProgramError where a file cannot be read."""
    files = [*map(str, own_files(session.target, session.cwd)), *session.data.values()]
    return {
        "gradcheck": __version__,
        "python": sys.version,
        "torch": metadata.version("torch"),
        "options": encode(session),
        "files": {
            file: hashlib.sha256(read_regular(os.path.realpath(file))).hexdigest() for file in sorted(files)
        },
    }
