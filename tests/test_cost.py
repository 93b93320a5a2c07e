"""Counts against hand-made models; the stop-watch against a clock that the test turns."""
import gc
import os
import time
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycompress import cost
from tinycompress.recipes import Model
from tinycompress.recommender import Architecture

MODEL = {
    "table0": np.array([[0.0, 2.0], [-0.0, np.nan], [1e-310, 0.0]], np.float64),
    "w0": np.array([[1, 0, 3], [0, 0, 6]], np.float32),
    "b0": np.zeros(3),
    "w1": np.ones((3, 1)),
}


def integer_tensor(codes, zero_point, axis=None):
    return SimpleNamespace(codes=np.asarray(codes), grid=SimpleNamespace(zero_point=zero_point, axis=axis))


def test_counts():
    assert cost.parameters(MODEL) == 6 + 6 + 3 + 3
    assert cost.nonzero(MODEL) == 3 + 3 + 0 + 3  # -0.0 is zero; NaN and subnormals are not
    assert cost.parameters({}) == cost.nonzero({}) == 0


def test_a_code_is_zero_at_its_zero_point():
    codes = np.array([[3, 0, 3], [5, 3, 5]], np.int8)
    assert cost.nonzero({"w0": integer_tensor(codes, 0)}) == 5
    assert cost.nonzero({"w0": integer_tensor(codes, np.int32(3))}) == 3
    assert cost.nonzero({"w0": integer_tensor(codes, np.array([3, 5]), axis=0)}) == 2
    assert cost.nonzero({"w0": integer_tensor(codes, np.array([3, 3, 5]), axis=1)}) == 3
    assert cost.nonzero({"w0": integer_tensor(codes, np.array([3, 3, 5]), axis=-1)}) == 3
    assert cost.nonzero({"w0": integer_tensor(codes, np.array([3]))}) == 3  # one zero point in an array
    assert cost.parameters({"w0": integer_tensor(codes, 0)}) == 6
    assert cost.multiply_adds({"w0": integer_tensor(codes, 3)}, skip_zeros=True) == 3


@given(st.integers(0, 2**32), st.sampled_from(["whole", "kept", "shared"]))
def test_a_file_counts_as_the_model_read_from_it(seed, rows):
    """A table of codes is its V rows of D numbers, rows that share one included: by hand, and equal to what the codes stand for."""
    rng = np.random.default_rng(seed)
    v, d, a = (int(n) for n in rng.integers(1, 6, 3))
    kept = rng.random(v) < {"whole": 2, "kept": 2, "shared": 0.5}[rows]
    codes, levels = rng.integers(0, a, (int(kept.sum()) + (not kept.all()), d)), rng.integers(-1, 2, (d, a)).astype(np.float16)
    tensors = {"table0.codes": codes.astype(np.uint8), "table0.levels": levels, "w0": np.eye(d, 1), "b0": np.zeros(1)}
    tensors |= {} if rows == "whole" else {"table0.kept": kept}
    params = Model(tensors, Architecture((v,), (d,), ())).params
    assert cost.parameters(tensors) == v * d + d + 1 == cost.parameters(params)
    shared = v - kept.sum()
    takes = np.where(np.arange(len(codes)) < kept.sum(), 1, shared)
    zeros = sum(takes[i] * (levels[j, codes[i, j]] == 0) for i in range(len(codes)) for j in range(d))
    assert cost.nonzero(tensors) == v * d - zeros + 1 == cost.nonzero(params)
    assert cost.multiply_adds(tensors, bag_length=3) == 2 * d + d == cost.multiply_adds(params, bag_length=3)


def test_multiply_adds():
    assert cost.multiply_adds(MODEL) == 2 * 3 + 3 * 1
    assert cost.multiply_adds(MODEL, skip_zeros=True) == 3 + 3
    assert cost.multiply_adds(MODEL, bag_length=3.5) == 9 + 2.5 * 2
    assert cost.multiply_adds(MODEL, bag_length=0) == 9
    assert cost.bit_operations(cost.multiply_adds(MODEL), 8, 32) == 9 * 256 and cost.bit_operations(9, 1, 1) == 9
    for call, says in (
        (lambda: cost.multiply_adds(MODEL, bag_length=-1), "bag_length is -1"),
        (lambda: cost.multiply_adds({"w0": np.ones(3)}), r"w0 is \(3,\)"),
        (lambda: cost.bit_operations(9, 0, 8), "0 and 8 bits"),
        (lambda: cost.bit_operations(9, 8, 0), "8 and 0 bits"),
    ):
        with pytest.raises(ValueError, match=says):
            call()


def test_file_bytes(tmp_path):
    (tmp_path / "model").write_bytes(b"x" * 1234)
    assert cost.file_bytes(tmp_path / "model") == cost.file_bytes(os.fspath(tmp_path / "model")) == 1234
    with pytest.raises(FileNotFoundError):
        cost.file_bytes(tmp_path / "none")


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until someone works: clock.work(ns) is a job of that length."""
    state = SimpleNamespace(now=10**15, log=[])

    def work(name, *durations):
        left = list(durations)

        def function():
            state.log.append((name, gc.isenabled()))
            state.now += left.pop(0) if len(left) > 1 else left[0]

        return function

    monkeypatch.setattr(time, "perf_counter_ns", lambda: state.now)
    state.work = work
    return state


def test_latency_is_median_and_p95_of_the_measured_calls(clock):
    durations = [999, 999, *range(20, 0, -1)]  # two warm-up calls, then 20 ... 1 ns
    found = cost.measure_latency(clock.work("f", *durations), repeats=20, warmup=2)
    assert (found.median, found.p95, found.n) == (pytest.approx(10.5e-9), pytest.approx(19e-9), 20)
    assert [on for _, on in clock.log] == [True] * 2 + [False] * 20 and gc.isenabled()
    assert cost.measure_latency(clock.work("f", 600), repeats=1, warmup=0, calls=3).median == pytest.approx(600e-9)
    assert len(clock.log) == 22 + 3
    assert cost.measure_latency(clock.work("f", 5)).n == 30 and len(clock.log) == 25 + 33
    assert cost.compare_latency(clock.work("f", 5), clock.work("g", 5)).first.n == 30 and len(clock.log) == 58 + 2 * 33


def test_two_functions_are_measured_in_turn(clock):
    slow, fast = clock.work("slow", 1, 40, 400, 80), clock.work("fast", 1, 20, 100, 20)
    found = cost.compare_latency(slow, fast, repeats=3, warmup=1)
    assert [name for name, _ in clock.log] == ["slow", "fast", "slow", "fast", "fast", "slow", "slow", "fast"]
    assert found.ratio == 4 and found.first.median == pytest.approx(80e-9) and found.second.p95 == pytest.approx(100e-9)
    assert found.first.n == found.second.n == 3
    assert cost.compare_latency(clock.work("f", 0), clock.work("g", 0), repeats=1).ratio == 1  # a clock too coarse for both


def test_the_collector_is_left_as_it_was(clock):
    def fails():
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError):
        cost.measure_latency(fails, warmup=0)
    assert gc.isenabled()
    gc.disable()
    try:
        cost.measure_latency(clock.work("f", 5))
        assert not gc.isenabled()
    finally:
        gc.enable()


@pytest.mark.parametrize("keywords", [{"repeats": 0}, {"warmup": -1}, {"calls": 0}])
def test_refused(keywords):
    for call in (lambda: cost.measure_latency(int, **keywords), lambda: cost.compare_latency(int, int, **keywords)):
        with pytest.raises(ValueError, match="use at least 1, 0 and 1"):
            call()
