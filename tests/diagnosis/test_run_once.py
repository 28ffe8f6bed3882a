"""What the person's functions do, they do once: however many edits of the lines that call them are tried.

Every helper is called in a wrong line, so that edits are searched for, and leaves a trace at each call: in a file, in a
counter, in a random stream. A second call of the last ones would end the process.
"""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from tests.support import VERDICTS_ONLY, report_on_source

HEAD = """
    import csv, functools, itertools, logging, os, signal, sqlite3, subprocess
    import sys, threading, warnings
    import numpy as np
    import torch
    here = {folder!r}
    calls = {{}}
    def trace(name):
        calls[name] = calls.get(name, 0) + 1
        with open(here + "/trace", "a") as file:
            file.write(name + "\\n")
"""
# By name: what is defined, and the call in the wrong line. `g * (1 - h)` should be `g * (1 - h**2)`.
HELPERS = {
    "print": (
        "def f(g, h):\n    print('called', file=open(here + '/out', 'a'))\n    return g * (1 - h)",
        "f(g, h)",
    ),
    "logging": (
        "log = logging.getLogger('mine')\nlog.addHandler(logging.FileHandler(here + '/out'))\nlog.setLevel(20)\n"
        "def f(g, h):\n    log.info('called')\n    return g * (1 - h)",
        "f(g, h)",
    ),
    "write": ("def f(g, h):\n    trace('write')\n    return g * (1 - h)", "f(g, h)"),
    "csv": (
        "rows = csv.writer(open(here + '/out', 'a', buffering=1))\n"
        "def f(g, h):\n    rows.writerow(['called'])\n    return g * (1 - h)",
        "f(g, h)",
    ),
    "database": (
        "base = sqlite3.connect(here + '/base.db', isolation_level=None)\nbase.execute('create table calls (n)')\n"
        "def f(g, h):\n    base.execute('insert into calls values (1)')\n    return g * (1 - h)",
        "f(g, h)",
    ),
    "process": (
        "def f(g, h):\n    subprocess.run(['sh', '-c', f'echo called >> {here}/out'])\n    return g * (1 - h)",
        "f(g, h)",
    ),
    "system": (
        "def f(g, h):\n    os.system(f'echo called >> {here}/out')\n    return g * (1 - h)",
        "f(g, h)",
    ),
    "checkpoint": (
        "n = itertools.count()\n"
        "def f(g, h):\n    torch.save(h, f'{here}/out{next(n)}')\n    return g * (1 - h)",
        "f(g, h)",
    ),
    "array file": (
        "n = itertools.count()\ndef f(g, h):\n    np.save(f'{here}/out{next(n)}', h.numpy())\n    return g * (1 - h)",
        "f(g, h)",
    ),
    "draw": (
        "def f(g, h):\n    trace('draw')\n    return g * (1 - h) + 0 * torch.randn(4)",
        "f(g, h)",
    ),
    "generator": (
        "source = torch.Generator().manual_seed(1)\n"
        "def f(g, h):\n    torch.randn(4, generator=source)\n    return g * (1 - h)",
        "f(g, h)",
    ),
    "counter": (
        "count = 0\ndef f(g, h):\n    global count\n    count += 1\n    trace('counter')\n    return g * (1 - h)",
        "f(g, h)",
    ),
    "closure": (
        "def make():\n    n = 0\n    def f(g, h):\n        nonlocal n\n        n += 1\n        trace('closure')\n"
        "        return g * (1 - h)\n    return f\nf = make()",
        "f(g, h)",
    ),
    "object": (
        "class F:\n    def __call__(self, g, h):\n        trace('object')\n        return g * (1 - h)\nf = F()",
        "f(g, h)",
    ),
    "property": (
        "class F:\n    @property\n    def one(self):\n        trace('property')\n        return 1\nf = F()",
        "g * (f.one - h)",
    ),
    "operator": (
        "class F:\n    def __rsub__(self, h):\n        trace('operator')\n        return 1 - h\n"
        "    def __sub__(self, h):\n        trace('operator')\n        return 1 - h\nf = F()",
        "g * (f - h)",
    ),
    "item": (
        "class F(dict):\n    def __missing__(self, key):\n        trace('item')\n        return 1\nf = F()",
        "g * (f['one'] - h)",
    ),
    "iterator": (
        "def ones():\n    while True:\n        trace('iterator')\n        yield 1\nf = ones()",
        "g * (next(f) - h)",
    ),
    "callback": ("def f(x):\n    trace('callback')\n    return 1 - x", "g * torch.stack(list(map(f, h)))"),
    "key": ("def f(x):\n    trace('key')\n    return x", "g * (max([1], key=f) - h)"),
    "partial": (
        "def f(n, g, h):\n    trace('partial')\n    return g * (n - h)\nf = functools.partial(f, 1)",
        "f(g, h)",
    ),
    "decorated": (
        "def loud(f):\n    @functools.wraps(f)\n    def call(*a):\n        trace('decorated')\n        return f(*a)\n"
        "    return call\n@loud\ndef f(g, h):\n    return g * (1 - h)",
        "f(g, h)",
    ),
    "context": (
        "class C:\n    def __enter__(self):\n        trace('context')\n    def __exit__(self, *e):\n        pass\n"
        "def f(g, h):\n    with C():\n        return g * (1 - h)",
        "f(g, h)",
    ),
    "format": (
        "class F:\n    def __format__(self, spec):\n        trace('format')\n        return '1'\n"
        "def f(g, h):\n    return g * (float(f'{F()}') - h)",
        "f(g, h)",
    ),
    "default": (
        "def f(g, h, n=None):\n    n = n or trace('default') or 1\n    return g * (n - h)",
        "f(g, h)",
    ),
    "exec": ("def f(g, h):\n    exec(\"trace('exec')\")\n    return g * (1 - h)", "f(g, h)"),
    "apply_": (
        "def f(x):\n    trace('apply_')\n    return x",
        "g * (1 - h[:1, :1].clone().apply_(f) - h + h[:1, :1])",
    ),
    "vectorize": (
        "def f(x):\n    trace('vectorize')\n    return x\nf = np.vectorize(f, otypes=[float])",
        "g * (float(f(1.0)) - h)",
    ),
    "thread": (
        "def f(g, h):\n    t = threading.Thread(target=trace, args=('thread',))\n    t.start()\n    t.join()\n"
        "    return g * (1 - h)",
        "f(g, h)",
    ),
    "warning": (
        "warnings.showwarning = lambda *a: trace('warning')\nwarnings.simplefilter('always')\n"
        "def f(g, h):\n    warnings.warn('called')\n    return g * (1 - h)",
        "f(g, h)",
    ),
    "loop": (
        "def f(g, h):\n    while not calls.get('loop'):\n        trace('loop')\n    return g * (1 - h)",
        "f(g, h)",
    ),
    "exit": (
        "def f(g, h):\n    if calls.get('exit'): sys.exit(3)\n    trace('exit')\n    return g * (1 - h)",
        "f(g, h)",
    ),
    "os exit": (
        "leave = os._exit\n"
        "def f(g, h):\n    if calls.get('os exit'): leave(3)\n    trace('os exit')\n    return g * (1 - h)",
        "f(g, h)",
    ),
    "kill": (
        "def f(g, h):\n    if calls.get('kill'): os.kill(os.getpid(), signal.SIGKILL)\n    trace('kill')\n"
        "    return g * (1 - h)",
        "f(g, h)",
    ),
}
STEP = """
    torch.manual_seed(0)
    x, W = torch.randn(2, 3), torch.randn(3, 4)
    z = x @ W
    h = torch.tanh(z)
    loss = (h**2).sum()
    g = 2 * h
    dz = {call}{more}
    dW = x.T @ dz
"""


