"""Healthy language models of random depth, width, activation, normalisation and style, written as a person does: with
a training loop, an evaluation of both splits and a sampler."""

from __future__ import annotations

import random
from dataclasses import dataclass

_ACTIVATIONS = {
    "tanh": ("torch.tanh({a})", "(1 - {h} ** 2) * {d}", 5 / 3),
    "relu": ("torch.relu({a})", "({a} > 0) * {d}", 2**0.5),
    "leaky": ("torch.where({a} > 0, {a}, 0.1 * {a})", "torch.where({a} > 0, {d}, 0.1 * {d})", 2**0.5),
}
_STATISTICS = ("running", "calibrated")


@dataclass(frozen=True)
class Configuration:
    seed: int
    widths: tuple[int, ...]
    activation: str
    normalised: bool
    unbiased: bool
    statistics: str  # what the evaluation normalises with: "running" or "calibrated"
    batch: int
    context: int
    embedding: int
    rate: float
    in_function: bool  # one forward pass for all, or the layers written out wherever they are needed
    iterations: int


def configuration(seed: int) -> Configuration:
    draw = random.Random(seed)
    return Configuration(
        seed=seed,
        widths=tuple(draw.choice((16, 24, 32)) for _ in range(draw.randint(1, 4))),
        activation=draw.choice(sorted(_ACTIVATIONS)),
        normalised=draw.random() < 0.6,
        unbiased=draw.random() < 0.5,
        statistics=draw.choice(_STATISTICS),
        batch=draw.choice((16, 32, 64)),
        context=draw.choice((2, 3, 4)),
        embedding=draw.choice((4, 8)),
        rate=draw.choice((0.05, 0.1)),
        in_function=draw.random() < 0.5,
        iterations=draw.choice((1, 1, 30)),
    )


def program(net: Configuration) -> str:
    gain = _ACTIVATIONS[net.activation][2]
    lines = [
        "import random",
        "import torch",
        "import torch.nn.functional as F",
        f"random.seed({net.seed})",
        f"torch.manual_seed({net.seed})",
        "syllables = ['ka', 'lo', 'mi', 'ren', 'ta', 'u', 'sel', 'no', 'ari', 'dor']",
        "words = [''.join(random.choice(syllables) for _ in range(random.choice((1, 2, 2, 3)))) for _ in range(300)]",
        "letters = '.' + ''.join(sorted(set(''.join(words))))",
        "to_index = {letter: i for i, letter in enumerate(letters)}",
        "def dataset(some):",
        "    X, Y = [], []",
        "    for word in some:",
        f"        context = [0] * {net.context}",
        "        for letter in word + '.':",
        "            X.append(context)",
        "            Y.append(to_index[letter])",
        "            context = context[1:] + [to_index[letter]]",
        "    return torch.tensor(X), torch.tensor(Y)",
        "Xtr, Ytr = dataset(words[:240])",
        "Xdev, Ydev = dataset(words[240:])",
        f"C = torch.randn(len(letters), {net.embedding})",
    ]
    names = ["C"]
    width = net.context * net.embedding
    for i, wide in enumerate(net.widths, 1):
        lines.append(f"W{i} = torch.randn({width}, {wide}) * {gain / width**0.5:.4f}")
        names.append(f"W{i}")
        if net.normalised:
            lines += [f"g{i} = torch.ones(1, {wide})", f"e{i} = torch.zeros(1, {wide})"]
            names += [f"g{i}", f"e{i}"]
            if net.statistics == "running":
                lines += [f"rm{i} = torch.zeros(1, {wide})", f"rv{i} = torch.ones(1, {wide})"]
        else:
            lines.append(f"b{i} = torch.randn({wide}) * 0.01")
            names.append(f"b{i}")
        width = wide
    lines += [f"Wo = torch.randn({width}, len(letters)) * 0.1", "bo = torch.zeros(len(letters))"]
    names += ["Wo", "bo"]
    lines.append(f"parameters = [{', '.join(names)}]")
    lines.append(f"for step in range({net.iterations}):")
    body = [
        f"ix = torch.randint(0, Xtr.shape[0], ({net.batch},))",
        "Xb, Yb = Xtr[ix], Ytr[ix]",
        f"n = {net.batch}",
        *_forward(net, "Xb", training=True),
        "loss = F.cross_entropy(logits, Yb)",
        *_backward(net),
        f"grads = [{', '.join('d' + name for name in names)}]",
        "for p, grad in zip(parameters, grads):",
        f"    p -= {net.rate} * grad",
    ]
    lines += _indented(body)
    if net.normalised and net.statistics == "calibrated":
        lines += _calibration(net)
    lines += _evaluation(net)
    return "\n".join(lines) + "\n"


