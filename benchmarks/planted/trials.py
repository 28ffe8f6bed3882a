"""Plants the bugs of one program one by one, each in a forked child, and notes what was said of them."""

from __future__ import annotations

import ast
import random
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch

from benchmarks.planted import arithmetic, chains, tensors  # noqa: F401 (they register their kinds)
from benchmarks.planted.baselines import Baselines, owners_of
from benchmarks.planted.equivalence import JITTERS, jitter, places_of, same, snapshot
from benchmarks.planted.observed import Observed, observe
from benchmarks.planted.scenes import text
from benchmarks.planted.sites import Site, find_sites, mutations_of, parameters_of
from benchmarks.planted.subjects import Subject, plant
from gradcheck.base.options import SessionOptions
from gradcheck.program.errors import ProgramError
from tests.support import ChildFailedError, in_child

ACCUSED = ("introduced", "compensated")
IMPRECISE = "GC110"  # a warning or an error, by its size
_NEVER_MOVED = "GC105"  # a warning: of an update that is gone
_WRONG_NUMBERS = ("GC101", "GC102", "GC106", "GC108", IMPRECISE)
CHANGED = "changed"  # the fate of a mutant that counts; all others are only told how many there were


@dataclass
class Trial:
    """One planted bug. What is None could not be asked."""

    program: str
    kind: str
    cell: int | None
    line: int
    was: str
    became: str
    is_gradient: bool
    in_optimiser: bool = False
    fate: str = ""
    detected: bool = False
    right_line: bool = False
    false_alarms: list[str] = field(default_factory=list)
    explained: bool = False
    fix_found: bool = False
    fix_restores: bool = False
    gradcheck: bool | None = None
    allclose: bool | None = None
    said: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        cell = "" if self.cell is None else f"{self.cell}:"
        return f"{self.program}:{cell}{self.line} [{self.kind}]"


@dataclass(frozen=True, slots=True)
class Settings:
    only: str | None = None
    per_kind: int = 3  # of each kind and program
    seed: int = 0
    baselines: bool = True
    fix_budget: float | None = None
    timeout_s: float = 60.0
    share: int | None = None  # how many of each program, of all kinds together


@dataclass
class Planned:
    """A mutant before it is tried."""

    site: Site
    trial: Trial
    changed: str


def options_for(program: Path, settings: Settings) -> SessionOptions:
    options = SessionOptions(str(program), timeout_s=30.0)
    return options if settings.fix_budget is None else replace(options, fix_budget_s=settings.fix_budget)


