"""The reports on all programs of the repository, kept as files, so that a change of gradcheck shows what it changes.

    python tools/golden.py write DIR [NAME ...]          write the golden reports
    python tools/golden.py check --base DIR [NAME ...]   compare new ones with those in DIR
    python tools/golden.py check --base-rev REV          ... with those of a commit, written by its own package

NAME is the name of a golden file, or a pattern: `inline_*`, `models*`. Torch and gradcheck are imported once; every
program is then run in a forked process.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import gc
import importlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any, NoReturn

HERE = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(HERE))

from tools.golden_records import MISSING, differences, normalised  # noqa: E402

CACHE = HERE / ".golden"
FIX_BUDGET_S = 20.0  # of processor time, per fault: more than any search here needs
PROGRAM_S = 100.0  # for the program itself
LIMIT_S = 600.0  # for one report
# Programs that a test names, and no file of its own.
CALLABLES = ("models.mlp:one_step",)


@dataclass(frozen=True, slots=True)
class Case:
    name: str  # of the golden file
    command: str  # report or layer
    target: str


def cases(root: Path) -> list[Case]:
    """What there is to report on: programs, those that are named, and layers."""
    found = [Case(_name(target), "report", target) for target in (*_programs(root), *CALLABLES)]
    found += [Case("layer_" + _name(target), "layer", target) for target in _layers(root)]
    return found


def _programs(root: Path) -> Iterator[str]:
    """Programs with an expectation beside them; in models/ the notebooks, and the scripts they are made from."""
    for path in sorted((root / "tests/programs").iterdir()):
        if path.suffix in (".py", ".ipynb") and path.with_suffix(".toml").exists():
            yield str(path.relative_to(root))
    for path in sorted((root / "models").glob("*.ipynb")):
        yield str(path.relative_to(root))
        yield str(path.with_suffix(".py").relative_to(root))


def _layers(root: Path) -> Iterator[str]:
    """Classes at the top of a file that have both a forward and a backward, and pairs of functions so named."""
    places = [root / "models/loss.py", *(root / "models/layers").glob("*.py")]
    places += (root / "tests/programs").glob("*.py")
    for path in sorted(places):
        shown = path.relative_to(root)
        top = ast.parse(path.read_text(encoding="utf-8")).body
        for node in top:
            methods = {each.name for each in getattr(node, "body", ()) if isinstance(each, ast.FunctionDef)}
            if isinstance(node, ast.ClassDef) and {"forward", "backward"} <= methods:
                yield f"{shown}::{node.name}"
        functions = [node.name for node in top if isinstance(node, ast.FunctionDef)]
        for name in functions:
            partner = name.replace("forward", "backward")
            if "forward" in name and partner in functions:
                yield f"{shown}::{name},{partner}"


def _name(target: str) -> str:
    return re.sub(r"\W+", "_", target.replace("tests/programs/", ""))


def write(root: Path, directory: Path, names: Sequence[str], fix_budget_s: float, jobs: int) -> None:
    """Writes `NAME.json` into the directory for every case that is asked for."""
    asked = [case for case in cases(root) if not names or any(fnmatch(case.name, each) for each in names)]
    if not asked:
        sys.exit(f"no program matches {', '.join(names)}")
    directory.mkdir(parents=True, exist_ok=True)
    for case in asked:
        (directory / f"{case.name}.json").unlink(missing_ok=True)
    started = time.monotonic()
    _run_all(asked, directory.resolve(), jobs, _reporter(root, fix_budget_s))
    print(f"{len(asked)} reports in {time.monotonic() - started:.0f} s", file=sys.stderr)


def _reporter(root: Path, fix_budget_s: float) -> Callable[[Case], dict[str, Any]]:
    """What makes a report in this process, out of the package in `root`."""
    os.chdir(root)  # before gradcheck is imported: it shows paths relative to where it was started
    sys.path.insert(0, str(root))
    import gradcheck

    package = Path(gradcheck.__file__).parent
    assert package.parent == root, f"gradcheck was imported from {package}"
    run_report, run_layer = _defined("run_report", package), _defined("run_layer", package)
    session_options, layer_options = _defined("SessionOptions", package), _defined("LayerOptions", package)
    program_error = _defined("ProgramError", package)
    for entry in (str(root), str(HERE), str(HERE / "tools")):  # programs must not see it
        while entry in sys.path:
            sys.path.remove(entry)

    def report(case: Case) -> dict[str, Any]:
        try:
            if case.command == "layer":
                options = layer_options(case.target, timeout_s=PROGRAM_S, fix_budget_s=fix_budget_s)
                return dict(run_layer(options).to_dict())
            options = session_options(case.target, timeout_s=PROGRAM_S, fix_budget_s=fix_budget_s)
            return dict(run_report(options).to_dict())
        except program_error as error:
            return {"program_error": error.to_dict()}
        except Exception as error:
            return {"internal_error": f"{type(error).__name__}: {error}"}

    return lambda case: dict(normalised(json.loads(json.dumps(report(case))), str(root)))


def _defined(name: str, package: Path) -> Any:
    """A function or class of the package, wherever it is defined: modules have other places in older commits."""
    start = re.compile(rf"^(?:def|class) {name}\b", re.MULTILINE)
    for path in package.rglob("*.py"):
        if start.search(path.read_text(encoding="utf-8")):
            module = ".".join(path.relative_to(package.parent).with_suffix("").parts)
            return getattr(importlib.import_module(module), name)
    raise LookupError(f"{name} is defined nowhere in {package}")


def _run_all(
    waiting: Sequence[Case], directory: Path, jobs: int, report: Callable[[Case], dict[str, Any]]
) -> None:
    """A forked process for every case, `jobs` at a time. What ends without a report has that as its report."""
    queue = list(reversed(waiting))
    running: dict[int, tuple[Case, float]] = {}
    gc.freeze()
    try:
        while queue or running:
            while queue and len(running) < jobs:
                case = queue.pop()
                if (process := os.fork()) == 0:
                    _be_child(case, directory, report)
                running[process] = case, time.monotonic()
            for process, (case, started) in list(running.items()):
                ended, status = os.waitpid(process, os.WNOHANG)
                late = time.monotonic() - started > LIMIT_S
                if late:
                    _kill_group(process)
                    os.waitpid(process, 0)
                if ended or late:
                    del running[process]
                    _kill_group(process)
                    path = directory / f"{case.name}.json"
                    if not path.exists():
                        ending = "ran too long" if late else f"ended its process with status {status}"
                        _write(path, {"no_report": ending})
                    print(f"{time.monotonic() - started:6.1f} s  {case.name}", file=sys.stderr, flush=True)
            time.sleep(0.02)
    finally:
        for process in running:
            _kill_group(process)


def _be_child(case: Case, directory: Path, report: Callable[[Case], dict[str, Any]]) -> NoReturn:
    exit_now = os._exit  # the program may replace it
    try:
        os.setsid()
        import numpy as np
        import torch

        random.seed(0)  # a fork seeds Python's generator from the clock
        np.random.seed(0)
        torch.set_num_threads(1)  # a fork has no threads, and a pool of them would be waited for
        sink = os.open(os.devnull, os.O_RDWR)
        for number in (0, 1, 2):
            os.dup2(sink, number)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
        sys.argv = [case.target]
        _write(directory / f"{case.name}.json", report(case))
    finally:
        exit_now(0)


def _write(path: Path, report: dict[str, Any]) -> None:
    text = json.dumps(report, indent=1, sort_keys=True, ensure_ascii=False)
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text + "\n", encoding="utf-8", errors="surrogatepass")
    temporary.replace(path)


def _kill_group(process: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)


def compare(base: Path, new: Path, names: Sequence[str]) -> bool:
    """Prints what differs. Whether anything but wording does."""
    wanted = sorted({path.stem for folder in (base, new) for path in folder.glob("*.json")})
    wanted = [name for name in wanted if not names or any(fnmatch(name, each) for each in names)]
    changed = reworded = 0
    for name in wanted:
        changes = differences(_read(base / f"{name}.json"), _read(new / f"{name}.json"))
        facts = [change for change in changes if not change.is_wording]
        wording = [change for change in changes if change.is_wording]
        changed += bool(facts)
        reworded += bool(wording)
        if changes:
            print(name)
        for title, group in (("", facts), ("wording: ", wording)):
            for change in group:
                print(f"  {title}{change}")
    print(f"{len(wanted)} reports: {changed} changed, {reworded} reworded")
    return changed > 0


def _read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else MISSING


def base_of(revision: str, names: Sequence[str], fix_budget_s: float, jobs: int) -> Path:
    """The golden reports of a commit, by the package as it was there. They are kept, and written once."""
    commit = _git("rev-parse", "--verify", f"{revision}^{{commit}}")
    directory = CACHE / f"{commit}-{fix_budget_s:g}"
    if names and not directory.exists():
        directory = directory.with_name(f"{directory.name}-{_name(' '.join(names))}")
    if directory.exists():
        return directory
    with tempfile.TemporaryDirectory(prefix="golden-") as folder:
        tree, written = Path(folder, "tree"), Path(folder, "reports")
        _git("worktree", "add", "--detach", str(tree), commit)
        try:
            command = [sys.executable, __file__, "write", str(written), "--root", str(tree)]
            command += names
            subprocess.run([*command, f"--fix-budget={fix_budget_s}", f"--jobs={jobs}"], check=True)
        finally:
            _git("worktree", "remove", "--force", str(tree))
        CACHE.mkdir(exist_ok=True)
        shutil.move(written, directory)
    return directory


def _git(*arguments: str) -> str:
    return subprocess.check_output(["git", "-C", str(HERE), *arguments], text=True).strip()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    writing = commands.add_parser("write", help="write the golden reports")
    writing.add_argument("directory", type=Path, metavar="DIR")
    checking = commands.add_parser("check", help="compare new golden reports with a base")
    base = checking.add_mutually_exclusive_group(required=True)
    base.add_argument("--base", type=Path, metavar="DIR", help="a directory that `write` wrote")
    base.add_argument("--base-rev", metavar="REV", help="a commit, run by its own package")
    for command in (writing, checking):
        command.add_argument("names", nargs="*", metavar="NAME", help="these programs only; may be patterns")
        command.add_argument("--jobs", type=int, default=2, metavar="N")
        command.add_argument("--root", type=Path, default=HERE, help="the repository whose package is run")
        command.add_argument("--fix-budget", type=float, default=FIX_BUDGET_S, metavar="SECONDS")
        command.add_argument(
            "--no-fixes", dest="fix_budget", action="store_const", const=0.0, help="search for no fixes: fast"
        )
    options, more = parser.parse_known_args()  # argparse takes names that follow an option for unknown
    if unknown := [word for word in more if word.startswith("-")]:
        parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    options.names += more
    root = options.root.resolve()
    if options.command == "write":
        write(root, options.directory, options.names, options.fix_budget, options.jobs)
        return
    before = (
        options.base.resolve()
        if options.base
        else base_of(options.base_rev, options.names, options.fix_budget, options.jobs)
    )
    with tempfile.TemporaryDirectory(prefix="golden-") as folder:
        write(root, Path(folder), options.names, options.fix_budget, options.jobs)
        sys.exit(compare(before, Path(folder), options.names))


if __name__ == "__main__":
    main()
