"""What the diagnosis adds to findings: the explanation, the edit and its proof, and the line that is really at fault."""

import ast
import textwrap
from collections.abc import Sequence

from gradcheck.base.codec import encode
from gradcheck.checks import gc101_wrong_gradient as gc101
from gradcheck.checks import gc102_hidden_by_initialisation as gc102
from gradcheck.checks.finding import Finding, Fix
from gradcheck.checks.registry import all_rules
from gradcheck.checks.wording import code, listing, without_pairing_help
from gradcheck.diagnosis.consequence import Healed, sentence
from gradcheck.diagnosis.found import Found
from gradcheck.diagnosis.mistakes.mistake import Explanation
from gradcheck.diagnosis.syntax import TextChange
from gradcheck.judge.judgement import Judgement
from gradcheck.program.location import Location

DIAGNOSED = tuple(rule.code for rule in all_rules() if rule.is_diagnosed)


NEED_A_REASON = (gc101.RULE.code, gc102.RULE.code)  # the others say it in their message
NOT_EXPLAINED = (
    "the cause was not found: no single known mistake gives these numbers, and no edit that was tried repairs them; "
    "there may be several mistakes here"
)
NOT_SEARCHED = "the search for a fix was not finished: the time for all faults together was used up"


def explain_in(
    finding: Finding, explanations: Sequence[Explanation], found: Found | None, is_searched: bool
) -> None:
    """Why the gradient is wrong, before all other notes; or that it is not known."""
    if not explanations:
        if is_searched and found is None and finding.rule in NEED_A_REASON:
            finding.notes.append(NOT_EXPLAINED)
        return
    finding.notes[:0] = [explanation.sentence for explanation in explanations]
    finding.evidence["explanation"] = [
        {"kind": e.kind, "sentence": e.sentence, **e.evidence} for e in explanations
    ]


def tell_what_heals(finding: Finding, healed: Sequence[Healed]) -> None:
    if healed:
        finding.notes.append(sentence(healed))
        finding.evidence["heals"] = [{"gradient": one.name, "error": one.error} for one in healed]


def attach(finding: Finding, found: Found, judgement: Judgement) -> None:
    site = found.site
    change = found.text_change
    if change is None:
        return
    place = _location(site.unit.filename, change, judgement)
    proof = found.proof
    finding.fix = Fix(proof.proved, _diff(found, change), change.text, place)
    finding.helps.append(f"{_what_to_do(found, change)}: {proof.sentence}")
    if not proof.proved:
        return
    # A proved edit leaves no doubt about the pairing.
    finding.helps = without_pairing_help(finding.helps)
    if found.forward or not (found.is_move or _covers(finding.location, place)):
        _move(finding, found, judgement)


def _move(finding: Finding, found: Found, judgement: Judgement) -> None:
    """The cause lies on another line than the gradient's: point at the line to edit."""
    site = found.site
    gradient_line = finding.location
    line, end_line, column, end_column = site.rewriter.span
    finding.location = judgement.sources.location(site.unit.filename, line, end_line, column, end_column)
    finding.evidence["gradient_line"] = encode(gradient_line)
    where = f"line {gradient_line.line}"
    if gradient_line.cell is not None and gradient_line.cell != finding.location.cell:
        where = f"cell {gradient_line.cell} {where}"
    name = finding.evidence.get("gradient")
    finding.label = f"{code(str(name))} at {where} has {finding.label}"
    finding.expected = finding.found = ""  # figures of a gradient that is not computed here
    if found.forward is not None:
        finding.evidence["forward"] = True
        wrong, done = found.forward
        finding.message = f"the forward pass {wrong.format(f'{code(str(name))} ({where})')}"
        finding.notes.insert(0, f"with the edit it {done}, and {where} is right as it is written")
    else:
        finding.message = f"{finding.message}: the cause is here"
        finding.notes.insert(0, f"{code(str(name))} is computed from this at {where}")


def _what_to_do(found: Found, change: TextChange) -> str:
    if found.advice:
        return found.advice
    if found.deletion is not None:
        return "delete this line"
    if isinstance(found.tree, ast.Module):
        added = change.text.split("\n")[-1] if "\n" in change.text else change.text.split("; ")[-1]
        return f"add {code(added.strip())} after it"
    old = " ".join(found.site.rewriter.text_at(change.span).split())
    new = " ".join(change.text.split())
    if len(old) + len(new) > 70:
        return "this edit makes it right"
    return f"write {code(new)} for {code(old)}"


def _diff(found: Found, change: TextChange) -> str:
    """The changed lines, whole, without the indentation they share."""
    lines = found.site.unit.text.split("\n")
    line, end_line, column, end_column = change.span
    if found.deletion is not None:
        gone = textwrap.dedent("\n".join(lines[line - 1 : end_line - 1]))
        return "\n".join(f"- {text}" for text in gone.split("\n"))
    old = lines[line - 1 : end_line]
    first = lines[line - 1].encode()[:column].decode()
    last = lines[end_line - 1].encode()[end_column:].decode()
    new = (first + change.text + last).split("\n")
    both = textwrap.dedent("\n".join([*old, *new])).split("\n")
    marked = [f"- {text}" for text in both[: len(old)]] + [f"+ {text}" for text in both[len(old) :]]
    return "\n".join(marked)


def _location(filename: str, change: TextChange, judgement: Judgement) -> Location:
    line, end_line, column, end_column = change.span
    return judgement.sources.location(filename, line, end_line, column, end_column)


def one_per_cause(findings: Sequence[Finding]) -> list[Finding]:
    """The findings without those whose cause another one reports."""
    groups: dict[object, list[Finding]] = {}
    for finding in findings:
        if finding.fix is not None and finding.fix.verified:
            groups.setdefault((finding.fix.location, finding.fix.replacement), []).append(finding)
        elif "held_constant" in finding.evidence:
            groups.setdefault(finding.evidence["held_constant"], []).append(finding)
    dropped: set[int] = set()
    for group in groups.values():
        fix = group[0].fix
        # A gradient computed on the very line to edit, for which no edit of its own was found, is wrong by it too.
        members = [
            *group,
            *(
                f
                for f in findings
                if fix and f.fix is None and f.rule in DIAGNOSED and _covers(f.location, fix.location)
            ),
        ]
        if len(members) < 2:
            continue
        kept = min(members, key=lambda f: ("gradient_line" in f.evidence, findings.index(f)))
        _report_once(kept, [f for f in members if f is not kept], fix)
        dropped.update(id(f) for f in members if f is not kept)
    return [finding for finding in findings if id(finding) not in dropped]


def _report_once(kept: Finding, others: list[Finding], fix: Fix | None) -> None:
    if kept.fix is None:
        kept.fix = fix
        kept.helps += [text for text in others[0].helps if text not in kept.helps]
    own = str(kept.evidence.get("gradient"))
    names = [name for f in others if (name := str(f.evidence.get("gradient"))) != own]
    if not names:
        return  # what it was before its last line
    verb = "is" if len(set(names)) == 1 else "are"
    kept.notes.append(f"{listing(names)} {verb} wrong by the same cause")
    kept.evidence["same_cause"] = list(dict.fromkeys(names))


def _covers(outer: Location, inner: Location) -> bool:
    same = (outer.file, outer.cell) == (inner.file, inner.cell)
    return same and outer.line <= inner.line and inner.end_line <= outer.end_line
