"""GC001 unused-suppression: a comment that should suppress a finding suppresses none.

What a comment suppresses is known only after all other rules have run, so `suppressions.py` creates these
findings then; on the evidence alone there is nothing to check.

## What it does

Reports a comment `# gradcheck: ignore[...]` that suppressed nothing in this run (a note), or that cannot
work: it names a rule that does not exist, or cannot be read (a warning).

`# gradcheck: ignore[GC101]` at the end of a line suppresses what GC101 finds on that line. Several codes are
separated by commas; a prefix (`GC1`) and a name (`wrong-gradient`) work as well, as they do after `--select`.
Without brackets it suppresses every rule. On a statement of several lines it may be on a line that the
finding marks, or on the first or last line of the statement. Suppressed findings do not count for the exit
status; the report says how many there are.

## Why is this bad?

The fault that the comment was written for has been fixed, or has moved. The comment remains and suppresses
the next fault on its line before anybody has looked at it. A mistyped code suppresses nothing at all.

## Example

```python
dW2 = h.T @ dlogits  # gradcheck: ignore[GC101]
db2 = dlogits.mean(0)  # gradcheck: ignore[GC1001]
```

## Use instead

```python
dW2 = h.T @ dlogits
db2 = dlogits.mean(0)  # gradcheck: ignore[GC101]
```

## How it is measured

This rule runs after all others, and after the causes of their findings have been searched: the line that
counts is the one that the report shows. A code is unused if no finding on its line belongs to a rule that it
names. It is not reported if one of the rules that it names was not selected, or if nothing was recorded of
the block that contains it (a branch not taken, a function not called). `ignore[GC001]` suppresses this rule;
`ignore` without a code does not.

## References

- docs/configuration.md, suppressing a finding
"""

from collections.abc import Sequence

from gradcheck.base import numbers
from gradcheck.checks.finding import Finding, Severity
from gradcheck.checks.rule import Evidence, Looked, Rule
from gradcheck.checks.wording import listing
from gradcheck.program.location import Location


def unused(comment: Location, codes: Sequence[str], *, whole: bool, alone: bool) -> Finding:
    """`codes` suppress nothing; empty for a comment without codes. `whole`: no part of it suppresses anything."""
    if codes:
        verb, finds = ("suppress", "they find") if codes[1:] else ("suppresses", "it finds")
        message = f"{listing(codes, most=6)} {verb} nothing: {finds} nothing here"
    else:
        message = "this comment suppresses nothing: no rule reports anything here"
    finding = RULE.finding(comment, message, severity=Severity.NOTE, label="not needed in this run")
    if alone:
        finding.notes.append("it applies to its own line, not to the next one")
        finding.helps.append("move it to the end of the line of the finding, or delete it")
    else:
        finding.helps.append("delete the comment" if whole else f"delete {listing(codes, most=6)} from it")
    finding.evidence["unused"] = list(codes)
    return finding


def unknown(place: Location, code: str, similar: Sequence[str]) -> Finding:
    """`place` is that of the code within the comment."""
    finding = RULE.finding(place, f"there is no rule `{code}`", label="suppresses nothing")
    meant = " or ".join(f"`{name}`" for name in similar)
    finding.helps.append(f"did you mean {meant}?" if meant else "`gradcheck rules` lists them")
    finding.evidence["unknown"] = code
    return finding


def unreadable(comment: Location, problem: str, instead: str) -> Finding:
    """`instead` is what may have been meant."""
    finding = RULE.finding(comment, f"this comment cannot be read: {problem}", label="suppresses nothing")
    finding.helps.append(f"write `{instead}`")
    finding.evidence["problem"] = problem
    return finding


def _looked_at(evidence: Evidence) -> Looked:
    count = evidence.ignore_comments
    return (
        Looked(numbers.count(count, "comment")) if count else Looked(why_not="no comment suppresses anything")
    )


RULE = Rule(__name__, __doc__, Severity.WARNING, lambda evidence: (), looked_at=_looked_at)
