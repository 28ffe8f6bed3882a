"""python -m benchmarks.check_cost: what it costs to check every gradient of the three-layer network.

The check is `judge_recording` on a recording of models/three_layer.py. It is held against one training step
by autograd and against `torch.autograd.gradcheck` of the same network, written as a function of its
parameters, or of its parameters and of something added to each of the values in between whose gradients are
checked too. gradcheck's slow mode evaluates the network twice for every number among the parameters, which
takes minutes here: it is timed on some of the parameters and on smaller networks, and extrapolated.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

import click
import pandas as pd
import torch
from torch import Tensor

from benchmarks.measuring import MODELS, environment, in_turns, markdown, processor_seconds, training_part
from benchmarks.recordings import Recorded, record
from gradcheck.replay.runner import Runner

BATCH, CONTEXT, LETTERS, EMBEDDING, HIDDEN = 32, 4, 27, 10, 200
BETWEEN = 9  # values between parameters and loss whose gradients three_layer.py computes by hand
Parameters = tuple[Tensor, ...]
Loss = Callable[..., Tensor]


def network(hidden: int, dtype: torch.dtype) -> tuple[Parameters, Loss]:
    """The network of three_layer.py with fresh parameters, and its loss on one fixed batch: a function of the
    parameters and, if given, of what is to be added to the values in between."""
    generator = torch.Generator().manual_seed(1971)
    contexts = torch.randint(0, LETTERS, (BATCH, CONTEXT), generator=generator)
    targets = torch.randint(0, LETTERS, (BATCH,), generator=generator)
    width = CONTEXT * EMBEDDING

    def drawn(*shape: int, scale: float, mean: float = 0.0) -> Tensor:
        made = torch.randn(shape, generator=generator, dtype=torch.float64) * scale + mean
        return made.to(dtype).requires_grad_()

    def layer(inputs: int) -> Parameters:
        weight = drawn(inputs, hidden, scale=(2 / inputs) ** 0.5)
        gamma = drawn(1, hidden, scale=0.1, mean=1.0)
        return weight, drawn(hidden, scale=0.1), gamma, drawn(1, hidden, scale=0.1)

    parameters = (drawn(LETTERS, EMBEDDING, scale=1.0), *layer(width), *layer(hidden))
    parameters += (drawn(hidden, LETTERS, scale=0.02), drawn(LETTERS, scale=0.1))

    def hidden_layer(x: Tensor, p: Parameters, added: Parameters) -> Tensor:
        weight, bias, gamma, beta = p
        before = x @ weight + bias + added[0]
        mean = before.mean(0, keepdim=True)
        variance = ((before - mean) ** 2).sum(0, keepdim=True) / (BATCH - 1)
        after = gamma * ((before - mean) * (variance + 1e-5) ** -0.5) + beta + added[1]
        return torch.where(after > 0, after, 0.01 * after) + added[2]

    def loss(*p: Tensor) -> Tensor:
        added = p[11:] or (torch.zeros((), dtype=dtype),) * BETWEEN
        x = (p[0][contexts] + added[0]).view(BATCH, width) + added[1]
        x = hidden_layer(hidden_layer(x, p[1:5], added[2:5]), p[5:9], added[5:8])
        logits = x @ p[9] + p[10] + added[8]
        log_probabilities = logits - logits.logsumexp(1, keepdim=True)
        return -log_probabilities[range(BATCH), targets].mean()

    return parameters, loss


def added_to_values_between() -> Parameters:
    """Zeros for `loss` to add: the gradient of what is added is the gradient of the value it is added to."""
    width = CONTEXT * EMBEDDING
    layer = [(BATCH, HIDDEN)] * 3
    shapes = [(BATCH, CONTEXT, EMBEDDING), (BATCH, width), *layer, *layer, (BATCH, LETTERS)]
    assert len(shapes) == BETWEEN
    return tuple(torch.zeros(shape, dtype=torch.float64, requires_grad=True) for shape in shapes)


def autograd_step() -> Callable[[], None]:
    parameters, loss = network(HIDDEN, torch.float32)

    def step() -> None:
        for parameter in parameters:
            parameter.grad = None
        torch.autograd.backward(loss(*parameters))
        with torch.no_grad():
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter -= 1e-4 * parameter.grad

    return step


def gradcheck_of(parameters: Parameters, loss: Loss, *, fast: bool) -> Callable[[], object]:
    return lambda: torch.autograd.gradcheck(loss, parameters, fast_mode=fast, atol=1e-4, nondet_tol=0.0)


def numbers_in(parameters: Parameters) -> int:
    return sum(p.numel() for p in parameters)


def replay_alone(recorded: Recorded) -> Callable[[], None]:
    """The least a check by replay can cost: the step in float64, without autograd, and nothing compared."""
    marks = {mark.what: mark.when for mark in recorded.recording.marks}
    ops = recorded.recording.ops[marks["step"] : marks["step-end"]]

    def replays() -> None:
        with torch.no_grad():
            Runner(torch.float64).run(ops)

    return replays


def slow_seconds_per_number(hidden: int) -> float:
    """Measured on one layer's gamma and the output biases, the rest of the network being constant."""
    parameters, loss = network(hidden, torch.float64)
    constant = tuple(p.detach() for p in parameters)
    chosen = (constant[3].clone().requires_grad_(), constant[10].clone().requires_grad_())

    def some(gamma: Tensor, bias: Tensor) -> Tensor:
        return loss(*constant[:3], gamma, *constant[4:10], bias)

    check = gradcheck_of(chosen, some, fast=False)
    return min(processor_seconds(check) for _ in range(2)) / numbers_in(chosen)


