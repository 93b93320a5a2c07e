"""What fails in the second process fails here: nothing of it is lost, nothing passes that did not run."""

import os
import pathlib
import subprocess
import sys
import time

import pytest
from running import ROOT

BESIDE = """import os, pathlib, pytest
def test_passes(): pathlib.Path("there").write_text(str(os.getpid()))
def test_fails(): assert 1 + 1 == 3, "two and two"
def test_is_skipped(): pytest.skip("not here")
@pytest.fixture
def broken(): raise RuntimeError("no setup")
def test_has_no_setup(broken): pass
"""
HERE = "import os, pathlib\ndef test_here(): pathlib.Path('here').write_text(str(os.getpid()))\n"
ENDS = "import os\ndef test_ends_it_all(): os._exit(9)\ndef test_never_runs(): pass\n"


@pytest.fixture
def suite(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = .\n")
    (tmp_path / "test_other.py").write_text(HERE)

    def run(text, *arguments):
        (tmp_path / "test_examples.py").write_text(text)
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
        command = [sys.executable, "-m", "pytest", "-p", "second_process", "-p", "no:cacheprovider", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)

    return run


def test_every_outcome_is_told(suite, tmp_path):
    done = suite(BESIDE)
    two = (tmp_path / "here").read_text() != (tmp_path / "there").read_text()
    assert two == (os.cpu_count() > 1)
    assert done.returncode == 1
    assert "1 failed, 2 passed, 1 skipped, 1 error" in done.stdout
    assert "two and two" in done.stdout and "no setup" in done.stdout


two_cores = pytest.mark.skipif(os.cpu_count() == 1, reason="one core, one process")


@two_cores
def test_a_second_process_that_dies_is_a_failure_of_each_test_it_owed(suite):
    done = suite(ENDS)
    assert done.returncode == 1
    assert "2 failed, 1 passed" in done.stdout and "the second process ended (9) before this test did" in done.stdout


def test_a_file_that_is_named_runs_here(suite):
    """Here os._exit ends pytest itself: no second process was there to take the blow."""
    assert suite(ENDS, "test_examples.py").returncode == 9


@two_cores
def test_a_second_process_that_breaks_after_its_last_test_is_a_failure(suite):
    done = suite("import atexit, os\ndef test_passes(): atexit.register(os._exit, 3)\n")
    assert done.returncode == 1 and "2 passed" in done.stdout and "the second process ended with 3" in done.stdout


@two_cores
@pytest.mark.skipif(not hasattr(os, "killpg"), reason="no groups of processes here")
def test_what_the_second_process_started_ends_with_it(suite, tmp_path):
    """The first process stops at its first failure; there a test waits for a child."""
    (tmp_path / "test_other.py").write_text(
        "import pathlib, time\ndef test_here():\n    while not pathlib.Path('child').exists(): time.sleep(0.01)\n    assert False\n"
    )
    done = suite(
        "import pathlib, subprocess\ndef test_waits():\n    child = subprocess.Popen(['sleep', '60'])\n"
        "    pathlib.Path('new').write_text(str(child.pid))\n    pathlib.Path('new').rename('child')\n    child.wait()\n", "-x",
    )  # fmt: skip
    assert done.returncode == 1
    child = int((tmp_path / "child").read_text())
    until = time.monotonic() + 10
    while time.monotonic() < until and alive(child):
        time.sleep(0.01)
    assert not alive(child)


def alive(process):
    """A process that has ended may stand in the table, as a zombie, until somebody waits for it."""
    try:
        os.kill(process, 0)
        stat = pathlib.Path(f"/proc/{process}/stat")
        return not stat.parent.parent.is_dir() or stat.read_text().rpartition(")")[2].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
