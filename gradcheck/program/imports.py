"""Imports of the person's own modules: compiled like the program itself, and known to the `SourceMap`.

Everything about finding a module is left to Python; only the loader of a source file that is not a library's
is exchanged for one that compiles it with watched loops.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import CodeType, ModuleType
from typing import Any

from gradcheck.program.loops import LoopTable, compile_watched
from gradcheck.program.overlay import bytes_instead
from gradcheck.program.script import decode_source
from gradcheck.program.source import SourceMap, SourceUnit, is_library, shown_path


class _WatchedLoader(SourceFileLoader):
    def __init__(self, fullname: str, path: str, sources: SourceMap, loops: LoopTable) -> None:
        super().__init__(fullname, path)
        self._sources = sources
        self._loops = loops

    def get_code(self, fullname: str) -> CodeType:
        # Never through __pycache__: a cached file holds unwatched loops, and ours must not be left behind.
        path = self.get_filename(fullname)
        edited = bytes_instead(path)
        return self.source_to_code(self.get_data(path) if edited is None else edited, path)

    def source_to_code(  # type: ignore[override]  # as in SourceFileLoader itself
        self, data: Any, path: Any, *, _optimize: int = -1
    ) -> CodeType:
        filename = str(path)
        unit = SourceUnit(filename, shown_path(Path(filename)), decode_source(bytes(data), Path(filename)))
        self._sources.add(unit)
        if unit.tree.error is not None:
            raise unit.tree.error
        return compile_watched(unit.tree.module, filename, self._loops, optimize=_optimize)


class PersonFinder(MetaPathFinder):
    """Stands before Python's own path finder while the program runs."""

    def __init__(self, sources: SourceMap, loops: LoopTable) -> None:
        self._sources = sources
        self._loops = loops

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is None or type(spec.loader) is not SourceFileLoader or spec.origin is None:
            return None
        if is_library(spec.origin):
            return None
        spec.loader = _WatchedLoader(fullname, spec.origin, self._sources, self._loops)
        return spec

    def install(self) -> None:
        sys.meta_path.insert(0, self)

    def remove(self) -> None:
        if self in sys.meta_path:
            sys.meta_path.remove(self)