class Bench:
    """One right program, observed once, in this process: children inherit what was found."""

    def __init__(self, subject: Subject, folder: Path, settings: Settings) -> None:
        sys.dont_write_bytecode = True  # a changed module may be as old and as long as the right one
        self.subject, self.settings = subject, settings
        self.program = subject.lay_out(folder)
        self.options = options_for(self.program, settings)
        self.right = Observed()
        modules, state = set(sys.modules), torch.get_rng_state()
        observe(self.right, self.options)
        torch.set_rng_state(state)
        for name in set(sys.modules) - modules:
            if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(folder)):
                del sys.modules[name]
        accused = [row["name"] for row in self.right.report["gradients"] if row["verdict"] in ACCUSED]
        if accused:
            raise RuntimeError(f"{subject.name} should be right, but {accused} are accused")
        self._prepare()

    def _prepare(self) -> None:
        recording = self.right.recording
        values = [value for judge in self.right.judges.values() for value in parameters_of(judge)]
        names = {row["name"] for row in self.right.report["gradients"]}
        names |= {b.name for b in recording.bindings if b.value in set(values)}
        self.names = frozenset(names)
        places = list(dict.fromkeys(places_of(recording, values).values()))
        self.jitters = [{}, *(jitter(recording, places, seed) for seed in range(JITTERS))]
        self.snapshots = [snapshot(recording, self.names, jittered) for jittered in self.jitters]
        self.owners = {i: owners_of(recording, judge) for i, judge in self.right.judges.items()}
        self.baseline_holds: dict[int, bool] = {}
        for index, judge in self.right.judges.items():
            baselines = Baselines(recording, judge, self.owners[index], judge)
            self.baseline_holds[index] = self.settings.baselines and baselines.gradcheck() is False

    def plan(self) -> list[Planned]:
        """The mutants of the program in order, `per_kind` of each kind, the same ones for the same seed."""
        by_kind: dict[str, list[Planned]] = defaultdict(list)
        seen: set[str] = set()
        for site in find_sites(self.right):
            for mutation, changed in mutations_of(site, site.unit.text):
                normal = _normal(changed)
                if normal is None or normal in seen or normal == _normal(site.unit.text):
                    continue
                seen.add(normal)
                trial = Trial(
                    self.subject.name, mutation.kind, site.unit.cell, site.span[2],
                    text(mutation.old), text(mutation.new), site.is_gradient, site.in_optimiser,
                )  # fmt: skip
                by_kind[mutation.kind].append(Planned(site, trial, changed))
        found: list[Planned] = []
        for name, planned in by_kind.items():
            chooser = random.Random(f"{self.settings.seed} {self.subject.name} {name}")
            if self.settings.only in (None, name):
                found += sorted(
                    chooser.sample(planned, min(self.settings.per_kind, len(planned))),
                    key=lambda each: planned.index(each),
                )
        if self.settings.share is not None and self.settings.share < len(found):
            chooser = random.Random(f"{self.settings.seed} {self.subject.name}")
            numbers = chooser.sample(range(len(found)), self.settings.share)
            found = [found[number] for number in sorted(numbers)]
        return found

    def try_out(self, planned: Planned) -> Trial:
        """To be run in a child: the program is changed where it lies."""
        trial, site = planned.trial, planned.site
        plant(site.unit, planned.changed, self.program)
        wrong = Observed()
        told_nothing = ""
        try:
            observe(wrong, self.options)
        except ProgramError as error:
            told_nothing = str(error)
        if self._raised(wrong, told_nothing):
            trial.fate = "raises"
        elif self._forward_changed(wrong, site):
            trial.fate = "changes the forward pass"
        elif self._equivalent(wrong):
            trial.fate = "computes the same gradients"
        else:
            trial.fate = CHANGED
            if told_nothing:
                trial.said.append(f"no report: {told_nothing}")
            else:
                self._judge(planned, wrong)
                self._ask_baselines(trial, site, wrong)
        return trial

    def _raised(self, wrong: Observed, told_nothing: str) -> bool:
        if not wrong.report:
            return "raised" in told_nothing or not wrong.recording.ops
        before = {error["error"] for error in self.right.report["program"]["errors"]}
        return any(error["error"] not in before for error in wrong.report["program"]["errors"])

    def _forward_changed(self, wrong: Observed, site: Site) -> bool:
        if not wrong.report:
            return False
        for one, other in zip(self.right.report["passes"], wrong.report["passes"], strict=False):
            if one["index"] > site.pass_index:
                break
            left, right = one["loss_value"], other["loss_value"]
            if left is not None and right is not None and abs(left - right) > 1e-9 * abs(left):
                return True
        return False

    def _equivalent(self, wrong: Observed) -> bool:
        try:
            return all(
                same(right, snapshot(wrong.recording, self.names, jittered))
                for jittered, right in zip(self.jitters, self.snapshots, strict=True)
            )
        except (IndexError, RuntimeError):  # another tape: not the same program
            return False

    def _judge(self, planned: Planned, wrong: Observed) -> None:
        trial, site = planned.trial, planned.site
        delta = planned.changed.count("\n") - site.unit.text.count("\n")
        counted = {IMPRECISE, _NEVER_MOVED} - {f["rule"] for f in self.right.report["findings"]}
        errors = [f for f in wrong.report["findings"] if f["severity"] == "error" or f["rule"] in counted]
        accused = [row for row in wrong.report["gradients"] if row["verdict"] in ACCUSED]
        trial.detected = bool(errors or accused)
        # That a gradient is no longer used, say, is another finding about the same bug.
        wrong_numbers = [f for f in errors if f["rule"] in _WRONG_NUMBERS]
        first = (wrong_numbers or errors or accused or [None])[0]
        trial.right_line = first is not None and (
            site.accepts(first["location"], delta)
            or (first.get("rule") == _NEVER_MOVED and _own_name(first["evidence"]["parameter"]) in trial.was)
        )
        for row in accused:
            if not site.accepts(row["location"], delta):
                trial.false_alarms.append(_shown(row))
        if not (trial.right_line and not trial.false_alarms):
            trial.said += [_shown(row) for row in wrong.report["gradients"] if row["verdict"] != "correct"]
        for finding in errors:
            trial.explained |= bool(finding["evidence"].get("explanation"))
            fix = finding.get("fix")
            if fix and fix["verified"]:
                trial.fix_found = True
                restored = _apply(fix, planned.changed, site.unit.cell)
                trial.fix_restores |= restored is not None and _normal(restored) == _normal(site.unit.text)

    def _ask_baselines(self, trial: Trial, site: Site, wrong: Observed) -> None:
        right, judge = self.right.judges.get(site.pass_index), wrong.judges.get(site.pass_index)
        if not self.settings.baselines or right is None or judge is None:
            return
        baselines = Baselines(wrong.recording, judge, self.owners[site.pass_index], right)
        trial.allclose = baselines.allclose()
        if self.baseline_holds[site.pass_index]:
            trial.gradcheck = baselines.gradcheck()


