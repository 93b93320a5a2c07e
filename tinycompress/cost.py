"""What a model costs: numbers kept, bytes of its file, multiplications per scored pair, and seconds, measured.

Each is counted from the thing itself: bytes are those of a file that was written, time is that of calls that were made.
"32 / bits times smaller" forgets scales, zero points, indices and headers; "half the multiplications" forgets that a sparse
matrix in a dense layout is multiplied in full. Operation counts are here too, because they compare models across machines,
but they are not time: an embedding multiplies nothing and waits for memory.

Letters     w (I, O) weights, I inputs, O outputs; table (V, D), V rows, D columns; F functions that are timed
Not here: memory at run time, energy. Read next: report.
"""
from __future__ import annotations

import gc
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tinycompress.coded_tables import decode_tables


@dataclass(frozen=True)
class Latency:
    """How long one call takes."""

    median: float  # seconds
    p95: float  # seconds; 19 of 20 calls were no slower (nearest rank: one of the measured times)
    n: int  # measured times


@dataclass(frozen=True)
class Comparison:
    """Two functions measured in turn."""

    first: Latency
    second: Latency
    ratio: float  # median over pairs of first / second: how many times as fast the second is


def _codes_and_zero(tensor: Any) -> tuple[NDArray[Any], Any]:
    """Return the numbers of a tensor and the one that stands for 0.0, shaped to compare with them."""
    if not hasattr(tensor, "codes"):
        return np.asarray(tensor), 0
    codes, zero = np.asarray(tensor.codes), np.asarray(tensor.grid.zero_point)
    axis = getattr(tensor.grid, "axis", None)
    if axis is not None and zero.ndim == 1:
        zero = zero.reshape([-1 if d == axis % codes.ndim else 1 for d in range(codes.ndim)])
    return codes, zero


def parameters(params: Mapping[str, Any]) -> int:
    """Count the numbers that a model scores with, zeros included.

    Shapes      params: name -> array, or an integer tensor with `codes` and `grid` -> int
    Convention  what a number is written as is not counted, it is in the bytes of the file: neither scales and zero points of a
                grid nor the levels of a table that stands as NAME.codes and NAME.levels. Such a table counts as its V rows of D
                numbers, rows that share one included: a file has as many as the model that is read from it
    Raises      as coded_tables.decode_tables, here and in the two counts below
    Source      this package

    >>> parameters({"table0": np.zeros((5, 2)), "b0": np.ones(3)})
    13
    >>> parameters({"table0.codes": np.zeros((5, 2), np.uint8), "table0.levels": np.ones((2, 1)), "b0": np.ones(3)})
    13
    """
    return sum(_codes_and_zero(tensor)[0].size for tensor in decode_tables(params).values())


def nonzero(params: Mapping[str, Any]) -> int:
    """Count the numbers of a model that are not 0.0.

    Shapes      params: name -> array, or an integer tensor with `codes` and `grid` -> int
    Convention  -0.0 is zero, NaN is not. A code is zero where it is its grid's zero point, per row or channel if the grid
                has an axis: that code stands for exactly 0.0
    Source      this package

    >>> nonzero({"table0": np.array([[0.0, 1.0], [-0.0, 2.0]]), "b0": np.ones(3)})
    5
    """
    return sum(int(np.count_nonzero(codes != zero)) for codes, zero in map(_codes_and_zero, decode_tables(params).values()))


def file_bytes(path: str | os.PathLike[str]) -> int:
    """Return the size of a written file: the only number of bytes that a model has.

    Shapes      takes no arrays
    Units       bytes
    Raises      OSError if there is no such file
    Source      os.path.getsize

    >>> file_bytes(__file__) > 1000
    True
    """
    return os.path.getsize(path)


def multiply_adds(params: Mapping[str, Any], *, bag_length: float = 1, skip_zeros: bool = False) -> float:
    """Count the multiplications with accumulation that scoring one pair takes: MLP layers, and bags of embeddings.

    Equation    sum over layers of I O  +  sum over tables of (bag_length - 1) D
    Shapes      params with keys "w0", "w1", ... (I, O), "table0", ... (V, D) and others, which cost nothing -> float
    Units       multiply-adds per scored pair; one multiply-add is two floating-point operations
    Convention  bag_length  codes per bag, on average: a bag adds up its rows, without a multiplication, and each addition counts
                            as one. 1: a row is only looked up and costs nothing here, though it costs time.
                skip_zeros  False: zeros are multiplied too, as every dense kernel does. True: only the non-zero weights, what a
                            sparse kernel could reach; this is a count of work, and no claim of speed.
                Biases and activations are not counted
    Raises      ValueError if bag_length is below 0 or a "w" is not a matrix
    Source      the usual count; Sze et al., Efficient processing of deep neural networks (2017)

    >>> multiply_adds({"table0": np.zeros((9, 4)), "w0": np.eye(4), "b0": np.zeros(4), "w1": np.ones((4, 1))})
    20.0
    >>> multiply_adds({"w0": np.eye(4), "w1": np.ones((4, 1))}, skip_zeros=True)
    8.0
    """
    if bag_length < 0:
        raise ValueError(f"bag_length is {bag_length}; use the mean number of codes per bag, from 0")
    total = 0.0
    for name, tensor in decode_tables(params).items():
        codes, zero = _codes_and_zero(tensor)
        if name.startswith("w"):
            if codes.ndim != 2:
                raise ValueError(f"{name} is {codes.shape}; a layer's weight has the shape (I, O)")
            total += int(np.count_nonzero(codes != zero)) if skip_zeros else codes.size
        elif name.startswith("table"):
            total += max(bag_length - 1, 0) * codes.shape[1]
    return total


