"""One training step, written in four ways: what models_speed.py compares."""

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.layers import BatchNorm1d
from models.loss import SoftmaxCrossEntropy
from models.mlp import MLP
from models.optim import SGD, constant
from models.words import Dataset

CONTEXT, EMBEDDING, BATCH, RATE = 5, 10, 32, 0.1

Step = Callable[[], None]


def make_model(letters: int, hidden: list[int], activation: str) -> MLP:
    return MLP(letters, CONTEXT, EMBEDDING, hidden, torch.Generator().manual_seed(70), activation)


def manual(data: Dataset, letters: int, hidden: list[int], activation: str) -> Step:
    """The library as it is."""
    generator = torch.Generator().manual_seed(0)
    model, criterion, optimiser = (
        make_model(letters, hidden, activation),
        SoftmaxCrossEntropy(),
        SGD(constant(RATE)),
    )

    def step() -> None:
        contexts, targets = data.draw(BATCH, generator)
        criterion.forward(model.forward(contexts), targets).item()
        model.backward(criterion.backward())
        optimiser.update(model.parameters(), 0)

    return step


def autograd(data: Dataset, letters: int, hidden: list[int], activation: str) -> Step:
    """The forward pass of the library, with autograd for the backward pass."""
    generator = torch.Generator().manual_seed(0)
    model, criterion = make_model(letters, hidden, activation), SoftmaxCrossEntropy()
    parameters = [
        getattr(part, name).requires_grad_() for part in model.parts() for name in part.parameter_names
    ]
    for layer in model.layers:
        if isinstance(layer, BatchNorm1d):
            layer.keep_statistics = torch.no_grad()(layer.keep_statistics)  # type: ignore[method-assign]

    def step() -> None:
        contexts, targets = data.draw(BATCH, generator)
        loss = criterion.forward(model.forward(contexts), targets)
        loss.item()
        for parameter in parameters:
            parameter.grad = None
        loss.backward()
        with torch.no_grad():
            for parameter in parameters:
                parameter.sub_(parameter.grad, alpha=RATE)

    return step


def modules(data: Dataset, letters: int, hidden: list[int], activation: str) -> Step:
    """The same network of torch.nn modules, where BatchNorm1d is one fused operation, and torch.optim.SGD."""
    generator = torch.Generator().manual_seed(0)
    parts: list[nn.Module] = [nn.Embedding(letters, EMBEDDING), nn.Flatten()]
    features = CONTEXT * EMBEDDING
    for size in hidden:
        parts += [nn.Linear(features, size, bias=False), nn.BatchNorm1d(size)]
        parts.append(nn.Tanh() if activation == "tanh" else nn.LeakyReLU())
        features = size
    network = nn.Sequential(*parts, nn.Linear(features, letters))
    optimiser = torch.optim.SGD(network.parameters(), RATE)

    def step() -> None:
        contexts, targets = data.draw(BATCH, generator)
        loss = functional.cross_entropy(network(contexts), targets)
        loss.item()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def inline(data: Dataset, letters: int, hidden: list[int], activation: str) -> Step:
    """As a notebook spells it out, with two Python loops for the gradient of the embedding."""
    generator = torch.Generator().manual_seed(0)
    n = BATCH
    sizes = [CONTEXT * EMBEDDING, *hidden, letters]
    c = torch.randn(letters, EMBEDDING, generator=generator)
    w = [torch.randn(rows, columns, generator=generator) / rows**0.5 for rows, columns in pairwise(sizes)]
    b = [torch.zeros(size) for size in sizes[1:]]
    gamma = [torch.ones(1, size) for size in hidden]
    beta = [torch.zeros(1, size) for size in hidden]
    depth = len(hidden)

    def step() -> None:
        batch = torch.randint(0, len(data), (n,), generator=generator)
        x, y = data.contexts[batch], data.targets[batch]
        emb = c[x]
        a = [emb.view(n, -1)]
        norm: list[Tensor] = []
        var_inv: list[Tensor] = []
        for i in range(depth):
            z = a[i] @ w[i] + b[i]
            mean = z.mean(0, keepdim=True)
            var = z.var(0, keepdim=True, unbiased=True)
            var_inv.append((var + 1e-5) ** -0.5)
            norm.append((z - mean) * var_inv[i])
            out = gamma[i] * norm[i] + beta[i]
            a.append(torch.tanh(out) if activation == "tanh" else torch.where(out > 0, out, 0.01 * out))
        logits = a[depth] @ w[depth] + b[depth]
        functional.cross_entropy(logits, y).item()

        d = functional.softmax(logits, 1)
        d[range(n), y] -= 1
        d /= n
        dw: list[Tensor] = []
        db: list[Tensor] = []
        dgamma: list[Tensor] = []
        dbeta: list[Tensor] = []
        for i in range(depth, -1, -1):
            dw.insert(0, a[i].T @ d)
            db.insert(0, d.sum(0))
            d = d @ w[i].T
            if i > 0:
                d = (1.0 - a[i] ** 2) * d if activation == "tanh" else torch.where(a[i] > 0, d, 0.01 * d)
                k = i - 1
                dgamma.insert(0, (norm[k] * d).sum(0, keepdim=True))
                dbeta.insert(0, d.sum(0, keepdim=True))
                along = norm[k] * (d * norm[k]).sum(0)
                d = gamma[k] * var_inv[k] / n * (n * d - d.sum(0) - n / (n - 1) * along)
        d_emb = d.view(emb.shape)
        dc = torch.zeros_like(c)
        for row in range(n):
            for place in range(CONTEXT):
                dc[x[row, place]] += d_emb[row, place]
        gradients = [dc, *dw, *db, *dgamma, *dbeta]
        for parameter, gradient in zip([c, *w, *b, *gamma, *beta], gradients, strict=True):
            parameter.data += -RATE * gradient

    return step
