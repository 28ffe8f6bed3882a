"""Puts what really happens into `tutorial.md`: `python docs/make_tutorial.py` (about three minutes).

It goes through the page from top to bottom in a folder of its own: trains, reports, repairs, trains again.
"""

from __future__ import annotations

import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).resolve().parent
MODELS = DOCS.parent / "models"
SHORTER = (("max_steps = 200_000", "max_steps = 4_000"), ("step % 10_000", "step % 1_000"))
BY_HAND = (
    ("learning_rate = 0.0005", "learning_rate = 0.06"),
    (
        "    A_1 = np.maximum(0.01 * pre_batch_norm_1, pre_batch_norm_1)\n",
        "    norm_1 = (pre_batch_norm_1 - calibrated_mean_1) * (calibrated_var_1 + 1e-5) ** -0.5\n"
        "    Z_1 = gamma_1 * norm_1 + beta_1\n"
        "    A_1 = np.maximum(0.01 * Z_1, Z_1)\n",
    ),
    ("(calibrated_var_2 + 1e-5) ** 0.5", "(calibrated_var_2 + 1e-5) ** -0.5"),
)


def shown(folder: Path) -> dict[str, str]:
    """The blocks of the page, by name, in the order in which they come about."""
    program = folder / "day70.py"
    shutil.copytree(MODELS / "data", folder / "data")
    program.write_text(_edited((MODELS / "day70.py").read_text(encoding="utf-8"), SHORTER), encoding="utf-8")
    blocks = {"trained": _training(folder)}
    blocks["report"] = _gradcheck(folder, "report", "day70.py", "--select", "GC1")
    blocks["fix"] = _gradcheck(folder, "fix", "day70.py", "--select", "GC1", "--write")
    blocks["health"] = _findings(
        _gradcheck(folder, "report", "day70.py", "--at", "0,3000", "--ignore", "GC302")
    )
    before = program.read_text(encoding="utf-8")
    after = _edited(before, BY_HAND)
    lines = difflib.unified_diff(
        before.splitlines(), after.splitlines(), "day70.py", "day70.py", "", "", 1, ""
    )
    blocks["hand"] = "\n".join(line.rstrip() for line in list(lines)[2:])
    program.write_text(after, encoding="utf-8")
    blocks["repaired"] = _gradcheck(folder, "report", "day70.py", "--at", "0,3000", "--quiet")
    blocks["again"] = _training(folder)
    return blocks


def _edited(text: str, edits: tuple[tuple[str, str], ...]) -> str:
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    return text


def _training(folder: Path) -> str:
    """The losses, and the names in one paragraph."""
    done = _run(folder, "-W", "ignore", "day70.py")
    losses = [line for line in done.splitlines() if re.search(r"\d\.\d{4}$", line)]
    names = done.splitlines()[-20:]
    half = len(names) // 2
    return "\n".join([*losses, "", " ".join(names[:half]), " ".join(names[half:])])


def _gradcheck(folder: Path, *arguments: str) -> str:
    text = _run(folder, "-m", "gradcheck", *arguments)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def _run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"COLUMNS": "100", "PYTHONPATH": str(DOCS.parent), "PYTHONIOENCODING": "utf-8"},
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    if done.returncode not in (0, 1):  # 1: there are findings
        sys.exit(f"`{' '.join(arguments)}` ended with status {done.returncode}")
    return done.stdout


def _findings(text: str) -> str:
    """Without the table, which the page has shown."""
    first = re.search(r"^(error|warning|note)\[", text, re.MULTILINE)
    assert first is not None
    return text[first.start() :]


def filled(text: str, blocks: dict[str, str]) -> str:
    for name, block in blocks.items():
        language = "diff" if name in ("fix", "hand") else "text"
        place = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end {name} -->)", re.DOTALL)
        assert place.search(text), name
        fenced = f"```{language}\n{block}\n```\n"
        text = place.sub(lambda match: match[1] + fenced + match[2], text)  # noqa: B023  # called at once
    return text


if __name__ == "__main__":
    page = DOCS / "tutorial.md"
    with tempfile.TemporaryDirectory() as made:
        page.write_text(filled(page.read_text(encoding="utf-8"), shown(Path(made))), encoding="utf-8")
