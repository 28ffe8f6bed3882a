"""Gradients that nothing can be told about: not finite, not replayable, computed from what cannot stand in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from gradcheck.fronts.gradient_names import Form, parse
from gradcheck.judge.judged import Faults, Judged
from gradcheck.judge.pairing.partners import Proposal
from gradcheck.judge.verdict import Problem, Verdict
from gradcheck.replay.passes import Version

if TYPE_CHECKING:
    from gradcheck.judge.judge import Judge


def not_finite(judge: Judge, version: Version, found: torch.Tensor, faults: Faults) -> None:
    if not version.final:
        return
    proposal = judge.partners.propose(version.candidate, found, judge.paired, judge.run.graph.truth)
    if proposal is None and parse(version.candidate.name).form < Form.EXPLICIT:
        return
    blamed = any(judge.faults[i].judged.problem is Problem.NON_FINITE for i in faults)
    judged = Judged(
        version,
        proposal.value if proposal else None,
        Verdict.INHERITED if blamed else Verdict.INTRODUCED,
        proposal.evidence if proposal else "",
        Problem.NONE if blamed else Problem.NON_FINITE,
        faults=faults,
    )
    bad = int((~torch.isfinite(found)).sum())
    judged.reason = f"{bad} of {found.numel()} elements are NaN or infinite"
    expected = judge.expectation(frozenset())[0].get(proposal.value) if proposal else None
    if expected is not None and not bool(torch.isfinite(expected).all()):
        judged.verdict = Verdict.UNCHECKED
        judged.reason = "the true gradient is not finite here either"
    judge.accept(judged, found, expected, 0.0)
    if judged.verdict is Verdict.INTRODUCED:
        judge.add_fault(judged, judged.of, None)


def after_poison(
    judge: Judge, version: Version, found: torch.Tensor, proposal: Proposal | None, faults: Faults
) -> None:
    if proposal is None:
        return
    judged = Judged(
        version, proposal.value, Verdict.UNCHECKED, proposal.evidence, Problem.UNREACHED, faults=faults
    )
    names = [
        judge.faults[i].judged.candidate.name for i in sorted(faults) if judge.faults[i].gradient is None
    ]
    judged.reason = f"it is computed from `{names[0]}`, which cannot stand in for a gradient"
    judge.accept(judged, found, None, 0.0)


def surrogate(
    judge: Judge,
    version: Version,
    found: torch.Tensor,
    proposal: Proposal,
    expected: torch.Tensor | None,
    faults: Faults,
    noise: float,
) -> None:
    """What a Function returns for a step function (rounding, a sign, a comparison), whose derivative is zero."""
    judged = Judged(version, proposal.value, Verdict.UNCHECKED, proposal.evidence, Problem.UNREACHED)
    judged.surrogate = True
    judged.reason = (
        "the forward pass is a step function here, whose derivative is zero: what is returned stands in for a "
        "gradient, and what follows from it is held against it"
    )
    judged.faults = faults
    judge.accept(judged, found, expected, noise)
    judge.add_fault(judged, proposal.value, found)


def unpaired(judge: Judge, version: Version, found: torch.Tensor) -> None:
    candidate = version.candidate
    form = parse(candidate.name).form
    if form is Form.GENERIC and not any(True for _ in judge.relations.consumers(version)):
        return
    if form < Form.GENERIC or candidate.binding is None or candidate.binding.alias:
        return
    judged = Judged(version, None, Verdict.UNCHECKED, "", Problem.UNPAIRED)
    judged.reason = "no forward value was found that this could be the gradient of"
    judge.accept(judged, found, None, 0.0)


def unreplayable(judge: Judge, version: Version, reason: str) -> None:
    candidate = version.candidate
    if not version.final or (parse(candidate.name).form < Form.BARE_D and not candidate.returned):
        return
    proposal = judge.partners.propose_by_name(candidate)
    if candidate.returned and candidate.of is not None:
        proposal = Proposal(candidate.of, candidate.of_evidence)
    if proposal is None:
        return
    judged = Judged(version, proposal.value, Verdict.UNCHECKED, proposal.evidence, Problem.UNREACHED)
    judged.reason = reason
    judge.judged.append(judged)
