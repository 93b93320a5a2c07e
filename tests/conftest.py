"""Every test runs with floating-point errors raised and warnings as errors; hypothesis without a time limit per example."""

import json
import os
import subprocess
import sys
import warnings

for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # before NumPy loads: two threads are slower on matrices this small

import hypothesis
import numpy as np
import pytest
from running import ROOT, start

hypothesis.settings.register_profile("suite", deadline=None, max_examples=60, derandomize=True, database=None)
hypothesis.settings.load_profile("suite")

SHARED = ROOT.parent / "shared"


@pytest.fixture(autouse=True)
def _strict():
    with np.errstate(all="raise"), warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


@pytest.fixture(scope="session")
def data_dir():
    """The folder of real data sets, which is not part of the project: skip without it."""
    if not (SHARED / "data").is_dir():
        pytest.skip("no folder of real data beside the project")
    return SHARED / "data"


@pytest.fixture(scope="session")
def peers_dir():
    """The folder of measured peers' cases, which is not part of the project: skip without it."""
    if not (SHARED / "peers").is_dir():
        pytest.skip("no folder of measured cases beside the project")
    return SHARED / "peers"


@pytest.fixture(scope="session")
def main_job(tmp_path_factory):
    """`tinycompress compress` with nothing but --json, and the processor seconds it took."""
    folder = tmp_path_factory.mktemp("main")
    with open(folder / "out", "w+") as out, open(folder / "err", "w+") as err:
        started = start("compress", "--json", str(folder / "rows.json"), stdout=out, stderr=err)
        _, status, usage = os.wait4(started.pid, 0)  # of this child alone, whatever else runs
        out.seek(0), err.seek(0)
        done = subprocess.CompletedProcess(started.args, os.waitstatus_to_exitcode(status), out.read(), err.read())
    started.returncode = done.returncode
    assert done.returncode == 0, done.stderr
    return done, json.loads((folder / "rows.json").read_text()), usage.ru_utime + usage.ru_stime


def pytest_collection_finish(session):
    """Lessons run on the second core, beside the tests that come before theirs: they take a fifth of all the time."""
    lessons = sys.modules.get("test_examples")
    if lessons is not None:
        names = {item.name for item in session.items if getattr(item, "module", None) is lessons} if not session.config.option.collectonly else ()
        lessons.begin([p for p in lessons.LESSONS if f"{lessons.PRINTS}[{p.stem}]" in names])
