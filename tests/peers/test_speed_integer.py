"""How fast exact integer products are: ratios of the least CPU seconds of several interleaved runs, one thread."""

import os
import time

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tinycompress.integer import integer_matmul  # noqa: E402

ROUNDS = 9


def seconds(function):
    """CPU seconds of this thread: what other processes take away does not count."""
    start = time.thread_time()
    function()
    return time.thread_time() - start


def test_int8_products_run_at_the_speed_of_float32():
    if os.environ.get("OPENBLAS_NUM_THREADS") != "1":
        pytest.skip("the ratios are of one thread: set OPENBLAS_NUM_THREADS=1 before Python starts")
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    a, b = rng.integers(-128, 128, (1024, 512)).astype(np.int8), rng.integers(-128, 128, (512, 256)).astype(np.int8)
    wide_a, wide_b = a.astype(np.int32), b.astype(np.int32)
    torch_a, torch_b = torch.from_numpy(a), torch.from_numpy(b)
    assert np.array_equal(integer_matmul(a, b), wide_a @ wide_b)
    ours, numpy, peer = [], [], []
    for _ in range(ROUNDS):  # the short ones more often: each needs its chance of a run that nothing disturbs
        for _ in range(10):
            ours.append(seconds(lambda: integer_matmul(a, b)))
            peer.append(seconds(lambda: torch._int_mm(torch_a, torch_b)))
        numpy.append(seconds(lambda: wide_a @ wide_b))
    ours, numpy, peer = min(ours), min(numpy), min(peer)
    print(
        f"\nint8 1024 x 512 x 256: {1e3 * ours:.2f} ms, 1 / {numpy / ours:.0f} of NumPy's int32, {ours / peer:.1f} torch._int_mm"
    )
    assert numpy / ours >= 40 and ours / peer <= 5
