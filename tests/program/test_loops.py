"""Loops are watched, and a program cannot tell."""

from __future__ import annotations

import ast
import builtins

import pytest

from gradcheck.program.loops import LoopTable, compile_watched
from gradcheck.program.observer import LoopEnd


def test_for_loop_tells_each_iteration_once(run_program):
    ran = run_program("for x in 'ab':\n    pass\n")
    assert ran.watcher.told(1) == [("begin", 0), ("end", 0), ("begin", 1), ("end", 1)]


def test_while_loop_tells_each_iteration_once_and_no_more_than_happen(run_program):
    ran = run_program("n = 0\nwhile n < 2:\n    n += 1\n")
    assert ran.watcher.told(2) == [("begin", 0), ("end", 0), ("begin", 1), ("end", 1)]


@pytest.mark.parametrize("header", ["for x in range(9):", "while True:"])
@pytest.mark.parametrize(
    "way_out",
    [
        "def f():\n    {header}\n        break\nf()\n",
        "def f():\n    {header}\n        return 1\nf()\n",
        "def f():\n    {header}\n        raise KeyError\ntry:\n    f()\nexcept KeyError:\n    pass\n",
    ],
    ids=["break", "return", "exception"],
)
def test_leaving_a_loop_early_ends_its_iteration_at_once(run_program, header, way_out):
    ran = run_program(way_out.format(header=header) + "for after in [0]:\n    pass\n")
    ends = [event for event in ran.watcher.events if event[0] in ("begin", "end")]
    assert [(e[0], e[1] == 2) for e in ends[:2]] == [("begin", True), ("end", True)]
    assert len(ends) == 4  # two of them those of the loop after it


@pytest.mark.parametrize("header", ["for i in range(10):", "i = -1\nwhile i < 9:\n    i += 1"])
def test_observer_ends_a_loop_as_if_it_were_exhausted(run_program, watcher_class, header):
    line = header.count("\n") or 1
    text = header + "\n    seen = i\nelse:\n    exhausted = True\n"
    ran = run_program(text, watcher=watcher_class(end_after={(max(line, 1), 3)}))
    assert ran.names["seen"] == 3
    assert ran.names["exhausted"]
    assert ran.watcher.told(max(line, 1))[-2:] == [("begin", 3), ("end", 3)]


ENDS = {
    "for x in 'ab': pass": LoopEnd.EXHAUSTED,
    "for x in 'ab': break": LoopEnd.BROKEN,
    "n = 2\nwhile n: n -= 1": LoopEnd.CONDITION,
    "n = 2\nwhile n > 0 and n < 5 or n == 7: n -= 1\nelse: n = 'else'": LoopEnd.CONDITION,
    "while True: break": LoopEnd.BROKEN,
    "def f():\n while True: return\nf()": LoopEnd.BROKEN,
    "try:\n while True: 1 / 0\nexcept ZeroDivisionError: pass": LoopEnd.RAISED,
    "while False: pass": LoopEnd.CONDITION,
}


@pytest.mark.parametrize("text", ENDS)
def test_how_a_loop_ended_is_told_once(run_program, text):
    ran = run_program(text + "\n")
    assert [how for _, how in ran.watcher.ends] == [ENDS[text]]


@pytest.mark.parametrize("header", ["for i in range(10):", "while True:"])
def test_a_loop_that_the_observer_ended_was_left(run_program, watcher_class, header):
    ran = run_program(f"{header} pass\n", watcher=watcher_class(end_after={(1, 3)}))
    assert ran.watcher.ends == [(1, LoopEnd.LEFT)]


BOUNDED = {
    "while True:\n    if x == 0: break": False,
    "while x != 0: pass": False,
    "while True:\n    for y in z:\n        if y > 3: break\n    if x == 0: break": False,
    "while True:\n    def f():\n        if y > 3: return": False,
    "while len(x) < 9: pass": True,
    "while x != 0 and n <= 9: pass": True,
    "while True:\n    if x == 0 or n > 9: break": True,
    "while True:\n    for y in z:\n        if y > 3: return": True,
    "for x in y: pass": True,
}


@pytest.mark.parametrize("text", BOUNDED)
def test_which_loops_have_a_bound_of_their_own(text):
    table = LoopTable()
    source = "def g():\n" + "".join(f"    {line}\n" for line in text.splitlines())
    compile_watched(ast.parse(source), "p.py", table)
    outermost = next(site for site in table.sites.values() if site.parent is None)
    assert outermost.is_bounded is BOUNDED[text]


def test_iterator_survives_break_and_is_not_closed(run_program):
    ran = run_program("g = (i for i in range(9))\nfor x in g:\n    break\nrest = list(g)\n")
    assert ran.names["rest"] == [1, 2, 3, 4, 5, 6, 7, 8]


def test_loop_variable_is_freed_when_the_person_drops_it(run_program):
    text = (
        "import weakref\nclass A: pass\nalive = []\n"
        "for a in (A() for _ in range(2)):\n    r = weakref.ref(a)\n    del a\n    alive.append(r())\n"
    )
    assert run_program(text).names["alive"] == [None, None]


