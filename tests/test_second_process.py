"""What fails in the second process fails here: nothing of it is lost, nothing passes that did not run."""

import os
import subprocess
import sys

import pytest
from running import ROOT

BESIDE = """import pytest
def test_passes(): pass
def test_fails(): assert 1 + 1 == 3, "two and two"
def test_is_skipped(): pytest.skip("not here")
@pytest.fixture
def broken(): raise RuntimeError("no setup")
def test_has_no_setup(broken): pass
"""
ENDS = "import os\ndef test_ends_it_all(): os._exit(9)\ndef test_never_runs(): pass\n"


@pytest.fixture
def suite(tmp_path):
    (tmp_path / "pytest.ini").write_text("[pytest]\ntestpaths = .\n")
    (tmp_path / "test_other.py").write_text("def test_here(): pass\n")

    def run(text, *arguments):
        (tmp_path / "test_examples.py").write_text(text)
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
        command = [sys.executable, "-m", "pytest", "-p", "second_process", "-p", "no:cacheprovider", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)

    return run


def test_every_outcome_is_told(suite):
    done = suite(BESIDE)
    assert done.returncode == 1
    assert "1 failed, 2 passed, 1 skipped, 1 error" in done.stdout
    assert "two and two" in done.stdout and "no setup" in done.stdout


@pytest.mark.skipif(os.cpu_count() == 1, reason="one core, one process")
def test_a_second_process_that_dies_is_a_failure_of_each_test_it_owed(suite):
    done = suite(ENDS)
    assert done.returncode == 1
    assert "2 failed, 1 passed" in done.stdout and "the second process ended (9) before this test did" in done.stdout


def test_a_file_that_is_named_runs_here(suite):
    """Here os._exit ends pytest itself: no second process was there to take the blow."""
    assert suite(ENDS, "test_examples.py").returncode == 9
