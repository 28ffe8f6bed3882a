"""python -m benchmarks.models_speed: how fast the networks of models/ train and sample. Prints Markdown.

All contestants run in one process on one thread, in turns, a few steps at a time: what else the machine does
meets all of them alike. A figure is the median over the turns; a ratio is the median of the ratios of a turn.
"""

import platform
import statistics
import time
from collections.abc import Callable

import click
import pandas as pd
import torch
from torch import nn
from torch.nn import functional

from models.layers import BatchNorm1d
from models.loss import SoftmaxCrossEntropy
from models.mlp import MLP
from models.optim import SGD, constant
from models.sample import sample
from models.words import BUNDLED, END, Dataset, Vocabulary, build_dataset, read_words

CONTEXT, EMBEDDING, BATCH, RATE = 5, 10, 32, 0.1
STEPS = 20  # in one turn
ONE_BY_ONE = 200  # names sampled singly in one turn
SAMPLES, MAX_LENGTH = 10_000, 30

Step = Callable[[], None]


def make_model(letters: int, hidden: list[int]) -> MLP:
    return MLP(letters, CONTEXT, EMBEDDING, hidden, torch.Generator().manual_seed(70))


def manual(data: Dataset, letters: int, hidden: list[int]) -> Step:
    """The library as it is."""
    generator = torch.Generator().manual_seed(0)
    model, criterion, optimiser = make_model(letters, hidden), SoftmaxCrossEntropy(), SGD(constant(RATE))

    def step() -> None:
        contexts, targets = data.draw(BATCH, generator)
        criterion.forward(model.forward(contexts), targets).item()
        model.backward(criterion.backward())
        optimiser.update(model.parameters(), 0)

    return step


def autograd(data: Dataset, letters: int, hidden: list[int]) -> Step:
    """The forward pass of the library, with autograd for the backward pass."""
    generator = torch.Generator().manual_seed(0)
    model, criterion = make_model(letters, hidden), SoftmaxCrossEntropy()
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


def modules(data: Dataset, letters: int, hidden: list[int]) -> Step:
    """The same network of torch.nn modules, whose BatchNorm1d is one fused operation, with torch.optim.SGD."""
    generator = torch.Generator().manual_seed(0)
    parts: list[nn.Module] = [nn.Embedding(letters, EMBEDDING), nn.Flatten()]
    features = CONTEXT * EMBEDDING
    for size in hidden:
        parts += [nn.Linear(features, size, bias=False), nn.BatchNorm1d(size), nn.Tanh()]
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


def inline(data: Dataset, letters: int, hidden: list[int]) -> Step:
    """As a notebook spells it out, with a Python loop over the places of the batch for the embedding gradient."""
    generator = torch.Generator().manual_seed(0)
    n = BATCH
    sizes = [CONTEXT * EMBEDDING, *hidden, letters]
    C = torch.randn(letters, EMBEDDING, generator=generator)
    W = [torch.randn(a, b, generator=generator) / a**0.5 for a, b in zip(sizes, sizes[1:], strict=False)]
    b = [torch.zeros(size) for size in sizes[1:]]
    gamma = [torch.ones(1, size) for size in hidden]
    beta = [torch.zeros(1, size) for size in hidden]
    depth = len(hidden)

    def step() -> None:
        batch = torch.randint(0, len(data), (n,), generator=generator)
        X, Y = data.contexts[batch], data.targets[batch]
        emb = C[X]
        A = [emb.view(n, -1)]
        norm, var_inv = [], []
        for i in range(depth):
            Z = A[i] @ W[i] + b[i]
            mean = Z.mean(0, keepdim=True)
            var = Z.var(0, keepdim=True, unbiased=True)
            var_inv.append((var + 1e-5) ** -0.5)
            norm.append((Z - mean) * var_inv[i])
            A.append(torch.tanh(gamma[i] * norm[i] + beta[i]))
        logits = A[depth] @ W[depth] + b[depth]
        functional.cross_entropy(logits, Y).item()

        d = functional.softmax(logits, 1)
        d[range(n), Y] -= 1
        d /= n
        dW, db, dgamma, dbeta = [], [], [], []
        for i in range(depth, -1, -1):
            dW.insert(0, A[i].T @ d)
            db.insert(0, d.sum(0))
            d = d @ W[i].T
            if i > 0:
                d = (1.0 - A[i] ** 2) * d
                k = i - 1
                dgamma.insert(0, (norm[k] * d).sum(0, keepdim=True))
                dbeta.insert(0, d.sum(0, keepdim=True))
                along = norm[k] * (d * norm[k]).sum(0)
                d = gamma[k] * var_inv[k] / n * (n * d - d.sum(0) - n / (n - 1) * along)
        d_emb = d.view(emb.shape)
        dC = torch.zeros_like(C)
        for row in range(n):
            for place in range(CONTEXT):
                dC[X[row, place]] += d_emb[row, place]
        gradients = [dC, *dW, *db, *dgamma, *dbeta]
        for parameter, gradient in zip([C, *W, *b, *gamma, *beta], gradients, strict=True):
            parameter.data += -RATE * gradient

    return step


