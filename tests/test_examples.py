"""Each lesson prints what its docstring quotes: the same words, and the same numbers up to what another BLAS build may change."""
import ast
import os
import re
import subprocess
import sys

import pytest
from running import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
LESSONS = [p for p in EXAMPLES if "It prints:" in (ast.get_docstring(ast.parse(p.read_text())) or "")]
NUMBER = re.compile(r"[-+]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?")


def quoted(path):
    doc = ast.get_docstring(ast.parse(path.read_text()))
    return [line for line in doc.split("It prints:")[1].splitlines() if line.strip()]


def run(path, folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1", "MPLBACKEND": "Agg"}
    return subprocess.run([sys.executable, str(path)], capture_output=True, text=True, cwd=folder, env=environment)


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_a_lesson_prints_what_it_quotes(path, tmp_path):
    """Numbers that come from training may move in the last bits with the BLAS build, and training carries that on: 5 % or .05."""
    done = run(path, tmp_path)
    assert done.returncode == 0, done.stderr
    printed = [line for line in done.stdout.splitlines() if line.strip()]
    expected = quoted(path)
    assert len(printed) == len(expected), done.stdout
    for a, b in zip(expected, printed):
        assert NUMBER.sub("#", a).split() == NUMBER.sub("#", b).split(), f"quoted {a}\nprinted {b}"
        for x, y in zip(NUMBER.findall(a), NUMBER.findall(b)):
            x, y = (float(v.replace(",", "")) for v in (x, y))
            assert abs(x - y) <= max(0.05, 0.05 * abs(x)), f"quoted {a}\nprinted {b}"


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_an_example_compiles_and_says_how_to_run_it(path):
    tree = ast.parse(path.read_text())
    assert f"examples/{path.name}" in (ast.get_docstring(tree) or "")
    assert path.stat().st_size < 8000
