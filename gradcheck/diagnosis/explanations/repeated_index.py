"""A row that is selected several times has several gradients to add up; assignment keeps one of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from gradcheck.diagnosis.explanations.case import Case
from gradcheck.diagnosis.explanations.explanation import Hypothesis
from gradcheck.diagnosis.explanations.scene import Scene
from gradcheck.diagnosis.explanations.segment import Edge
from gradcheck.diagnosis.explanations.wording import line, name

_SELECTS = {
    "__getitem__",
    "getitem",
    "index_select",
    "embedding",
    "gather",
    "take",
    "take_along_dim",
    "index",
}


def hypotheses(case: Case) -> Iterator[Hypothesis]:
    if not case.first.fits:
        return
    for edge in case.segment.edges:
        if edge.op.name not in _SELECTS:
            continue
        places = _places(case.first, edge)
        if places is None:
            continue
        most = int(torch.bincount(places).max()) if places.numel() else 0
        if most < 2:
            continue
        for how, words in _WAYS.items():
            yield Hypothesis(
                "repeated-index",
                _gathered(edge, how),
                lambda words=words, most=most, edge=edge: (  # type: ignore[misc]
                    f"{name(case, edge.source)} is selected from with repeated indices, up to {most} times the same "
                    f"({line(case, edge.op)}), and {words}; all of them must be added up"
                ),
                {"most_repeats": most, "kept": how},
            )


_WAYS = {
    "last": "only the last use of each index counts",
    "first": "only the first use of each index counts",
    "mean": "the uses of each index are averaged",
}


def _places(scene: Scene, edge: Edge) -> torch.Tensor | None:
    """For every element selected, the position it was taken from."""
    source = scene.tensor(edge.source)
    numbered = torch.arange(source.numel(), dtype=torch.float64).reshape(source.shape)
    made = scene.computed(edge.op, {edge.source: numbered})
    return made[edge.target].detach().reshape(-1).long() if made and edge.target in made else None


def _gathered(edge: Edge, how: str) -> Callable[[Scene], torch.Tensor | None]:
    def predict(scene: Scene) -> torch.Tensor | None:
        local, places = scene.local(edge.op, edge.source), _places(scene, edge)
        if local is None or places is None:
            return None
        seeds = scene.gradients[edge.target].reshape(-1)
        if how == "mean":
            counts = torch.bincount(places, minlength=local.numel()).clamp(min=1).reshape(local.shape)
            return scene.instead(edge.source, local, local / counts)
        if how == "first":
            places, seeds = places.flip(0), seeds.flip(0)
        kept = torch.zeros(local.numel(), dtype=local.dtype)
        kept.numpy()[places.numpy()] = seeds.numpy()  # NumPy says that the last of equal indices wins
        return scene.instead(edge.source, local, kept.reshape(local.shape))

    return predict