def _forward(net: Configuration, x: str, *, training: bool) -> list[str]:
    lines = [f"emb = C[{x}]", "h0 = emb.view(emb.shape[0], -1)"]
    for i, _ in enumerate(net.widths, 1):
        if net.normalised:
            lines.append(f"z{i} = h{i - 1} @ W{i}")
            correction = "True" if net.unbiased else "False"
            if training:
                lines += [
                    f"m{i} = z{i}.mean(0, keepdim=True)",
                    f"v{i} = z{i}.var(0, keepdim=True, unbiased={correction})",
                ]
                if net.statistics == "running":
                    lines += [f"rm{i} = 0.9 * rm{i} + 0.1 * m{i}", f"rv{i} = 0.9 * rv{i} + 0.1 * v{i}"]
                mean, variance = f"m{i}", f"v{i}"
            elif net.statistics == "running":
                mean, variance = f"rm{i}", f"rv{i}"
            else:
                mean, variance = f"cm{i}", f"cv{i}"
            lines += [
                f"inv{i} = ({variance} + 1e-5) ** -0.5",
                f"xh{i} = (z{i} - {mean}) * inv{i}",
                f"a{i} = g{i} * xh{i} + e{i}",
            ]
        else:
            lines.append(f"a{i} = h{i - 1} @ W{i} + b{i}")
        lines.append(f"h{i} = {_ACTIVATIONS[net.activation][0].format(a=f'a{i}')}")
    lines.append(f"logits = h{len(net.widths)} @ Wo + bo")
    return lines


def _backward(net: Configuration) -> list[str]:
    last = len(net.widths)
    lines = [
        "dlogits = F.softmax(logits, 1)",
        "dlogits[range(n), Yb] -= 1",
        "dlogits /= n",
        f"dWo = h{last}.T @ dlogits",
        "dbo = dlogits.sum(0)",
        f"dh{last} = dlogits @ Wo.T",
    ]
    freedom = "(n - 1)" if net.unbiased else "n"
    for i in range(last, 0, -1):
        lines.append(f"da{i} = {_ACTIVATIONS[net.activation][1].format(a=f'a{i}', h=f'h{i}', d=f'dh{i}')}")
        if net.normalised:
            lines += [
                f"dg{i} = (da{i} * xh{i}).sum(0, keepdim=True)",
                f"de{i} = da{i}.sum(0, keepdim=True)",
                f"dz{i} = g{i} * inv{i} / n * (n * da{i} - da{i}.sum(0) - n / {freedom} * xh{i} * (da{i} * xh{i}).sum(0))",
            ]
        else:
            lines += [f"dz{i} = da{i}", f"db{i} = dz{i}.sum(0)"]
        lines += [f"dW{i} = h{i - 1}.T @ dz{i}", f"dh{i - 1} = dz{i} @ W{i}.T"]
    return [
        *lines,
        "demb = dh0.view(emb.shape)",
        "dC = torch.zeros_like(C)",
        f"dC.index_add_(0, Xb.view(-1), demb.view(-1, {net.embedding}))",
    ]


def _calibration(net: Configuration) -> list[str]:
    lines = ["emb = C[Xtr]", "h0 = emb.view(emb.shape[0], -1)"]
    correction = "True" if net.unbiased else "False"
    for i, _ in enumerate(net.widths, 1):
        lines += [
            f"z{i} = h{i - 1} @ W{i}",
            f"cm{i} = z{i}.mean(0, keepdim=True)",
            f"cv{i} = z{i}.var(0, keepdim=True, unbiased={correction})",
            f"a{i} = g{i} * (z{i} - cm{i}) * (cv{i} + 1e-5) ** -0.5 + e{i}",
            f"h{i} = {_ACTIVATIONS[net.activation][0].format(a=f'a{i}')}",
        ]
    return lines


def _evaluation(net: Configuration) -> list[str]:
    sampler = [
        f"context, word = [0] * {net.context}, []",
        "for _ in range(20):",
        "    {forward}",
        "    index = torch.multinomial(F.softmax(logits, 1), 1).item()",
        "    context = context[1:] + [index]",
        "    if index == 0:",
        "        break",
        "    word.append(letters[index])",
        "print(''.join(word))",
    ]
    if net.in_function:
        lines = ["def predict(X):", *_indented(_forward(net, "X", training=False)), "    return logits"]
        lines += [
            "for X, Y in ((Xtr, Ytr), (Xdev, Ydev)):",
            "    print(F.cross_entropy(predict(X), Y).item())",
        ]
        called = ["logits = predict(torch.tensor([context]))"]
    else:
        lines = []
        for x, y in (("Xtr", "Ytr"), ("Xdev", "Ydev")):
            lines += [*_forward(net, x, training=False), f"print(F.cross_entropy(logits, {y}).item())"]
        called = _forward(net, "torch.tensor([context])", training=False)
    written = [
        each for line in sampler for each in (_indented(called) if line.strip() == "{forward}" else [line])
    ]
    return [*lines, "for _ in range(12):", *_indented(written)]


def _indented(lines: list[str]) -> list[str]:
    return ["    " + line for line in lines]
