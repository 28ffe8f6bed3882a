"""Where the package lies that a file is part of, if the file imports from it by its name."""

import ast
from pathlib import Path

from gradcheck.program.errors import ProgramError
from gradcheck.program.reading.tree import tree_of
from gradcheck.program.script import read_source


def roots_of(path: Path) -> list[str]:
    """`lib/common/layers.py` with `from common.functions import relu` is run with `lib` among the folders of Python."""
    try:
        tree = tree_of(read_source(path), str(path))
    except (ProgramError, OSError):
        return []
    names = set()
    for node in ast.walk(tree.module):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module:
            names.add(node.module.partition(".")[0])
    return [str(folder.parent) for folder in path.resolve().parents if folder.name in names]
