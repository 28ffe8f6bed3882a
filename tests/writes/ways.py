"""Sixty ways in which a program writes, each with its own check that it reads back what it wrote.

A program is a training loop and one of them, in a folder of files that somebody wants to keep (`person.py`).
"""


# ruff: noqa
# mypy: ignore-errors


def open_for_writing():
    with open("model.txt", "w") as file:
        file.write("one step")
    assert open("model.txt").read() == "one step"


def open_and_leave_open():
    global left
    left = open("results.csv", "w")
    left.write("1,2,3\n")
    assert left.name == "results.csv"


def append():
    with open("results.csv", "a") as file:
        file.write("new\n")
    assert open("results.csv").read() == "epoch,loss\n1,2\nnew\n"


def update_in_place():
    with open("results.csv", "r+") as file:
        file.seek(0)
        file.write("EPOCH")
    assert open("results.csv").read().startswith("EPOCH,loss")


def exclusive():
    with open("fresh.txt", "x") as file:
        file.write("new")
    try:
        open("model.txt", "x")
    except FileExistsError as error:
        assert error.filename == "model.txt"
    else:
        raise AssertionError("it is there")


def truncate_a_file():
    import os

    os.truncate("results.csv", 3)
    assert os.path.getsize("results.csv") == 3
    with open("model.txt", "r+") as file:
        file.truncate(2)
    assert open("model.txt").read() == "tr"


def file_io():
    import io

    with io.FileIO("model.txt", "w") as file:
        file.write(b"raw")
    with open("model.txt", "rb", buffering=0) as file:
        assert isinstance(file, io.FileIO)
        assert file.read() == b"raw"


def descriptors():
    import os

    number = os.open("model.txt", os.O_WRONLY | os.O_TRUNC)
    os.write(number, b"by number")
    os.close(number)
    with os.fdopen(os.open("model.txt", os.O_RDONLY)) as file:
        assert file.read() == "by number"


def folder_descriptors():
    import os

    folder = os.open("runs", os.O_RDONLY)
    os.close(os.open("inside.txt", os.O_CREAT | os.O_WRONLY, dir_fd=folder))
    os.unlink("first/log.txt", dir_fd=folder)
    os.rename("inside.txt", "renamed.txt", src_dir_fd=folder, dst_dir_fd=folder)
    os.close(folder)
    assert sorted(os.listdir("runs")) == ["first", "renamed.txt"]
    assert os.listdir("runs/first") == ["weights.bin"]


def custom_opener():
    import os

    def opener(path, flags):
        return os.open(path, flags, 0o600)

    with open("model.txt", "w", opener=opener) as file:
        file.write("private")
    assert open("model.txt").read() == "private"


def print_to_file():
    with open("log.txt", "a") as log:
        print("step", 1, file=log)
    assert open("log.txt").read() == "step 1\n"


def pathlib_text():
    from pathlib import Path

    Path("model.txt").write_text("short")
    Path("new").mkdir()
    Path("new", "x.bin").write_bytes(b"123")
    assert Path("model.txt").read_text() == "short"
    assert [path.name for path in Path("new").iterdir()] == ["x.bin"]


def pathlib_moves():
    from pathlib import Path

    Path("model.txt").replace("results.csv")
    assert Path("results.csv").read_text() == "trained for a week"
    assert not Path("model.txt").exists()
    Path("results.csv").unlink()
    Path("results.csv").unlink(missing_ok=True)
    Path("runs/touched").touch()
    assert Path("runs/touched").is_file()
    assert sorted(path.name for path in Path("runs").rglob("*.*")) == ["log.txt", "weights.bin"]


def torch_save():
    import torch

    torch.save({"W": torch.ones(3)}, "model.pt")
    assert torch.load("model.pt")["W"].sum() == 3


def torch_save_old_format():
    import torch

    torch.save(torch.ones(3), "model.pt", _use_new_zipfile_serialization=False)
    assert torch.load("model.pt").sum() == 3


def torch_save_to_open_file():
    import torch

    with open("model.pt", "wb") as file:
        torch.save(torch.zeros(2), file)
    with open("model.pt", "rb") as file:
        assert torch.load(file).shape == (2,)


def torch_jit_save():
    import torch

    torch.jit.save(torch.jit.script(torch.nn.Linear(2, 2)), "scripted.pt")
    assert torch.jit.load("scripted.pt")(torch.ones(1, 2)).shape == (1, 2)


