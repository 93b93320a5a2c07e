"""Each lesson prints what its docstring quotes, without matplotlib: the same words, and the same numbers up to what another BLAS
build may change. With matplotlib it prints the same and draws one picture."""
import ast
import os
import re
import subprocess
import sys

import pytest
from running import ROOT

EXAMPLES = [path for path in sorted((ROOT / "examples").glob("*.py")) if path.stem != "pictures"]  # pictures: what they share
LESSONS = [p for p in EXAMPLES if "It prints:" in (ast.get_docstring(ast.parse(p.read_text())) or "")]
NUMBER = re.compile(r"[-+]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?")


def quoted(path):
    doc = ast.get_docstring(ast.parse(path.read_text()))
    return [line for line in doc.split("It prints:")[1].splitlines() if line.strip()]


def run(path, folder, *before):
    """Run a lesson in a folder; `before` are folders that hide installed packages."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, (*before, ROOT))), "OPENBLAS_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, str(path)], capture_output=True, text=True, cwd=folder, env=environment)


# Other kernels of BLAS and NumPy sum in another order, and training carries that on. Measured with OPENBLAS_CORETYPE=Prescott,
# Haswell, SkylakeX and, without NumPy's AVX, Nehalem: how far beyond its last digit a share moves, and by what part of itself a
# whole number, or one above 1. Lessons that are not here move in no digit.
MOVED = {
    "dense": (0.0003, 0), "distill": (0.0034, 0), "evaluate": (0.0002, 0.0003), "frontier": (0.0011, 0.001), "mistakes": (0, 0.061),
    "prune": (0.017, 0.0026), "quantize": (0.0066, 0.0128), "search": (0.0046, 0.0007), "train": (0.008, 0),
}  # fmt: skip


def allowed(text, lesson):
    """How far a number may be from the quoted one: a unit of its last digit, and twice what was measured."""
    if lesson not in MOVED:
        return 0.0
    size, decimals, (share, part) = abs(float(text.replace(",", ""))), text.partition(".")[2], MOVED[lesson]
    return (10.0 ** -len(decimals) if decimals else 0) + 2 * (share if decimals and size <= 1 else part * size) + 1e-12


def agree(done, path):
    """The same words, and numbers as near as `allowed`."""
    assert done.returncode == 0, done.stderr
    printed = [line for line in done.stdout.splitlines() if line.strip()]
    expected = quoted(path)
    assert len(printed) == len(expected), done.stdout
    for a, b in zip(expected, printed):
        assert NUMBER.sub("#", a).split() == NUMBER.sub("#", b).split(), f"quoted {a}\nprinted {b}"
        for x, y in zip(NUMBER.findall(a), NUMBER.findall(b)):
            far = abs(float(x.replace(",", "")) - float(y.replace(",", "")))
            assert far <= allowed(x, path.stem), f"quoted {a}\nprinted {b}"


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_a_lesson_prints_what_it_quotes_where_matplotlib_is_missing(path, tmp_path):
    hidden, folder = tmp_path / "hidden", tmp_path / "folder"
    hidden.mkdir()
    folder.mkdir()
    (hidden / "matplotlib.py").write_text("raise ImportError('hidden')\n")
    agree(run(path, folder, hidden), path)
    assert not list(folder.iterdir()), "it draws nothing, and leaves nothing behind"


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
    assert max(map(len, lines)) <= 130


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_an_example_compiles_and_says_how_to_run_it(path):
    tree = ast.parse(path.read_text())
    assert f"examples/{path.name}" in (ast.get_docstring(tree) or "")
    assert path.stat().st_size < 8000
