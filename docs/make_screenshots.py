"""Pictures of what people see, to look at before a release: `make screenshots`, or `python docs/make_screenshots.py [FOLDER]`.

Needs Chromium on the PATH. FOLDER, `build/screenshots` by default, holds the pictures and `index.html`, which shows them all.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from html import escape
from io import StringIO
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
EXAMPLES = ("gc101", "gc103", "gc104", "gc106", "gc202", "gc301", "gc501")
CELL = """\
%%gradcheck --select GC1
h = torch.tanh(x @ W1)
loss = ((h @ W2 - y) ** 2).mean()

dout = 2 * (h @ W2 - y) / 32
dW2 = h.T @ dout
dh = dout @ W2.T
dW1 = x.T @ (dh * (1 - h))

W1 -= 0.1 * dW1
W2 -= 0.1 * dW2"""
SET_UP = """\
%load_ext gradcheck
import torch
torch.manual_seed(0)
x, y = torch.randn(32, 8), torch.randn(32, 1)
W1, W2 = torch.randn(8, 16) * 0.3, torch.randn(16, 1) * 0.3"""
PAGE = "<!doctype html><meta charset=utf-8><style>body {{margin: 16px; font-family: sans-serif}} pre {{margin: 0}} {}</style>{}"


def pages(folder: Path) -> dict[str, tuple[Path, int, int]]:
    """What is photographed: a page, its width and its height, by the name of the picture."""
    _gradcheck("report", "models/day70.ipynb", "-o", str(folder / "day70.html"))
    homework = folder / "homework"
    homework.mkdir()
    for name in EXAMPLES:
        shutil.copy(ROOT / "docs" / "examples" / f"{name}.py", homework)
    (homework / "gc999.py").write_text("import torch\nloss = (\n")
    targets = [f"homework/{path.name}" for path in sorted(homework.glob("*.py"))]
    many = _gradcheck(
        "report", *targets, "--format", "html", "--format", "terminal", "--quiet", "--color", cwd=folder
    )
    terminal = _gradcheck("report", "docs/examples/gc103.py", "--select", "GC1", "--color")
    layer = _gradcheck("layer", "my_norm.py::LayerNorm", "--color", cwd=ROOT / "docs")
    dark = folder / "dark.html"
    dark.write_text(_darkened((folder / "day70.html").read_text(encoding="utf-8")), encoding="utf-8")
    notebook = _notebook()
    phone = '<iframe src="day70.html" width=320 height=6000 style="border: 0">'  # no window of Chromium is so narrow
    made = {
        "terminal.html": _terminal(terminal),
        "layer.html": _terminal(layer),
        "many.html": _terminal(many),
        "phone.html": PAGE.format("body {margin: 0}", phone),
        "notebook.html": notebook,
        "notebook-dark.html": _darkened(notebook).replace(
            "<body>", '<body style="background: #111; color: #ddd">'
        ),
    }
    for name, text in made.items():
        (folder / name).write_text(text, encoding="utf-8")
    return {
        "report-light": (folder / "day70.html", 1200, 3000),
        "report-dark": (dark, 1200, 3000),
        "report-320-pixels": (folder / "phone.html", 500, 6000),
        "index-of-many": (folder / "reports" / "index.html", 1000, 500),
        "notebook": (folder / "notebook.html", 900, 900),
        "notebook-dark": (folder / "notebook-dark.html", 900, 900),
        "terminal": (folder / "terminal.html", 1000, 1000),
        "terminal-layer": (folder / "layer.html", 1000, 720),
        "terminal-many": (folder / "many.html", 1000, 500),
    }


def _gradcheck(*arguments: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "gradcheck", *arguments],
        cwd=cwd,
        env=os.environ | {"COLUMNS": "100", "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    return done.stdout


def _darkened(page: str) -> str:
    """As it is where the system is dark."""
    return page.replace("screen and (prefers-color-scheme: dark)", "screen")


def _terminal(output: str) -> str:
    console = Console(record=True, width=100, file=StringIO(), force_terminal=True)
    console.print(Text.from_ansi(output))
    shown = console.export_html(inline_styles=True, code_format="<pre style='font-size: 15px'>{code}</pre>")
    return PAGE.format("body {background: #fff}", shown)


def _notebook() -> str:
    """The cell and what stands below it, without the frame of Jupyter."""
    os.environ["PYTHONPATH"] = str(ROOT)
    notebook = nbformat.v4.new_notebook()
    notebook.cells = [nbformat.v4.new_code_cell(text) for text in (SET_UP, CELL)]
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    (output,) = notebook.cells[1].outputs
    cell = f"<pre style='padding: 8px; border: 1px solid #bbb; font-size: 13px'>{escape(CELL)}</pre>"
    return PAGE.format("", f"<body>{cell}{output['data']['text/html']}</body>")


def photographed(browser: str, page: Path, picture: Path, width: int, height: int) -> None:
    with tempfile.TemporaryDirectory() as profile:
        options = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--no-first-run")
        quiet = ("--disable-background-networking", "--disable-component-update", "--disable-sync")
        size = (f"--user-data-dir={profile}", f"--window-size={width},{height}", f"--screenshot={picture}")
        command = [browser, *options, *quiet, *size, page.as_uri()]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)


def main(folder: Path) -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        sys.exit(f"no browser was found: one of {', '.join(BROWSERS)} must be on the PATH")
    folder.mkdir(parents=True, exist_ok=True)
    shown = []
    with tempfile.TemporaryDirectory() as made:
        for name, (page, width, height) in pages(Path(made)).items():
            photographed(browser, page, folder / f"{name}.png", width, height)
            shown.append(f"<h2>{name}</h2><img src={name}.png width={width} style='border: 1px solid #999'>")
    (folder / "index.html").write_text(PAGE.format("", "\n".join(shown)), encoding="utf-8")
    print(f"wrote {len(shown)} pictures and index.html into {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build" / "screenshots").resolve())
