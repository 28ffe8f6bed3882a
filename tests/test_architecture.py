"""What the code of gradcheck itself must look like: the order of its stages, one vocabulary, and its size."""

import ast
import re
from functools import cache

import pytest

from tools import imports, op_names, size

# Files that may hold a literal with three or more names of operations, with the reason.
OP_SETS_ALLOWED = {
    "gradcheck/fronts/numpy/shape_rows.py": "the NumPy front maps functions to those of torch of the same name",
    "gradcheck/fronts/numpy/scipy_rows.py": "the same of SciPy",
    "gradcheck/program/array_hooks.py": "the operators of Python, which a rewritten program calls by name",
    "gradcheck/fronts/torch/ufuncs.py": "the front end maps NumPy's functions to torch's: this is where spellings meet",
}


import_graph, op_sets = cache(imports.import_graph), cache(op_names.op_sets)


def test_a_stage_imports_only_stages_to_its_left():
    assert imports.upward_imports(import_graph()) == []


def test_no_files_import_each_other_in_a_circle():
    assert imports.circles(import_graph()) == []


def test_every_folder_of_the_package_is_a_stage():
    folders = {
        path.name for path in (imports.ROOT / "gradcheck").iterdir() if (path / "__init__.py").exists()
    }
    assert folders <= set(imports.STAGES)


def test_an_import_to_the_right_and_a_circle_are_found():
    graph = {"gradcheck.base.a": {"gradcheck.cli.b": 7}, "gradcheck.cli.b": {"gradcheck.base.a": 1}}
    assert imports.upward_imports(graph) == ["gradcheck.base.a:7 (base) imports gradcheck.cli.b (cli)"]
    assert imports.circles(graph) == ["gradcheck.base.a -> gradcheck.cli.b -> gradcheck.base.a"]


def test_imports_in_functions_and_for_types_count(tmp_path):
    module = tmp_path / "a.py"
    module.write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from gradcheck.cli import b\n"
        "def f():\n    import gradcheck.cli.c\n"
    )
    modules = dict.fromkeys(("gradcheck.cli", "gradcheck.cli.b", "gradcheck.cli.c"), module)
    assert dict(imports.imported_modules("gradcheck.base.a", module, modules)) == {
        "gradcheck.cli.b": 3,
        "gradcheck.cli.c": 5,
    }


def test_names_of_operations_stand_in_the_vocabulary_alone():
    found = op_sets()
    unexpected = [
        sentence for file, sentences in found.items() for sentence in sentences if file not in OP_SETS_ALLOWED
    ]
    assert unexpected == []


@pytest.mark.parametrize("file", sorted(OP_SETS_ALLOWED))
def test_an_exception_is_still_needed(file):
    assert file in op_sets()


@pytest.mark.parametrize(
    ("code", "names"),
    [
        ('{"add", "sub_", "__mul__"}', ["add", "sub_", "__mul__"]),
        ('("view", "t", "sum")', ["view", "t", "sum"]),
        ("[torch.exp, F.relu, np.tanh]", ["exp", "relu", "tanh"]),
        ("{ops.ADD, ops.SUB, ops.MUL}", ["add", "sub", "mul"]),
        ('{"exp": 1, "log": 2, "sqrt": 3}', ["exp", "log", "sqrt"]),
        ('"exp log sqrt".split()', ["exp", "log", "sqrt"]),
        ('{"add", "__add__", "sub"}', None),  # two operations
        ('{"red", "green", "blue"}', None),
        ("{ops.ADD: f, ops.SUB: g, ops.MUL: h}", None),
    ],
)
def test_what_counts_as_a_set_of_operations(code, names):
    found = [names for _, names in op_names.literal_sets(ast.parse(code))]
    assert found == ([names] if names else [])


def test_codes_of_rules_are_written_in_the_rules_alone():
    """Thresholds are named by the code of their rule: `GC202.tanh-limit`. Other files ask a rule for its code."""
    literals = [
        f"{module}:{node.lineno}: {node.value}"
        for module, file in imports.module_files().items()
        if not module.startswith("gradcheck.checks.") and module != "gradcheck.base.thresholds"
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and re.fullmatch(r"GC\d{1,3}", str(node.value))
    ]
    assert literals == []


def test_the_files_to_read_first_can_be_read_at_one_sitting():
    text = (imports.ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    files = re.findall(r"^\d\. `(gradcheck/\S+\.py)`:", text, re.MULTILINE)
    assert len(files) == 5
    lines = {name: len((imports.ROOT / name).read_text(encoding="utf-8").splitlines()) for name in files}
    assert {name: count for name, count in lines.items() if count > 250} == {}


def test_the_order_of_the_stages_is_the_documented_one():
    text = (imports.ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (order,) = re.findall(r"^    (base -> .*?)\n\n", text, re.MULTILINE | re.DOTALL)
    assert tuple(order.replace("->", " ").split()) == imports.STAGES


def test_the_code_is_no_larger_than_its_cap():
    assert size.complaint(size.lines_by_stage().total(), int(size.CAP.read_text())) == ""


def test_blanks_comments_and_docstrings_are_no_code():
    text = '"""Module."""\n\n# a comment\nX = """two\nlines"""\n\n\ndef f():\n    """Doc.\n\n    More.\n    """\n    return X\n'
    assert size.code_lines(text) == 4


def test_the_cap_must_hold_and_follow():
    assert "the cap" in size.complaint(101, 100)
    assert "lower the cap" in size.complaint(100, 100 + size.SLACK + 1)
    assert size.complaint(100, 100) == ""
