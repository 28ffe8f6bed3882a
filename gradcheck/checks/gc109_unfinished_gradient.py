"""GC109 unfinished-gradient: a name for a gradient, and nothing computed yet."""

from __future__ import annotations

from collections.abc import Iterator

from gradcheck.checks.evidence import Evidence
from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.rule import Rule
from gradcheck.checks.wording import cases, code
from gradcheck.judge.verdict import Problem, Verdict


def check(evidence: Evidence) -> Iterator[Finding]:
    for case in cases(evidence, Verdict, {Problem.UNFINISHED}):
        row = case.row
        of = f", the gradient of {code(row.of)}," if row.of else ""
        yield Finding(
            rule=RULE.code,
            name=RULE.name,
            severity=RULE.severity,
            location=row.location,
            message=f"{code(row.name)}{of} is not computed yet",
            label="a placeholder",
            notes=[row.reason] if row.reason else [],
            evidence=case.evidence,
        )


RULE = Rule(
    code="GC109",
    name="unfinished-gradient",
    severity=Severity.WARNING,
    summary="a gradient is still a placeholder",
    what_it_does="""\
Reports a name for a gradient that holds `None` (or another placeholder that is no tensor) when the backward
pass ends. Its row in the report is `unchecked`.""",
    why_is_this_bad="""\
What is not computed cannot be checked, and a report that left the row out would read as if it were right.
An exercise half done, or a line commented out during a search, is easily forgotten.""",
    example="""\
dhpre = dh * (1 - h**2)
dW1 = None  # TODO
db1 = dhpre.sum(0)""",
    use_instead="""\
dhpre = dh * (1 - h**2)
dW1 = x.T @ dhpre
db1 = dhpre.sum(0)""",
    how_it_is_measured="""\
The name reads like a gradient (a prefix or suffix such as `d`, `grad_` or `_grad` and the name of a value
of the step) and holds no tensor at the end of the pass.""",
    references=("docs/verdicts.md, unchecked",),
    check=check,
)