def test_exceptions_of_the_iterator_arrive_unchanged(run_program):
    text = (
        "def g():\n    yield 1\n    raise ValueError('mine')\n"
        "try:\n    for x in g(): pass\nexcept ValueError as e: told = str(e)\n"
        "try:\n    for x in 5: pass\nexcept TypeError as e: not_iterable = str(e)\n"
    )
    ran = run_program(text)
    assert ran.names["told"] == "mine"
    assert ran.names["not_iterable"] == "'int' object is not iterable"


def test_else_continue_and_nested_loops_behave(run_program):
    text = (
        "log = []\nfor a in range(2):\n    for b in range(3):\n        if b == 1: continue\n"
        "        log.append((a, b))\n    else:\n        log.append('inner')\nelse:\n    log.append('outer')\n"
        "n = 3\nwhile n:\n    n -= 1\n    if n == 1: break\nelse:\n    log.append('never')\n"
    )
    assert run_program(text).names["log"] == [(0, 0), (0, 2), "inner", (1, 0), (1, 2), "inner", "outer"]


def test_interleaved_generators_with_while_loops_are_told_apart(run_program):
    text = (
        "def count(k):\n    n = 0\n    while n < k:\n        yield n\n        n += 1\n"
        "pairs = list(zip(count(2), count(2)))\n"
    )
    ran = run_program(text)
    by_activation: dict[int, list[int]] = {}
    for event in ran.watcher.events:
        if event[0] == "begin":
            by_activation.setdefault(event[2], []).append(event[3])
    assert list(by_activation.values()) == [[0, 1], [0, 1]]
    assert ran.names["pairs"] == [(0, 0), (1, 1)]


def test_names_of_the_program_are_those_of_a_bare_run(run_program):
    text = "for i in range(2):\n    while True:\n        break\nnames = sorted(dir())\ndef f():\n"
    text += "    for i in range(1): pass\n    while False: pass\n    return sorted(locals())\ninner = f()\n"
    ran = run_program(text)
    assert not [name for name in ran.names["names"] if "gradcheck" in name]
    assert ran.names["inner"] == ["i"]


def test_no_attention_tells_nothing_and_attention_comes_back_within_an_iteration(
    run_program, watcher_class, monkeypatch
):
    watcher = watcher_class(attention=False)
    text = "for i in range(6):\n    if i == 2: look()\n"
    monkeypatch.setattr(builtins, "look", lambda: setattr(watcher, "attention", True), raising=False)
    ran = run_program(text, watcher=watcher)
    assert ran.watcher.told(1)[:3] == [("end", 2), ("begin", 3), ("end", 3)]


def test_positions_are_kept():
    source = "while  f(1) < 2 :\n    for x in  [a, b] :\n        y = x @ w\n"
    table = LoopTable()
    watched = compile_watched(ast.parse(source), "p.py", table)
    bare = compile(source, "p.py", "exec")
    spans = {position for position in bare.co_positions() if position[0] is not None}
    assert {p for p in watched.co_positions() if p[0] is not None} <= spans
    assert [(s.line, s.is_while, s.parent) for s in table.sites.values()] == [(1, True, None), (2, False, 0)]


def test_loops_of_threads_and_after_the_run_are_left_alone(run_program):
    text = (
        "import threading\ndef work():\n    for i in range(3): pass\n    while False: pass\n"
        "t = threading.Thread(target=work); t.start(); t.join()\n"
    )
    ran = run_program(text)
    assert ran.watcher.told(3) == []
    ran.names["work"]()
    assert ran.watcher.told(3) == []


def test_loops_of_a_forked_child_are_left_alone(run_program, watcher_class, monkeypatch):
    watcher = watcher_class()
    monkeypatch.setattr(builtins, "count", lambda: len(watcher.events), raising=False)
    text = (
        "import os\npid = os.fork()\nif not pid:\n    for i in range(9): pass\n    os._exit(count())\n"
        "status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])\n"
    )
    assert run_program(text, watcher=watcher).names["status"] == 1  # the start of the run


@pytest.mark.parametrize("depth", [8, 19, 20])
def test_loops_nested_as_deeply_as_python_nests_them(run_program, depth):
    """A `with` around each would be too many blocks."""
    header = "".join(" " * level + "while True:\n" for level in range(depth))
    body = " " * depth + "n = 1\n"
    ran = run_program(header + body + "".join(" " * level + "break\n" for level in range(depth, 0, -1)))
    assert ran.names["n"] == 1


def test_a_chain_of_conditions_of_hundreds_of_levels(run_program):
    chain = "".join(f"elif n == {i}:\n    n = -1\n" for i in range(600))
    assert run_program(f"n = 599\nif False:\n    pass\n{chain}").names["n"] == -1


def test_a_chain_that_is_too_long_to_follow_is_no_internal_error():
    chain = "if x: pass\n" + "elif x: pass\n" * 2000
    with pytest.raises(SyntaxError, match="deeper than gradcheck can follow"):
        compile_watched(ast.parse(chain), "program.py", LoopTable())
