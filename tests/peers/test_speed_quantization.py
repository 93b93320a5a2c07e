"""How fast quantize is, as ratios measured in one run and on one thread; and that its time grows with the number of values only.

The contenders take turns, and the figure is the ratio of their median turns, on a machine that does nothing else. The data is
N(0, 1), on the grid from its smallest to its largest value; "clipping" is the same on a grid three quarters as wide, which costs
a pass more.
"""
import time
import warnings

import numpy as np
import pytest

from tinycompress.grids import Grid, asymmetric_grid
from tinycompress.quantization import dequantize, fake_quantize, fake_quantize_backward, quantize

ROUNDS = 40


def medians(contenders):
    """Median seconds of each, interleaved."""
    seconds = {name: [] for name in contenders}
    for _ in range(ROUNDS):
        for name, run in contenders.items():
            start = time.perf_counter()
            run()
            seconds[name].append(time.perf_counter() - start)
    return {name: float(np.median(s)) for name, s in seconds.items()}


@pytest.fixture(scope="module")
def figures():
    torch = pytest.importorskip("torch")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    x = np.random.default_rng(0).standard_normal(10**6).astype(np.float32)
    grid = asymmetric_grid(x)
    s, z = float(grid.scale), int(grid.zero_point)
    rows, narrow = Grid(np.full(1000, s), np.full(1000, z), -128, 127, axis=0), Grid(0.75 * s, z, -128, 127)
    leaf, q, matrix = torch.from_numpy(x), quantize(x, grid), x.reshape(1000, 1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = medians(
            {
                "torch.fake_quantize": lambda: torch.fake_quantize_per_tensor_affine(leaf, s, z, -128, 127),
                "torch.quantize": lambda: torch.quantize_per_tensor(leaf, s, z, torch.qint8),
                "quantize": lambda: quantize(x, grid),
                "quantize, clipping": lambda: quantize(x, narrow),
                "quantize rows": lambda: quantize(matrix, rows),
                "quantize like torch": lambda: quantize(x, grid, "torch.quantize_per_tensor"),
                "dequantize": lambda: dequantize(q, grid),
                "fake_quantize": lambda: fake_quantize(x, grid),
                "fake_quantize_backward": lambda: fake_quantize_backward(x, x, grid),
            }
        )
    torch.set_num_threads(threads)
    for name, t in found.items():
        faster, slower = found["torch.fake_quantize"] / t, t / found["torch.quantize"]
        print(f"\n{name:24s} {1e3 * t:7.3f} ms: {faster:5.2f} times as fast as torch.fake_quantize,", end="")
        print(f" takes {slower:5.2f} times as long as torch.quantize", end="")
    return found


def test_quantize_is_four_times_as_fast_as_torch_fake_quantize(figures):
    assert figures["torch.fake_quantize"] >= 4 * max(figures["quantize"], figures["quantize, clipping"])


def test_quantize_is_within_three_times_of_torch_quantize(figures):
    assert figures["quantize"] <= 3 * figures["torch.quantize"]


def test_time_is_linear_from_ten_thousand_to_a_hundred_million():
    """Per value, a hundred million cost what a million do, but for the caches, which help the million: memory may be eight times
    slower where others use it too (quadratic time would be a hundred times). At 10^4 the cost of a call shows: under 0.3 ms."""
    grid, per_value = Grid(0.05, 3, -128, 127), {}
    for n in (10**4, 10**5, 10**6, 10**7, 10**8):
        x = np.resize(np.random.default_rng(0).standard_normal(min(n, 10**6)).astype(np.float32), n)
        times = []
        for _ in range(3 if n > 10**7 else 9):
            start = time.perf_counter()
            quantize(x, grid)
            times.append(time.perf_counter() - start)
        per_value[n] = min(times) / n
        print(f"\n{n:10d} values: {1e9 * per_value[n]:6.3f} ns each", end="")
    assert max(per_value[10**7], per_value[10**8]) <= 8 * per_value[10**6]
    assert per_value[10**4] <= 3e-8
