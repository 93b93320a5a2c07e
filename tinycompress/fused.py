"""a b + c rounded once, as one machine instruction does it, from NumPy's separate product and sum.

Kernels compiled for modern processors multiply and add in one step, FMA: the product is never rounded. Where x / s + z lands
next to a tie, that missing rounding decides the code. NumPy has no such instruction, so the error that its own product and
sum make is recovered exactly and put back.

Letters     a, b, c, the operands; p, e a rounded result and its error, so that p + e is exact; fl() rounds to the dtype
Not here: who fuses what (conventions.toml). Read next: grids.
"""
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def fused_multiply_add(a: npt.ArrayLike, b: npt.ArrayLike, c: npt.ArrayLike) -> Array:
    """Return a b + c, rounded once.

    Equation    fl(a b + c), the exact value inside, round half to even
    Shapes      a, b, c broadcast together; all float32 -> float32, anything else -> float64
    Bound       exact in float32 (subnormals, overflow, infinities included); exact in float64 where neither |a|, |b| nor
                |a b| passes 2^996 and a b is 0 or above 2^-960, elsewhere within one more rounding
    Source      Boldo and Melquiond 2008, "Emulation of a FMA and correctly rounded sums: proved algorithms using rounding
                to odd", IEEE Transactions on Computers 57(4)

    >>> a = np.float32(1 + 2**-12)                # a a = 1 + 2^-11 + 2^-24, one bit more than float32 holds
    >>> float(a * a - np.float32(1)), float(fused_multiply_add(a, a, np.float32(-1))) - 2**-11 == 2**-24
    (0.00048828125, True)
    """
    a, b, c = np.asarray(a), np.asarray(b), np.asarray(c)
    with np.errstate(all="ignore"):
        if a.dtype == b.dtype == c.dtype == np.float32:
            return _fused32(a.astype(np.float64), b.astype(np.float64), c.astype(np.float64))
        return _fused64(a.astype(np.float64), b.astype(np.float64), c.astype(np.float64))


def add_to_odd(a: Array, b: Array) -> Array:
    """Return a + b rounded to odd: the exact sum if a float64 holds it, else whichever float64 neighbour has an odd last bit.

    Why odd: a float32 tie is a float64 with an even last bit. Where the exact sum is close to a tie but not on it, rounding to
    nearest may land on the tie and lose the side; rounding to odd never does, so a second rounding errs no more than one.

    Shapes      a, b (...) float64 -> (...)
    Source      Boldo and Melquiond 2008, theorem 1: needs two bits more than the final format; float64 has 29 more

    >>> s = add_to_odd(np.float64(1 + 2**-24), np.float64(2**-80))     # a hair above a float32 tie
    >>> float(np.float32(1 + 2**-24 + 2**-80)), float(np.float32(s)) == 1 + 2**-23
    (1.0, True)
    """
    total, error = _two_sum(a, b)
    bits = np.array(total, np.float64, ndmin=1).view(np.int64)
    inexact = (error != 0) & np.isfinite(error) & ((bits & 1) == 0).reshape(np.shape(total))
    # one step in magnitude is one step of the bits: away from zero if the error has the sign of the sum, else toward it
    step = np.where((error > 0) == (total > 0), 1, -1) * inexact
    return np.asarray((bits + step.reshape(bits.shape)).view(np.float64).reshape(np.shape(total)))


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """fl(a + b) and its error, exactly (Knuth): no case distinction, six operations."""
    total = a + b
    b_seen = total - a
    return total, (a - (total - b_seen)) + (b - b_seen)


def _two_product(a: Array, b: Array) -> tuple[Array, Array]:
    """fl(a b) and its error, exactly (Dekker): each factor split in two halves of 26 bits, whose products are exact."""
    a_high, b_high = (v * 134217729.0 - (v * 134217729.0 - v) for v in (a, b))  # 2^27 + 1
    a_low, b_low = a - a_high, b - b_high
    product = a * b
    return product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low


def _fused32(a: Array, b: Array, c: Array) -> Array:
    shape = np.broadcast_shapes(a.shape, b.shape, c.shape)
    product = a * b  # exact: 24 + 24 <= 53 bits
    total = np.atleast_1d(product + c)
    answer = total.astype(np.float32)
    # Only a float64 that is itself a float32 tie can round to the wrong side; below 2^-126 ties lie elsewhere: all are suspects.
    suspects = ((total.view(np.int64) & (2**29 - 1)) == 2**28) | (np.abs(total) < 2.0**-126)
    if suspects.any():
        product, c = np.broadcast_to(product, total.shape), np.broadcast_to(c, total.shape)
        answer[suspects] = add_to_odd(product[suspects], c[suspects]).astype(np.float32)
    return answer.reshape(shape)


def _fused64(a: Array, b: Array, c: Array) -> Array:
    product, product_error = _two_product(a, b)
    low, low_error = _two_sum(c, product_error)
    high, high_error = _two_sum(product, low)
    answer = high + add_to_odd(high_error, low_error)
    return np.where(np.isfinite(answer), answer, a * b + c)  # where splitting overflowed, the plain product is all there is
