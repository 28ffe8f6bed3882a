"""Checkpoints: the run goes on bit for bit, and a file from elsewhere runs no code."""

import pickle
from pathlib import Path

import pytest
import torch

from models.checkpoint import CheckpointError, load_model, resume, save


@pytest.mark.parametrize("schedule", ["constant", "step", "cosine", "warm-up"])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_a_resumed_run_is_the_run_without_a_break(
    make_trainer, words: list[str], tmp_path: Path, schedule: str, dropout: float
) -> None:
    whole = make_trainer(schedule=schedule, dropout=dropout)
    whole.run()
    broken = make_trainer(schedule=schedule, dropout=dropout)
    for stop in (1, 23, 59):
        broken.run(until=stop)
        save(broken, tmp_path / "run.pt")
        broken = resume(tmp_path / "run.pt", words)
    broken.run()
    assert broken.losses == whole.losses
    assert torch.equal(broken.generator.get_state(), whole.generator.get_state())
    for name, tensor in whole.model.state().items():
        assert torch.equal(broken.model.state()[name], tensor), name


def test_saving_and_evaluating_do_not_change_the_run(make_trainer, tmp_path: Path) -> None:
    quiet, watched = make_trainer(dropout=0.2), make_trainer(dropout=0.2)
    quiet.run()
    for stop in range(10, 70, 10):
        watched.run(until=stop)
        watched.evaluate()
        save(watched, tmp_path / "run.pt")
    assert watched.losses == quiet.losses
    assert watched.evaluate() == quiet.evaluate()


def test_a_loaded_network_is_the_trained_one_in_evaluation_mode(make_trainer, tmp_path: Path) -> None:
    trainer = make_trainer(dropout=0.2, dtype="float64")
    trainer.run()
    save(trainer, tmp_path / "run.pt")
    model, vocabulary = load_model(tmp_path / "run.pt")
    contexts = trainer.train_data.contexts[:100]
    assert vocabulary == trainer.vocabulary
    assert torch.equal(model.forward(contexts), trainer.model.eval().forward(contexts))


def test_other_words_are_refused(make_trainer, words: list[str], tmp_path: Path) -> None:
    save(make_trainer(), tmp_path / "run.pt")
    with pytest.raises(CheckpointError, match="trained on other words"):
        resume(tmp_path / "run.pt", words[1:])


class Attack:
    """Unpickling this calls a function of the attacker's choice."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple:
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("write", [torch.save, lambda content, path: path.write_bytes(pickle.dumps(content))])
def test_loading_runs_no_code_from_the_file(tmp_path: Path, write) -> None:
    path, marker = tmp_path / "run.pt", tmp_path / "marker"
    write({"format": "models.checkpoint 1", "settings": Attack(marker)}, path)
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        load_model(path)
    assert not marker.exists()


def damage(path: Path, **changed: object) -> None:
    content = torch.load(path, weights_only=True)
    content.update(changed)
    torch.save(content, path)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"format": "another"}, "not a checkpoint of models.train"),
        ({"settings": [1]}, "not a checkpoint of models.train"),
        ({"settings": {"no such": 1}}, "settings are not those of a training run"),
        ({"settings": {"layers": -1}}, "settings are not those of a training run"),
        ({"settings": {"hidden": 33}}, "not those of the network in its settings"),
        ({"state": {}}, "not those of the network in its settings"),
        ({"state": {"0.weight": 1}}, "not those of the network in its settings"),
        ({"generator": torch.zeros(3)}, "generator"),
        ({"losses": torch.zeros(2, 2)}, "losses"),
    ],
)
def test_a_file_that_does_not_hang_together(
    make_trainer, words: list[str], tmp_path: Path, changed: dict, message: str
) -> None:
    path = tmp_path / "run.pt"
    save(make_trainer(), path)
    damage(path, **changed)
    with pytest.raises(CheckpointError, match=message) as caught:
        resume(path, words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"anna\nbob\n", b"PK\x03\x04broken", b"\x80\x04."])
def test_what_is_no_checkpoint(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        load_model(path)


def test_a_cut_file(make_trainer, tmp_path: Path) -> None:
    path = tmp_path / "run.pt"
    save(make_trainer(), path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(CheckpointError, match="not a checkpoint, or a damaged one"):
        load_model(path)


def test_files_that_cannot_be_read_or_written(make_trainer, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="No such file"):
        load_model(tmp_path / "missing.pt")
    with pytest.raises(CheckpointError, match="No such file"):
        save(make_trainer(), tmp_path / "missing" / "run.pt")