def bit_operations(multiply_adds: float, weight_bits: int, activation_bits: int) -> float:
    """Return multiply-adds weighted by the bits of their factors: what an integer multiplier of that width costs.

    Equation    multiply_adds * weight_bits * activation_bits
    Shapes      takes no arrays
    Units       bit operations
    Convention  a float32 factor counts 32 bits, by the same rule; the accumulator's width is left out
    Raises      ValueError if a number of bits is below 1
    Source      van Baalen et al., Bayesian Bits (2020); Baskin et al., UNIQ (2018) also counts the accumulator

    >>> bit_operations(20, 4, 8)
    640.0
    """
    if min(weight_bits, activation_bits) < 1:
        raise ValueError(f"{weight_bits} and {activation_bits} bits: both factors of a multiplication have at least 1 bit")
    return float(multiply_adds) * weight_bits * activation_bits


def _latency(seconds: NDArray[np.float64]) -> Latency:
    return Latency(float(np.median(seconds)), float(np.quantile(seconds, 0.95, method="inverted_cdf")), seconds.size)


def measure_in_turn(
    functions: Sequence[Callable[[], Any]],
    repeats: int = 30,
    warmup: int = 3,
    *,
    calls: int = 1,
    clock: Callable[[], int] | None = None,
) -> NDArray[np.float64]:
    """Measure several functions in turn: every round calls each of them.

    Shapes      F functions -> (repeats, F)
    Units       seconds per call
    Convention  rounds run forwards and backwards by turns, with the garbage collector off. Compare two functions by the ratios
                of their columns, round by round: a busy machine slows both members of a round alike, and the spread of the
                ratios says how sure their median is. `warmup` and `calls` as in measure_latency. `clock` (perf_counter_ns):
                time.thread_time_ns counts only what this thread computes. On an idle machine that is the time of work on one
                thread; on a busy one it leaves out the waiting, which falls on long calls and spares short ones
    Raises      ValueError if repeats or calls is below 1, or warmup is below 0
    Source      this package; the ABBA order of experiments against drift

    >>> seconds = measure_in_turn([lambda: sum(range(20000)), lambda: sum(range(1000))], repeats=9)
    >>> seconds.shape, bool(np.median(seconds[:, 0] / seconds[:, 1]) > 1)
    ((9, 2), True)
    """
    if repeats < 1 or warmup < 0 or calls < 1:
        raise ValueError(f"repeats {repeats}, warmup {warmup}, calls {calls}; use at least 1, 0 and 1")
    clock = clock or time.perf_counter_ns
    for function in functions:
        for _ in range(warmup):
            function()
    seconds = np.empty((repeats, len(functions)))
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()  # a collection would be charged to whichever function it happens to interrupt
    try:
        for i in range(repeats):
            # every other round runs backwards, so that a machine which slows down or warms up favours neither
            for j in range(len(functions))[:: 1 if i % 2 == 0 else -1]:
                function = functions[j]
                start = clock()
                for _ in range(calls):
                    function()
                seconds[i, j] = (clock() - start) / calls * 1e-9
    finally:
        if collecting:
            gc.enable()
    return seconds


def measure_latency(function: Callable[[], Any], repeats: int = 30, warmup: int = 3, *, calls: int = 1) -> Latency:
    """Measure how long a call of `function` takes.

    Shapes      takes no arrays
    Units       seconds per call
    Convention  `warmup` calls first, unmeasured (caches, lazy imports); then `repeats` times on a monotonic clock with
                the garbage collector off, each over `calls` calls (raise it where one call is below a microsecond or so).
                The median, because noise only ever adds; p95 shows how noisy the machine was
    Raises      ValueError if repeats or calls is below 1, or warmup is below 0
    Source      time.perf_counter_ns; the collector's treatment as in Python's timeit

    >>> latency = measure_latency(lambda: sum(range(1000)), repeats=5)
    >>> 0 < latency.median <= latency.p95, latency.n
    (True, 5)
    """
    return _latency(measure_in_turn((function,), repeats, warmup, calls=calls)[:, 0])


def compare_latency(
    first: Callable[[], Any], second: Callable[[], Any], repeats: int = 30, warmup: int = 3, *, calls: int = 1
) -> Comparison:  # fmt: skip
    """Measure two functions in turn, and how many times as fast the second is.

    Equation    ratio = median over rounds of (seconds of first) / (seconds of second)
    Shapes      takes no arrays
    Units       seconds per call; the ratio is a plain number
    Convention  first, second, second, first, first, ...: the ratio within a round is fair where the two times, measured one
                after the other, are not. Otherwise as measure_in_turn
    Raises      ValueError if repeats or calls is below 1, or warmup is below 0
    Source      measure_in_turn

    >>> compare_latency(lambda: sum(range(20000)), lambda: sum(range(1000)), repeats=9).ratio > 1
    True
    """
    seconds = measure_in_turn((first, second), repeats, warmup, calls=calls)
    pairs = np.maximum(seconds, 1e-9)  # a clock too coarse to see a call would divide by 0
    return Comparison(_latency(seconds[:, 0]), _latency(seconds[:, 1]), float(np.median(pairs[:, 0] / pairs[:, 1])))
