"""A class's homework in one run: 95 programs, of which a third are wrong, and five that misbehave.

    python benchmarks/many_targets.py [--jobs N]

Takes some minutes. What must come out: a right report of each of the 95, a clear failure of each of the five, nothing
left running and no file changed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

RIGHT = """\
import {library}
{draw}
h = {tanh}(X @ W)
out = h @ V
loss = ((out - Y) ** 2).sum() / {rows}
dout = 2 * (out - Y) / {rows}
dV = h.T @ dout
dh = dout @ V.T
dz = dh * {slope}
dW = X.T @ dz
W -= 0.1 * dW
V -= 0.1 * dV
"""
DRAWN = {
    "torch": "torch.manual_seed({n})\nX, Y, W, V = (torch.randn(s) for s in (({rows}, 3), ({rows}, 2), (3, 5), (5, 2)))",
    "numpy": "rng = numpy.random.default_rng({n})\n"
    "X, Y, W, V = (rng.standard_normal(s) for s in (({rows}, 3), ({rows}, 2), (3, 5), (5, 2)))",
}
_WRONG_LINE = 10  # of `dz`
HOSTILE = {
    "endless_loop": "while True:\n    pass\n",
    "allocation": "import numpy\nhog = [numpy.ones(2**27) for _ in range(100)]\n",
    "exits": "import os\nos._exit(0)\n",
    "forks": "import os, time\nfor _ in range(100):\n    if not os.fork():\n        time.sleep(600)\ntime.sleep(600)\n",
    "endless_output": "while True:\n    print('x' * 10_000)\n",
}


def program(number: int) -> tuple[str, bool]:
    """Its text, and whether a gradient in it is wrong."""
    library, rows, wrong = ("torch", "numpy")[number % 2], 6 + number % 7, number % 3 == 0
    draw = DRAWN[library].format(n=number, rows=rows)
    slope = "(1 - h)" if wrong else "(1 - h**2)"
    return RIGHT.format(library=library, draw=draw, rows=rows, tanh=f"{library}.tanh", slope=slope), wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2)
    jobs = parser.parse_args().jobs
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wrong = {}
        for number in range(95):
            text, wrong[f"homework_{number:02}.py"] = program(number)
            (folder / f"homework_{number:02}.py").write_text(text, encoding="utf-8")
        for kind, text in HOSTILE.items():
            (folder / f"hostile_{kind}.py").write_text(text, encoding="utf-8")
        before = {path.name: _held(path) for path in folder.iterdir()}
        command = [sys.executable, "-m", "gradcheck", "report", *sorted(before), "--jobs", str(jobs)]
        limits = [
            "--timeout",
            "10",
            "--memory",
            "4",
            "--fix-budget",
            "0",
            "--format",
            "json",
            "--output",
            "-",
        ]
        started = time.monotonic()
        run = subprocess.run([*command, *limits], cwd=folder, capture_output=True, text=True)
        took = time.monotonic() - started
        found = json.loads(run.stdout)
        counts = Counter(_outcome(target, wrong) for target in found)
        changed = [path for path, held in before.items() if _held(folder / path) != held]
        added = {path.name for path in folder.iterdir()} - before.keys()
        print(f"{len(found)} targets in {took:.0f} s, {jobs} at a time; exit status {run.returncode}")
        for outcome, count in sorted(counts.items()):
            print(f"{count:4}  {outcome}")
        deadline = time.monotonic() + 5  # what has been killed takes a moment to end
        while (running := _running_in(folder)) and time.monotonic() < deadline:
            time.sleep(0.1)
        print(f"files changed: {len(changed)}, added: {len(added)}; processes left: {running}")
    failed = counts["no report"] + counts["another verdict"] + counts["a report of what misbehaves"]
    return int(bool(failed or changed or added or running))


def _held(path: Path) -> tuple[bytes, int]:
    return path.read_bytes(), path.stat().st_mtime_ns


def _outcome(report: dict[str, Any], wrong: dict[str, bool]) -> str:
    name, error = report["target"], report.get("error")
    if name not in wrong:
        return "a report of what misbehaves" if error is None else "a clear failure"
    if error is not None:
        return "no report"
    lines = [finding["location"]["line"] for finding in report["findings"] if finding["severity"] == "error"]
    return "the right verdict" if lines == [_WRONG_LINE] * wrong[name] else "another verdict"


def _running_in(folder: Path) -> int:
    """Processes whose working directory it is."""
    count = 0
    for entry in Path("/proc").glob("[0-9]*/cwd"):
        try:
            count += os.path.realpath(entry).startswith(str(folder))
        except OSError:
            continue
    return count


if __name__ == "__main__":
    sys.exit(main())
