"""The points at which the diagnosis replays a pass beside the recorded one."""

from __future__ import annotations

import torch

from gradcheck.fronts.tape import Value
from gradcheck.judge.judge import Judge
from gradcheck.judge.judgement import JudgedPass, Judgement
from gradcheck.replay.probes import PROBES, has_frozen_numbers, jittered, probe_roots


def probe_overrides(
    judgement: Judgement, judged_pass: JudgedPass, judge: Judge
) -> list[dict[Value, torch.Tensor]] | None:
    """What the parameters are at each probe point; None where a replay elsewhere would prove nothing."""
    plan = judged_pass.plan
    if has_frozen_numbers(judgement.recording.ops, plan, judgement.places):
        return None
    roots = probe_roots(plan, judge.rooted, judge.run.graph.truth)
    return [jittered(judge.run, roots, seed) for seed in range(PROBES)] if roots else []
