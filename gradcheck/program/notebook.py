"""Reads a notebook: its code cells, counted from 1 as a notebook shows them.

The JSON is read directly. The formats differ only in where cells are (v4: `cells`; v2 and v3:
`worksheets`) and in the name of a code cell's text (`source`, `input`), and importing nbformat costs more
than reading all of it.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gradcheck.program.errors import ProgramError
from gradcheck.program.script import normalise_newlines, read_bytes
from gradcheck.program.source import shown_path


@dataclass(frozen=True, slots=True)
class Notebook:
    cells: tuple[str, ...]  # the text of each code cell, empty ones included: they count
    python_2: bool


def read_notebook(path: Path) -> Notebook:
    return parse_notebook(read_bytes(path), path)


def parse_notebook(raw: bytes, path: Path) -> Notebook:
    """What the bytes of a notebook hold; `path` is for messages only."""
    data = _load(raw, path)
    shown = shown_path(path)
    cells = code_cells(data)
    if cells is None:
        raise ProgramError(f"`{shown}` is JSON but not a notebook: it has no cells")
    metadata = _mapping(data.get("metadata"))
    language = _language(metadata)
    if language not in ("", "python", "ipython", "python2", "python3"):
        raise ProgramError(f"`{shown}` is a notebook in {language}, not in Python")
    texts = tuple(_text(cell) for cell in cells)
    if not any(text.strip() for text in texts):
        raise ProgramError(f"`{shown}` has no code cells")
    return Notebook(texts, _is_python_2(metadata))


def code_cells(data: dict[str, Any]) -> list[dict[str, Any]] | None:
    """The code cells of a notebook's JSON, in order; None if it has no cells of any kind."""
    cells = _cells(data)
    if cells is None:
        return None
    return [cell for cell in map(_mapping, cells) if cell.get("cell_type") == "code"]


def cell_source(cell: dict[str, Any]) -> Any:
    """The JSON value that holds the cell's text: a list of strings, or one string."""
    return cell.get("source", cell.get("input", ""))


def _load(raw: bytes, path: Path) -> dict[str, Any]:
    shown = shown_path(path)
    if not raw.strip():
        raise ProgramError(f"`{shown}` is empty")
    try:
        data = json.loads(raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ProgramError(
            f"`{shown}` is not UTF-8 text: byte 0x{raw[error.start]:02x} at offset {error.start}",
            "save the notebook again in Jupyter",
        ) from None
    except json.JSONDecodeError as error:
        raise ProgramError(
            f"`{shown}` is not a notebook: line {error.lineno} is not JSON ({error.msg})",
            "a script must be named .py; a notebook that lost its end can be restored from a checkpoint",
        ) from None
    except RecursionError:
        raise ProgramError(f"`{shown}` is not a notebook: its JSON is nested too deeply") from None
    if not isinstance(data, dict):
        raise ProgramError(f"`{shown}` is JSON but not a notebook: it has no cells")
    return data


def _cells(data: dict[str, Any]) -> list[Any] | None:
    if isinstance(data.get("cells"), list):
        return list(data["cells"])
    sheets = data.get("worksheets")
    if not isinstance(sheets, list):
        return None
    return [cell for sheet in sheets for cell in _mapping(sheet).get("cells") or []]


def _text(cell: dict[str, Any]) -> str:
    source = cell_source(cell)
    text = "".join(map(str, source)) if isinstance(source, list) else str(source or "")
    return normalise_newlines(text)


def _language(metadata: dict[str, Any]) -> str:
    kernel, info = _mapping(metadata.get("kernelspec")), _mapping(metadata.get("language_info"))
    return str(info.get("name") or kernel.get("language") or "").lower()


def _is_python_2(metadata: dict[str, Any]) -> bool:
    kernel, info = _mapping(metadata.get("kernelspec")), _mapping(metadata.get("language_info"))
    return str(info.get("version", "")).startswith("2") or kernel.get("name") == "python2"


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
