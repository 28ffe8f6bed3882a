"""python -m models.sample CHECKPOINT: words made up by a trained network, one per line."""

from dataclasses import dataclass
from pathlib import Path

import click
import torch
from torch import Tensor

from models.checkpoint import CheckpointError, load_model
from models.mlp import MLP
from models.words import END, Vocabulary


@dataclass(frozen=True)
class Samples:
    """numbers (n, max length): letters, then END to the end of the row; finished (n): did END come in time?"""

    numbers: Tensor
    finished: Tensor

    def words(self, vocabulary: Vocabulary) -> list[str]:
        return [vocabulary.decode(row) for row in self.numbers]

    def lengths(self) -> Tensor:
        """(n): the number of letters of each word."""
        return (self.numbers != END).sum(1)


def sample(model: MLP, n: int, max_length: int, generator: torch.Generator) -> Samples:
    """Draw n words letter by letter, all at once; a word that reaches max_length letters is cut off there.

    The limit is one on the work as well: a network that never ends a word costs max_length passes, no more.
    """
    model.eval()
    numbers = torch.full((n, max_length), END)
    unfinished = torch.arange(n)  # rows of `numbers`
    # words have beginnings in common (at first all of them), and the network sees each beginning once
    contexts = torch.full((1, model.context), END)  # of each beginning
    beginning = torch.zeros(n, dtype=torch.long)  # of each unfinished word
    for position in range(max_length + 1):
        if len(unfinished) == 0:
            break
        # the letter at which the running sum passes a random number; torch.multinomial takes an exponential each
        passed = torch.softmax(model.forward(contexts), 1).cumsum(1)[beginning]
        random = torch.rand(len(unfinished), 1, generator=generator, dtype=passed.dtype)
        drawn = (passed < random).sum(1).clamp(max=model.letters - 1)
        going_on = drawn != END
        unfinished = unfinished[going_on]
        if position == max_length:
            break  # this letter is drawn only to see whether the word ends here
        numbers[unfinished, position] = drawn[going_on]
        longer = (beginning * model.letters + drawn)[going_on]
        distinct, beginning = torch.unique(longer, return_inverse=True)
        before, letter = distinct // model.letters, distinct % model.letters
        contexts = torch.cat([contexts[before, 1:], letter.unsqueeze(1)], 1)
    finished = torch.ones(n, dtype=torch.bool)
    finished[unfinished] = False
    return Samples(numbers, finished)


@click.command()
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option("-n", "number", type=click.IntRange(1), default=20, show_default=True, help="How many words.")
@click.option("--max-length", type=click.IntRange(1), default=30, show_default=True, help="Letters per word.")
@click.option("--seed", type=click.IntRange(0, 2**63 - 1), default=70, show_default=True)
def main(checkpoint: Path, number: int, max_length: int, seed: int) -> None:
    """Print words made up by the network in CHECKPOINT, one per line.

    The same seed prints the same words.
    """
    torch.set_num_threads(1)
    try:
        model, vocabulary = load_model(checkpoint)
    except CheckpointError as error:
        raise click.ClickException(str(error)) from error
    samples = sample(model, number, max_length, torch.Generator().manual_seed(seed))
    click.echo("\n".join(samples.words(vocabulary)))
    cut = int((~samples.finished).sum())
    if cut:
        click.echo(f"{cut:,} of {number:,} words were cut at {max_length} letters", err=True)


if __name__ == "__main__":
    main()
