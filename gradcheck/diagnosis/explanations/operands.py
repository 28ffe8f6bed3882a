"""One operand of one step is another one: forgotten, squared, transposed, or a value of the same shape."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from gradcheck.diagnosis.explanations.case import Case
from gradcheck.diagnosis.explanations.explanation import Hypothesis
from gradcheck.diagnosis.explanations.reads import Read, as_read, described, reads_of
from gradcheck.diagnosis.explanations.scene import Scene
from gradcheck.diagnosis.explanations.segment import Edge
from gradcheck.diagnosis.explanations.wording import line, name
from gradcheck.fronts.tape import Value

_PRODUCTS = {"mul", "multiply", "__mul__", "__rmul__"}
_QUOTIENTS = {"div", "divide", "true_divide", "__truediv__", "__rtruediv__"}
_MATRIX_PRODUCTS = {
    "matmul", "mm", "bmm", "mv", "dot", "linear", "einsum", "inner", "outer", "__matmul__", "__rmatmul__", "addmm",
}  # fmt: skip
_MOST_OTHERS = 24

Change = Callable[[torch.Tensor], torch.Tensor]


def hypotheses(case: Case) -> Iterator[Hypothesis]:
    scene = case.first
    if not scene.fits:
        return
    if scene.expected.ndim >= 2 and scene.expected.shape[-1] == scene.expected.shape[-2]:
        yield Hypothesis(
            "transposed",
            lambda s: s.expected.transpose(-1, -2),
            lambda: "it is the transpose of the right gradient",
            {},
        )
    for edge in case.segment.edges:
        yield from _of_edge(case, edge)


def exchanged_for_read(case: Case) -> Iterator[Hypothesis]:
    """Another value that the line reads in the place of the right one."""
    reads = reads_of(case)
    for edge in case.segment.edges if case.first.fits else ():
        yield from _read_instead(case, edge, reads)


def exchanged_for_any(case: Case) -> Iterator[Hypothesis]:
    """Any named value of the same shape in the place of the right one."""
    for edge in case.segment.edges if case.first.fits else ():
        yield from _any_instead(case, edge)


def _read_instead(case: Case, edge: Edge, reads: list[Read]) -> Iterator[Hypothesis]:
    for operand in _operands(case, edge):
        right = case.first.tensor(operand)
        for read in reads:
            other = as_read(case, case.first, read)
            if other is None or other.shape != right.shape or other.dtype != right.dtype:
                continue
            if read.value is operand and read.changed_by is None:
                continue
            yield Hypothesis(
                "wrong-operand",
                _predict(edge, operand, lambda scene, read=read: as_read(case, scene, read)),  # type: ignore[misc]
                lambda read=read, operand=operand: (  # type: ignore[misc]
                    f"this is what you get with {described(case, read, operand)} in the place of "
                    f"{_as_it_was(case, read, operand)}"
                ),
                {
                    "used": case.judgement.names.shown(read.value),
                    "instead_of": case.judgement.names.shown(operand),
                    "changed": read.changed_by is not None,
                },
            )


def _as_it_was(case: Case, read: Read, operand: Value) -> str:
    shown = name(case, operand)
    same_name = read.changed_by is not None and shown == name(case, read.value)
    return f"the {shown} that the forward pass used" if same_name else shown


def _of_edge(case: Case, edge: Edge) -> Iterator[Hypothesis]:
    op = edge.op
    for operand in _operands(case, edge):
        shown, where = name(case, operand), line(case, op)
        if op.name in _PRODUCTS:
            yield _changed(
                case,
                edge,
                operand,
                "missing-factor",
                torch.ones_like,
                f"the factor {shown} of {where} is missing",
            )
            yield _changed(
                case, edge, operand, "extra-factor", torch.square, f"the factor {shown} is there twice"
            )
            yield _changed(
                case, edge, operand, "inverted-factor", torch.reciprocal,
                f"it is divided by {shown} where it should be multiplied with it ({where})",
            )  # fmt: skip
        if op.name in _QUOTIENTS and _denominator(edge) is operand:
            yield _changed(
                case, edge, operand, "missing-factor", torch.ones_like,
                f"the division by {shown} of {where} is missing",
            )  # fmt: skip
            yield _changed(
                case, edge, operand, "inverted-factor", torch.reciprocal,
                f"it is multiplied with {shown} where it should be divided by it ({where})",
            )  # fmt: skip
            yield _changed(
                case, edge, operand, "extra-factor", torch.square, f"it is divided by {shown} twice ({where})"
            )
        if op.name in _QUOTIENTS and _denominator(edge) is edge.source:
            yield _changed(
                case,
                edge,
                operand,
                "missing-factor",
                torch.ones_like,
                f"the factor {shown} of {where} is missing",
            )
            yield from _quotient_powers(case, edge)
        if len(operand.shape) >= 2 and operand.shape[-1] == operand.shape[-2] and op.name in _MATRIX_PRODUCTS:
            yield _changed(
                case, edge, operand, "transposed-operand", lambda u: u.transpose(-1, -2),
                f"{shown} is transposed once too often or too little ({where})",
            )  # fmt: skip
        if _is_mask(case, operand):
            yield _changed(
                case,
                edge,
                operand,
                "inverted-mask",
                torch.logical_not,
                f"the mask {shown} is the wrong way round",
            )


def _any_instead(case: Case, edge: Edge) -> Iterator[Hypothesis]:
    for operand in _operands(case, edge):
        if not case.first.tensor(operand).is_floating_point():
            continue
        for other in _others(case, operand):
            yield Hypothesis(
                "wrong-operand",
                _predict(edge, operand, lambda scene, other=other: scene.tensor(other)),  # type: ignore[misc]
                lambda operand=operand, other=other: (  # type: ignore[misc]
                    f"this is what you get with {name(case, other)} in the place of {name(case, operand)} "
                    f"({line(case, edge.op)})"
                ),
                {
                    "used": case.judgement.names.shown(other),
                    "instead_of": case.judgement.names.shown(operand),
                },
            )


def _operands(case: Case, edge: Edge) -> list[Value]:
    found = []
    for value in dict.fromkeys(edge.op.inputs):
        if value is not edge.source and _readable(case, value):
            found.append(value)
    return found


def _others(case: Case, operand: Value) -> list[Value]:
    """Named values of the forward pass with the same shape, those computed near it first."""
    found = [value for value in case.named_by_shape.get(tuple(operand.shape), []) if value is not operand]
    return sorted(found, key=lambda value: abs(value.birth - operand.birth))[:_MOST_OTHERS]


def _readable(case: Case, value: Value) -> bool:
    try:
        case.first.tensor(value)
    except Exception:  # not replayed: then it is no operand that can be exchanged
        return False
    return True


def _is_mask(case: Case, value: Value) -> bool:
    return case.first.tensor(value).dtype == torch.bool


def _denominator(edge: Edge) -> Value | None:
    args = edge.op.args
    if len(args) < 2:
        return None
    second = args[0] if edge.op.name == "__rtruediv__" else args[1]
    return second if isinstance(second, Value) else None


def _changed(case: Case, edge: Edge, operand: Value, kind: str, change: Change, sentence: str) -> Hypothesis:
    return Hypothesis(
        kind,
        _predict(edge, operand, lambda scene: change(scene.tensor(operand))),
        lambda: sentence,
        {"operand": case.judgement.names.shown(operand)},
    )


def _quotient_powers(case: Case, edge: Edge) -> Iterator[Hypothesis]:
    """d(a/b) = -a/b**2 * db: with another power of b, or with none."""
    shown, where = name(case, edge.source), line(case, edge.op)
    for power, kind, words in (
        (
            1,
            "missing-square",
            f"it is divided by {shown}; the derivative of a quotient divides by {shown} squared",
        ),
        (
            2,
            "missing-factor",
            f"the division by {shown} squared, in the derivative of a quotient, is missing",
        ),
        (
            3,
            "inverted-factor",
            f"it is multiplied with {shown}; the derivative of a quotient divides by its square",
        ),
        (
            4,
            "inverted-factor",
            f"it is multiplied with the square of {shown} where it should be divided by it",
        ),
    ):

        def predict(scene: Scene, power: int = power) -> torch.Tensor | None:
            local = scene.local(edge.op, edge.source)
            if local is None:
                return None
            return scene.instead(edge.source, local, local * scene.tensor(edge.source) ** power)

        yield Hypothesis(
            kind,
            predict,
            lambda words=words: f"{words} ({where})",  # type: ignore[misc]
            {"operand": case.judgement.names.shown(edge.source), "power_too_many": power},
        )


def _predict(
    edge: Edge, operand: Value, value: Callable[[Scene], torch.Tensor | None]
) -> Callable[[Scene], torch.Tensor | None]:
    def predict(scene: Scene) -> torch.Tensor | None:
        local = scene.local(edge.op, edge.source)
        used = value(scene)
        if local is None or used is None:
            return None
        other = scene.local_with(edge.op, edge.source, arguments={operand: used})
        return scene.instead(edge.source, local, other) if other is not None else None

    return predict
