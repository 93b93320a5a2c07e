"""A million weights pruned at least eight times as fast as torch.nn.utils.prune does it, and in linear time."""
import os
import time

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch.nn.utils import prune  # noqa: E402

from tinycompress.pruning import magnitude_mask  # noqa: E402


def seconds(call):
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def test_eight_times_as_fast_as_torch():
    """Interleaved in one run on one thread; the median ratio of nine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    w = np.random.default_rng(0).standard_normal(10**6).astype(np.float32)
    t, ones, method = torch.from_numpy(w), torch.ones(10**6), prune.L1Unstructured(0.5)
    pairs = [(seconds(lambda: method.compute_mask(t, ones)), seconds(lambda: magnitude_mask(w, 0.5))) for _ in range(9)]
    torch.set_num_threads(threads)
    ratio = float(np.median([theirs / ours for theirs, ours in pairs]))
    assert np.array_equal(method.compute_mask(t, ones).numpy().astype(bool), magnitude_mask(w, 0.5))
    assert ratio >= 8, f"only {ratio:.1f} times as fast"


def user_seconds(call, times):
    """Time in the program itself: that of the kernel, which hands out fresh pages, depends on the neighbours."""
    start = os.times().user
    for _ in range(times):
        call()
    return os.times().user - start


def test_linear():
    """As many weights in ten layers of a million as in one of ten million: about as much time, less than three times."""
    rng = np.random.default_rng(1)
    small, large = (rng.standard_normal(n).astype(np.float32) for n in (10**6, 10**7))
    pairs = []
    for _ in range(3):
        pairs.append((user_seconds(lambda: magnitude_mask(small, 0.8), 40), user_seconds(lambda: magnitude_mask(large, 0.8), 4)))
    assert float(np.median([b / max(a, 0.01) for a, b in pairs])) < 3


def test_many_ties_are_no_harder():
    """A layer that is mostly zeros already, and one whose entries are all equal."""
    rng = np.random.default_rng(2)
    plain = rng.standard_normal(10**6).astype(np.float32)
    tied = np.where(rng.random(10**6) < 0.9, 0, plain).astype(np.float32)
    pairs = [(seconds(lambda: magnitude_mask(plain, 0.5)), seconds(lambda: magnitude_mask(tied, 0.5))) for _ in range(5)]
    assert float(np.median([b / a for a, b in pairs])) < 15
