"""Every test runs with floating-point errors raised and warnings as errors; hypothesis without a time limit per example."""

import json
import os
import pathlib
import subprocess
import tempfile
import warnings

for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # before NumPy loads: two threads are slower on matrices this small

import hypothesis
import numpy as np
import pytest
from running import ROOT, start

hypothesis.settings.register_profile("suite", deadline=None, max_examples=60, derandomize=True, database=None)
hypothesis.settings.load_profile("suite")

pytest_plugins = ["second_process"]
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
def main_job():
    """`tinycompress compress` with nothing but --json: what it printed, its rows, and the processor seconds it took."""
    with tempfile.TemporaryDirectory() as folder:
        rows, out, err = (os.path.join(folder, name) for name in ("rows.json", "out", "err"))
        with open(out, "w") as stdout, open(err, "w") as stderr:
            started = start("compress", "--json", rows, stdout=stdout, stderr=stderr)
            _, status, usage = os.wait4(started.pid, 0)  # of this child alone, whatever else runs
        started.returncode = os.waitstatus_to_exitcode(status)
        printed, complaints = (pathlib.Path(path).read_text() for path in (out, err))
        done = subprocess.CompletedProcess(started.args, started.returncode, printed, complaints)
        assert done.returncode == 0, done.stderr
        return done, json.loads(pathlib.Path(rows).read_text()), usage.ru_utime + usage.ru_stime
