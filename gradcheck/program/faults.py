"""An exception of the person's program, as they need to see it: at their own line, in one line."""

import re
import traceback as traceback_module
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType, TracebackType

from gradcheck.program.fault_hints import hint_for
from gradcheck.program.location import Location
from gradcheck.program.magics import SkippedLine
from gradcheck.program.outcome import Fault, MissingFile
from gradcheck.program.source import OURS, SourceMap, SourceUnit, is_library

_QUOTED = re.compile(r"name = '([^']+)'|'([^']+)'|^(\S+) not found")
_LONGEST_MESSAGE = 300


def describe(error: BaseException, unit: SourceUnit, sources: SourceMap) -> Fault:
    """The fault behind `error`, at the innermost line of the person's."""
    caller, location = _person_locations(error, sources)
    if isinstance(error, SyntaxError):  # where it is, and not the import that found it
        location = _syntax_location(error, sources) or location
    message = _one_line(error.msg if isinstance(error, SyntaxError) else _text(error))
    text = ""
    for candidate in sources.units.values():
        if location and (candidate.file, candidate.cell) == (location.file, location.cell):
            text = candidate.line_text(location.line).strip()
    hint = hint_for(error, message)
    if hint and isinstance(error, AttributeError):
        message = message.partition(". ")[0].rstrip(".")  # the rest is what the hint says
    return Fault(unit.cell, location, type(error).__name__, message, text, hint, caller)


def person_location(error: BaseException, sources: SourceMap) -> Location | None:
    """The innermost position in the person's code that `error` passed through."""
    return _person_locations(error, sources)[1]


def _person_locations(error: BaseException, sources: SourceMap) -> tuple[Location | None, Location | None]:
    """The outermost position in the person's code that `error` passed through, and the innermost."""
    own = [entry for entry in _entries(error.__traceback__) if sources.is_user(entry[0].co_filename)]
    return (position(*own[0], sources), position(*own[-1], sources)) if own else (None, None)


def frame_location(frame: FrameType | None, sources: SourceMap) -> Location | None:
    """Where the person's code is, seen from `frame`."""
    while frame is not None:
        if sources.is_user(frame.f_code.co_filename):
            return position(frame.f_code, frame.f_lasti, frame.f_lineno or 1, sources)
        frame = frame.f_back
    return None


def position(code: CodeType, lasti: int, line: int, sources: SourceMap) -> Location:
    """The span of the expression that was running, or of the line where that is not known."""
    spans = list(code.co_positions())
    index = lasti // 2
    start, end, column, end_column = spans[index] if 0 <= index < len(spans) else (None, None, None, None)
    if start is None or end is None or column is None or end_column is None:
        start, end, column, end_column = line, line, 0, 0
    return sources.location(code.co_filename, start, end, column, end_column)


def missing_file(
    error: BaseException, fault: Fault, skipped: list[SkippedLine], directory: Path
) -> MissingFile | None:
    """What a FileNotFoundError was looking for, and what supplies it."""
    if not isinstance(error, FileNotFoundError):
        return None
    name = str(error.filename) if error.filename is not None else _named_in(_text(error))
    if not name:
        return None
    base = Path(name).name
    hint = (
        f"`--cwd DIR` runs the program elsewhere than in {directory}, `--data {base}=PATH` supplies the file"
    )
    fetches = [line for line in skipped if base and base in line.text]
    if fetches:
        cell = f"cell {fetches[0].cell}, " if fetches[0].cell is not None else ""
        hint += f"; {cell}line {fetches[0].line} would have fetched it but is not run: `{fetches[0].text}`"
    return MissingFile(name, fault.location, hint)


def person_traceback(error: BaseException) -> str:
    """Python's own traceback of `error`, without the frames that are on the stack only because the run is watched."""
    strip_own_frames(error)
    return "".join(traceback_module.format_exception(error))


def strip_own_frames(error: BaseException) -> None:
    """`error` and what it came from, as if nobody had watched."""
    pending: list[BaseException | None] = [error]
    seen: set[int] = set()
    while pending:
        each = pending.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        each.__traceback__ = _bare(each.__traceback__)
        pending += [each.__cause__, each.__context__, *(getattr(each, "exceptions", None) or ())]


def _bare(entry: TracebackType | None) -> TracebackType | None:
    kept: list[TracebackType] = []
    while entry is not None:
        code = entry.tb_frame.f_code
        if not code.co_filename.startswith((OURS, "<frozen")):
            kept.append(entry)
        elif kept and kept[-1].tb_frame.f_code.co_name == "handle_torch_function":
            # A torch function written in Python is called a second time by the recorder: two frames more.
            kept.pop()
            if kept and is_library(kept[-1].tb_frame.f_code.co_filename):
                kept.pop()
        entry = entry.tb_next
    bare: TracebackType | None = None
    for one in reversed(kept):
        bare = TracebackType(bare, one.tb_frame, one.tb_lasti, one.tb_lineno)
    return bare


def _entries(entry: TracebackType | None) -> Iterator[tuple[CodeType, int, int]]:
    while entry is not None:
        yield entry.tb_frame.f_code, entry.tb_lasti, entry.tb_lineno
        entry = entry.tb_next


def _syntax_location(error: SyntaxError, sources: SourceMap) -> Location | None:
    filename = error.filename or ""
    if not filename or (filename not in sources.units and is_library(filename)):
        return None
    line, column = error.lineno or 1, max((error.offset or 1) - 1, 0)
    unit = sources.unit(filename)
    if unit is None:
        return None
    return Location(unit.file, unit.cell, line, line, column + 1, column + 2)


def _named_in(message: str) -> str:
    match = _QUOTED.search(message)
    return next((group for group in match.groups() if group), "") if match else ""


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException:  # a __str__ of the person's that raises
        return ""


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_MESSAGE else line[: _LONGEST_MESSAGE - 3] + "..."
