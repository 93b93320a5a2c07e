"""Observers, histograms, cuts and the least squares grid: order does not matter, bounds hold, and only training data is read."""

from dataclasses import replace
from fractions import Fraction
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import tensors

from tinycompress.calibration import MinMax, MovingAverage, batch_range, calibrate, observe_batches
from tinycompress.collectors import Collector, even_edges, index_by_quotient, truncated_divergence_cut
from tinycompress.conventions import get
from tinycompress.cuts import divergence, divergence_cut, percentile_cut, walk_cut, window_distributions
from tinycompress.grid_rules import choose_grid
from tinycompress.grids import Grid, asymmetric_grid, code_range, symmetric_grid
from tinycompress.histograms import Histogram
from tinycompress.least_squares import least_squares_grid, squared_error

BATCHES = st.lists(tensors(), min_size=1, max_size=4)


# ---- smallest and largest value ----


@given(BATCHES, st.randoms(use_true_random=False))
def test_min_max_does_not_depend_on_order_or_on_cutting(batches, random):
    every = np.concatenate(batches)
    shuffled = random.sample(batches, len(batches))
    if every.size == 0:
        with pytest.raises(ValueError, match="nothing was observed"):
            observe_batches(MinMax(), batches).range()
        return
    expected = (every.min(), every.max())
    for cut in (batches, shuffled, [every], [[v] for v in every]):
        assert observe_batches(MinMax(), cut).range() == expected


def test_a_negative_power_of_two_fills_the_first_bin():
    seen = Histogram(bins=8).observe([-4.0, 3.99])
    assert seen.width == 1.0 and seen.counts.tolist() == [1, 0, 0, 0, 0, 0, 0, 1]
    assert Histogram(bins=8).observe([-4.0, 4.0]).width == 2.0


def test_min_max_per_slice():
    lo, hi = MinMax(axis=1).observe([[1.0, -2.0], [3.0, 0.0]]).observe([[0.0, 5.0]]).range()
    assert lo.tolist() == [0.0, -2.0] and hi.tolist() == [3.0, 5.0]


@given(st.lists(tensors(min_size=1, huge=1e30), min_size=1, max_size=5), st.sampled_from([0.01, 0.5, 1.0]))
def test_moving_average_is_its_recurrence(batches, weight):
    with np.errstate(under="ignore"):
        lo, hi = batches[0].min(), batches[0].max()
        for x in batches[1:]:
            lo = np.float32(lo + np.float32(np.float32(weight) * np.float32(x.min() - lo)))
            hi = np.float32(hi + np.float32(np.float32(weight) * np.float32(x.max() - hi)))
    assert observe_batches(MovingAverage(weight), batches).range() == (lo, hi)


def test_observers_are_frozen_and_skip_empty_batches():
    seen = MovingAverage().observe([1.0])
    assert seen.observe([]) is seen and MinMax().observe([]).ends is None and Histogram().observe([]).ends is None
    later = seen.observe([101.0])
    assert seen.range() == (1.0, 1.0) and later.range() == (2.0, 2.0)


def test_what_is_not_a_number_is_refused_unless_told_otherwise():
    for observer in (MinMax(), MovingAverage(), Histogram()):
        with pytest.raises(ValueError, match="NaN"):
            observer.observe([1.0, np.nan])
        with pytest.raises(ValueError, match="in float32"):
            observer.observe([1.0, np.inf])
        with pytest.raises(ValueError, match="in float32"):
            observer.observe([1e300])
        with pytest.raises(ValueError, match="nothing was observed"):
            observer.range()
    assert np.isnan(MinMax(nan="propagate").observe([np.nan, 1.0]).observe([2.0]).range()).all()
    assert MinMax(nan="ignore").observe([np.nan, 1.0]).range() == (1.0, 1.0)
    assert MinMax(infinite="propagate").observe([np.inf, 1.0]).range() == (1.0, np.inf)
    with pytest.raises(ValueError, match="nan is 'drop'"):
        batch_range([1.0], nan="drop")
    with pytest.raises(ValueError, match="weight is 0"):
        MovingAverage(0)
    with pytest.raises(ValueError, match="bins is 3"):
        Histogram(bins=3)


# ---- only the training part ----


class Guarded:
    """A split whose other parts may not be looked at."""

    train = np.arange(6.0)

    def __getattr__(self, name):
        raise AssertionError(f"calibration read split.{name}")


