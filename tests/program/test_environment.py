"""The surroundings: no window, no question, no missing optional package ends a run."""

from __future__ import annotations

import builtins
import io
import os
import sys

import pytest


@pytest.fixture(autouse=True)
def _without_optional_packages(monkeypatch):
    """The stand-ins are tried whatever is installed here."""
    before = set(sys.modules)
    for name in ("seaborn", "tqdm", "wandb", "google"):
        assert name not in sys.modules
    yield
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in ("seaborn", "wandb", "google", "torchviz"):
            del sys.modules[name]


def test_plots_open_no_window_and_do_not_block(run_program):
    text = (
        "import matplotlib\nmatplotlib.use('TkAgg')\nimport matplotlib.pyplot as plt\n"
        "plt.plot([1, 2])\nplt.show()\nplt.pause(60)\nopen_figures = plt.get_fignums()\n"
        "backend = matplotlib.get_backend()\n"
    )
    import matplotlib.pyplot as plt

    for before in (plt.show, lambda: 1 / 0):  # also where matplotlib was there before the program
        plt.show = before
        ran = run_program(text)
        assert ran.outcome.faults == []
        assert ran.names["backend"].lower() == "agg"
        assert ran.names["open_figures"] == []


def test_missing_optional_packages_get_a_stand_in_and_a_note(run_program):
    ran = run_program(
        "import seaborn as sns\nfrom wandb import init\nfrom google.colab import files, drive\n"
        "from torchviz import make_dot\nsns.set_theme(style='dark').anything[3] = 1\n"
        "with init(project='x') as run: run.log({})\ndrive.mount('/content/drive')\n"
        "uploaded = list(files.upload())\n"
    )
    assert ran.outcome.faults == []
    assert ran.names["uploaded"] == []
    notes = "\n".join(ran.outcome.notes)
    assert "seaborn is not installed: a stand-in" in notes
    assert notes.count("seaborn") == 1


def test_packages_that_carry_data_get_none(run_program):
    ran = run_program("import surely_not_installed\n")
    assert ran.outcome.faults[0].type == "ModuleNotFoundError"


def test_a_program_that_catches_the_missing_import_decides_itself(run_program):
    text = "try:\n    import wandb\n    have = True\nexcept ImportError:\n    have = False\n"
    ran = run_program(text)
    assert ran.names["have"] is False
    assert ran.outcome.notes == []


def test_progress_bar_stand_in_hands_its_iterable_on():
    from gradcheck.program.stand_ins import Nothing, ProgressBar, _StandInModule

    tqdm = _StandInModule("tqdm")
    assert list(tqdm.tqdm([1, 2], desc="x")) == [1, 2]
    assert list(tqdm.trange(3)) == [0, 1, 2]
    assert list(tqdm.notebook.tqdm([1])) == [1]
    assert list(_StandInModule("tqdm.auto").tqdm(range(2))) == [0, 1]
    bar = ProgressBar([1, 2, 3])
    bar.set_postfix(loss=1.0)
    assert len(bar) == 3
    assert list(Nothing()([4, 5])) == [4, 5]


def test_notebook_functions_are_there_and_gone_again(run_program):
    ran = run_program(
        [
            "get_ipython().run_line_magic('matplotlib', 'inline')\nshell = type(get_ipython()).__name__",
            "from IPython import get_ipython as g\nfrom IPython.display import HTML\ndisplay(HTML('<p>'))\n"
            "other = g().run_cell_magic",
        ]
    )
    assert ran.outcome.faults == []
    assert ran.names["shell"] == "ZMQInteractiveShell"
    assert not hasattr(builtins, "get_ipython")
    assert not hasattr(builtins, "display")


def test_a_script_is_not_told_that_it_is_a_notebook(run_program):
    text = "try:\n    get_ipython\n    notebook = True\nexcept NameError:\n    notebook = False\n"
    assert run_program(text).names["notebook"] is False


def test_data_supplies_a_missing_file(run_program, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "words.txt").write_text("emma\n")
    (tmp_path / "mine" / "p.csv").write_text("1,2\n")
    supplied = str(tmp_path / "mine" / "words.txt")
    text = (
        "import os, io, pathlib\nimport numpy as np\nimport pandas as pd\n"
        "name = '/content/drive/names.txt'\n"
        "read = [open(name).read(), io.open(name).read(), pathlib.Path(name).read_text()]\n"
        "path = pathlib.Path(name)\n"
        "there = [os.path.exists(name), os.path.isfile(name), path.exists(), os.path.getsize(name)]\n"
        "points = np.loadtxt('data/p.csv', delimiter=','), pd.read_csv('data/p.csv', header=None).shape\n"
        "own = open('own.txt').read()\n"
        "try: open('other/x.txt')\nexcept FileNotFoundError: other = True\n"
        "try: open('nowhere/names.txt', 'w')\nexcept FileNotFoundError: not_written = True\n"
    )
    data = {"names.txt": supplied, "data/p.csv": str(tmp_path / "mine" / "p.csv"), "own.txt": supplied}
    ran = run_program(text, data=data, files={"own.txt": "my own"})
    assert ran.outcome.faults == []
    assert ran.names["read"] == ["emma\n"] * 3
    assert ran.names["there"] == [True, True, True, 5]
    assert ran.names["points"][0].tolist() == [1, 2]
    assert ran.names["points"][1] == (1, 2)
    assert ran.names["own"] == "my own"
    assert ran.names["other"]
    assert ran.names["not_written"]
    assert ran.outcome.notes == [
        f"`{name}` was not there: the file given by --data was read instead"
        for name in ("data/p.csv", "names.txt")
    ]
    assert io.open is open
    assert not os.path.exists("/content/drive/names.txt")


def test_cuda_becomes_cpu_where_there_is_none(run_program):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a CUDA device here")
    ran = run_program(
        "import torch\nx = torch.zeros(2, device='cuda')\ny = torch.ones(2).cuda() + x.to('cuda:0')\n"
        "z = y.to(device=torch.device('cuda'))\nnet = torch.nn.Linear(2, 1).cuda()\nout = net(z)\n"
        "available = torch.cuda.is_available()\n"
    )
    assert ran.outcome.faults == []
    assert ran.names["z"].tolist() == [1, 1]
    assert ran.names["available"] is False
    assert ran.outcome.notes == ["cuda is not available here: the program ran on the CPU"]


def test_a_module_of_the_program_named_like_an_installed_one_is_not_ours_afterwards(
    run_program, tmp_path, monkeypatch
):
    installed = tmp_path / "installed"
    installed.mkdir()
    (installed / "of_both.py").write_text("WHOSE = 'installed'\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(installed)])
    (tmp_path / "of_both.py").write_text("WHOSE = 'mine'\n")
    (tmp_path / "only_mine.py").write_text("")
    ran = run_program("import of_both, only_mine\nwhose = of_both.WHOSE\n")
    assert ran.names["whose"] == "mine"
    assert "of_both" not in sys.modules
    assert sys.modules.pop("only_mine", None) is not None
    import of_both

    assert of_both.WHOSE == "installed"
    del sys.modules["of_both"]
