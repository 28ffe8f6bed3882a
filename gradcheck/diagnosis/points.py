"""The points at which the diagnosis replays a pass beside the recorded one."""

from collections.abc import Mapping, Sequence

import torch

from gradcheck.fronts.tape import Value
from gradcheck.judge.judge import Judge
from gradcheck.judge.judgement import JudgedPass, Judgement
from gradcheck.replay.probes import PROBES, Jittered, has_frozen_numbers, probe_roots


def probe_overrides(
    judgement: Judgement, judged_pass: JudgedPass, judge: Judge
) -> Sequence[Mapping[Value, torch.Tensor]] | None:
    """What the parameters are at each probe point; None where a replay elsewhere would prove nothing."""
    plan = judged_pass.plan
    if has_frozen_numbers(judgement.recording.ops, plan, judgement.places):
        return None
    roots = probe_roots(plan, judge.rooted, judge.run.graph.truth)
    return [Jittered(judge.run, roots, seed) for seed in range(PROBES)] if roots else []
