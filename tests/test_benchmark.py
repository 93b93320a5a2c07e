"""The two lessons whose numbers are times: they run, at small sizes, with and without torch, and print the rows they quote."""
import ast
import importlib.util
import os
import re
import subprocess
import sys

import pytest
from running import ROOT

from tinycompress.cost import measure_in_turn


def rows(text):
    """Names of the rows of a table: what stands before the first number that is followed by others only."""
    return [m[1] for m in map(re.compile(r"(\S.*?)\s{2,}\d+\.\d\d\s").match, text.splitlines()) if m]


def run(lesson, folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / f"{lesson}.py"), *arguments],
        capture_output=True, text=True, cwd=folder, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def quoted(lesson):
    doc = ast.get_docstring(ast.parse((ROOT / "examples" / f"{lesson}.py").read_text()))
    return doc.split("Measured (")[1]


@pytest.mark.parametrize(("lesson", "torch"), [("benchmark", False), ("benchmark", True), ("faster", False)])
def test_prints_the_rows_it_quotes(lesson, torch, tmp_path):
    if torch and not importlib.util.find_spec("torch"):
        pytest.skip("no torch")
    for name in ["matplotlib", "torch"][: 1 + (not torch)]:  # as if they were not installed
        (tmp_path / f"{name}.py").write_text("raise ImportError")
    printed, table = run(lesson, tmp_path, "2000", "2"), quoted(lesson)
    assert len(rows(printed)) >= 4 and rows(printed) == rows(table.replace("100,000", "2,000"))
    if lesson == "faster" or torch:
        assert printed.splitlines()[0].split() in [line.split() for line in table.splitlines()]
    else:
        assert "torch" not in printed
    assert not list(tmp_path.glob("*.png"))


def test_functions_take_turns_by_the_clock_that_is_given():
    """A clock that only the functions move: exact times, and the order A B, B A, A B after the warming up."""
    now, order = [0], []

    def costing(name, ns):
        def function():
            now[0] += ns
            order.append(name)

        return function

    seconds = measure_in_turn([costing("A", 500), costing("B", 250)], 3, 1, calls=2, clock=lambda: now[0])
    assert (seconds == [[500 * 1e-9, 250 * 1e-9]] * 3).all()
    assert "".join(order) == "AB" + "AABB" + "BBAA" + "AABB"
