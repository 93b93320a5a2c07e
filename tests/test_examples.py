"""Each lesson prints what its docstring quotes, without matplotlib: the same words, and the same numbers up to what another BLAS
build may change. With matplotlib it prints the same and draws one picture."""
import ast
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import pytest
from running import ROOT

EXAMPLES = [path for path in sorted((ROOT / "examples").glob("*.py")) if path.stem != "pictures"]  # pictures: what they share
LESSONS = [p for p in EXAMPLES if "It prints:" in (ast.get_docstring(ast.parse(p.read_text())) or "")]
PRINTS = "test_a_lesson_prints_what_it_quotes_where_matplotlib_is_missing"
BEGUN = {}  # lesson -> what will have come of it
NUMBER = re.compile(r"[-+]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?")


def quoted(path):
    doc = ast.get_docstring(ast.parse(path.read_text()))
    return [line for line in doc.split("It prints:")[1].splitlines() if line.strip()]


def run(path, folder, *before):
    """Run a lesson in a folder; `before` are folders that hide installed packages."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*before, ROOT))), "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, str(path)], capture_output=True, text=True, cwd=folder, env=environment)


def agree(done, path):
    """Numbers that come from training may move in the last bits with the BLAS build, and training carries that on: 5 % or .05."""
    assert done.returncode == 0, done.stderr
    printed = [line for line in done.stdout.splitlines() if line.strip()]
    expected = quoted(path)
    assert len(printed) == len(expected), done.stdout
    for a, b in zip(expected, printed):
        assert NUMBER.sub("#", a).split() == NUMBER.sub("#", b).split(), f"quoted {a}\nprinted {b}"
        for x, y in zip(NUMBER.findall(a), NUMBER.findall(b)):
            x, y = (float(v.replace(",", "")) for v in (x, y))
            assert abs(x - y) <= max(0.05, 0.05 * abs(x)), f"quoted {a}\nprinted {b}"


def run_hidden(path):
    """Run a lesson where matplotlib is missing -> what it printed, and the files it left."""
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as hidden:
        pathlib.Path(hidden, "matplotlib.py").write_text("raise ImportError('hidden')\n")
        return run(path, folder, hidden), os.listdir(folder)


def begin(paths, worker):
    """Start these lessons in the background, by an executor."""
    BEGUN.update({path: worker.submit(run_hidden, path) for path in paths})


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_a_lesson_prints_what_it_quotes_where_matplotlib_is_missing(path):
    done, left = BEGUN[path].result() if path in BEGUN else run_hidden(path)
    agree(done, path)
    assert not left, "it draws nothing, and leaves nothing behind"


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_a_lesson_draws_one_picture_where_matplotlib_is_there(path, tmp_path):
    pytest.importorskip("matplotlib")
    agree(run(path, tmp_path), path)
    (picture,) = tmp_path.iterdir()
    assert picture.name == f"{path.stem}.png" and picture.read_bytes()[:4] == b"\x89PNG" and picture.stat().st_size > 10_000


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_an_example_is_at_most_60_lines(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 60
    assert path not in LESSONS or max(map(len, lines)) <= 130


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_an_example_compiles_and_says_how_to_run_it(path):
    tree = ast.parse(path.read_text())
    assert f"examples/{path.name}" in (ast.get_docstring(tree) or "")
    assert path.stat().st_size < 8000
