"""A multi-layer perceptron that predicts the next letter of a word from the letters before it."""

from collections.abc import Iterator, Sequence
from typing import Self

import torch
from torch import Tensor

from models.layers import (
    BatchNorm1d,
    Dropout,
    Embedding,
    Layer,
    LeakyReLU,
    Linear,
    LinearWithoutBias,
    Parametric,
    Tanh,
)
from models.loss import SoftmaxCrossEntropy
from models.optim import SGD, constant
from models.words import BUNDLED, Vocabulary, build_dataset, read_words

ACTIVATIONS: dict[str, tuple[type[Layer], float]] = {
    # with its gain: what keeps the spread of the values the same from layer to layer (He et al. 2015)
    "tanh": (Tanh, 5 / 3),
    "leaky-relu": (LeakyReLU, 2**0.5),
}


class MLP:
    """Embedding, then for each hidden size Linear, BatchNorm1d, activation and Dropout, then Linear.

    After Bengio et al. 2003; how deep it is, is a matter of `hidden` alone.
    """

    def __init__(
        self,
        letters: int,
        context: int,
        embedding: int,
        hidden: Sequence[int],
        generator: torch.Generator,
        activation: str = "tanh",
        dropout: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> None:
        """letters: how many there are, END included; the generator draws the weights, then dropout's masks."""

        def draw(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, dtype=dtype)

        self.letters = letters
        self.context = context
        self.embedding = Embedding(draw(letters, embedding))
        self.layers: list[Layer] = []
        make_activation, gain = ACTIVATIONS[activation]
        features = context * embedding
        for size in hidden:
            self.layers += [
                LinearWithoutBias(draw(features, size) * gain / features**0.5),
                BatchNorm1d(size, dtype),
                make_activation(),
            ]
            if dropout > 0:
                self.layers.append(Dropout(dropout, generator))
            features = size
        # small weights at the end: no letter is favoured before the first step, and the loss is ln(letters)
        output_weight = draw(features, letters) * 0.1 / features**0.5
        self.layers.append(Linear(output_weight, torch.zeros(letters, dtype=dtype)))

    def forward(self, contexts: Tensor) -> Tensor:
        """contexts (n, context), integers -> logits (n, letters)."""
        values = self.embedding.forward(contexts)
        for layer in self.layers:
            values = layer.forward(values)
        return values

    def backward(self, d_logits: Tensor) -> None:
        """d_logits (n, letters); sets the gradient of every parameter."""
        gradient = d_logits
        for layer in reversed(self.layers):
            gradient = layer.backward(gradient)
        self.embedding.backward(gradient)

    def parameters(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Each parameter with its gradient, from the first layer to the last."""
        for part in self.parts():
            yield from part.parameters()

    def state(self) -> dict[str, Tensor]:
        """Parameters and running statistics by name, as `3.gamma`: the very tensors, not copies."""
        return {
            f"{number}.{name}": tensor
            for number, part in enumerate(self.parts())
            for name, tensor in part.state().items()
        }

    def size(self) -> int:
        """How many numbers it learns."""
        return sum(getattr(part, name).numel() for part in self.parts() for name in part.parameter_names)

    def parts(self) -> list[Parametric]:
        """The embedding and all layers, in the order of forward."""
        return [self.embedding, *self.layers]

    def train(self, training: bool = True) -> Self:
        """BatchNorm1d uses the statistics of the batch, Dropout drops."""
        for part in self.parts():
            part.training = training
        return self

    def eval(self) -> Self:
        """BatchNorm1d uses its running statistics, Dropout does nothing."""
        return self.train(False)


def one_step(hidden: Sequence[int] = (200, 200)) -> None:
    """One step of training on the bundled names, as a whole: forward, backward, update."""
    generator = torch.Generator().manual_seed(70)
    words = read_words(BUNDLED)
    vocabulary = Vocabulary.of(words)
    dataset = build_dataset(words, vocabulary, context=4)
    model = MLP(len(vocabulary), 4, 10, hidden, generator)
    criterion = SoftmaxCrossEntropy()
    optimiser = SGD(constant(0.1))

    contexts, targets = dataset.draw(32, generator)
    logits = model.forward(contexts)
    loss = criterion.forward(logits, targets)
    d_logits = criterion.backward()
    model.backward(d_logits)
    optimiser.update(model.parameters(), step=0)
    print(f"loss {loss.item():.4f}")
