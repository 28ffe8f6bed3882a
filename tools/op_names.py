"""Finds sets of operation names outside the vocabulary: `python tools/op_names.py` lists them.

`gradcheck/ops` is the one place that says what an operation is called and which operations are alike. A set, list,
tuple or dict of three or more names of operations in another file repeats a part of it.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from gradcheck.ops import OPAQUE, operation_called  # noqa: E402 - the vocabulary of this checkout

VOCABULARY = ROOT / "gradcheck" / "ops"
ENOUGH = 3
_MODULES = {"torch", "functional", "F", "np", "numpy", "Tensor", "ops"}


def op_name(node: ast.expr) -> str | None:
    """The operation that a literal names: `"add"`, `torch.add`, `np.add`, `ops.ADD`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        name = node.value
    elif isinstance(node, ast.Attribute):
        module = node.value
        prefix = module.id if isinstance(module, ast.Name) else getattr(module, "attr", "")
        if prefix not in _MODULES:
            return None
        name = node.attr.lower() if prefix == "ops" else node.attr
    else:
        return None
    return name if name.isidentifier() and operation_called(name) is not OPAQUE else None


def literal_sets(tree: ast.AST) -> Iterator[tuple[int, list[str]]]:
    """The line and the names of every literal that holds three or more different operations."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Set | ast.List | ast.Tuple):
            elements = node.elts
        elif isinstance(node, ast.Dict):
            # A table from operations of the vocabulary to functions dispatches; it names nothing a second time.
            elements = [key for key in node.keys if isinstance(key, ast.Constant)]
        elif isinstance(node, ast.Call):
            elements = [ast.Constant(word) for word in words_split(node)]
        else:
            continue
        names = list(dict.fromkeys(name for element in elements if (name := op_name(element))))
        if len({operation_called(name) for name in names}) >= ENOUGH:
            yield node.lineno, names


def words_split(node: ast.AST) -> list[str]:
    """The words of `"add sub mul".split()`."""
    if (
        not isinstance(node, ast.Call)
        or not isinstance(node.func, ast.Attribute)
        or node.func.attr != "split"
    ):
        return []
    text = node.func.value
    return text.value.split() if isinstance(text, ast.Constant) and isinstance(text.value, str) else []


def op_sets(root: Path = ROOT) -> dict[str, list[str]]:
    """For every file outside the vocabulary that holds such literals: one sentence for each."""
    found: dict[str, list[str]] = {}
    for file in sorted((root / "gradcheck").rglob("*.py")):
        if VOCABULARY in file.parents:
            continue
        shown = file.relative_to(root).as_posix()
        for line, names in literal_sets(ast.parse(file.read_text(encoding="utf-8"))):
            found.setdefault(shown, []).append(f"{shown}:{line}: {', '.join(names)}")
    return found


if __name__ == "__main__":
    for sentences in op_sets().values():
        for sentence in sentences:
            print(sentence)
