"""Any file of one word per line, and what is no such file."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.words import (
    BUNDLED,
    END,
    DataError,
    Vocabulary,
    build_dataset,
    fingerprint,
    read_words,
    split_words,
)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"ann\nbob\n", ["ann", "bob"]),
        (b"ann\r\nbob\r\n", ["ann", "bob"]),
        (b"ann\rbob", ["ann", "bob"]),
        (b"\n\nann\n  \n bob \n\n", ["ann", "bob"]),
        (b"ann\nann\n", ["ann", "ann"]),
        (b"\xef\xbb\xbfann\n", ["ann"]),
        ("Zoë\nИва\n美咲\n".encode(), ["Zoë", "Ива", "美咲"]),
        ("Zoe\u0308\nZoë".encode(), ["Zoë", "Zoë"]),
        (b"anna maria", ["anna maria"]),
        (b"x", ["x"]),
    ],
    ids=["plain", "CRLF", "CR", "empty lines", "duplicates", "BOM", "non-ASCII", "accents", "space", "one"],
)
def test_words_of_a_file(tmp_path: Path, content: bytes, words: list[str]) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    assert read_words(path) == words


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "holds no words"),
        (b"\n \r\n", "holds no words"),
        (b"ann\n\xff\xfe", r"not a text file in UTF-8 \(byte 5 "),
        (b"ann\0bob", r"not a text file \(byte 4 is NUL\)"),
        (b"\xef\xbb\xbfann\0bob", r"not a text file \(byte 7 is NUL\)"),
    ],
)
def test_a_file_without_words_gives_one_clear_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "words.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_words(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_words(tmp_path / "missing.txt")
    with pytest.raises(DataError, match="Is a directory"):
        read_words(tmp_path)


def test_the_examples_of_a_word() -> None:
    vocabulary = Vocabulary.of(["ab"])
    dataset = build_dataset(["ab"], vocabulary, context=3)
    assert dataset.contexts.tolist() == [[0, 0, 0], [0, 0, 1], [0, 1, 2]]
    assert dataset.targets.tolist() == [1, 2, END]


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)))
def test_vectorised_dataset_is_that_of_the_plain_loop(words: list[str]) -> None:
    vocabulary = Vocabulary.of(words)
    numbers = {letter: i + 1 for i, letter in enumerate(vocabulary.letters)}
    for context in (1, 4):
        contexts, targets = [], []
        for word in words:
            window = [END] * context
            for number in [*(numbers[letter] for letter in word), END]:
                contexts.append(window)
                targets.append(number)
                window = [*window[1:], number]
        dataset = build_dataset(words, vocabulary, context)
        assert dataset.contexts.tolist() == contexts
        assert dataset.targets.tolist() == targets


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_decode_undoes_encode(word: str) -> None:
    vocabulary = Vocabulary.of([word, "."])
    assert vocabulary.decode(vocabulary.encode(word + "\0" + word)) == word


def test_split_is_seeded_and_puts_every_word_on_one_side() -> None:
    words = [*read_words(BUNDLED), "aaron", "aaron"]
    train, validation = split_words(words, 0.1, seed=1)
    assert (train, validation) == split_words(words, 0.1, seed=1)
    assert validation != split_words(words, 0.1, seed=2)[1]
    assert not set(train) & set(validation)
    assert sorted(train + validation) == sorted(words)
    assert len(set(validation)) == round(0.1 * len(set(words)))


def test_split_of_few_words() -> None:
    assert split_words(["only", "only"], 0.1, seed=0) == (["only", "only"], [])
    train, validation = split_words(["one", "two"], 0.1, seed=0)
    assert sorted(train + validation) == ["one", "two"]
    assert len(validation) == 1
    assert split_words(["one", "two"], 0.0, seed=0) == (["one", "two"], [])


def test_batches_are_drawn_from_the_examples() -> None:
    words = ["ann", "bob"]
    dataset = build_dataset(words, Vocabulary.of(words), context=2)
    contexts, targets = dataset.draw(100, torch.Generator().manual_seed(0))
    known = torch.cat([dataset.contexts, dataset.targets[:, None]], 1).tolist()
    drawn = torch.cat([contexts, targets[:, None]], 1).tolist()
    assert all(row in drawn for row in known)
    assert all(row in known for row in drawn)


def test_fingerprint_depends_on_the_order() -> None:
    assert fingerprint(["a", "b"]) != fingerprint(["b", "a"])
    assert fingerprint(["ab"]) != fingerprint(["a", "b"])
