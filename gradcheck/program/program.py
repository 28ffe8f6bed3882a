"""Loads what a target names: read, cleaned of magics, compiled with watched loops; nothing has run yet."""

import linecache
import re
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType

from gradcheck.program.array_calls import libraries_of
from gradcheck.program.errors import ProgramError
from gradcheck.program.loops import LoopTable, compile_watched
from gradcheck.program.magics import SkippedLine, strip_magics
from gradcheck.program.notebook import read_notebook
from gradcheck.program.script import is_python_2, read_source, syntax_error
from gradcheck.program.source import SourceMap, SourceUnit, shown_path
from gradcheck.program.target import Target, TargetKind, current_directory

_IMPORTED = re.compile(r"^\s*(?:import|from)\s+\.*(\w+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Piece:
    """A unit and its code; a cell that does not compile has its error instead, raised when its turn comes."""

    unit: SourceUnit
    code: CodeType | None
    error: SyntaxError | None = None


@dataclass
class Program:
    """Ready to run once. A callable has no pieces: its module is imported by the run."""

    target: Target
    directory: Path  # the current directory of the run
    path_entry: Path  # what is first on sys.path
    pieces: list[Piece] = field(default_factory=list)
    skipped: list[SkippedLine] = field(default_factory=list)
    sources: SourceMap = field(default_factory=SourceMap)
    arguments: tuple[str, ...] = ()  # what `sys.argv` has after the name

    @property
    def loops(self) -> LoopTable:
        return self.sources.loops

    @property
    def is_notebook(self) -> bool:
        return self.target.kind is TargetKind.NOTEBOOK

    def contains(self, text: str) -> bool:
        """Whether the program's own text has `text` in it."""
        return any(text in unit.text for unit in self.sources.units.values())


def load(target: Target, cwd: str | None = None, arguments: tuple[str, ...] = ()) -> Program:
    """Raises ProgramError if the target cannot be read or, being a script, cannot be compiled."""
    beside = target.path.parent if target.path and not target.module else None
    directory = working_directory(cwd) or beside or current_directory()
    program = Program(target, directory, beside or directory, arguments=arguments)
    if target.kind is TargetKind.NOTEBOOK:
        _load_cells(program)
    elif target.path is not None:
        _load_script(program, target.path)
    return program


def _load_cells(program: Program) -> None:
    path = program.target.path
    assert path is not None
    notebook = read_notebook(path)
    shown = shown_path(path)
    units: list[SourceUnit] = []
    for number, text in enumerate(notebook.cells, start=1):
        plain, skipped = strip_magics(text, number)
        program.skipped += skipped
        units.append(SourceUnit(f"{path}[cell {number}]", shown, text, number, plain))
    program.loops.libraries = _libraries(units, path.parent)
    for unit in units:
        piece = _compile(program, unit)
        if piece.error and (notebook.python_2 or is_python_2(piece.error)):
            problem = syntax_error(piece.error, f"{shown}[cell {unit.cell}]", unit.text)
            raise ProgramError(problem.message, "this notebook is Python 2: convert it", problem.excerpt)
        program.pieces.append(piece)
    errors = [piece for piece in program.pieces if piece.error]
    if errors and all(piece.error or not piece.unit.text.strip() for piece in program.pieces):
        first = errors[0]
        assert first.error is not None
        raise syntax_error(first.error, f"{shown}[cell {first.unit.cell}]", first.unit.text)


def _libraries(units: list[SourceUnit], directory: Path) -> set[str]:
    """Which libraries of arrays the program and the modules beside it import. One of neither computes with plain numbers,
    which are followed as NumPy's are."""
    texts = {unit.filename: unit.code for unit in units}
    pending = list(texts.values())
    while pending:
        for name in set(_IMPORTED.findall(pending.pop())):
            for path in (directory / f"{name}.py", *(directory / name).glob("*.py")):
                if str(path) not in texts and path.is_file():
                    text = texts[str(path)] = path.read_text(encoding="utf-8", errors="replace")
                    pending.append(text)
    named = any("numpy" in text or "torch" in text for text in texts.values())
    return set().union(*map(libraries_of, texts.values())) or (set() if named else {"numpy"})


def _load_script(program: Program, path: Path) -> None:
    unit = SourceUnit(str(path), shown_path(path), read_source(path))
    program.loops.libraries = _libraries([unit], path.parent)
    piece = _compile(program, unit)
    if piece.error:
        raise syntax_error(piece.error, unit.file, unit.text)
    program.pieces.append(piece)


def _compile(program: Program, unit: SourceUnit) -> Piece:
    program.sources.add(unit)
    # For tracebacks and inspect.getsource; without a time stamp, so that linecache keeps it.
    lines = unit.text.splitlines(keepends=True)
    linecache.cache[unit.filename] = (len(unit.text), None, lines, unit.filename)
    if unit.tree.error is not None:
        return Piece(unit, None, unit.tree.error)
    try:
        return Piece(unit, compile_watched(unit.tree.module, unit.filename, program.loops))
    except SyntaxError as error:
        return Piece(unit, None, error)


def working_directory(cwd: str | None) -> Path | None:
    """What `--cwd` names, from the root."""
    if cwd is None:
        return None
    path = Path(cwd)
    if not path.is_dir():
        reason = "is not a directory" if path.exists() else "does not exist"
        raise ProgramError(f"--cwd: `{cwd}` {reason}")
    return path.resolve()
