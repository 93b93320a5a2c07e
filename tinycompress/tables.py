"""Embedding tables as rows of bytes: low-bit codes, and each row's own scale and bias behind them.

A row is [codes, low bits first][scale][bias]; its value at column d is code_d scale + bias. Because each row carries its own
range, a rare item with small weights keeps its precision; because the row is one run of bytes, looking an item up reads one
place in memory. Rows are decoded when they are asked for, never the table.

Letters     x (V, D) a table, V rows, D columns; q codes, s scale, bias the value of code 0, b bits, N bags, L entries of a bag
Not here: the widths and orders of packing alone (packing), whole models in files (storage). Read next: coding, storage.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from tinycompress.conventions import RowFormat, resolve
from tinycompress.fused import fused_multiply_add
from tinycompress.packing import pack, packed_size, unpack

Array = npt.NDArray[Any]
DEFAULT = RowFormat()
BLOCK = 1 << 20  # numbers decoded at a time


@dataclass(frozen=True, eq=False)
class RowTable:
    """A table as bytes, one row after the other."""

    data: Array  # uint8 (V, bytes of a row)
    columns: int
    format: RowFormat

    def __post_init__(self) -> None:
        row = row_bytes(self.columns, self.format)
        if self.data.dtype != np.uint8 or self.data.ndim != 2 or self.data.shape[1] != row:
            raise ValueError(
                f"data is {self.data.dtype} {self.data.shape}; {self.columns} columns in this format take uint8 (V, {row})"
            )


def row_bytes(columns: int, convention: RowFormat | str = DEFAULT) -> int:
    """Return the bytes of one row.

    Equation    ceil(b D / 8) + 2 (bytes of scale or bias)
    Shapes      takes no arrays
    Source      FBGEMM 71d6f8b, src/QuantUtils.cc

    >>> row_bytes(64, "fbgemm.rowwise8"), row_bytes(64, "fbgemm.rowwise4"), row_bytes(64, "fbgemm.rowwise2")
    (72, 36, 20)
    """
    rule = resolve(convention, RowFormat)
    return packed_size(columns, rule.bits) + 2 * np.dtype(rule.dtype).itemsize


def pack_rows(x: npt.ArrayLike, convention: RowFormat | str = DEFAULT, row_range: tuple[Array, Array] | None = None) -> RowTable:
    """Return a table as low-bit rows.

    Equation    bias = fl(min x_d),   s = fl((max x_d - bias) / (2^b - 1)),   q_d = clip(half_even((x_d - bias) / s))   (1)
                where / s is times fl32(1 / s), and fl rounds to the format's dtype
    Shapes      x (V, D) float32 or float16 -> RowTable of V rows; row_range: lo (V,), hi (V,) instead of each row's own
    Bound       |x_d - (q_d s + bias)| <= s / 2 + (2^b - 1) (s of the format - s in float32) + |bias - min x|, inside the range
    Limits      fbgemm.rowwise8 computes codes with 255 / (range + 1e-8) and stores range / 255: at a range of 1e-8 the decoded
                row has half its width. float16 scales overflow from rows wider than 65504 (2^b - 1): scale inf, decoded as NaN
    Convention  a row without width has scale 1 (or 0, by format) and codes 0
    Raises      ValueError if x is not two-dimensional or holds NaN
    Source      FBGEMM 71d6f8b, FloatOrHalfToFusedNBitRowwiseQuantizedSBHalf and FloatOrHalfToFused8BitRowwiseQuantizedSBFloat

    >>> pack_rows([[0.0, 1.0, 2.0, 3.0]], "fbgemm.rowwise4").data[0].tobytes().hex(" ")
    '50 fa 66 32 00 00'
    """
    rule, x = resolve(convention, RowFormat), np.asarray(x, np.float32)
    if x.ndim != 2 or np.isnan(x).any():
        raise ValueError(f"x has shape {x.shape} and {np.isnan(x).sum()} NaN; a table is (V, D) numbers without NaN")
    levels, dtype = np.float32(2**rule.bits - 1), np.dtype(rule.dtype)
    lo, hi = row_range if row_range is not None else (_minimum(x, rule.lanes), x.max(1, initial=-np.inf))
    lo, hi = (np.asarray(v, np.float32) if x.shape[1] else np.zeros(len(x), np.float32) for v in (lo, hi))
    with np.errstate(all="ignore"):  # overflow to inf, 0 / 0 and inf - inf are the format's own business: see Limits
        bias = lo.astype(dtype)
        width = hi - bias.astype(np.float32)
        stored = np.where(width == 0, np.float32(rule.empty_row == "one"), width / levels).astype(dtype)
        if rule.codes_from == "stored":
            inverse = np.float32(1) / stored.astype(np.float32)
            stored = np.where(np.isinf(inverse), dtype.type(1), stored)  # a scale of 0, or too small to be divided by
            inverse = np.where(np.isinf(inverse), np.float32(1), inverse)
        else:
            inverse = levels / (width + np.float32(rule.epsilon))
        v = np.rint((x - bias.astype(np.float32)[:, None]) * inverse[:, None])  # (1)
        v = np.where(np.abs(v) < 2.0**31, v, 0)  # NaN, too: x86 converts both to -2^31, whose low bits are 0
        v = np.clip(v, 0, levels) if rule.clip else v.astype(np.int64) & 255
    codes = _pack_codes(v.astype(np.uint8), rule.bits)
    tail = np.stack([stored, bias], 1).astype(dtype.newbyteorder("<"))
    return RowTable(np.concatenate([codes, tail.view(np.uint8)], 1), x.shape[1], rule)


def look_up(table: RowTable, rows: npt.ArrayLike) -> Array:
    """Return rows of a table as floats, decoding no others.

    Equation    y_d = fl32(q_d s + bias), rounded once
    Shapes      rows int (...) from 0 to V - 1 -> y (..., D) float32
    Raises      ValueError if a row is outside the table
    Source      FBGEMM 71d6f8b, FusedNBitRowwiseQuantizedSBHalfToFloatOrHalf; PyTorch 2.13, embedding_bag_byte_unpack

    >>> look_up(pack_rows([[0.0, 1.0, 2.0, 3.0], [5.0, 5.0, 5.0, 5.0]], "fbgemm.rowwise2"), [1, 0]).tolist()
    [[5.0, 5.0, 5.0, 5.0], [0.0, 1.0, 2.0, 3.0]]
    """
    rows = _checked_rows(table, rows)
    q, s, bias = _fields(table, rows.ravel())
    with np.errstate(all="ignore"):
        y = fused_multiply_add(q.astype(np.float32), s[:, None], bias[:, None])
    return y.reshape(*rows.shape, table.columns)


def sum_bags(table: RowTable, codes: npt.ArrayLike, offsets: npt.ArrayLike, weights: npt.ArrayLike | None = None) -> Array:
    """Return the sum of the rows of each bag, straight from the packed bytes.

    Equation    y_nd = fl32(sum over the bag's entries of weight (q_d s + bias)), summed in float64
    Shapes      codes int (nnz,) row numbers, offsets (N + 1,) from 0 to nnz, weights (nnz,) or None -> y (N, D) float32
    Bound       |y - exact| <= 2^-24 |y| + L 2^-52 sum |weight (q_d s + bias)|; libraries that sum in float32: L 2^-24 times that
    Limits      an empty bag is 0; memory beyond the answer: one block of decoded rows
    Raises      ValueError if a code is outside the table or the offsets do not run from 0 to nnz
    Source      torch.nn.EmbeddingBag(mode="sum"); PyTorch 2.13, quantized.embedding_bag_byte_rowwise_offsets

    >>> table = pack_rows([[0.0, 3.0], [1.0, 4.0]], "fbgemm.rowwise2")
    >>> sum_bags(table, [0, 1, 1], [0, 2, 2, 3]).tolist()
    [[1.0, 7.0], [0.0, 0.0], [1.0, 4.0]]
    """
    rows, offsets = _checked_rows(table, codes), np.asarray(offsets, np.int64)
    if (
        rows.ndim != 1
        or offsets.ndim != 1
        or not len(offsets)
        or offsets[0] != 0
        or offsets[-1] != len(rows)
        or (np.diff(offsets) < 0).any()
    ):
        raise ValueError(
            f"offsets {offsets[:1]} ... {offsets[-1:]} do not run from 0 to the {len(rows)} codes without decreasing"
        )
    y = np.zeros((len(offsets) - 1, table.columns), np.float64)
    step = max(BLOCK // max(table.columns, 1), 1)
    bag = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))  # the bag of each entry
    for start in range(0, len(rows), step):
        q, s, bias = _fields(table, rows[start : start + step])
        with np.errstate(all="ignore"):
            part = q * s.astype(np.float64)[:, None] + bias.astype(np.float64)[:, None]
            if weights is not None:
                part *= np.asarray(weights, np.float64)[start : start + step, None]
            here = bag[start : start + step]
            first = np.flatnonzero(np.diff(here, prepend=-1))  # where a bag begins, or goes on, in this block
            y[here[first]] += np.add.reduceat(part, first, axis=0)
    return y.astype(np.float32)


def greedy_range(x: npt.ArrayLike, bits: int, bins: int = 200, ratio: float = 0.16) -> tuple[Array, Array]:
    """Return per row the range, found by moving its ends inward step by step, at which low-bit codes lose least.

    Equation    step = (max - min) / bins; of the two ends the one is moved whose move leaves the smaller |x - decoded|; kept is
                the best point at which both moves lose; at most a `ratio` of the width is given up
    Shapes      x (V, D) float32 -> lo (V,), hi (V,) float32, for pack_rows' row_range
    Convention  scales and minima in float16, norms in float32, summed from left to right
    Raises      ValueError if x is not two-dimensional or not finite
    Source      PyTorch 2.13, choose_qparams_optimized (which returns hi before lo); fbgemm, param_search_greedy

    >>> lo, hi = greedy_range([[-1.0, 0.3, 0.31, 0.8, 2.0, 9.0, 0.1, 0.2]], 4)
    >>> float(lo[0]), round(float(hi[0]), 4)
    (-1.0, 8.85)
    """
    x = np.asarray(x, np.float32)
    if x.ndim != 2 or not x.shape[1] or not np.isfinite(x).all():
        raise ValueError(f"x has shape {x.shape} or is not finite; a search needs (V, D) finite numbers, D at least 1")
    lo, hi = x.min(1, initial=np.inf), x.max(1, initial=-np.inf)
    low, high, loss = lo.copy(), hi.copy(), _row_loss(x, lo, hi, bits)
    best, step = loss.copy(), (hi - lo) / np.float32(bins)
    reach = np.float32(int(bins * (1.0 - float(np.float32(ratio))))) * step
    while (active := np.flatnonzero(low + reach < high)).size:
        a, b, d, rows = low[active], high[active], step[active], x[active]
        up, down = _row_loss(rows, a + d, b, bits), _row_loss(rows, a, b - d, bits)
        minimum = (loss[active] < up) & (loss[active] < down) & (loss[active] < best[active])
        at = active[minimum]
        best[at], lo[at], hi[at] = loss[at], low[at], high[at]
        low[active], high[active] = np.where(up < down, a + d, a), np.where(up < down, b, b - d)
        loss[active] = np.where(up < down, up, down)
    return lo, hi


def _row_loss(x: Array, lo: Array, hi: Array, bits: int) -> Array:
    """|x - decoded| per row, as the search measures it."""
    levels = np.float32(2**bits - 1)
    with np.errstate(all="ignore"):
        lo = lo.astype(np.float16).astype(np.float32)
        width = hi - lo
        s = np.where(width == 0, np.float32(1), (width / levels).astype(np.float16).astype(np.float32))
        inverse = np.where(s == 0, np.float32(1), np.float32(1) / s)
        q = np.clip(np.rint((x - lo[:, None]) * inverse[:, None]), 0, levels)
        error = x - (q * s[:, None] + lo[:, None])
        return np.asarray(np.sqrt(np.add.accumulate(error * error, axis=1)[:, -1]))


def _minimum(x: Array, lanes: int) -> Array:
    """Each row's minimum; where it is zero, with the sign of the zero that vector code of that many lanes comes across."""
    lo = x.min(1, initial=np.inf) + np.float32(0)  # + 0: -0.0 becomes 0.0
    zero = np.flatnonzero((lo == 0) & (lanes > 0))
    if zero.size:
        # Each lane keeps its last zero, then the lanes are compared in order, then what is left of the row: the first one stays.
        whole = x.shape[1] // lanes * lanes
        order = np.concatenate([np.arange(whole).reshape(-1, lanes)[::-1].T.ravel(), np.arange(whole, x.shape[1])])
        found = order[(x[zero][:, order] == 0).argmax(1)]
        lo[zero] = x[zero, found]
    return np.asarray(lo)


def _pack_codes(q: Array, bits: int) -> Array:
    per_byte = 8 // bits
    padded = np.pad(q, ((0, 0), (0, -q.shape[1] % per_byte)))  # each row begins on its own byte
    return np.frombuffer(pack(padded, bits), np.uint8).reshape(len(q), padded.shape[1] // per_byte)


def _fields(table: RowTable, rows: Array) -> tuple[Array, Array, Array]:
    """Codes (n, D), scales and biases (n,) of some rows."""
    dtype = np.dtype(table.format.dtype).newbyteorder("<")
    data, code_bytes = table.data[rows], packed_size(table.columns, table.format.bits)
    per_row = code_bytes * (8 // table.format.bits)  # the padding of each row included
    q = unpack(data[:, :code_bytes], table.format.bits, len(rows) * per_row)
    tail = np.ascontiguousarray(data[:, code_bytes:]).view(dtype).astype(np.float32)
    return q.reshape(len(rows), per_row)[:, : table.columns], tail[:, 0], tail[:, 1]


def _checked_rows(table: RowTable, rows: npt.ArrayLike) -> Array:
    rows = np.asarray(rows)
    if rows.size and (rows.dtype.kind not in "iu" or rows.min() < 0 or rows.max() >= len(table.data)):
        raise ValueError(
            f"rows are {rows.dtype} from {rows.min()} to {rows.max()}; the table has rows 0 to {len(table.data) - 1}"
        )
    return rows.astype(np.int64)
