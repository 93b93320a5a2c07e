"""The two lessons whose numbers are times: they run, at small sizes, with and without torch, print the rows they quote, and draw."""
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


def started(lesson, folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    return subprocess.run(
        [sys.executable, str(ROOT / "examples" / f"{lesson}.py"), *arguments],
        capture_output=True, text=True, cwd=folder, env=environment,
    )  # fmt: skip


def run(lesson, folder, *arguments):
    done = started(lesson, folder, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def quoted(lesson):
    doc = ast.get_docstring(ast.parse((ROOT / "examples" / f"{lesson}.py").read_text()))
    return doc.split("Measured (")[1]


@pytest.mark.parametrize(
    ("lesson", "needs"),
    [("benchmark", []), ("benchmark", ["matplotlib"]), ("benchmark", ["matplotlib", "torch"]), ("faster", []), ("faster", ["matplotlib"])],
)
def test_prints_the_rows_it_quotes_and_draws_one_picture_where_matplotlib_is(lesson, needs, tmp_path):
    for name in ("matplotlib", "torch"):
        if name not in needs:  # as if it were not installed
            (tmp_path / f"{name}.py").write_text("raise ImportError")
        elif not importlib.util.find_spec(name):
            pytest.skip(f"no {name}")
    printed, table = run(lesson, tmp_path, "2000", "2"), quoted(lesson)
    assert len(rows(printed)) >= 4 and rows(printed) == rows(table.replace("100,000", "2,000"))
    if lesson == "faster" or "torch" in needs:
        assert printed.splitlines()[0].split() in [line.split() for line in table.splitlines()]
    else:
        assert "torch" not in printed
    pictures = list(tmp_path.glob("*.png"))
    assert [path.name for path in pictures] == [f"{lesson}.png"] * ("matplotlib" in needs)
    assert all(path.stat().st_size > 10_000 for path in pictures)


@pytest.mark.parametrize(
    ("lesson", "given"), [("benchmark", "x"), ("benchmark", "9"), ("benchmark", "2000 0"), ("faster", "2000 2 3"), ("faster", "-5")]
)
def test_refuses_other_arguments_in_one_line(lesson, given, tmp_path):
    (tmp_path / "torch.py").write_text("raise ImportError")
    done = started(lesson, tmp_path, *given.split())
    assert done.returncode == 1 and not done.stdout
    assert done.stderr.startswith("usage: ") and given in done.stderr and done.stderr.count("\n") == 1


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
