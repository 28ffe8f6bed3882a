"""Programs of a given depth, width and data set, with every layer in its own lines, as people write them."""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    NONE = "none"
    LAST = "last hidden layer"  # everything before it inherits the error
    ALL = "every hidden layer"  # each at fault by itself


class Loading(StrEnum):
    """How the program comes by its data set of `rows` rows."""

    NUMBERS = "int64 from a file"
    FLOATS = "float32 from a file"
    NORMALISED = "float32 from a file, then normalised by torch"


def deep_program(depth: int, *, width: int = 64, batch: int = 32, fault: Fault = Fault.NONE) -> str:
    """`depth` hidden tanh layers between an input of 16 numbers and 10 classes."""
    ready = [
        "import torch",
        "generator = torch.Generator().manual_seed(1)",
        "X = torch.randn((1000, 16), generator=generator)",
        "Y = torch.randint(0, 10, (1000,), generator=generator)",
    ]
    return _program(ready, "X[batch]", 16, depth, width, batch, fault)


def long_program(passes: int, *, depth: int = 4, updates: bool = False) -> str:
    """Many backward passes one after the other, without a loop, as the cells of a long notebook; between them,
    losses that nobody differentiates."""
    lines = [
        "import torch",
        "generator = torch.Generator().manual_seed(1)",
        "X = torch.randn((200, 16), generator=generator)",
        "Y = torch.randint(0, 10, (200,), generator=generator)",
    ]
    for layer in range(1, depth + 1):
        lines.append(f"W{layer} = torch.randn((16, 16), generator=generator) * 0.3")
        lines.append(f"b{layer} = torch.randn(16, generator=generator) * 0.1")
    lines += ["W = torch.randn((16, 10), generator=generator) * 0.2", "b = torch.zeros(10)"]
    for _ in range(passes):
        lines += ["batch = torch.randint(0, len(X), (16,), generator=generator)", "x, y = X[batch], Y[batch]"]
        lines += [*_forward(depth), *_backward(depth, 16, Fault.NONE)]
        if updates:
            lines += [f"W{layer} -= 0.1 * dW{layer}" for layer in range(1, depth + 1)]
        lines += ["for k in range(4):", "    loss_k = ((X[k] @ W1) ** 2).mean()"]
    return "\n".join(lines) + "\n"


def data_program(
    file: str, loading: Loading, *, columns: int, depth: int = 3, width: int = 512, batch: int = 512
) -> str:
    """Reads a data set (a .npy file of shape rows, columns) and trains one iteration on batches of it."""
    ready = ["import numpy as np", "import torch", "generator = torch.Generator().manual_seed(1)"]
    ready.append(f"X = torch.from_numpy(np.load({file!r}))")
    if loading is Loading.NORMALISED:
        ready.append("X = (X - X.mean(0)) / X.std(0)")
    ready.append("Y = torch.randint(0, 10, (len(X),), generator=generator)")
    rows = "X[batch].float()" if loading is Loading.NUMBERS else "X[batch]"
    return _program(ready, rows, columns, depth, width, batch, Fault.NONE)


def _program(
    ready: list[str], rows: str, columns: int, depth: int, width: int, batch: int, fault: Fault
) -> str:
    lines = list(ready)
    parameters = []
    for layer in range(1, depth + 1):
        inputs = columns if layer == 1 else width
        lines.append(f"W{layer} = torch.randn(({inputs}, {width}), generator=generator) * {inputs**-0.5}")
        lines.append(f"b{layer} = torch.randn({width}, generator=generator) * 0.1")
        parameters += [f"W{layer}", f"b{layer}"]
    lines.append(f"W = torch.randn(({width}, 10), generator=generator) * {width**-0.5}")
    lines.append("b = torch.randn(10, generator=generator) * 0.1")
    parameters += ["W", "b"]
    lines.append(f"parameters = [{', '.join(parameters)}]")
    step = [f"batch = torch.randint(0, len(X), ({batch},), generator=generator)"]
    step += [f"x, y = {rows}, Y[batch]", *_forward(depth), *_backward(depth, batch, fault)]
    step.append(f"grads = [{', '.join('d' + name for name in parameters)}]")
    step += ["for p, grad in zip(parameters, grads):", "    p.data += -0.1 * grad"]
    lines.append("for step in range(200_000):")
    lines += [f"    {line}" for line in step]
    return "\n".join(lines) + "\n"


def _forward(depth: int) -> list[str]:
    lines = []
    for layer in range(1, depth + 1):
        before = "x" if layer == 1 else f"a{layer - 1}"
        lines += [f"z{layer} = {before} @ W{layer} + b{layer}", f"a{layer} = torch.tanh(z{layer})"]
    lines.append(f"logits = a{depth} @ W + b")
    lines.append("logprobs = logits - logits.logsumexp(1, keepdim=True)")
    lines.append("loss = -logprobs[range(len(y)), y].mean()")
    return lines


def _backward(depth: int, batch: int, fault: Fault) -> list[str]:
    lines = ["dlogits = logprobs.exp()", "dlogits[range(len(y)), y] -= 1", f"dlogits /= {batch}"]
    lines += [f"dW = a{depth}.T @ dlogits", "db = dlogits.sum(0)", f"da{depth} = dlogits @ W.T"]
    for layer in range(depth, 0, -1):
        wrong = fault is Fault.ALL or (fault is Fault.LAST and layer == depth)
        slope = f"(1 - a{layer})" if wrong else f"(1 - a{layer} ** 2)"
        before = "x" if layer == 1 else f"a{layer - 1}"
        lines.append(f"dz{layer} = da{layer} * {slope}")
        lines += [f"dW{layer} = {before}.T @ dz{layer}", f"db{layer} = dz{layer}.sum(0)"]
        if layer > 1:
            lines.append(f"da{layer - 1} = dz{layer} @ W{layer}.T")
    return lines
