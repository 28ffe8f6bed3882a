"""`--data NAME=PATH`: opens PATH where the program looks for a file NAME that is not there."""

import builtins
import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any


class DataFiles:
    """Stands between the program and the file system while it runs.

    Almost everything opens files through `open` (`torch.load`, `np.loadtxt`, `pandas.read_csv`, pathlib,
    gzip) and looks for them through `os.stat` (`os.path.exists`, `Path.is_file`). A file that is there is
    always preferred, and nothing is ever written through.
    """

    def __init__(self, data: dict[str, str]) -> None:
        self._wanted = {Path(name).parts: path for name, path in data.items()}
        self.used: set[str] = set()
        self._open: Any = io.open
        self._stat: Any = os.stat

    def install(self) -> None:
        """Over what is in place by then."""
        self._open, self._stat = io.open, os.stat
        if self._wanted:
            self._put(self._redirected_open, self._redirected(self._stat))

    def remove(self) -> None:
        if self._wanted:
            self._put(self._open, self._stat)

    def _put(self, opener: Any, stat: Any) -> None:
        builtins.open = io.open = opener
        os.stat = stat
        numpy_openers()[None] = opener

    def _redirected_open(self, file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        try:
            return self._open(file, mode, *args, **kwargs)
        except FileNotFoundError:
            instead = self._instead_of(file)
            if instead is None or not set(mode) <= set("rbtU"):
                raise
            return self._open(instead, mode, *args, **kwargs)

    def _redirected(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def redirected(path: Any, *args: Any, **kwargs: Any) -> Any:
            try:
                return function(path, *args, **kwargs)
            except FileNotFoundError:
                instead = self._instead_of(path)
                if instead is None:
                    raise
                return function(instead)

        return redirected

    def _instead_of(self, path: Any) -> str | None:
        """The file given for `path`, whose last components must be those of the name."""
        if not isinstance(path, (str, os.PathLike)):
            return None
        parts = Path(os.fsdecode(path)).parts
        for name, instead in self._wanted.items():
            if parts[-len(name) :] == name:
                self.used.add(str(Path(*name)))
                return instead
        return None


def numpy_openers() -> dict[Any, Any]:
    """NumPy's table of openers, which has kept `io.open` from its own import."""
    module = sys.modules.get("numpy.lib._datasource")
    openers = getattr(getattr(module, "_file_openers", None), "_file_openers", None)
    return openers if isinstance(openers, dict) else {}