def trials_of(subject: Subject, settings: Settings) -> list[Trial]:
    """To be run in a child, for the program runs here."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(subject, Path(folder).resolve(), settings)
        right = bench.program.read_text()
        found = []
        for planned in bench.plan():
            found.append(_tried(bench, planned, settings))
            bench.program.write_text(right)
            if planned.site.unit.cell is None:
                Path(planned.site.unit.filename).write_text(planned.site.unit.text)
        return found


def _tried(bench: Bench, planned: Planned, settings: Settings) -> Trial:
    action: Callable[[], Trial] = lambda: bench.try_out(planned)  # noqa: E731
    try:
        trial = in_child(action, timeout_s=settings.timeout_s)
        assert isinstance(trial, Trial)
        return trial
    except ChildFailedError as error:
        # No report is a miss, whatever the reason: a slow mutant, or a fault of the tool's own.
        planned.trial.fate = CHANGED
        planned.trial.said = ["no report:", *str(error).strip().splitlines()[-12:]]
        return planned.trial


def fates(trials: list[Trial]) -> Counter[str]:
    return Counter(trial.fate for trial in trials)


def _shown(row: dict[str, Any]) -> str:
    local = row["local_error"]
    error = "" if local is None else f", local error {float(local):.1e}"
    reason = f" ({row['reason']})" if row["reason"] else ""
    place = row["location"]
    cell = "" if place["cell"] is None else f"{place['cell']}:"
    return f"{row['name']} of {row['of']} at {cell}{place['line']}: {row['verdict']}{error}{reason}"


def _own_name(parameter: str) -> str:
    return parameter.rpartition(".")[2]


def _normal(source: str) -> str | None:
    """The program's own shape, whatever its spaces and brackets; None if it does not compile."""
    lines = [line if line.lstrip()[:1] not in ("%", "!") else "" for line in source.split("\n")]
    try:
        return ast.dump(ast.parse("\n".join(lines)))
    except SyntaxError:
        return None


def _apply(fix: dict[str, Any], source: str, cell: int | None) -> str | None:
    place = fix["location"]
    if place["cell"] != cell:
        return None
    lines = source.split("\n")
    before = "\n".join([*lines[: place["line"] - 1], lines[place["line"] - 1][: place["column"] - 1]])
    after = "\n".join([lines[place["end_line"] - 1][place["end_column"] - 1 :], *lines[place["end_line"] :]])
    return before + str(fix["replacement"]) + after
