"""`Report`: what `gradcheck.check` returns, with every way to show it, and the JSON contract.

`docs/report-json.md` describes the JSON for its readers; `schema.json` is its schema. Keys may be added, never
renamed. This file imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from gradcheck.base.codec import decode, encode
from gradcheck.base.errors import GradientError
from gradcheck.base.groups import grouped
from gradcheck.judge.verdict import GradientResult, PassResult
from gradcheck.report import isolation as isolation_section
from gradcheck.report import sentences
from gradcheck.report.contents import ReportContents
from gradcheck.report.health.section import checks_table
from gradcheck.report.tables import Column, Table

if TYPE_CHECKING:
    import pandas


@dataclass(slots=True, repr=False)
class Report(ReportContents):
    """What gradcheck found. `findings` are the causes, each at the line to edit; `rows` are all gradients with their
    verdicts, `gradients` the same as a DataFrame. In a notebook it shows itself."""

    schema: ClassVar[int] = 1

    @property
    def gradients(self) -> pandas.DataFrame:
        """One row per gradient, as a DataFrame: see `to_dataframe`."""
        return self.to_dataframe()

    def raise_for_errors(self) -> None:
        """Raises GradientError if a finding is at error level; its text is those findings, each with the person's line
        and a caret under what is wrong."""
        __tracebackhide__ = True
        if self.exit_status:
            from gradcheck.report.terminal import error_text  # rich, which `import gradcheck` does not need

            raise GradientError(error_text(self))

    def __repr__(self) -> str:
        """One line; `print` shows the whole report."""
        return f"<{type(self).__name__} {sentences.headline(self)}>"

    def __str__(self) -> str:
        from gradcheck.report import terminal

        return terminal.text(self)

    def to_html(self) -> str:
        """A page of its own, with its figures: what `gradcheck report --format html` writes."""
        from gradcheck.report.figures.all import report_pictures  # imports matplotlib
        from gradcheck.report.html import page

        return page.render(self, report_pictures(self))

    def to_markdown(self, verbose: bool = False) -> str:
        """The whole report as Markdown; `verbose`: with each health rule that found nothing."""
        from gradcheck.report import markdown

        return markdown.render(self, verbose=verbose)

    def _repr_html_(self) -> str:
        from gradcheck.report.html import element

        return element.render(self)

    def to_dict(self) -> dict[str, Any]:
        """The whole report as plain data: the JSON of `gradcheck report --format json`."""
        first = {
            "schema": self.schema,
            "version": self.version,
            "target": self.target,
            "exit_status": self.exit_status,
            "summary": self.summary,
            "incomplete": sentences.gaps(self),
        }
        return first | {
            **encode(self),
            "passes": [_encode_pass(step) for step in self.passes],
            "gradients": encode(self.rows),
            "suppressed": [
                {**encode(each.finding), "suppressed_by": encode(each.comment)} for each in self.suppressed
            ],
            "isolation": isolation_section.encoded(self.isolation),
        }

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Report:
        if data.get("schema") != cls.schema:
            raise ValueError(
                f"this is a report of schema {data.get('schema')!r}; schema {cls.schema} is known"
            )
        hidden = [{"finding": row, "comment": row["suppressed_by"]} for row in data.get("suppressed", [])]
        rows = grouped((row["pass_index"], row) for row in data["gradients"])
        passes = [
            step | {"loss_location": step["location"], "gradients": rows.get(step["index"], [])}
            for step in data["passes"]
        ]
        needed = {name: data[name] for name in ("target", "version", "findings", "program", "excerpts")}
        return decode(cls, data | needed | {"passes": passes, "suppressed": hidden})

    def to_dataframe(self, table: str = "gradients") -> pandas.DataFrame:
        """One of the report's tables. "gradients": one row per gradient; the loss and the iteration of its pass stand
        beside it. "checks": one row per rule. The others are those of `tables`, by name; raises KeyError if the
        report has no such table."""
        known = [_all_gradients(self.passes), checks_table(self.checks), *self.tables]
        found = {each.name: each for each in known}
        if table not in found:
            raise KeyError(f"{table!r}; this report has {', '.join(found)}")
        return found[table].to_dataframe()


def _encode_pass(step: PassResult) -> dict[str, Any]:
    """A pass without its rows: those are in the report's one list of gradients."""
    data: dict[str, Any] = encode(replace(step, gradients=[]))
    del data["gradients"]
    data["location"] = data.pop("loss_location")
    return data


_PATHS = (
    "row.pass_index", "step.loss", "step.iteration", "row.name", "row.of", "row.location.file", "row.location.cell",
    "row.location.line", "row.location.column", "row.total_error", "row.local_error", "row.hidden_error", "row.noise",
    "row.cosine", "row.worst.index", "row.worst.expected", "row.worst.found", "row.expected_norm", "row.found_norm",
    "row.mismatched", "row.elements", "row.shape", "row.dtype", "row.verdict.value", "row.problem.value", "row.reason",
    "row.occurrences",
)  # fmt: skip


class _Row(NamedTuple):
    step: PassResult
    row: GradientResult


def _all_gradients(passes: Iterable[PassResult]) -> Table:
    """Everything that is known of each, for a DataFrame."""
    columns = []
    for path in _PATHS:
        name = "_".join(path.split(".")[1:]).removeprefix("location_").removesuffix("_value")
        columns.append(Column(name, name, path))
    rows = [_Row(step, row) for step in passes for row in step.gradients]
    return Table.of("gradients", "Gradients", tuple(columns), rows)