def test_calibrate_reads_the_training_part_only():
    def batches(rows):
        yield from rows.reshape(3, 2)

    assert calibrate(Guarded(), batches, MinMax()).range() == (0.0, 5.0)
    for observer in (MinMax(), MovingAverage(), Histogram(), Collector("torch.HistogramObserver")):
        with_test = SimpleNamespace(train=np.arange(6.0), test=np.array([1e9, np.nan]))
        without = SimpleNamespace(train=np.arange(6.0))
        assert calibrate(with_test, batches, observer).range() == calibrate(without, batches, observer).range()
    with pytest.raises(ValueError, match="ndarray has no training part"):
        calibrate(np.arange(6.0), batches, MinMax())


# ---- the histogram ----


@given(BATCHES, st.sampled_from([2, 8, 32, 2048]), st.randoms(use_true_random=False))
def test_a_histogram_is_that_of_all_values_at_once(batches, bins, random):
    every = np.concatenate(batches)
    seen = observe_batches(Histogram(bins=bins), batches)
    if every.size == 0:
        return
    shuffled = observe_batches(Histogram(bins=bins), random.sample(batches, len(batches)))
    assert seen.exponent == shuffled.exponent and np.array_equal(seen.counts, shuffled.counts)
    w, largest = Fraction(2) ** seen.exponent, max(abs(Fraction(float(v))) for v in every)
    expected = np.zeros(bins, int)
    for v in every:
        place = Fraction(float(v)) / w
        expected[place.numerator // place.denominator + bins // 2] += 1
    assert np.array_equal(seen.counts, expected)
    assert largest == 0 or bins / 4 <= largest / w <= bins / 2


@given(tensors(min_size=1), st.sampled_from([50.0, 90.0, 99.0, 100.0]))
def test_a_percentile_keeps_its_share(x, percent):
    seen = Histogram(bins=32, percent=percent).observe(x)
    lo, hi = seen.range()
    outside = (100 - percent) / 200 * len(x)
    assert (x < lo).sum() <= outside and (x > hi).sum() <= outside and x.min() <= lo <= hi <= x.max()
    if percent == 100.0:
        assert (lo, hi) == (x.min(), x.max())
    # and no bin could be taken away: the bin at either end holds values that must be kept
    ordered = np.sort(x)
    first, last = ordered[int(np.floor(outside))], ordered[len(x) - 1 - int(np.floor(outside))]
    with np.errstate(over="ignore"):
        assert lo > np.float64(first) - seen.width and hi < np.float64(last) + seen.width or lo == x.min() or hi == x.max()


def test_percentiles_by_hand():
    counts, edges = [2, 5, 2, 1], [0.0, 1.0, 2.0, 3.0, 4.0]
    assert percentile_cut(counts, edges, 100.0) == (0.0, 4.0)
    assert percentile_cut(counts, edges, 80.0) == (0.0, 3.0)  # a tenth may go at each end: 1 count
    assert percentile_cut(counts, edges, 60.0) == (1.0, 3.0)  # two counts
    assert percentile_cut(counts, edges, 90.0, "upper") == (0.0, 3.0)
    assert percentile_cut(counts, edges, 60.0, ends="lower") == (0.0, 2.0)
    assert percentile_cut(counts, edges, 85.0, "upper", "lower") == (0.0, 2.0)
    for percent, given_counts in ((0.0, counts), (101.0, counts), (99.0, [0, 0, 0, 0])):
        with pytest.raises(ValueError, match="percent is"):
            percentile_cut(given_counts, edges, percent)


# ---- divergence ----


def slow_divergence(counts, start, stop, levels):
    """D of one window, bin by bin, in exact counts and Python floats."""
    m = stop - start
    p = [int(v) for v in counts[start:stop]]
    p[0] += int(sum(counts[:start]))
    p[-1] += int(sum(counts[stop:]))
    q = [Fraction(0)] * m
    for level in range(levels):
        cell = [i for i in range(m) if i * levels // m == level]
        live = [i for i in cell if p[i] > 0]
        for i in live:
            q[i] = Fraction(int(sum(counts[start + k] for k in cell)), len(live))
    q = [b if b or not a else Fraction(1e-4) for a, b in zip(p, q, strict=True)]
    total_p, total_q, d = sum(p), sum(q), 0.0
    for a, b in zip(p, q, strict=True):
        if a:
            d += a / total_p * float(np.log(float(Fraction(a, total_p) / (b / total_q))))
    return d


@given(st.lists(st.integers(0, 50), min_size=16, max_size=16).filter(any), st.sampled_from([2, 4, 5]))
def test_the_least_divergence_is_found(counts, levels):
    edges = np.arange(-8.0, 9.0)
    seen = np.flatnonzero(counts)
    first, last = int(seen[0]), int(seen[-1]) + 1
    windows = sorted({(max(first, 8 - i), min(last, 8 + i)) for i in range(1, 9)}, key=lambda w: w[1] - w[0])
    windows = [(a, b) for a, b in windows if b - a >= levels]
    lo, hi = divergence_cut(counts, edges, levels)
    if not windows:
        assert (lo, hi) == (edges[first], edges[last])
        return
    chosen = slow_divergence(counts, int(lo) + 8, int(hi) + 8, levels)
    best = min(slow_divergence(counts, a, b, levels) for a, b in windows)
    assert chosen == best or abs(chosen - best) <= 16 * 2.0**-50  # 16 terms below 1, two roundings and a log each
    for a, b in windows:
        p, q = window_distributions(np.array(counts, float), a, b, levels)
        slow = slow_divergence(counts, a, b, levels)
        assert divergence(p, q) == slow or abs(divergence(p, q) - slow) <= 16 * 2.0**-48 * max(1.0, slow)


@given(st.lists(st.integers(0, 9), min_size=8, max_size=8).filter(any))
def test_divergence_is_zero_at_equality_and_never_below(counts):
    p = np.array(counts, float)
    assert divergence(p, 3 * p) <= 2.0**-50
    assert divergence(p, np.ones(8)) >= -(2.0**-50)
    assert divergence(p, np.zeros(8)) == np.inf


def test_close_divergences_are_told_apart():
    counts = np.round(1e5 * np.exp(-np.abs(np.arange(-256, 256) + 0.5) / 32)).astype(int)
    counts[-1] = 1
    lo, hi = divergence_cut(counts, np.arange(-256.0, 257.0), 64)
    chosen = slow_divergence(counts, int(lo) + 256, int(hi) + 256, 64)
    near = [slow_divergence(counts, 256 - half, 256 + half, 64) for half in range(int(hi) - 12, min(int(hi) + 13, 257))]
    assert 0 < chosen <= min(near) + 2.0**-40 and sorted(near)[3] - chosen < 1e-3  # several windows within a thousandth


def test_an_outlier_is_cut_off():
    x = np.append(np.random.default_rng(0).normal(size=20000), 100.0)
    assert Histogram(percent=99.99).observe(x).range()[1] < 5
    assert Histogram(cut="divergence", levels=256, bins=8192).observe(x).range()[1] < 12
    assert MinMax().observe(x).range()[1] == 100
    with pytest.raises(ValueError, match="an edge at zero"):
        divergence_cut([1, 1], [0.5, 1.0, 2.0])


# ---- histograms of other libraries ----


def test_collectors_by_hand():
    counts = index_by_quotient(np.array([0.0, 0.5, 0.99, 1.0, 2.0, 3.0], np.float32), 0.0, 2.0, 4)
    assert counts.tolist() == [1, 2, 1, 1]  # 2.0 is in the last bin, 3.0 in none
    assert index_by_quotient(np.full(5, 7, np.float32), 7.0, 7.0, 4).tolist() == [0, 0, 5, 0]
    assert even_edges(-1.0, 1.0, 4).tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]
    ends = replace(get("onnxruntime.HistogramCollector.percentile"), bins=4, percent=100.0)
    grown = Collector(ends).observe([-1.0, 1.0]).observe([1.6])
    assert grown.counts.tolist() == [0, 0, 1, 0, 0, 1, 0, 1] and np.allclose(grown.edges[[0, -1]], [-2, 2])
    top = replace(ends, values="absolute", first_edges="min_to_max", growth="bins_at_top")
    grown = Collector(top).observe([0.0, 4.0]).observe([-5.5])
    assert grown.counts.tolist() == [1, 0, 0, 1, 0, 1] and grown.edges.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
    moved = Collector(replace(get("torch.HistogramObserver"), bins=2)).observe([-1.0, 1.0]).observe([3.0])
    assert moved.counts.tolist() == [2.0, 1.0] and moved.edges.tolist() == [-1.0, 1.0, 3.0]
    moved = Collector(replace(get("torch.HistogramObserver"), bins=2)).observe([-1.0, 1.0]).observe([2.05])
    assert moved.counts.tolist() == [1.5, 1.5]  # the piece from 0.5 to 0.5625 has its middle beyond the new edge, 0.525
    left_out = Collector("torch.HistogramObserver").observe([np.inf, 1.0, -1.0]).observe([-np.inf])
    assert left_out.ends == (-1.0, 1.0)
    with pytest.raises(ValueError, match="nothing was observed"):
        Collector("torch.HistogramObserver").range()
    with pytest.raises(ValueError, match="fewer than 128 levels"):
        truncated_divergence_cut(np.ones(64), np.arange(65.0))


@pytest.mark.parametrize(
    "bins, batches, lo, hi",
    [
        (256, 1, -8.58306884765625, 20.32041358947754),
        (256, 2, -7.423496246337891, 20.503759384155273),
        (2048, 1, -8.58306884765625, 20.530292510986328),
        (2048, 2, -7.423496246337891, 20.80668830871582),
    ],
)
def test_the_walk_of_many_moves(bins, batches, lo, hi):
    """Measured: torch 2.13.0+cpu, HistogramObserver(bins)._non_linear_param_search(), x86-64 with AVX-512, 2026-11."""
    k = np.arange(100_000)
    x = (k * 7919 % 1009 + k * 104729 % 997 + k * 1299709 % 991 + k * 15485863 % 983 - 1500).astype(np.float32) / np.float32(512)
    x = x * np.abs(x)
    rule = replace(get("torch.HistogramObserver"), bins=bins)
    assert observe_batches(Collector(rule), [x] if batches == 1 else [x[:7000] / 4, x[7000:]]).range() == (lo, hi)


@pytest.mark.parametrize(
    "bins, batches, lo, hi",
    [
        (256, 1, -15.106582641601562, 12.63580322265625),
        (256, 2, -10.486465454101562, 12.15607738494873),
        (400, 1, -9.743745803833008, 9.819278717041016),
        (400, 2, -10.366891860961914, 10.385775566101074),
    ],
)
def test_the_truncated_divergence(bins, batches, lo, hi):
    """Measured: onnxruntime 1.32.0, HistogramCollector("entropy", False, bins, 128, ...), x86-64, 2026-11."""
    k = np.arange(3000)
    x = (k * 7919 % 1009 + k * 104729 % 997 + k * 1299709 % 991 + k * 15485863 % 983 - 1990).astype(np.float32) / np.float32(512)
    x = x * np.abs(x)
    rule = replace(get("onnxruntime.HistogramCollector.entropy"), bins=bins)
    assert observe_batches(Collector(rule), [x] if batches == 1 else [x[:700] / 4, x[700:]]).range() == (lo, hi)
    three = Collector(rule).observe([3.0]).range()
    assert three == (3.0, 0.9749999046325684 if bins == 400 else 3.0)


def test_the_walk_stops_where_the_error_rises():
    counts = np.zeros(64, np.float32)
    counts[24:40], counts[63] = 1000, 1  # an outlier in the last bin
    lo, hi = walk_cut(counts, np.float32(-32), np.float32(32), levels=16)
    assert hi < 12 and lo <= -8


# ---- least squares ----


def brute_force(x, bits, symmetric, cuts):
    """The least error of every candidate of the stated list, each value by itself."""
    qmin, qmax = code_range(bits)
    n, lo, hi = qmax - qmin, min(x.min(), 0.0), max(x.max(), 0.0)
    least = np.inf
    parts = (
        [(i / cuts**2, i / cuts**2) for i in range(1, cuts**2 + 1)]
        if symmetric
        else product(np.arange(1, cuts + 1) / cuts, repeat=2)
    )
    for a, b in parts:
        s = float(np.float32(max(-lo, hi) * a / qmax if symmetric else hi * b / n - lo * a / n))
        if s > 0:
            z = 0 if symmetric else int(np.clip(np.rint(qmin - lo * a / s), qmin, qmax))
            least = min(least, float(squared_error(x, Grid(s, z, qmin, qmax))))
    return least


@given(tensors(min_size=1, huge=1e6), st.sampled_from([2, 3, 4]), st.booleans())
@settings(max_examples=40)
def test_least_squares_is_no_worse_than_any_candidate(x, bits, symmetric):
    x = np.where(np.abs(x) < 1e-15, np.float32(0), x)
    grid = least_squares_grid(x, bits, symmetric=symmetric, cuts=8)
    plain = symmetric_grid(x, bits) if symmetric else asymmetric_grid(x, bits)
    noise = 4 * len(x) * 2.0**-52 * float((x.astype(float) ** 2).sum())  # of the running sums, in both comparisons
    error = float(squared_error(x, grid))
    assert error <= float(squared_error(x, plain)) + noise
    if x.any():
        assert error <= brute_force(x.astype(float), bits, symmetric, 8) + noise


def test_least_squares_no_worse_than_what_other_observers_choose():
    rng = np.random.default_rng(0)
    data = {
        "normal": rng.normal(size=512),
        "heavy": rng.standard_t(2, size=512),
        "positive": rng.exponential(size=512),
        "relu": np.maximum(rng.normal(size=512), 0),
        "outlier": np.append(rng.normal(size=511), 60.0),
        "uniform": rng.uniform(-1, 3, size=512),
    }
    names = ("torch.HistogramObserver", "onnxruntime.HistogramCollector.percentile", "modelopt.HistogramCalibrator.percentile")
    for name, x in data.items():
        x = x.astype(np.float32)
        ranges = [Collector(name).observe(x).range() for name in names]
        ranges += [Collector(replace(get(names[1]), percent=p)).observe(x).range() for p in (99.0, 99.9)]
        ranges += [Collector(replace(get("onnxruntime.HistogramCollector.entropy"), bins=256)).observe(x).range()]
        ranges += [(x.min() * p, x.max() * p) for p in np.float32(1) - np.arange(0, 80, 4, np.float32) / np.float32(100)]  # gptq
        for bits, symmetric in [(3, True), (3, False), (4, True), (4, False)] + [(8, True), (8, False)] * (
            name in ("normal", "relu")
        ):
            ours = float(squared_error(x, least_squares_grid(x, bits, symmetric=symmetric)))
            for (lo, hi), rule in product(ranges, ("torch.MinMaxObserver", "onnxruntime.compute_scale_zp")):
                theirs = choose_grid(lo, hi, bits, convention=rule, symmetric=symmetric)
                assert ours <= float(squared_error(x, theirs)), (name, bits, lo, hi)


@pytest.mark.parametrize("seed", range(6))
def test_nothing_near_a_least_squares_grid_is_better(seed):
    x = np.random.default_rng(seed).standard_t(3, size=60)
    grid = least_squares_grid(x, 3, symmetric=False)
    error, noise = float(squared_error(x, grid)), 60 * 2.0**-50 * float((x**2).sum())
    steps = [i / 1024 for i in range(-32, 33)] + [s * 2.0**-k for k in range(11, 21) for s in (-1, 1)]
    for t in steps:
        near = Grid(np.float32(float(grid.scale) * (1 + t)), grid.zero_point, grid.qmin, grid.qmax)
        assert error <= float(squared_error(x, near)) + noise


def test_least_squares_beats_rivals_it_is_given_and_keeps_them_if_they_win():
    x = np.array([0.0, 1.0, 3.0, 7.0, 7.0])
    perfect = Grid(1.0, 0, 0, 7)
    grid = least_squares_grid(x, 3, signed=False, symmetric=False, cuts=1, also=[perfect])
    assert squared_error(x, grid) == 0 and grid.qmax == 7


def test_weights_stand_for_repeated_values():
    x, c = np.array([-1.0, 0.25, 0.5, 3.0]), np.array([1, 7, 2, 1])
    for symmetric in (True, False):
        a = least_squares_grid(np.repeat(x, c), 3, symmetric=symmetric)
        b = least_squares_grid(x, 3, symmetric=symmetric, weights=c)
        assert np.isclose(squared_error(np.repeat(x, c), a), squared_error(x, b, weights=c), rtol=1e-9, atol=0)
    seen = Histogram(bins=256).observe(np.repeat(x, c))
    middles = (seen.edges[1:] + seen.edges[:-1]) / 2
    from_bins = least_squares_grid(middles, 3, weights=seen.counts)
    exact = least_squares_grid(np.repeat(x, c), 3)
    # each value moves by at most w / 2, so the root of E moves by at most w / 2 sqrt(N), once for either grid
    slack = 2 * seen.width / 2 * np.sqrt(c.sum())
    assert np.sqrt(squared_error(np.repeat(x, c), from_bins)) <= np.sqrt(squared_error(np.repeat(x, c), exact)) + slack


def test_least_squares_per_slice_and_degenerate():
    x = np.random.default_rng(1).normal(size=(3, 40))
    grid = least_squares_grid(x, 4, axis=0)
    for i, row in enumerate(x):
        assert grid.scale[i] == least_squares_grid(row, 4).scale
    for empty in ([], [0.0, 0.0]):
        assert least_squares_grid(empty) == symmetric_grid(empty, narrow=False)
        assert least_squares_grid(empty, symmetric=False) == asymmetric_grid(empty)
    unsigned = least_squares_grid([-1.0, 1.0], 8, signed=False)
    assert unsigned.zero_point == 128 and squared_error([-1.0, 1.0], unsigned) < 1e-12
    for bad in ([np.nan], [np.inf]):
        with pytest.raises(ValueError, match="give finite x"):
            least_squares_grid(bad)
    with pytest.raises(ValueError, match="weights"):
        least_squares_grid([1.0], weights=[-1.0])
