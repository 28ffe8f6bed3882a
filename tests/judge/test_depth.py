"""What it costs to judge a deep network with a fault in every layer, as a count of what is replayed."""

import pytest

from gradcheck.replay.runner import Runner
from tests.support import report_on_source


def deep(layers: int) -> str:
    numbers = range(1, layers + 1)
    lines = ["import torch", "torch.manual_seed(0)", "a0, y = torch.randn(6, 5), torch.randn(6, 5)"]
    lines += [f"W{i} = torch.randn(5, 5) / 2" for i in numbers]
    lines += ["for step in range(9):"]
    lines += [f"    z{i} = a{i - 1} @ W{i}\n    a{i} = torch.tanh(z{i})" for i in numbers]
    lines += [f"    loss = ((a{layers} - y) ** 2).mean()", f"    da{layers} = 2 * (a{layers} - y) / 30"]
    for i in reversed(numbers):
        lines += [
            f"    dz{i} = da{i} * (1 - a{i})",
            f"    dW{i} = a{i - 1}.T @ dz{i}",
            f"    da{i - 1} = dz{i} @ W{i}.T",
        ]
    lines += [f"    W{i} -= 0.1 * dW{i}" for i in numbers]
    return "\n".join(lines)


def test_a_fault_in_every_layer_costs_no_more_than_the_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    replayed, execute = [0], Runner._execute

    def counted(self: Runner, node: object) -> None:
        replayed[0] += 1
        execute(self, node)  # type: ignore[arg-type]

    monkeypatch.setattr(Runner, "_execute", counted)
    counts = {}
    for layers in (12, 24):
        replayed[0] = 0
        report = report_on_source(deep(layers), ignore=("GC2", "GC3", "GC4", "GC5", "GC6"))
        wrong = {row.name for row in report.rows if row.verdict.value == "introduced"}
        assert wrong == {f"dz{i}" for i in range(1, layers + 1)}
        counts[layers] = replayed[0]
    assert counts[24] < 2.5 * counts[12], counts
