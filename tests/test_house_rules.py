"""The package's source keeps the house's rules; each kind of breach, planted, is found."""

from pathlib import Path

import pytest

from house_rules import FILE_LINES, FUNCTION_LINES, violations

SOURCE = Path(__file__).resolve().parent.parent / "src"


def test_the_package_keeps_the_rules():
    found = violations(SOURCE)
    assert not found, "\n".join(found)


def found_in(folder: Path, text: str, name: str = "a.py") -> list[str]:
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(f'"""A module."""\n{text}\n')
    return violations(folder)


ALLOWED = [
    "import numpy as np\nx = np.load('a.npy', allow_pickle=False)",
    "import logging\nlogging.getLogger(__name__).info('print(1)')  # print(2)",
    "from abc import abstractmethod\nclass A:\n    @abstractmethod\n    def f(self) -> None:\n        '''Do.'''",
    "import typer\napp = typer.Typer()\n@app.callback()\ndef group() -> None:\n    '''The help.'''",
    "try:\n    x = 1\nexcept KeyError:\n    x = 2",
    "import multiprocessing\ncontext = multiprocessing.get_context('spawn')\ncontext.Process()",
    "import torch\ngenerator = torch.Generator()\ngenerator.manual_seed(1)",
    "x = 1  # noqa: E501\ny = 2  # type: ignore[assignment]",
    "class A:\n    def f(self) -> int:\n        return 1\nclass B(A):\n    def g(self) -> int:\n        return 2",
    "from abc import abstractmethod\nclass A:\n    @abstractmethod\n    def f(self) -> int:\n        '''Do.'''\n"
    "class B(A):\n    def f(self) -> int:\n        return 2",
    "def f():\n    '''Say.\n"
    + "\n    More.\n" * FUNCTION_LINES
    + "    '''\n    # Why.\n\n"
    + "    x = 1\n" * (FUNCTION_LINES - 1),
]


@pytest.mark.parametrize("text", ALLOWED)
def test_what_the_house_does_is_not_named(tmp_path, text):
    assert found_in(tmp_path, text) == []


BREACHES = [
    ("import pickle", "imports pickle"),
    ("def f():\n    from joblib import load\n    return load", "imports joblib"),
    ("import torch\ntorch.load('a.pt', weights_only=True)", "calls torch.load"),
    ("import torch\ntorch.save({}, 'a.pt')", "calls torch.save"),
    ("import torch\ntorch.manual_seed(1)", "global state"),
    ("import numpy\nnumpy.random.default_rng(1)", "castalia.rng.Stream"),
    ("import numpy as np\nnp.load('a.npy', allow_pickle=True)", "allows pickle"),
    ("import numpy as np\nnp.load('a.npy')", "without allow_pickle=False"),
    ("eval('1')", "calls eval"),
    ("exec('1')", "calls exec"),
    ("print(1)", "calls print"),
    ("assert True", "assert outside tests"),
    ("try:\n    x = 1\nexcept OSError:\n    pass", "swallows an exception"),
    ("try:\n    x = 1\nexcept OSError:\n    ...", "swallows an exception"),
    ("def f():\n    raise NotImplementedError('later')", "NotImplementedError"),
    ("def f():\n    '''Do it.'''", "empty body"),
    ("def f():\n    pass", "empty body"),
    ("import multiprocessing\nmultiprocessing.get_context('fork')", "without 'spawn'"),
    ("import multiprocessing\nmultiprocessing.get_context()", "without 'spawn'"),
    ("from concurrent.futures import ProcessPoolExecutor\nProcessPoolExecutor(2)", "mp_context"),
    ("import multiprocessing\nmultiprocessing.Process()", "get_context('spawn')"),
    ("x = 1  # noqa", "name the rule"),
    ("x = 1  # type: ignore", "name the rule"),
    ("x = 1  # TO" + "DO later", "unfinished"),
    (
        "class A:\n    def f(self) -> int:\n        return 1\nclass B(A):\n    def f(self) -> int:\n        return 2",
        "overrides",
    ),
    ("def f():\n" + "    x = 1\n" * FUNCTION_LINES, f"has {FUNCTION_LINES + 1} lines of code"),
    ("x = 1\n" * FILE_LINES, f"has {FILE_LINES + 1} lines"),
]


@pytest.mark.parametrize(("text", "sentence"), BREACHES)
def test_a_planted_breach_is_found(tmp_path, text, sentence):
    found = found_in(tmp_path, text.rstrip("\n"))
    assert len(found) == 1, found
    assert sentence in found[0]


@pytest.mark.parametrize("name", ["utils.py", "helpers/a.py", "common.py", "misc/b.py"])
def test_a_room_without_a_name_is_found(tmp_path, name):
    assert any("says nothing" in line for line in found_in(tmp_path, "x = 1", name))


def test_a_module_without_docstring_is_found(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")
    assert violations(tmp_path) == ["a.py:1 has no module docstring."]


def test_an_override_is_found_across_files(tmp_path):
    (tmp_path / "a.py").write_text('"""A."""\nclass A:\n    def f(self):\n        return 1\n')
    (tmp_path / "b.py").write_text('"""B."""\nimport a\nclass B(a.A):\n    def f(self):\n        return 2\n')
    assert violations(tmp_path) == ["b.py:4 B.f overrides what A implements."]
