"""Makes the innocent edits of one program one by one, each in a forked child, and holds the reports together."""

from __future__ import annotations

import random
import sys
import tempfile
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import libcst as cst
import torch

from benchmarks.innocent import expressions as _expressions
from benchmarks.innocent import neighbours, scopes, statements  # noqa: F401 (they register their rules)
from benchmarks.innocent.bare import Held, difference, run_bare
from benchmarks.innocent.places import all_names, lines_of, read_unit, training_loops
from benchmarks.innocent.rules import RULES, Edit, Place, text_of
from benchmarks.innocent.units import Lines, Old, marks_of, read_units, write_units
from benchmarks.planted.observed import Observed, observe
from benchmarks.planted.sites import find_sites
from benchmarks.planted.subjects import Subject
from benchmarks.planted.trials import ACCUSED, Settings, options_for
from gradcheck.program.errors import ProgramError
from tests.support import ChildFailedError, in_child

assert _expressions
KEPT = "kept its values"  # the fate of an edit that counts
_GRADIENT_RULES = ("GC101", "GC102", "GC103", "GC104", "GC105", "GC106", "GC107", "GC108", "GC109", "GC110")
Accusation = tuple[str, frozenset[Old]]


@dataclass
class EditTrial:
    """One innocent edit, and what changed in the report that should not have."""

    program: str
    is_right: bool
    kind: str
    unit: int
    line: int
    what: str
    fate: str = ""
    accused: list[str] = field(default_factory=list)  # lines that the report before did not accuse
    missed: list[str] = field(default_factory=list)  # lines that it did accuse
    unjudged: list[str] = field(default_factory=list)  # gradients judged before and not now
    failed: str = ""  # no report

    @property
    def name(self) -> str:
        return f"{self.program}:{self.unit}:{self.line} [{self.kind}]"

    @property
    def is_same(self) -> bool:
        return not (self.accused or self.missed or self.failed)


@dataclass
class Judged:
    """What a report says, by the lines of the program before the edit."""

    accused: list[Accusation] = field(default_factory=list)
    judged: dict[str, str] = field(default_factory=dict)


