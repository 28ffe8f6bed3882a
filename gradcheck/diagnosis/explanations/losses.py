"""Softmax and the losses that are one call each: which of their parts is missing or wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from gradcheck.diagnosis.explanations.case import Case
from gradcheck.diagnosis.explanations.constants import averaged
from gradcheck.diagnosis.explanations.explanation import Hypothesis
from gradcheck.diagnosis.explanations.scene import Scene
from gradcheck.diagnosis.explanations.segment import Edge
from gradcheck.diagnosis.explanations.wording import line
from gradcheck.fronts.tape import Op, Value

# What a wrong formula makes of the arguments, the results and the gradient of the result; and how it is called.
Formula = Callable[[Scene, Edge], torch.Tensor | None]


def hypotheses(case: Case) -> Iterator[Hypothesis]:
    if not case.first.fits:
        return
    for edge in case.segment.edges:
        first = edge.op.args[0] if edge.op.args else (edge.op.kwargs or {}).get("input")
        if first is not edge.source:
            continue
        for kind, formula, sentence in _formulas(edge.op):
            yield Hypothesis(
                kind,
                _instead(edge, formula),
                lambda sentence=sentence, edge=edge: f"{sentence} ({line(case, edge.op)})",  # type: ignore[misc]
                {"function": edge.op.name},
            )


def _instead(edge: Edge, formula: Formula) -> Callable[[Scene], torch.Tensor | None]:
    def predict(scene: Scene) -> torch.Tensor | None:
        local = scene.local(edge.op, edge.source)
        other = formula(scene, edge)
        if local is None or other is None:
            return None
        return scene.instead(edge.source, local, other)

    return predict


def _formulas(op: Op) -> Iterator[tuple[str, Formula, str]]:
    if op.name == "softmax":
        yield from _softmax(op)
    elif op.name == "log_softmax":
        yield from _log_softmax(op)
    elif op.name == "cross_entropy":
        yield from _cross_entropy(op)
    elif op.name in ("binary_cross_entropy", "binary_cross_entropy_with_logits"):
        yield from _binary_cross_entropy(op)


# -- softmax -----------------------------------------------------------------------------------------------------


def _softmax(op: Op) -> Iterator[tuple[str, Formula, str]]:
    dim = _dim(op)

    def diagonal(scene: Scene, edge: Edge) -> torch.Tensor:
        p = scene.tensor(edge.target)
        return p * (1 - p) * scene.gradients[edge.target]

    def without_sum(scene: Scene, edge: Edge) -> torch.Tensor:
        return scene.tensor(edge.target) * scene.gradients[edge.target]

    def unweighted(scene: Scene, edge: Edge) -> torch.Tensor:
        p, g = scene.tensor(edge.target), scene.gradients[edge.target]
        return p * (g - g.sum(dim, keepdim=True))

    def undone(scene: Scene, edge: Edge) -> torch.Tensor:
        return scene.gradients[edge.target]

    def without_factor(scene: Scene, edge: Edge) -> torch.Tensor:
        p, g = scene.tensor(edge.target), scene.gradients[edge.target]
        return g - (p * g).sum(dim, keepdim=True)

    def flipped(scene: Scene, edge: Edge) -> torch.Tensor:
        p, g = scene.tensor(edge.target), scene.gradients[edge.target]
        return p * (g + (p * g).sum(dim, keepdim=True))

    def averaged_sum(scene: Scene, edge: Edge) -> torch.Tensor:
        p, g = scene.tensor(edge.target), scene.gradients[edge.target]
        return p * (g - (p * g).mean(dim, keepdim=True))

    def only_sum(scene: Scene, edge: Edge) -> torch.Tensor:
        p, g = scene.tensor(edge.target), scene.gradients[edge.target]
        return -p * (p * g).sum(dim, keepdim=True)

    yield (
        "softmax-diagonal",
        diagonal,
        "softmax is differentiated element by element, as `p * (1 - p)`; every element depends on all in its "
        "row, and the derivative is `p * (g - (p * g).sum())`",
    )
    yield (
        "missing-branch",
        without_sum,
        "the sum in the derivative of softmax, `p * (g - (p * g).sum())`, is missing",
    )
    yield (
        "missing-factor",
        unweighted,
        "the sum in the derivative of softmax, `p * (g - (p * g).sum())`, is taken without the factor p",
    )
    yield (
        "missing-factor",
        without_factor,
        "the first factor p in the derivative of softmax, `p * (g - (p * g).sum())`, is missing",
    )
    whole = "the derivative of softmax, `p * (g - (p * g).sum())`,"
    yield "flipped-branch", flipped, f"the sum in {whole} has the wrong sign"
    yield "scaled-branch", averaged_sum, f"the sum in {whole} is taken as a mean"
    yield "missing-branch", only_sum, f"the first term of {whole} is missing"
    yield "missing-derivative", undone, "the derivative of softmax is left out"
    for axis in range(len(op.out.shape) if isinstance(op.out, Value) else 0):

        def along(scene: Scene, edge: Edge, axis: int = axis) -> torch.Tensor:
            p, g = scene.tensor(edge.target), scene.gradients[edge.target]
            return p * (g - (p * g).sum(axis, keepdim=True))

        if axis != dim % max(1, len(op.out.shape)):
            yield (
                "wrong-axis",
                along,
                f"the sum in the derivative of softmax runs over dimension {axis}; softmax runs over dimension {dim}",
            )
    yield (
        "wrong-axis",
        lambda scene, edge: (
            scene.tensor(edge.target)
            * (
                scene.gradients[edge.target]
                - (scene.tensor(edge.target) * scene.gradients[edge.target]).sum()
            )
        ),
        f"the sum in the derivative of softmax runs over everything; softmax runs over dimension {dim}",
    )


def _log_softmax(op: Op) -> Iterator[tuple[str, Formula, str]]:
    dim = _dim(op)

    def undone(scene: Scene, edge: Edge) -> torch.Tensor:
        return scene.gradients[edge.target]

    def unweighted(scene: Scene, edge: Edge) -> torch.Tensor:
        g = scene.gradients[edge.target]
        return g - g.sum(dim, keepdim=True)

    def unsummed(scene: Scene, edge: Edge) -> torch.Tensor:
        g = scene.gradients[edge.target]
        return g - scene.tensor(edge.target).exp() * g

    def with_logs(scene: Scene, edge: Edge) -> torch.Tensor:
        g = scene.gradients[edge.target]
        return g - scene.tensor(edge.target) * g.sum(dim, keepdim=True)

    whole = "the derivative of log_softmax, `g - softmax * g.sum()`,"
    yield "missing-branch", undone, f"the softmax part of {whole} is missing"
    yield "missing-factor", unweighted, f"the factor softmax in {whole} is missing"
    yield "missing-reduction", unsummed, f"the sum in {whole} is missing"
    yield "wrong-operand", with_logs, f"{whole} is taken with the logarithms in the place of softmax"


# -- losses ------------------------------------------------------------------------------------------------------


def _cross_entropy(op: Op) -> Iterator[tuple[str, Formula, str]]:
    """(softmax - one-hot) / n, by parts."""
    count = averaged(op)
    for factor in dict.fromkeys((1 / count if count else 1.0, 1.0)):
        also = "" if not count or factor != 1.0 else f"; nor is it divided by {count}, the number of samples"

        def part(
            compute: Callable[[torch.Tensor, torch.Tensor], torch.Tensor], factor: float = factor
        ) -> Formula:
            def formula(scene: Scene, edge: Edge) -> torch.Tensor | None:
                logits = scene.tensor(edge.source)
                wanted = _one_hot(scene, edge, logits)
                given = scene.gradients[edge.target]
                if wanted is None or given.numel() != 1:
                    return None
                return factor * given * compute(logits, wanted)

            return formula

        yield (
            "missing-branch",
            part(lambda z, y: z.softmax(1)),
            f"it is the softmax alone: the 1 at the right class is not subtracted{also}",
        )
        yield (
            "missing-branch",
            part(lambda z, y: -y),
            f"only the right class counts: the softmax is missing{also}",
        )
        yield (
            "wrong-operand",
            part(lambda z, y: z - y),
            f"the logits themselves stand where their softmax belongs{also}",
        )
        yield (
            "wrong-operand",
            part(lambda z, y: z.log_softmax(1) - y),
            f"the logarithm of softmax stands where softmax belongs{also}",
        )
        yield (
            "wrong-operand",
            part(lambda z, y: z.exp() - y),
            f"the exponentials are not divided by their sum: they are not yet softmax{also}",
        )
        yield (
            "wrong-axis",
            part(lambda z, y: z.softmax(0) - y),
            f"softmax is taken over dimension 0; the loss takes it over dimension 1{also}",
        )
        yield (
            "wrong-axis",
            part(lambda z, y: z.softmax(0)),
            "softmax is taken over dimension 0, not over dimension 1 as in the loss, and the 1 at the right class is "
            f"not subtracted{also}",
        )
        yield (
            "flipped-branch",
            part(lambda z, y: z.softmax(1) + y),
            f"the 1 at the right class is added where it should be subtracted{also}",
        )
        yield (
            "extra-factor",
            part(lambda z, y: z.softmax(1) * (1 - z.softmax(1)) * (z.softmax(1) - y)),
            f"the derivative of softmax is applied although `softmax - one_hot` contains it{also}",
        )


def _one_hot(scene: Scene, edge: Edge, logits: torch.Tensor) -> torch.Tensor | None:
    inputs = edge.op.inputs
    if logits.ndim != 2 or len(inputs) < 2:
        return None
    wanted = scene.tensor(inputs[1])
    if wanted.is_floating_point():
        return wanted if wanted.shape == logits.shape else None
    if wanted.ndim != 1 or wanted.numel() != logits.shape[0] or int(wanted.min()) < 0:
        return None
    return torch.nn.functional.one_hot(wanted.long(), logits.shape[1]).to(logits.dtype)


def _binary_cross_entropy(op: Op) -> Iterator[tuple[str, Formula, str]]:
    count = averaged(op)
    logits = op.name.endswith("logits")
    for factor in dict.fromkeys((1 / count if count else 1.0, 1.0)):

        def formula(scene: Scene, edge: Edge, factor: float = factor) -> torch.Tensor | None:
            inputs = edge.op.inputs
            given = scene.gradients[edge.target]
            if len(inputs) < 2 or given.numel() != 1:
                return None
            return factor * given * (scene.tensor(edge.source) - scene.tensor(inputs[1]))

        if logits:
            yield "wrong-operand", formula, "the logits themselves stand where their sigmoid belongs"
        else:
            yield (
                "wrong-derivative",
                formula,
                "`p - y` is the gradient of the logits, with the sigmoid in it; that of p itself is "
                "`(p - y) / (p * (1 - p))`",
            )


def _dim(op: Op) -> int:
    kwargs = op.kwargs or {}
    if isinstance(kwargs.get("dim"), int):
        return int(kwargs["dim"])
    return next((a for a in op.args[1:] if isinstance(a, int) and not isinstance(a, bool)), -1)
