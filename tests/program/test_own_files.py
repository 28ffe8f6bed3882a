"""Which files a target is made of, as the parent reads them: no edit of any other is ever taken."""

from __future__ import annotations

from pathlib import Path

from gradcheck.program.own_files import own_files


def test_imports_are_followed_and_nothing_else(tmp_path: Path) -> None:
    for name, text in {
        "train.py": "import sys\nsys.path.append('lib')\nimport layers.dense as d, torch\nfrom helper import f\nimport far\n",
        "helper.py": "def f():\n    from other import g\n",
        "other.py": "",
        "lib/far.py": "",
        "layers/__init__.py": "from .base import Base\n",
        "layers/base.py": "",
        "layers/dense.py": "from . import base\n",
        "layers/unused.py": "",
        "unused.py": "",
    }.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    found = {str(path.relative_to(tmp_path)) for path in own_files(str(tmp_path / "train.py"), None)}
    assert found == {
        "train.py", "helper.py", "other.py", "lib/far.py", "layers/__init__.py", "layers/base.py", "layers/dense.py",
    }  # fmt: skip
