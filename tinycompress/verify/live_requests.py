"""What each operation is asked live: legal arguments of every kind, drawn so that the mutants are seen.

One function per group of operations draws one request; `requests` goes on drawing. Elementwise operations meet no entries, one
entry, 0-d arrays, every memory layout, more than 255 rows and scales per row; integers meet the ends of their types; lists meet
ties, k beyond the row and rows with nothing relevant. No array has more than 4,096 entries.

Letters     as in the operations
Not here: the numbers themselves (hard_inputs), what is right (oracle). Read next: live_requests_floats.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinycompress.verify.adapters import Request
from tinycompress.verify.hard_inputs import (
    LENGTHS,
    Rng,
    code_range,
    edge_ties,
    hard_floats,
    lay_out,
    scale,
    shape_of,
    tied_numbers,
    zero_point,
)  # fmt: skip
from tinycompress.verify.hard_inputs import dtype as draw_dtype
from tinycompress.verify.hard_inputs import size as draw_size
from tinycompress.verify.live_requests_floats import FLOAT_DRAWS

SPARSITIES = (0.0, 1.0, 0.5, 0.1, 0.25, 0.3, 0.75, 0.9, 1 / 3)


def _on_grid(rng: Rng, i: int, operation: str) -> Request:
    low, high = code_range(rng)
    s, z = scale(rng), zero_point(rng, low, high)
    n = draw_size(rng, i)
    shape = () if i == 8 else (300, 2) if i == 9 else (i // 4, i // 4) if i % 8 == 2 and i > 9 else shape_of(rng, n)
    n = int(np.prod(shape))
    if operation == "dequantize":
        name = "i4" if rng.random() < 0.2 else f"{'i' if low < 0 else 'u'}{1 if high - low < 256 else 2}"
        x = lay_out(rng, rng.integers(low, high, n, endpoint=True).astype(name).reshape(shape))
        low, high = int(np.iinfo(x.dtype).min), int(np.iinfo(x.dtype).max)
    else:
        x = hard_floats(rng, n, s, z, low, high, wild=i % 2 == 0)
        if operation == "fake_quantize_backward":  # only the ends of the range show in the gradient
            x = np.where(rng.random(n) < 0.6, edge_ties(rng, n, s, z, low, high), x)
        x = lay_out(rng, x.reshape(shape))
        if n and i % 6 in (1, 4):
            x = x.copy()
            x.reshape(-1)[int(rng.integers(n))] = np.nan
    scales: Any = s
    zeros: Any = z
    axis = None
    if shape and (i == 9 or i % 4 == 2):
        axis, rows = 0, shape[0]
        scales = np.array([s] + [scale(rng) for _ in range(rows - 1)], np.float32)[:rows]
        if rng.random() < 0.7:
            zeros = rng.integers(max(low, -(2**15)), min(high, 2**16), rows, endpoint=True)
    ends = () if operation == "dequantize" else (low, high)
    arguments = (x, scales, zeros, *ends)
    if operation == "fake_quantize_backward":
        arguments = (lay_out(rng, rng.standard_normal(shape).astype(np.float32) + np.float32(3)), *arguments)
    return Request(operation, arguments, axis)


def _qparams(rng: Rng, i: int, operation: str) -> Request:
    n, bits = draw_size(rng, i), 8 if rng.random() < 0.5 else int(rng.integers(2, 17))
    x = hard_floats(rng, n, scale(rng), 0, -100, 100, wild=False)
    x = np.where(np.abs(x) < 1e30, x, np.float32(1.5)).astype(np.float32)
    kind = i % 5
    if kind == 1:
        x = np.abs(x) + np.float32(0.5)  # nothing near 0: is the range widened?
    elif kind == 2:
        x = -np.abs(x) - np.float32(0.25)
    elif kind == 3:
        x = rng.integers(-20, 60, n).astype(np.float32) / np.float32(8)
    if n > 1 and i % 2:  # s is a power of two exactly, and the lowest number stands at a tie, or an ulp beside it
        bits = max(bits, 5)
        s, k = 2.0 ** int(rng.integers(-6, 3)), int(rng.integers(1, 1 << bits - 3))
        lowest = np.nextafter(np.float32(-(k + 0.5) * s), np.float32(rng.choice([-np.inf, np.inf])))
        x = np.linspace(lowest if rng.random() < 0.6 else -(k + 0.5) * s, ((1 << bits) - 1.5 - k) * s, n).astype(np.float32)
    if i in (9, 10):
        x = np.full(5, 0.0 if i == 9 else -0.0, np.float32)
    if i > 10 and i % 10 == 6:  # subnormal: the scale has two or three bits, and the zero point leaves the range
        x, bits = np.arange(-int(rng.choice([4, 7])), 1).astype(np.float32) * np.float32(1.5e-45), 2
    return Request(operation, (lay_out(rng, x.reshape(shape_of(rng, n) if x.size == n else x.shape)), bits))


def _requantize(rng: Rng, i: int, operation: str) -> Request:
    low, high = code_range(rng)
    z, n = zero_point(rng, low, high), draw_size(rng, i)
    m = float(rng.choice([0.5, 0.25, 2.0**-10, 1.5, 1 / 3, 0.0078125 * 3, 2.5e-6, 7.3e-8])) if rng.random() < 0.6 else float(
        np.exp(rng.uniform(-16, 1)))  # fmt: skip
    if i % 6 == 2:
        m = float(np.exp(rng.uniform(-17, -12)))  # the sums have more bits than a float32 holds
    elif i % 5 == 4:
        m = -m
    if i % 6 == 5:
        m = float(rng.choice([1.25, 2.0, 6.5]))  # with the ends of int32 the product leaves it
    k = rng.integers(low - z - 2, high - z + 2, n) + rng.choice([0.5, 0.5, 0.0, 0.25], n)
    acc = np.clip(np.rint(k / m), -(2**31), 2**31 - 1)
    ends = rng.choice([-(2.0**31), 2.0**31 - 1, 2.0**24 + 1, -(2.0**24) - 3, 0, 1, -1], n)
    acc = np.where(rng.random(n) < (0.3 if i % 6 == 5 else 0.8), acc, ends).astype(np.int32)
    return Request(operation, (lay_out(rng, acc if i != 8 or not n else acc[:1].reshape(())), m, z, low, high))


def _matmul(rng: Rng, i: int, operation: str) -> Request:
    rows, columns = (*LENGTHS, 300, 0)[i] if i < 8 else int(rng.integers(1, 6)), int(rng.integers(1, 4))
    k = int(rng.choice([1, 2, 3, 5, 8, 33])) if rows > 4 else 700 if i % 4 == 1 else int(rng.choice([1, 7, 64, 65, 300]))
    made, zeros = [], []
    if i > 8 and i % 4 == 3:  # an odd sum above 2^24, which no float32 holds
        a, b = np.full((1, 699), 255, np.uint8), np.full((699, 1), 255 - 2 * int(rng.integers(3)), np.uint8)
        return Request(operation, (a, b, 0, 0))
    for shape in ((rows, k), (k, columns)):
        info = np.iinfo(np.int8 if rng.random() < 0.6 else np.uint8)
        ends = rng.random() < 0.4
        part = rng.integers(info.max - (2 if ends else 255), info.max, shape, endpoint=True).astype(info.dtype)
        if not ends:
            part = np.where(rng.random(shape) < 0.1, info.dtype.type(info.min), part)
        made.append(lay_out(rng, part))
        zeros.append(int(rng.choice([0, int(info.min), int(info.max), int(rng.integers(info.min, info.max))])))
    return Request(operation, (*made, *zeros))


def _bits(rng: Rng, i: int, operation: str) -> Request:
    bits = int(rng.choice([1, 2, 4, 8]))
    n = draw_size(rng, i)
    codes = rng.integers(0, 1 << bits, n).astype(np.uint8)
    if operation == "pack":
        return Request(operation, (lay_out(rng, codes), bits))
    buffer = rng.integers(0, 256, -(-n * bits // 8)).astype(np.uint8).tobytes()
    return Request(operation, (buffer, bits, n))


def _magnitude(rng: Rng, i: int, operation: str) -> Request:
    n, dtype = draw_size(rng, i), draw_dtype(rng)
    share = float(rng.choice(SPARSITIES))
    if n and rng.random() < 0.5:
        share = min(1.0, (int(rng.integers(n)) + 0.5) / n)  # the count itself stands at a tie
    if i % 4 == 3:  # the same, where a float32 product falls on the other side
        pairs = [(m, (j + 0.5) / m) for m in rng.integers(20, 60, 8).tolist() for j in range(m)]
        n, share = next(((m, s) for m, s in pairs if np.rint(np.float32(s) * np.float32(m)) != np.rint(s * m)), (n, share))
    w = rng.permutation(np.arange(1, n + 1)).astype(dtype) * rng.choice([-1, 1], n).astype(dtype)
    if rng.random() < 0.6:
        w = tied_numbers(rng, n, dtype)
    if i % 5 == 4:
        w = w * dtype(2.0**-99 if dtype is np.float32 else 2.0**-999)  # squares underflow
    return Request(operation, (lay_out(rng, w.reshape(shape_of(rng, n))), share))


def _n_m(rng: Rng, i: int, operation: str) -> Request:
    keep, group = [(2, 4), (1, 4), (3, 4), (1, 2), (2, 5), (4, 8), (4, 4)][int(rng.integers(7))]
    width = (*LENGTHS, 4, 6)[i] if i < 8 else int(rng.integers(1, 14))
    shape = ((width,), (3, width), (2, 2, width), (300, 4), (0,))[i % 5]
    return Request(operation, (lay_out(rng, tied_numbers(rng, int(np.prod(shape)), draw_dtype(rng)).reshape(shape)), keep, group))


DRAWS: dict[str, Callable[[Rng, int, str], Request]] = {
    **dict.fromkeys(("quantize", "dequantize", "fake_quantize", "fake_quantize_backward"), _on_grid),
    **dict.fromkeys(("symmetric_qparams", "asymmetric_qparams"), _qparams),
    "requantize": _requantize, "integer_matmul": _matmul, "pack": _bits, "unpack": _bits,
    "magnitude_mask": _magnitude, "n_m_mask": _n_m, **FLOAT_DRAWS,
}  # fmt: skip


def requests(operation: str, rng: Rng) -> Iterator[Request]:
    """Draw requests of one operation for ever: the awkward sizes first.

    Shapes      as the operation
    Source      this package

    >>> next(requests("pack", np.random.default_rng(0))).arguments[0].shape
    (0,)
    """
    i = 0
    while True:
        with np.errstate(all="ignore"):  # what overflows or underflows is drawn on purpose
            request = DRAWS[operation](rng, i, operation)
        yield request
        i += 1
