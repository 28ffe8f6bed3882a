"""From a file with one word per line to the numbers a network is trained on."""

import hashlib
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

BUNDLED = Path(__file__).parent / "data" / "names.txt"
END = 0
"""The number that ends a word, and that fills the window before its first letter."""


class DataError(ValueError):
    """The file cannot be trained on; the message says why, in one line."""


def read_words(path: Path) -> list[str]:
    """The words of a file in UTF-8, one per line, in their order, copies included; empty lines are skipped."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path}: not a text file in UTF-8 (byte {error.start + 1} is part of no letter)"
        ) from error
    if "\0" in text:
        raise DataError(f"{path}: not a text file (byte {content.index(0) + 1} is NUL)")
    # not splitlines(), which also splits at characters that an editor shows within a line;
    # NFC: an accent typed as a letter of its own and one that is part of its letter look the same
    lines = re.split(r"\r\n|\r|\n", unicodedata.normalize("NFC", text))
    words = [word for line in lines if (word := line.strip())]
    if not words:
        raise DataError(f"{path}: holds no words")
    return words


@dataclass(frozen=True)
class Vocabulary:
    """The letters of a set of words, in the order of their code points; letter i has the number i + 1."""

    letters: str

    @classmethod
    def of(cls, words: list[str]) -> "Vocabulary":
        return cls("".join(sorted(set("".join(words)))))

    def __len__(self) -> int:
        return len(self.letters) + 1

    def encode(self, text: str) -> Tensor:
        """text -> numbers (length of the text); NUL is END, every other character must be in the vocabulary."""
        code_points = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
        known = np.frombuffer(("\0" + self.letters).encode("utf-32-le"), dtype="<u4")
        return torch.from_numpy(np.searchsorted(known, code_points))

    def decode(self, numbers: Tensor) -> str:
        """numbers (length) -> the letters before the first END."""
        letters = "\0" + self.letters
        return "".join(letters[number] for number in numbers.tolist()).partition("\0")[0]


@dataclass(frozen=True)
class Dataset:
    """contexts (n, context), targets (n), integers: what comes before each letter (or end) of each word."""

    contexts: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """contexts (n, context), targets (n): examples drawn with replacement."""
        batch = torch.randint(len(self), (n,), generator=generator)
        return self.contexts.index_select(0, batch), self.targets.index_select(0, batch)


def build_dataset(words: list[str], vocabulary: Vocabulary, context: int) -> Dataset:
    """One example for each letter of each word, and one for its end.

    All words are laid out in one row with `context` ENDs around each. Every window of the row is an example,
    except those that end in the padding: in an END that follows another END.
    """
    padding = "\0" * context
    # one END more at the end: the row must hold a window even if there are no words
    row = vocabulary.encode(padding + "".join(word + padding for word in words) + "\0")
    windows = row.unfold(0, context + 1, 1)
    examples = windows[(windows[:, -1] != END) | (windows[:, -2] != END)]
    return Dataset(examples[:, :-1].contiguous(), examples[:, -1].contiguous())


def split_words(words: list[str], share: float, seed: int) -> tuple[list[str], list[str]]:
    """Words to train on and words to validate on, which get that share; all copies of a word go together.

    Each list keeps the order of the file. A share above 0 of two different words or more is at least one word,
    and never all of them; a single word is trained on.
    """
    different = list(dict.fromkeys(words))
    wanted = min(max(round(share * len(different)), int(share > 0)), len(different) - 1)
    order = torch.randperm(len(different), generator=torch.Generator().manual_seed(seed))
    held_out = {different[i] for i in order[:wanted].tolist()}
    return [word for word in words if word not in held_out], [word for word in words if word in held_out]


def fingerprint(words: list[str]) -> str:
    """The same for the same words in the same order, whatever file they came from."""
    return hashlib.sha256("\n".join(words).encode()).hexdigest()
