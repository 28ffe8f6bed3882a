"""Reads a Python file as Python would, and says in one line why it cannot."""

import io
import tokenize
from pathlib import Path

from gradcheck.program.errors import ProgramError
from gradcheck.program.fault_hints import PYTHON_2
from gradcheck.program.overlay import bytes_instead
from gradcheck.program.source import shown_path

_MOST = (8 * 2**20, 256 * 2**20)  # bytes of a script, and of a notebook with its pictures


def read_source(path: Path) -> str:
    """The text of a script, decoded by its coding cookie (PEP 263), newlines as `\\n`."""
    return decode_source(read_bytes(path), path)


def read_bytes(path: Path) -> bytes:
    edited = bytes_instead(path)
    if edited is not None:
        return edited
    most = _MOST[path.suffix == ".ipynb"]
    try:
        with path.open("rb") as file:
            raw = file.read(most + 1)
    except OSError as error:
        raise ProgramError(f"`{shown_path(path)}` cannot be read: {error.strerror}") from None
    if len(raw) > most:
        raise ProgramError(
            f"`{shown_path(path)}` is larger than {most // 2**20} MB",
            "a program holds its data in files, and a notebook can be cleared of its outputs",
        )
    return raw


def decode_source(raw: bytes, path: Path) -> str:
    shown = shown_path(path)
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(raw).readline)
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ProgramError(
            f"`{shown}` is not {error.encoding} text: byte 0x{raw[error.start]:02x} in line {line}",
            "save it as UTF-8, or name its encoding in the first line: # -*- coding: latin-1 -*-",
        ) from None
    # An unknown encoding, bytes in the first two lines that are not UTF-8, or an encoding that is none of text.
    except (SyntaxError, LookupError, UnicodeError) as error:
        raise ProgramError(
            f"`{shown}` cannot be decoded: {error.msg if isinstance(error, SyntaxError) else error}",
            "save it as UTF-8, or name its encoding in the first line: # -*- coding: latin-1 -*-",
        ) from None
    if "\0" in text:
        raise ProgramError(f"`{shown}` is not Python source: it contains null bytes")
    return normalise_newlines(text)


def normalise_newlines(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def is_python_2(error: SyntaxError) -> bool:
    """Whether the error is what Python 3 says about Python 2."""
    message = error.msg or ""
    return message.startswith(
        ("Missing parentheses in call to 'print'", "multiple exception types must be parenthesized")
    )


def syntax_error(error: SyntaxError, place: str, text: str) -> ProgramError:
    """The person's line with a caret. `place` is the file, or the file and its cell."""
    line = error.lineno or 1
    lines = text.split("\n")
    person_line = lines[line - 1] if line <= len(lines) else ""
    start = max((error.offset or 1) - 1, 0)
    width = 1
    if error.end_lineno == error.lineno and error.end_offset and error.offset:
        width = max(error.end_offset - error.offset, 1)
    indent = person_line[:start]
    gutter = f"{line} | "
    # A tab stays a tab under the line, so that the caret is where the eye expects it.
    spaces = "".join(c if c == "\t" else " " for c in indent).ljust(start)
    excerpt = f"{gutter}{person_line}\n{'| '.rjust(len(gutter))}{spaces}{'^' * width}"
    hint = PYTHON_2 if is_python_2(error) else ""
    return ProgramError(f"{place}:{line}: {error.msg}", hint, excerpt)