def sample_one_by_one(model: MLP, n: int, generator: torch.Generator) -> None:
    """As a notebook spells it out: one name after another, one letter after another."""
    for _ in range(n):
        context = [END] * model.context
        for _ in range(MAX_LENGTH):
            logits = model.forward(torch.tensor([context]))
            letter = torch.multinomial(torch.softmax(logits, 1), 1, generator=generator).item()
            context = [*context[1:], int(letter)]
            if letter == END:
                break


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def compare(contestants: dict[str, Callable[[], object]], turns: int) -> pd.DataFrame:
    """Seconds of each contestant at each turn; the first turn warms up and is not counted."""
    rows = [{name: seconds(action) for name, action in contestants.items()} for _ in range(turns + 1)]
    return pd.DataFrame(rows[1:])


def repeat(step: Step) -> Step:
    def steps() -> None:
        for _ in range(STEPS):
            step()

    return steps


def training_table(data: Dataset, letters: int, turns: int) -> pd.DataFrame:
    others = {
        "eager autograd, same forward": autograd,
        "torch.nn and torch.optim": modules,
        "inline, double loop": inline,
    }
    rows = []
    for hidden in ([200], [200, 200], [64, 64]):
        steps = {"manual": manual, **others}
        times = compare({name: repeat(make(data, letters, hidden)) for name, make in steps.items()}, turns)
        row: dict[str, object] = {
            "hidden": str(hidden),
            "manual, steps/s": f"{STEPS / times['manual'].median():,.0f}",
        }
        for name in others:
            row[name] = f"{statistics.median(times[name] / times['manual']):.2f} times slower"
        rows.append(row)
    return pd.DataFrame(rows)


def sampling_table(data: Dataset, letters: int, turns: int) -> pd.DataFrame:
    model = make_model(letters, [200, 200])
    criterion, optimiser, generator = (
        SoftmaxCrossEntropy(),
        SGD(constant(RATE)),
        torch.Generator().manual_seed(0),
    )
    for _ in range(1000):  # until names have about the length of names
        contexts, targets = data.draw(BATCH, generator)
        criterion.forward(model.forward(contexts), targets)
        model.backward(criterion.backward())
        optimiser.update(model.parameters(), 0)
    model.eval()
    times = compare(
        {
            "batched": lambda: sample(model, SAMPLES, MAX_LENGTH, generator),
            "single": lambda: sample_one_by_one(model, ONE_BY_ONE, generator),
        },
        turns,
    )
    per_name = times["single"] / ONE_BY_ONE
    return pd.DataFrame(
        {
            "10,000 names at once": [f"{times['batched'].median():.3f} s"],
            "one at a time": [f"{per_name.median() * SAMPLES:.1f} s"],
            "ratio": [f"{(per_name * SAMPLES / times['batched']).median():.0f}"],
        }
    )


@click.command()
@click.option("--turns", type=click.IntRange(1), default=60, show_default=True)
def main(turns: int) -> None:
    """Print how fast the networks of models/ train and sample, as Markdown."""
    torch.set_num_threads(1)
    words = read_words(BUNDLED)
    vocabulary = Vocabulary.of(words)
    data = build_dataset(words, vocabulary, CONTEXT)
    click.echo(f"torch {torch.__version__}, Python {platform.python_version()}, one thread; {turns} turns\n")
    click.echo(f"Training, batch {BATCH}:\n")
    click.echo(training_table(data, len(vocabulary), turns).to_markdown(index=False))
    click.echo(f"\nSampling (one at a time: measured on {ONE_BY_ONE} names a turn and scaled up):\n")
    click.echo(sampling_table(data, len(vocabulary), max(turns // 6, 1)).to_markdown(index=False))


if __name__ == "__main__":
    main()
