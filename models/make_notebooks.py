"""Write the notebooks of this folder from the scripts of the same name.

A line `# %%` begins a code cell and `# %% [markdown]` a cell of text, whose lines are comments.
The notebooks hold no outputs, and the same script always gives the same bytes.

    python make_notebooks.py            write them
    python make_notebooks.py --check    write nothing; fail if one is missing or out of date
"""

import re
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

FOLDER = Path(__file__).resolve().parent
PROGRAMS = ("two_layer", "three_layer", "day70", "day70_tanh")
CELL_MARK = re.compile(r"^# %%(?P<kind> \[markdown\])?\n", re.MULTILINE)


def split_cells(source: str) -> list[tuple[str, str]]:
    """The cells of a script as (kind, text), kind being `code` or `markdown`."""
    before, *pieces = CELL_MARK.split(source)
    if before.strip():
        raise ValueError("there is code before the first '# %%' line")
    cells = []
    for mark, text in zip(pieces[::2], pieces[1::2], strict=True):
        if mark is None:
            cells.append(("code", text.strip("\n")))
        else:
            lines = text.strip("\n").splitlines()
            cells.append(("markdown", "\n".join(re.sub(r"^# ?", "", line) for line in lines)))
    return cells


def notebook_text(script: Path) -> str:
    """The notebook of a script, as the text of its file."""
    cells = []
    for number, (kind, text) in enumerate(split_cells(script.read_text(encoding="utf-8")), 1):
        new_cell = new_code_cell if kind == "code" else new_markdown_cell
        # an id of our own: nbformat would draw a random one
        cells.append(new_cell(text, id=f"{script.stem}-{number}"))
    notebook = new_notebook(
        cells=cells,
        metadata={
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"file_extension": ".py", "name": "python"},
        },
        nbformat=4,
        nbformat_minor=5,  # 4.5 is the first format with cell ids
    )
    nbformat.validate(notebook)
    return nbformat.writes(notebook, version=4) + "\n"


def main() -> int:
    if sys.argv[1:] not in ([], ["--check"]):
        print("usage: python make_notebooks.py [--check]", file=sys.stderr)
        return 2
    check = sys.argv[1:] == ["--check"]
    stale = []
    for name in PROGRAMS:
        target = FOLDER / f"{name}.ipynb"
        text = notebook_text(FOLDER / f"{name}.py")
        if target.exists() and target.read_text(encoding="utf-8") == text:
            continue
        stale.append(target.name)
        if not check:
            target.write_text(text, encoding="utf-8", newline="\n")
    if stale:
        print("out of date:" if check else "written:", ", ".join(stale))
    return 1 if check and stale else 0


if __name__ == "__main__":
    sys.exit(main())
