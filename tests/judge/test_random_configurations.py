"""Networks of random depth, shape, batch size, type and style, written out as a person writes them.

What is right must never be accused; the smallest real bugs must be found, at their line, wherever they are put.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gradcheck.checks.finding import Severity
from gradcheck.judge.verdict import Verdict
from gradcheck.report.model import Report
from tests.support import VERDICTS_ONLY, report_on_source

ACCUSED = (Verdict.INTRODUCED, Verdict.COMPENSATED)
ACTIVATIONS = {
    "tanh": ("torch.tanh({z})", "(1 - {h} ** 2) * {d}"),
    "relu": ("torch.relu({z})", "({z} > 0) * {d}"),
    "sigmoid": ("torch.sigmoid({z})", "{h} * (1 - {h}) * {d}"),
    "leaky": ("torch.where({z} > 0, {z}, 0.1 * {z})", "torch.where({z} > 0, {d}, 0.1 * {d})"),
    "softplus": ("torch.log(1 + torch.exp({z}))", "{d} * torch.sigmoid({z})"),
}


@dataclass(frozen=True)
class Layer:
    width: int
    activation: str
    norm: str  # "none", "batch" (fused), "steps" (line by line) or "layer"
    bias: bool


@dataclass(frozen=True)
class Network:
    seed: int
    batch: int
    inputs: int
    classes: int
    dtype: str
    embedding: int  # 0: none; else tokens of context
    loss: str
    layers: tuple[Layer, ...]
    unit: float  # how far gamma and beta are from 1 and 0 at the start
    init: float


layers = st.builds(
    Layer,
    width=st.integers(1, 7),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    norm=st.sampled_from(["none", "none", "batch", "steps", "layer"]),
    bias=st.booleans(),
)
networks = st.builds(
    Network,
    seed=st.integers(0, 2**31),
    batch=st.integers(1, 33),
    inputs=st.integers(1, 6),
    classes=st.integers(2, 5),
    dtype=st.sampled_from(["float32", "float32", "float64"]),
    embedding=st.sampled_from([0, 0, 1, 3]),
    loss=st.sampled_from(["cross_entropy", "log_softmax", "squares"]),
    layers=st.lists(layers, min_size=1, max_size=4).map(tuple),
    unit=st.sampled_from([0.0, 0.1]),
    init=st.sampled_from([0.2, 1.0]),
)


def source(net: Network, *, missing_correction: bool = False, misplaced_eps: bool = False) -> tuple[str, int]:
    """The program, and the line of the planted fault (0 if there is none). The fault goes into the first
    normalised layer."""
    forward: list[str] = []
    backward: list[str] = []
    parameters: list[str] = []
    start = [
        "import torch",
        "import torch.nn.functional as F",
        f"torch.manual_seed({net.seed})",
        f"torch.set_default_dtype(torch.{net.dtype})",
        f"n = {net.batch}",
    ]
    fault = ""
    h, width = "x", net.inputs
    if net.embedding:
        width = 3 * net.embedding
        start += [f"C = torch.randn(9, 3)\nix = torch.randint(0, 9, (n, {net.embedding}))"]
        parameters.append("C")
        forward += ["emb = C[ix]", "x = emb.view(n, -1)"]
    else:
        start += [f"x = torch.randn(n, {width})"]
    start += [f"y = torch.randint(0, {net.classes}, (n,))", f"t = torch.randn(n, {net.classes})"]
    sizes = [*net.layers, Layer(net.classes, "", "none", True)]
    for i, layer in enumerate(sizes, 1):
        z, last = f"z{i}", i == len(sizes)
        start.append(f"W{i} = torch.randn({width}, {layer.width}) * {net.init} / {width} ** 0.5")
        parameters.append(f"W{i}")
        bias = ""
        if layer.bias:
            start.append(f"b{i} = torch.randn({layer.width}) * 0.1")
            parameters.append(f"b{i}")
            bias = f" + b{i}"
        forward.append(f"{z} = {h} @ W{i}{bias}")
        back = []
        norm = layer.norm if net.batch > 2 or layer.norm == "layer" else "none"
        if layer.width < 2 and norm == "layer":
            norm = "none"
        if norm != "none":
            start.append(f"g{i} = 1 + torch.randn({layer.width}) * {net.unit}")
            start.append(f"e{i} = torch.randn({layer.width}) * {net.unit}")
            parameters += [f"g{i}", f"e{i}"]
            plant = not fault
            lines, steps, wrong = _normalised(
                i, norm, plant and missing_correction, plant and misplaced_eps, net.batch
            )
            forward += lines
            back = steps
            fault = fault or wrong
            z = f"a{i}"
        if not last:
            act, slope = ACTIVATIONS[layer.activation]
            forward.append(f"h{i} = {act.format(z=z)}")
            backward[:0] = [
                f"d{z} = {slope.format(z=z, h=f'h{i}', d=f'dh{i}')}",
                *back,
                *_linear(i, h, layer),
            ]
        else:
            backward[:0] = _linear(i, h, layer)
        h, width = f"h{i}", layer.width
    final = f"z{len(sizes)}"
    losses = {
        "cross_entropy": (
            [f"loss = F.cross_entropy({final}, y)"],
            [f"d{final} = F.softmax({final}, 1)", f"d{final}[range(n), y] -= 1", f"d{final} /= n"],
        ),
        "log_softmax": (
            [
                f"m = {final}.max(1, keepdim=True).values",
                f"s = {final} - m",
                "c = s.exp()",
                "q = c.sum(1, keepdim=True)",
                "p = c / q",
                "loss = -p[range(n), y].log().mean()",
            ],
            [f"d{final} = (p - F.one_hot(y, {net.classes})) / n"],
        ),
        "squares": (
            [f"loss = (({final} - t) ** 2).sum() / n"],
            [f"d{final} = 2 * ({final} - t) / n"],
        ),
    }
    forward += losses[net.loss][0]
    backward[:0] = losses[net.loss][1]
    if net.embedding:
        backward += [
            "demb = dx.view(emb.shape)",
            "dC = torch.zeros_like(C)",
            "dC.index_add_(0, ix.view(-1), demb.view(-1, 3))",
        ]
    grads = ", ".join(f"d{p}" for p in parameters)
    update = [f"for p, g in zip([{', '.join(parameters)}], [{grads}]):", "    p -= 0.1 * g"]
    lines = "\n".join([*start, *forward, *backward, *update]).split("\n")
    line = lines.index(fault) + 1 if fault else 0
    return "\n".join(lines) + "\n", line


def _linear(i: int, h: str, layer: Layer) -> list[str]:
    dh = f"d{h}"
    return [
        f"dW{i} = {h}.T @ dz{i}",
        *([f"db{i} = dz{i}.sum(0)"] if layer.bias else []),
        f"{dh} = dz{i} @ W{i}.T",
    ]


def _normalised(
    i: int, norm: str, missing: bool, misplaced: bool, batch: int
) -> tuple[list[str], list[str], str]:
    """Forward lines, backward lines, and which of them is wrong, if any."""
    if norm == "layer":
        forward = [
            f"mu{i} = z{i}.mean(1, keepdim=True)",
            f"sd{i} = (z{i}.var(1, keepdim=True, unbiased=False) + 1e-5).sqrt()",
            f"xh{i} = (z{i} - mu{i}) / sd{i}",
            f"a{i} = g{i} * xh{i} + e{i}",
        ]
        backward = [
            f"dg{i} = (da{i} * xh{i}).sum(0)",
            f"de{i} = da{i}.sum(0)",
            f"dxh{i} = da{i} * g{i}",
            f"dz{i} = (dxh{i} - dxh{i}.mean(1, keepdim=True) - xh{i} * (dxh{i} * xh{i}).mean(1, keepdim=True)) / sd{i}",
        ]
        return forward, backward, ""
    forward = [
        f"mu{i} = z{i}.mean(0, keepdim=True)",
        f"cd{i} = z{i} - mu{i}",
        f"vr{i} = (cd{i} ** 2).sum(0, keepdim=True) / (n - 1)",
        f"iv{i} = (vr{i} + 1e-5) ** -0.5",
        f"xh{i} = cd{i} * iv{i}",
        f"a{i} = g{i} * xh{i} + e{i}",
    ]
    ends = [f"dg{i} = (da{i} * xh{i}).sum(0)", f"de{i} = da{i}.sum(0)"]
    if norm == "batch":
        correction = "" if missing else "n / (n - 1) * "
        scale = f"(vr{i} ** -0.5)" if misplaced else f"iv{i}"
        dz = f"dz{i} = g{i} * {scale} / n * (n * da{i} - da{i}.sum(0) - {correction}xh{i} * (da{i} * xh{i}).sum(0))"
        return forward, [*ends, dz], dz if missing or misplaced else ""
    factor = "n" if missing else "(n - 1)"
    inner = f"(vr{i}) ** -1.5" if misplaced else f"(vr{i} + 1e-5) ** -1.5"
    dvr = f"dvr{i} = -0.5 * {inner} * div{i}"
    dcd = f"dcd{i} = dxh{i} * iv{i} + 2 / {factor} * cd{i} * dvr{i}"
    backward = [
        *ends,
        f"dxh{i} = da{i} * g{i}",
        f"div{i} = (dxh{i} * cd{i}).sum(0, keepdim=True)",
        dvr,
        dcd,
        f"dmu{i} = -dcd{i}.sum(0, keepdim=True)",
        f"dz{i} = dcd{i} + dmu{i} / n",
    ]
    return forward, backward, dcd if missing else dvr if misplaced else ""


def told(report: Report, text: str) -> str:
    rows = [
        f"{g.name} of {g.of} line {g.location.line}: {g.verdict} total {g.total_error} local {g.local_error} "
        f"hidden {g.hidden_error} noise {g.noise} {g.problem} {g.reason}"
        for g in report.rows
    ]
    return "\n".join([text, *rows])


@settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # a failing example is small enough to read, and shrinking it takes minutes
)
@given(networks)
def test_right_code_is_never_accused(net: Network) -> None:
    text, _ = source(net)
    report = report_on_source(text)
    assert not [g for g in report.rows if g.verdict in ACCUSED], told(report, text)
    # What is drawn at random need not be healthy (weights too small, batches of three), but it is never an error.
    wrong = [f for f in report.findings if f.rule.startswith("GC1") or f.severity is Severity.ERROR]
    assert not wrong, told(report, text)
    assert report.summary["checked"] > 4, told(report, text)


def planted(seed: int, batch: int) -> Network:
    rng = random.Random(seed)
    draw = lambda norm: Layer(rng.randint(2, 8), rng.choice(sorted(ACTIVATIONS)), norm, rng.random() < 0.5)  # noqa: E731
    first = [draw("none") for _ in range(rng.randint(0, 1))]
    return Network(
        seed, batch, rng.randint(3, 6), rng.randint(2, 5), rng.choice(["float32", "float64"]), rng.choice([0, 3]),
        rng.choice(["cross_entropy", "squares"]), (*first, draw(rng.choice(["batch", "steps"]))), 0.1, 1.0,
    )  # fmt: skip


@pytest.mark.parametrize("seed", range(8))
def test_a_missing_correction_at_128_is_found(seed: int) -> None:
    text, line = source(planted(seed, 128), missing_correction=True)
    assert line
    report = report_on_source(text, **VERDICTS_ONLY)
    assert {g.location.line for g in report.rows if g.verdict in ACCUSED} == {line}, told(report, text)


@pytest.mark.parametrize("seed", range(8))
def test_a_misplaced_epsilon_is_found(seed: int) -> None:
    text, line = source(planted(seed, 32), misplaced_eps=True)
    assert line
    report = report_on_source(text, **VERDICTS_ONLY)
    assert {g.location.line for g in report.rows if g.verdict in ACCUSED} == {line}, told(report, text)
