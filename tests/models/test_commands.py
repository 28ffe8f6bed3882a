"""The two commands as a person runs them."""

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from models import sample, train

FAST = ["--steps", "40", "--hidden", "16"]


@pytest.fixture
def data(tmp_path: Path, words: list[str]) -> Path:
    path = tmp_path / "words.txt"
    path.write_text("\n".join(words))
    return path


def run_train(*arguments: object) -> Result:
    return CliRunner().invoke(train.main, [str(argument) for argument in arguments])


def run_sample(*arguments: object) -> Result:
    return CliRunner().invoke(sample.main, [str(argument) for argument in arguments])


def test_train_save_and_sample(tmp_path: Path, data: Path) -> None:
    target, figure = tmp_path / "run.pt", tmp_path / "loss.png"
    trained = run_train("--data", data, *FAST, "--save", target, "--figure", figure)
    assert trained.exit_code == 0, trained.output
    assert "step 40: training loss" in trained.stdout
    assert figure.read_bytes().startswith(b"\x89PNG")
    first, again = (run_sample(target, "-n", 30, "--max-length", 5, "--seed", 3) for _ in range(2))
    assert first.stdout == again.stdout
    sampled = first.stdout.splitlines()
    assert len(sampled) == 30
    assert max(map(len, sampled)) <= 5
    assert "of 30 words were cut at 5 letters" in first.stderr


def test_a_run_in_two_parts_is_the_run_in_one(tmp_path: Path, data: Path) -> None:
    common = ["--data", data, "--dropout", "0.1", *FAST]
    run_train(*common, "--save", tmp_path / "whole.pt")
    run_train(*common, "--until", 13, "--save", tmp_path / "part.pt")
    resumed = run_train("--data", data, "--resume", tmp_path / "part.pt", "--save", tmp_path / "resumed.pt")
    assert resumed.exit_code == 0, resumed.output
    whole, parts = (torch.load(tmp_path / name, weights_only=True) for name in ("whole.pt", "resumed.pt"))
    assert parts["settings"] == whole["settings"]
    assert all(torch.equal(parts["state"][name], tensor) for name, tensor in whole["state"].items())


def test_ctrl_c_saves_what_was_done(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import signal

    step = train.Trainer.train_step

    def interrupted_step(trainer: train.Trainer) -> None:
        step(trainer)
        if trainer.step == 7:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(train.Trainer, "train_step", interrupted_step)
    stopped = run_train("--data", data, *FAST, "--save", tmp_path / "run.pt")
    assert stopped.exit_code == 130
    assert len(torch.load(tmp_path / "run.pt", weights_only=True)["losses"]) == 7
    monkeypatch.undo()
    assert "step 40:" in run_train("--data", data, "--resume", tmp_path / "run.pt").stdout


@pytest.mark.parametrize("word", ["a", "x" * 1000, "Zoë"])
def test_a_single_word_trains(tmp_path: Path, word: str) -> None:
    (tmp_path / "one.txt").write_text(word, encoding="utf-8")
    trained = run_train("--data", tmp_path / "one.txt", *FAST)
    assert trained.exit_code == 0, trained.output
    assert "0 to validate on" in trained.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data", "missing.txt"], "missing.txt: No such file"),
        (["--data", "empty.txt"], "empty.txt: holds no words"),
        (["--data", "binary.txt"], "not a text file"),
        (["--figure", "loss.doc"], "a figure is a .png, .svg or .pdf"),
        (["--save", "no/such/folder/run.pt"], "not a file in an existing directory"),
        (["--resume", "empty.txt"], "not a checkpoint"),
        (["--resume", "empty.txt", "--hidden", "3"], "--hidden is decided by the run that is resumed"),
        (["--batch", "1"], "--batch"),
        (["--lr", "nan"], "lr is nan"),
    ],
)
def test_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.txt").touch()
    Path("binary.txt").write_bytes(b"\xff\xfe\0")
    result = run_train(*arguments)
    assert result.exit_code != 0
    assert isinstance(result.exception, SystemExit)
    assert message in " ".join(result.output.split())
    assert sum(line.startswith("Error") for line in result.output.splitlines()) == 1


def test_sample_refuses_what_is_no_checkpoint(tmp_path: Path, data: Path) -> None:
    for path, message in ((data, "not a checkpoint"), (tmp_path / "missing.pt", "No such file")):
        result = run_sample(path)
        assert result.exit_code == 1
        assert message in result.output