def torch_state_of_optimizer():
    import os

    import torch

    layer = torch.nn.Linear(2, 2)
    optimiser = torch.optim.Adam(layer.parameters())
    os.makedirs("checkpoints", exist_ok=True)
    for epoch in range(3):
        torch.save({"layer": layer.state_dict(), "o": optimiser.state_dict()}, f"checkpoints/{epoch}.pt")
    layer.load_state_dict(torch.load("checkpoints/2.pt")["layer"])
    assert sorted(os.listdir("checkpoints")) == ["0.pt", "1.pt", "2.pt"]


def numpy_save():
    import numpy as np

    np.save("weights.npy", np.ones(3))
    np.savez("weights.npz", a=np.ones(2))
    np.savetxt("results.csv", np.eye(2))
    assert np.load("weights.npy").sum() == 3
    assert np.load("weights.npz")["a"].sum() == 2
    assert np.loadtxt("results.csv").trace() == 2


def numpy_to_file():
    import numpy as np

    np.arange(4, dtype="f4").tofile("runs/first/weights.bin")
    assert np.fromfile("runs/first/weights.bin", "f4").sum() == 6


def numpy_memory_map():
    import numpy as np

    mapped = np.memmap("runs/first/weights.bin", dtype="u1", mode="r+")
    mapped[:] = 7
    mapped.flush()
    assert open("runs/first/weights.bin", "rb").read(2) == b"\x07\x07"


def memory_map():
    import mmap

    with open("model.txt", "r+b") as file, mmap.mmap(file.fileno(), 0) as mapped:
        mapped[:3] = b"XXX"
    assert open("model.txt").read().startswith("XXXined")


def pandas_csv():
    import pandas as pd

    pd.DataFrame({"epoch": [1, 2]}).to_csv("results.csv", index=False)
    pd.DataFrame({"epoch": [1, 2]}).to_pickle("table.pkl")
    assert len(pd.read_csv("results.csv")) == len(pd.read_pickle("table.pkl")) == 2


def matplotlib_figure():
    import os

    import matplotlib.pyplot as plt

    plt.plot([1, 2])
    plt.savefig("loss.png")
    assert os.path.getsize("loss.png") > 100


def image():
    import os

    from PIL import Image

    Image.new("L", (4, 4)).save("digit.png")
    assert Image.open("digit.png").size == (4, 4)
    assert os.path.isfile("digit.png")


def scipy_mat():
    import numpy as np
    from scipy.io import loadmat, savemat

    savemat("data.mat", {"a": np.eye(2)})
    assert loadmat("data.mat")["a"].trace() == 2


def sqlite():
    import sqlite3

    with sqlite3.connect("runs.db") as base:
        base.execute("insert into runs values (2)")
    base.close()
    base = sqlite3.connect("file:runs.db?mode=ro", uri=True)
    assert base.execute("select count(*) from runs").fetchone() == (2,)
    base.close()


def sqlite_new():
    import os
    import sqlite3

    base = sqlite3.connect("new.db")
    base.execute("create table t (a)")
    base.commit()
    base.close()
    assert os.path.exists("new.db")


def shelf():
    import shelve

    with shelve.open("shelf") as held:
        held["a"] = 1
    with shelve.open("shelf") as held:
        assert held["a"] == 1


def pickled():
    import pickle

    with open("model.pkl", "wb") as file:
        pickle.dump([1, 2], file)
    assert pickle.load(open("model.pkl", "rb")) == [1, 2]


def json_history():
    import json

    history = json.load(open("history.json"))
    history.append(2)
    json.dump(history, open("history.json", "w"))
    assert json.load(open("history.json")) == [1, 2]


def joblib_dump():
    import joblib

    joblib.dump({"a": 1}, "model.joblib", compress=3)
    assert joblib.load("model.joblib") == {"a": 1}


def gzip_and_bzip():
    import bz2
    import gzip
    import lzma

    for module in (gzip, bz2, lzma):
        with module.open("packed", "wt") as file:
            file.write("text")
        assert module.open("packed", "rt").read() == "text"


def zip_archive():
    import zipfile

    with zipfile.ZipFile("all.zip", "w") as archive:
        archive.write("model.txt")
        archive.writestr("b", "c")
    assert zipfile.ZipFile("all.zip").namelist() == ["model.txt", "b"]


def zip_left_open():
    import zipfile

    global archive
    archive = zipfile.ZipFile("open.zip", "w")
    archive.writestr("b", "c")