def slow_table() -> tuple[pd.DataFrame, float]:
    """Extrapolated and measured seconds of the slow mode; the last row, the real network, is not measured."""
    rows, predicted = [], 0.0
    for hidden in (4, 8, 16, HIDDEN):
        parameters, loss = network(hidden, torch.float64)
        per_number = slow_seconds_per_number(hidden)
        numbers = numbers_in(parameters)
        predicted = per_number * numbers
        measured = None
        if hidden < HIDDEN:
            measured = processor_seconds(gradcheck_of(parameters, loss, fast=False))
        rows.append(
            {
                "hidden": hidden,
                "parameters": f"{numbers:,}",
                "per parameter": f"{per_number * 1e3:.2f} ms",
                "extrapolated": f"{predicted:.1f} s",
                "measured": "not measured" if measured is None else f"{measured:.1f} s",
            }
        )
    return pd.DataFrame(rows), predicted


def check_table(turns: int, slow_mode: float) -> pd.DataFrame:
    with tempfile.TemporaryDirectory() as folder:
        shortened = Path(folder, "three_layer_training.py")
        shortened.write_text(training_part(MODELS / "three_layer.py"), encoding="utf-8")
        step_alone = record(shortened, MODELS)
        whole = record(MODELS / "three_layer.py")
        parameters, loss = network(HIDDEN, torch.float64)
        step = autograd_step()
        names = {
            "check, recording of the program until the loop is left": lambda: step_alone.verdicts(),
            "check, recording of the whole program": lambda: whole.verdicts(),
            "replay of the step in float64 alone": replay_alone(step_alone),
            "one autograd step": lambda: [step() for _ in range(10)],
            "torch gradcheck, fast mode, parameters": gradcheck_of(parameters, loss, fast=True),
            "torch gradcheck, fast mode, every checked value": gradcheck_of(
                parameters + added_to_values_between(), loss, fast=True
            ),
        }
        click.echo(f"verdicts: {dict(step_alone.verdicts())}\n")
        times = in_turns(names, turns)
    times["one autograd step"] /= 10
    check = times.iloc[:, 0]
    times["torch gradcheck, slow mode, parameters (extrapolated)"] = slow_mode
    rows = []
    for name in times.columns:
        ratio = (times[name] / check).median()
        rows.append(
            {
                "what": name,
                "milliseconds": f"{times[name].median() * 1e3:,.1f}",
                "times the check": f"{ratio:,.2f}" if ratio >= 0.1 else f"1/{1 / ratio:,.0f}",
            }
        )
    return pd.DataFrame(rows)


@click.command()
@click.option("--turns", type=click.IntRange(1), default=5, show_default=True)
def main(turns: int) -> None:
    """Print what the check of all gradients costs, as Markdown."""
    torch.set_num_threads(1)
    click.echo(f"{environment()}; medians of {turns} turns, processor time\n")
    slow, predicted = slow_table()
    table = check_table(turns, predicted)
    click.echo(markdown(table))
    click.echo("\nAims: fast mode 100 times the check, slow mode 10,000 times.\n")
    click.echo(
        "The slow mode, extrapolated: the seconds per number, measured on gamma of the first layer and on"
    )
    click.echo(
        "the output biases, times the numbers among the parameters. Where it ends soon, also in full:\n"
    )
    click.echo(markdown(slow))


if __name__ == "__main__":
    main()
