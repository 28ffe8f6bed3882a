"""Sentences that several gradient rules share, so that one fact always reads the same."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gradcheck.base import numbers
from gradcheck.base.groups import grouped, joined
from gradcheck.base.paths import picked
from gradcheck.checks.finding import Finding
from gradcheck.checks.rule import Evidence, Rule
from gradcheck.judge.verdict import GradientResult, PassResult, Problem, Verdict
from gradcheck.program.location import Location


class Case:
    """One line at fault: all the rows that show its fault, the worst first.

    A line is run by several passes (iterations 0 and 100 of one loop) and for several values (a function
    called once per layer): it is still one cause, and one finding.
    """

    def __init__(self, rows: Sequence[tuple[PassResult, GradientResult]]) -> None:
        self.rows = sorted(rows, key=lambda pair: -_size(pair[1]))
        self.step, self.row = self.rows[0]

    @property
    def evidence(self) -> dict[str, Any]:
        """What a program reading the report needs to find the row again."""
        row = self.row
        return picked(
            row,
            "gradient=name of verdict=verdict.value problem=problem.value total_error local_error hidden_error upstream",
            gradients=list(dict.fromkeys(row.name for _, row in self.rows)),
            passes=sorted({step.index for step, _ in self.rows}),
        )

    def finding(
        self, rule: Rule, message: str, label: str, *, notes: Iterable[str] = (), **details: Any
    ) -> Finding:
        """At the row's line; what applies to any wrong gradient follows the `notes`."""
        details = {"evidence": self.evidence, **details}
        notes = [*filter(None, notes), *common_notes(self)]
        return rule.finding(self.row.location, message, label=label, notes=notes, **details)


def cases(evidence: Evidence, verdicts: Iterable[Verdict], problems: Iterable[Problem]) -> Iterator[Case]:
    """The rows with one of these verdicts and problems, gathered by line, in program order."""
    verdicts, problems = set(verdicts), set(problems)
    rows = (
        (row.location, (step, row))
        for step in evidence.passes
        for row in step.gradients
        if row.verdict in verdicts and row.problem in problems
    )
    return map(Case, grouped(rows).values())


def code(name: str | None) -> str:
    return f"`{name}`" if name else "an unnamed value"


def listing(names: Sequence[str], most: int = 3) -> str:
    """`a`, `b` and `c`; with more than `most`, `a`, `b` and 7 more."""
    return joined([code(name) for name in dict.fromkeys(names)], most)


def judged_against(row: GradientResult, step: PassResult) -> str:
    """What the local error compares with."""
    if row.upstream:
        noun = "gradient" if len(row.upstream) == 1 else "gradients"
        return f"the VJP of its own upstream {noun} {listing(row.upstream)}"
    return f"the derivative of the loss {code(step.loss)}"


def expected_line(row: GradientResult) -> str:
    """The right side of the mismatch in figures: `norm 0.0213, e.g. [3, 17] = -0.00042`."""
    return _figures(row, 0, "e.g. ")


def found_line(row: GradientResult) -> str:
    """The person's side: the same figures, and how widely the two differ."""
    extent = []
    if row.mismatched is not None and row.elements:
        extent.append(f"{row.mismatched} of {numbers.count(row.elements, 'element')} differ")
    if row.cosine is not None:
        extent.append(f"cosine with the true gradient {numbers.value(row.cosine, 2)}")
    figures = _figures(row, 1, "")
    return f"{figures} ({'; '.join(extent)})" if extent else figures


def common_notes(case: Case) -> list[str]:
    """What applies to any wrong gradient: what inherits it, how it was built, how it was paired."""
    row = case.row
    repeats = [*_same_line(case), *_several_passes(case)]
    if row.occurrences > 1:
        repeats.append(f"this line computes it {row.occurrences} times in one pass")
    if repeats:
        repeats[-1] += "; the figures are of the worst one"
    notes = [*row.notes, *_inheritance(case), *repeats]
    earlier = [line for line in dict.fromkeys(row.lines) if line.line != row.location.line]
    if earlier:
        others = ", ".join(place(line, row.location) for line in earlier)
        notes.append(f"it is built over several lines (also {others}) and judged by its final value")
    if row.scale_note:
        notes.append(row.scale_note)
    return notes


_ANOTHER = "if it belongs to another value"


def pairing_help(row: GradientResult) -> list[str]:
    """How to override a pairing that is not based on the name."""
    if not row.evidence or "name" in row.evidence or row.evidence.startswith("being returned"):
        return []
    # An expression is bound to no name that could be given on the command line.
    typed = re.fullmatch(r"[\w.]+", row.name)
    say = f"use `--pair {row.name}=VALUE`" if typed else "write `# gradcheck: of VALUE` on its line"
    return [f"{code(row.name)} was paired with {code(row.of)} by {row.evidence}; {_ANOTHER}, {say}"]


def without_pairing_help(helps: Sequence[str]) -> list[str]:
    return [advice for advice in helps if _ANOTHER not in advice]


def place(line: Location, seen_from: Location) -> str:
    """A line as short as the context allows: `line 60`, `cell 3 line 60`, `model.py line 60`."""
    file = f"{line.file} " if line.file != seen_from.file else ""
    cell = f"cell {line.cell} " if line.cell is not None and line.cell != seen_from.cell else ""
    return f"{file}{cell}line {line.line}"


def _inheritance(case: Case) -> list[str]:
    inheritors = [
        row.name
        for step, source in case.rows
        for row in step.gradients
        if row.verdict is Verdict.INHERITED and source.name in row.inherits_from
    ]
    if not inheritors:
        return []
    verb = "inherits" if len(set(inheritors)) == 1 else "inherit"
    return [f"{listing(inheritors)} {verb} this error"]


def _same_line(case: Case) -> list[str]:
    """The other gradients that this line computes, and gets wrong as well."""
    shown = (case.row.name, case.row.of)
    others = dict.fromkeys((row.name, row.of) for _, row in case.rows if (row.name, row.of) != shown)
    if not others:
        return []
    # A function's line computes `dx` for every layer: then only the values distinguish the gradients.
    names = [name if name != case.row.name else f"{name} of {of}" for name, of in others]
    return [f"this line is also wrong for {listing(names)}"]


def _several_passes(case: Case) -> list[str]:
    passes = {step.index for step, _ in case.rows}
    if len(passes) == 1:
        return []
    iterations = sorted({step.iteration for step, _ in case.rows if step.iteration is not None})
    if len(iterations) > 1:
        return [f"the same at iterations {', '.join(map(str, iterations))}"]
    return [f"the same in {len(passes)} backward passes"]


def _figures(row: GradientResult, side: int, lead: str) -> str:
    norm = numbers.distinct(row.expected_norm, row.found_norm)[side]
    parts = [f"norm {norm}"] if norm != numbers.ABSENT else []
    if row.worst is not None:
        element = numbers.distinct(row.worst.expected, row.worst.found)[side]
        where = f"{numbers.element(row.worst.index)} = " if row.worst.index else ""
        parts.append(f"{lead if parts and where else ''}{where}{element}")
    return ", ".join(parts)


def _size(row: GradientResult) -> float:
    sizes = [e for e in (row.local_error, row.hidden_error) if e is not None]
    return max((float("inf") if e != e else e for e in sizes), default=0.0)
