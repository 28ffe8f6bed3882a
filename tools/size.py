"""Counts the lines of code of each stage, without blanks, comments and docstrings: `python tools/size.py`.

With `--cap` it also compares the total with `tools/size_cap.txt`, and fails where the code is larger. The cap only
ever falls: where the code has become smaller than the cap by more than the slack, it fails too and says what to write.
"""

import argparse
import ast
import io
import sys
import tokenize
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CAP = Path(__file__).with_name("size_cap.txt")
SLACK = 500  # lines that the code may be under the cap before the cap has to follow

_LAYOUT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def code_lines(text: str) -> int:
    """Lines of `text` that hold code."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type not in _LAYOUT:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node, clean=False) is not None:
            docstring = node.body[0]
            lines.difference_update(range(docstring.lineno, (docstring.end_lineno or 0) + 1))
    return len(lines)


def lines_by_stage(package: Path = ROOT / "gradcheck") -> Counter[str]:
    """The lines of code in each folder of the package; files of the package itself count as `(root)`."""
    counts: Counter[str] = Counter()
    for file in package.rglob("*.py"):
        parts = file.relative_to(package).parts
        counts[parts[0] if len(parts) > 1 else "(root)"] += code_lines(file.read_text(encoding="utf-8"))
    return counts


def complaint(total: int, cap: int) -> str:
    """What is wrong with `total`, given the cap; empty if nothing is."""
    if total > cap:
        return f"gradcheck/ has {total} lines of code; the cap in {CAP.name} is {cap}"
    if total < cap - SLACK:
        return f"gradcheck/ has only {total} lines of code: lower the cap in {CAP.name} from {cap} to {total}"
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description="Lines of code of each stage.")
    parser.add_argument("--cap", action="store_true", help="fail if the code is larger than the cap")
    options = parser.parse_args()
    counts = lines_by_stage()
    for stage, lines in counts.most_common():
        print(f"{stage:<10} {lines:>6}")
    print(f"{'total':<10} {counts.total():>6}")
    problem = complaint(counts.total(), int(CAP.read_text())) if options.cap else ""
    if problem:
        print(problem, file=sys.stderr)
    return int(bool(problem))


if __name__ == "__main__":
    sys.exit(main())
