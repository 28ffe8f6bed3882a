"""A row that is selected several times has several gradients to add up; assignment keeps one of them."""

import ast
from collections.abc import Iterator

import torch

from gradcheck import ops
from gradcheck.diagnosis.mistakes.case import Case
from gradcheck.diagnosis.mistakes.mistake import Mistake, Predict, Prediction
from gradcheck.diagnosis.mistakes.predicting import with_step
from gradcheck.diagnosis.mistakes.scene import Scene
from gradcheck.diagnosis.mistakes.segment import Edge
from gradcheck.diagnosis.mistakes.writing import Edit, Spot, written
from gradcheck.fronts.tape import Value

_WAYS = {
    "last": "only the last use of each index counts",
    "first": "only the first use of each index counts",
    "mean": "the uses of each index are averaged",
}


def _edits(spot: Spot) -> Iterator[Edit]:
    """`dC[ix] += g` counts a repeated index once; `index_add_` and `index_put_` count it as often as it occurs."""
    node = spot.node
    if isinstance(node, ast.Assign) and len(node.targets) == 1:
        target = node.targets[0]
    elif isinstance(node, ast.AugAssign) and isinstance(node.op, ast.Add):
        target = node.target
    else:
        return
    if not isinstance(target, ast.Subscript) or isinstance(target.slice, (ast.Slice, ast.Constant)):
        return
    index = target.slice
    held = spot.context.resolve(index)
    if isinstance(held, Value) and len(held.shape) == 1:
        call = written("d.index_add_(0, index, g)", d=target.value, index=index, g=node.value)
        yield spot.edit(2.3, ast.Expr(call))
    indices = index if isinstance(index, ast.Tuple) else ast.Tuple([index], ast.Load())
    call = written("d.index_put_(index, g, accumulate=True)", d=target.value, index=indices, g=node.value)
    yield spot.edit(2.4, ast.Expr(call))


def _predictions(case: Case) -> Iterator[Prediction]:
    for edge in case.segment.edges if case.first.fits else ():
        places = _places(case.first, edge) if edge.op.operation in ops.LOOK_UPS else None
        most = int(torch.bincount(places).max()) if places is not None and places.numel() else 0
        for how, words in _WAYS.items() if most > 1 else ():
            yield Prediction(
                "repeated-index",
                _gathered(edge, how),
                "{x} is selected from with repeated indices, up to {most} times the same ({where}), and {words}; "
                "all of them must be added up",
                {"x": edge.source, "most": most, "where": edge.op, "words": words},
                {"most_repeats": most, "kept": how},
            )


def _places(scene: Scene, edge: Edge) -> torch.Tensor | None:
    """For every element selected, the position it was taken from."""
    source = scene.tensor(edge.source)
    numbered = torch.arange(source.numel(), dtype=torch.float64).reshape(source.shape)
    made = scene.computed(edge.op, {edge.source: numbered})
    return made[edge.target].detach().reshape(-1).long() if made and edge.target in made else None


def _gathered(edge: Edge, how: str) -> Predict:
    def change(scene: Scene, local: torch.Tensor) -> torch.Tensor | None:
        places = _places(scene, edge)
        if places is None:
            return None
        if how == "mean":
            return local / torch.bincount(places, minlength=local.numel()).clamp(min=1).reshape(local.shape)
        seeds = scene.gradients[edge.target].reshape(-1)
        if how == "first":
            places, seeds = places.flip(0), seeds.flip(0)
        kept = torch.zeros(local.numel(), dtype=local.dtype)
        kept.numpy()[places.numpy()] = seeds.numpy()  # NumPy says that the last of equal indices wins
        return kept.reshape(local.shape)

    return with_step(edge, change)


MISTAKE = Mistake("repeated index", _edits, _predictions)