# Edits inside of the helper, and of a line that calls it.
WAYS = {"inside": "", "around": " * 0 + g * (1 - h)"}


def run(name: str, way: str, folder: Path, budget: float) -> tuple[dict[str, bytes], list[str]]:
    """What lies in the folder afterwards, and the rules that found something."""
    folder.mkdir()
    definition, call = HELPERS[name]
    source = (
        HEAD.format(folder=str(folder))
        + textwrap.indent(definition, "    ")
        + STEP.format(call=call, more=WAYS[way])
    )
    options = {"select": ("GC1",), "fix_budget_s": budget} if budget else VERDICTS_ONLY
    report = report_on_source(source, **options)
    assert not report.program.errors, report.program.errors
    files = {path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.suffix != ".db"}
    if (folder / "base.db").exists():
        import sqlite3

        rows = sqlite3.connect(folder / "base.db").execute("select count(*) from calls").fetchone()
        files["rows"] = str(rows[0]).encode()
    return files, [finding.rule for finding in report.findings]


@pytest.mark.parametrize(
    ("name", "way"), [(name, "around") for name in HELPERS] + [(name, "inside") for name in [*HELPERS][::3]]
)
def test_it_does_once_what_it_does(name: str, way: str, tmp_path: Path) -> None:
    searched, rules = run(name, way, tmp_path / "searched", 0.1)
    assert searched == run(name, way, tmp_path / "not", 0.0)[0]
    assert ("GC101" in rules) is (
        name != "apply_"
    )  # a recorded call of a function of theirs cannot be replayed
    if name == "generator":
        assert searched == {}
    else:
        assert searched