class EditBench:
    """One program, right or wrong, observed once in this process."""

    def __init__(
        self, subject: Subject, folder: Path, settings: Settings, texts: list[str] | None = None
    ) -> None:
        sys.dont_write_bytecode = True
        self.subject, self.settings, self.folder = subject, settings, folder
        self.program = subject.lay_out(folder)
        if texts is not None:
            write_units(self.program, texts)
        self.options = options_for(self.program, settings)
        self.right = Observed()
        state = torch.get_rng_state()
        observe(self.right, self.options)
        torch.set_rng_state(state)
        self.texts = read_units(self.program)
        modules = tuple(read_unit(text, unit) for unit, text in enumerate(self.texts, 1))
        self.lines = Lines.read([text_of(module) for module in modules])
        self.texts = list(self.lines.texts)
        self.modules = modules
        self.before = self._read(self.right.report, self.lines)
        self.loops = training_loops(subject, self.texts)
        self.dtype, self.held = self._bare(torch.float64)

    def _bare(self, dtype: torch.dtype) -> tuple[torch.dtype, Held]:
        try:
            return dtype, self._run_bare(self.texts, dtype)
        except ChildFailedError:
            if dtype == torch.float32:
                raise
            return self._bare(torch.float32)

    def _run_bare(self, texts: list[str], dtype: torch.dtype) -> Held:
        action = lambda: run_bare(texts, str(self.folder), self.program.name, self.loops, dtype)  # noqa: E731
        found: Held = in_child(action, timeout_s=30.0)
        return found

    def _places(self) -> list[Place]:
        names = frozenset(n for m in self.modules if isinstance(m, cst.Module) for n in all_names(m))
        library = "torch" if any("import torch" in text for text in self.texts) else "np"
        lines = [lines_of(module) for module in self.modules]
        found = []
        for site in find_sites(self.right):
            if site.unit.cell is not None or Path(site.unit.filename).name == self.program.name:
                unit = site.unit.cell or 1
                for line, rows in lines[unit - 1].get(f"{unit}:{site.span[2]}", ()):
                    found.append(Place(self.modules, unit, line, rows, site.scene, library, names))
        return found

    def plan(self) -> list[tuple[EditTrial, Edit]]:
        """The same edits for the same seed. A rule is asked until it has made enough: each edit costs a new text."""
        chooser = random.Random(f"{self.settings.seed} {self.subject.name}")
        places = self._places()
        kinds = [kind for kind in RULES if self.settings.only in (None, kind)]
        chooser.shuffle(kinds)
        found: list[tuple[EditTrial, Edit]] = []
        for kind in kinds:
            chooser.shuffle(places)
            made = 0
            for place in places:
                if made == self.settings.per_kind or len(found) == self.settings.share:
                    break
                options = list(islice(RULES[kind](place, kind), chooser.randint(1, 4)))
                if options and options[-1].units != tuple(place.texts):
                    line = int(marks_of(place.line)[0].rpartition(":")[2])
                    right = not self.before.accused
                    trial = EditTrial(self.subject.name, right, kind, place.unit, line, options[-1].what)
                    found.append((trial, options[-1]))
                    made += 1
        return found

    def try_out(self, trial: EditTrial, edit: Edit) -> EditTrial:
        lines = Lines.read(edit.units)
        texts = list(lines.texts)
        try:
            held = self._run_bare(texts, self.dtype)
        except ChildFailedError as error:
            trial.fate = "raises or runs too long"
            trial.failed = str(error).strip().splitlines()[-1]
            return trial
        if reason := difference(self.held, held, dict(edit.renamed), edit.free, self.dtype):
            trial.fate, trial.failed = "changes a value", reason
            return trial
        trial.fate = KEPT
        self._hold_together(trial, edit, lines, texts)
        return trial

    def _hold_together(self, trial: EditTrial, edit: Edit, lines: Lines, texts: list[str]) -> None:
        original = self.program.read_text(encoding="utf-8")
        write_units(self.program, texts)
        try:
            report = in_child(self._report, timeout_s=self.settings.timeout_s)
        except ChildFailedError as error:
            trial.failed = str(error).strip().splitlines()[-1]
            return
        finally:
            self.program.write_text(original, encoding="utf-8")
        if isinstance(report, str):
            trial.failed = report
            return
        after = self._read(report, lines)
        for said, where in after.accused:
            if not any(_meet(where, before) for _, before in self.before.accused):
                trial.accused.append(said)
        for said, where in self.before.accused:
            if not any(_meet(where, now) for _, now in after.accused):
                trial.missed.append(said)
        back = {edit.renamed.get(name, name): verdict for name, verdict in after.judged.items()}
        for name, verdict in self.before.judged.items():
            if verdict != "unchecked" and back.get(name) == "unchecked" and name not in edit.free:
                trial.unjudged.append(name)

    def _report(self) -> dict[str, Any] | str:
        observed = Observed()
        try:
            observe(observed, self.options)
        except ProgramError as error:
            return f"no report: {error}".splitlines()[0]
        return observed.report

    def _read(self, report: dict[str, Any], lines: Lines) -> Judged:
        found = Judged()
        for row in report["gradients"]:
            found.judged[row["name"]] = row["verdict"]
            if row["verdict"] in ACCUSED:
                error = row["local_error"]
                shown = f"{row['name']} of {row['of']}: {row['verdict']} {error if error is None else format(error, '.1e')}"
                found.accused.append(self._placed(shown, row["location"], lines, row["lines"]))
        for finding in report["findings"]:
            if finding["severity"] == "error" and finding["rule"] in _GRADIENT_RULES:
                shown = f"{finding['rule']}: {finding['message']}"
                found.accused.append(self._placed(shown, finding["location"], lines, ()))
        return found

    def _placed(self, said: str, place: dict[str, Any], lines: Lines, more: Any) -> Accusation:
        if Path(place["file"]).name != self.program.name:
            return f"{said} ({place['file']}:{place['line']})", frozenset({(-1, place["line"])})
        unit = place["cell"] or 1
        where = lines.stands_for(unit, place["line"], place["end_line"])
        shown = f"{said} at line {', '.join(str(n) for _, n in sorted(where))}"
        return shown, where


def _meet(one: frozenset[Old], other: frozenset[Old]) -> bool:
    return bool(one & other)


def edits_of(subject: Subject, settings: Settings) -> list[EditTrial]:
    """To be run in a child, for the program runs here."""
    with tempfile.TemporaryDirectory() as folder:
        bench = EditBench(subject, Path(folder).resolve(), settings)
        return [bench.try_out(trial, edit) for trial, edit in bench.plan()]
