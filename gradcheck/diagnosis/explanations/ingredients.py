"""The line is right, but for a wrong gradient that it reuses: a sum that another gradient consists of, say."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from gradcheck.diagnosis.explanations.case import Case, handed_faults
from gradcheck.diagnosis.explanations.explanation import Hypothesis
from gradcheck.diagnosis.explanations.scene import Scene
from gradcheck.replay.compare import distance
from gradcheck.replay.engine import Replay, ReplayError
from gradcheck.replay.judge import Judged
from gradcheck.replay.verdict import Verdict


def hypotheses(case: Case) -> Iterator[Hypothesis]:
    if not case.first.fits:
        return
    for used in case.read:
        if used.verdict is Verdict.INTRODUCED and used.of is not None and used.of not in case.segment.values:
            yield Hypothesis(
                "wrong-ingredient",
                _right_without(case, used),
                lambda used=used: (  # type: ignore[misc]
                    f"it reads `{used.candidate.name}`, which is wrong; with the right `{used.candidate.name}` it is right"
                ),
                {"ingredient": used.candidate.name},
            )


def _right_without(case: Case, used: Judged) -> Callable[[Scene], torch.Tensor | None]:
    """The number found, if the same lines give the right one as soon as `used` is right: they are run again with
    it put right."""

    def predict(scene: Scene) -> torch.Tensor | None:
        mended = _mended(case, scene, used)
        if mended is None or mended.numel() != scene.expected.numel():
            return None
        right = distance(mended, scene.expected) <= scene.tolerance
        return scene.found if right else None

    return predict


def _mended(case: Case, scene: Scene, used: Judged) -> torch.Tensor | None:
    assert used.of is not None
    right = scene.judging.expectation(handed_faults(scene.judging, used))[0].get(used.of)
    if right is None:
        return None
    replay = Replay(
        torch.float64,
        mutated=case.prepared.mutated | {used.candidate.value.root},
        overrides=scene.overrides,
        autograd_truth=dict(scene.run.graph.truth),
    )
    with torch.no_grad():
        for op in case.prepared.manual:
            if op.index > case.judged.version.after:
                break
            replay.step(op)
            if op.index == used.version.after:
                try:
                    held = replay.tensor(used.candidate.value)
                    if held.numel() != right.numel():
                        return None
                    held.copy_(right.reshape(held.shape))
                except (ReplayError, RuntimeError):
                    return None
    try:
        return replay.tensor(case.judged.candidate.value).detach().clone()
    except ReplayError:
        return None