def tar_archive():
    import shutil
    import tarfile

    with tarfile.open("all.tar.gz", "w:gz") as archive:
        archive.add("runs")
    with tarfile.open("all.tar.gz") as archive:
        archive.extractall("unpacked", filter="data")
    shutil.make_archive("made", "zip", "unpacked")
    assert open("unpacked/runs/first/log.txt").read() == "a log"


def rename_over():
    import os

    with open("model.tmp", "w") as file:
        file.write("new")
    os.replace("model.tmp", "model.txt")
    assert open("model.txt").read() == "new"
    assert not os.path.exists("model.tmp")


def rename_away():
    import os

    os.rename("model.txt", "old.txt")
    os.renames("runs/first/log.txt", "moved/log.txt")
    assert open("old.txt").read() == "trained for a week"
    assert open("moved/log.txt").read() == "a log"
    assert "model.txt" not in os.listdir()


def rename_folder():
    import os

    os.rename("runs", "old-runs")
    assert open("old-runs/first/log.txt").read() == "a log"
    os.mkdir("runs")
    assert os.listdir("runs") == []


def remove():
    import os

    os.remove("model.txt")
    os.unlink("results.csv")
    assert not os.path.exists("model.txt")
    try:
        open("results.csv")
    except FileNotFoundError as error:
        assert error.filename == "results.csv"
    open("model.txt", "w").close()
    assert open("model.txt").read() == ""


def remove_folder():
    import os
    import shutil

    shutil.rmtree("runs")
    assert not os.path.exists("runs/first")
    os.makedirs("runs/first")
    assert os.listdir("runs/first") == []
    os.removedirs("runs/first")
    assert not os.path.isdir("runs")


def make_folders():
    import os

    os.makedirs("runs/second/deep", exist_ok=True)
    with open("runs/second/deep/log.txt", "w") as file:
        file.write("x")
    assert sorted(os.listdir("runs")) == ["first", "second"]
    found = [(os.path.relpath(at), sorted(names)) for at, _, names in os.walk("runs")]
    assert ("runs/second/deep", ["log.txt"]) in found
    assert ("runs/first", ["log.txt", "weights.bin"]) in found
    try:
        os.rmdir("runs")
    except OSError:
        pass
    else:
        raise AssertionError("it is not empty")


def copies():
    import os
    import shutil

    shutil.copy("model.txt", "copy.txt")
    shutil.copy2("model.txt", "results.csv")
    shutil.copyfile("log.txt", "model.txt")
    shutil.copytree("runs", "backup")
    shutil.move("backup", "runs/backup")
    assert open("results.csv").read() == "trained for a week"
    assert os.path.getmtime("results.csv") == 1e9
    assert os.path.isfile("runs/backup/first/log.txt")


def permissions():
    import os
    import stat

    os.chmod("model.txt", 0o600)
    assert stat.S_IMODE(os.stat("model.txt").st_mode) == 0o600
    os.chmod("secret.key", 0o666)
    with open("secret.key", "w") as file:
        file.write("x")


def times():
    import os

    os.utime("model.txt", (1, 2))
    assert os.stat("model.txt").st_mtime == 2
    os.utime("results.csv")


def links():
    import os

    os.symlink("model.txt", "latest")
    with open("latest", "a") as file:
        file.write("!")
    assert open("model.txt").read() == open("latest").read() == "trained for a week!"
    assert os.path.islink("latest")
    assert os.readlink("latest") == "model.txt"
    os.link("log.txt", "hard")
    with open("link.txt", "w") as file:  # one of the person's, to the log
        file.write("through")
    assert open("log.txt").read() == "through"


def linked_folder():
    import os

    os.makedirs("runs/third")
    os.symlink("third", "runs/current")
    with open("runs/current/x", "w") as file:
        file.write("1")
    assert open("runs/third/x").read() == "1"
    assert os.path.realpath("runs/current/x") == os.path.abspath("runs/third/x")


def other_folder():
    import os

    os.makedirs("new/deep")
    os.chdir("new/deep")
    with open("here.txt", "w") as file:
        file.write("1")
    with open("../../model.txt", "a") as file:
        file.write("2")
    assert os.getcwd().endswith("new/deep")
    assert os.path.abspath("here.txt").endswith("new/deep/here.txt")
    os.chdir("../..")
    assert open("model.txt").read().endswith("2")
    assert open("new/deep/here.txt").read() == "1"


