"""Every test runs with floating-point errors raised and warnings as errors; hypothesis without a time limit per example."""

import json
import os
import resource
import warnings

for _variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")  # before NumPy loads: two threads are slower on matrices this small

import hypothesis
import numpy as np
import pytest
from running import ROOT, run

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
def main_job(tmp_path_factory):
    """`tinycompress compress` with nothing but --json: what it printed, its rows, and the processor seconds it took."""
    path = tmp_path_factory.mktemp("main") / "rows.json"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run("compress", "--json", str(path))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    return done, json.loads(path.read_text()), after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