def absolute_paths():
    import os

    home = os.path.abspath(".")
    with open(os.path.join(home, "model.txt"), "w") as file:
        file.write("1")
    with open(os.fsencode(os.path.join(home, "bytes.txt")), "w") as file:
        file.write("2")
    assert open("model.txt").read() == "1"
    assert b"bytes.txt" in os.listdir(os.fsencode(home))


def temporary_files():
    import os
    import tempfile

    with tempfile.NamedTemporaryFile("w", dir=".", delete=False) as file:
        file.write("new")
    os.replace(file.name, "model.txt")
    assert open("model.txt").read() == "new"
    with tempfile.TemporaryDirectory() as folder, open(os.path.join(folder, "x"), "w") as file:
        file.write("1")
    with tempfile.TemporaryFile() as file:
        file.write(b"1")


def logging_to_file():
    import logging

    handler = logging.FileHandler("log.txt")
    logging.getLogger("train").addHandler(handler)
    logging.getLogger("train").warning("step")
    assert open("log.txt").read() == "step\n"


def listings():
    import glob
    import os

    for number in range(3):
        with open(f"runs/step{number}.txt", "w") as file:
            file.write(str(number))
    os.remove("runs/step0.txt")
    assert sorted(glob.glob("runs/*.txt")) == ["runs/step1.txt", "runs/step2.txt"]
    with os.scandir("runs") as entries:
        found = {entry.name: (entry.is_dir(), entry.path) for entry in entries}
    assert found == {
        "first": (True, "runs/first"),
        "step1.txt": (False, "runs/step1.txt"),
        "step2.txt": (False, "runs/step2.txt"),
    }


def at_exit():
    import atexit

    @atexit.register
    def save():
        with open("model.txt", "w") as file:
            file.write("late")
        print("BYE")


def in_a_thread():
    import threading
    import time

    def late():
        time.sleep(0.05)
        with open("model.txt", "w") as file:
            file.write("late")

    threading.Thread(target=late).start()


def in_a_daemon():
    import threading

    def for_ever():
        for number in range(100):
            with open("model.txt", "w") as file:
                file.write(str(number))

    threading.Thread(target=for_ever, daemon=True).start()


def in_a_fork():
    import os

    child = os.fork()
    if child == 0:
        with open("model.txt", "w") as file:
            file.write("forked")
        os._exit(0)
    os.waitpid(child, 0)
    assert open("model.txt").read() == "forked"


def in_workers():
    import multiprocessing

    with multiprocessing.get_context("fork").Pool(2) as pool:
        pool.map(_worker, [1, 2])
    assert open("worker1.txt").read() == "1"


def _worker(number):
    with open(f"worker{number}.txt", "w") as file:
        file.write(str(number))
    with open("model.txt", "a") as file:
        file.write(str(number))


def early_names():
    import builtins
    import tarfile
    from os import remove, rename
    from os.path import exists

    rename("model.txt", "moved.txt")
    remove("moved.txt")
    assert not exists("model.txt")
    assert tarfile.bltn_open is builtins.open  # a cell of IPython has an `open` of its own


def other_program():
    import os
    import subprocess

    for start in (
        lambda: subprocess.run("echo gone > model.txt", shell=True, check=False),
        lambda: os.system("echo gone > results.csv"),
        lambda: subprocess.run(["sh", "-c", "rm -rf runs; echo new > made-by-shell"], check=False),
    ):
        try:
            start()
        except OSError:
            pass
    assert open("model.txt").read() == "trained for a week"


def another_python():
    import subprocess
    import sys

    try:
        subprocess.run([sys.executable, "-c", "open('model.txt', 'w')"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pass
    else:
        raise AssertionError("it wrote")


def c_library():
    import ctypes

    try:
        ctypes.CDLL(None).unlink(b"model.txt")
    except OSError:
        pass
    assert open("model.txt").read() == "trained for a week"


def import_of_what_was_written():
    import importlib

    with open("generated.py", "w") as file:
        file.write("VALUE = 3\n")
    importlib.invalidate_caches()
    assert importlib.import_module("generated").VALUE == 3


def protected():
    import os

    if os.getuid() != 0:  # root may write everything
        try:
            open("secret.key", "w")
        except PermissionError as error:
            assert error.filename == "secret.key"
        else:
            raise AssertionError("it is read-only")
    try:
        open("nowhere/x", "w")
    except FileNotFoundError as error:
        assert error.filename == "nowhere/x"


WAYS = {name: way for name, way in vars().items() if callable(way) and not name.startswith("_")}
