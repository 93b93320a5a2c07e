"""Matrix products of integer codes, exactly, at the speed of the floating-point library underneath.

NumPy multiplies int32 matrices one number at a time; its float32 product runs on every lane of the processor. Integers up to
2^24 are exact in float32, and so is each sum of products while it stays below that: then the fast product is the exact one.

Limits of exact sums. With |a| <= A and |b| <= B every partial sum, in any order of summation and with or without fused
multiply-add, is an integer of magnitude <= K A B; all of them are exact in a float of p bits while K A B <= 2^p:

    codes             A B           float32, p = 24     float64, p = 53
    int8 x int8       128 128       K <= 1,024          2^39
    uint8 x int8      255 128       K <=   514          2.7 10^11
    uint8 x uint8     255 255       K <=   258          1.3 10^11
    int16 x int16     2^30          (never: A B > 2^24) K <= 2^23

Longer sums are cut into blocks of that many terms and the blocks added in int64.

Letters     a (..., K), b (K, N) codes; a_zero, b_zero their zero points; K the number of terms of a sum; acc the int32 sums
Not here: a whole layer or network (integer_layers, integer_network). Read next: dynamic, integer_layers.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tinycompress.fixed_point import quantize_multiplier
from tinycompress.requantization import requantize

Array = npt.NDArray[Any]
OVERFLOWS = ("raise", "wrap", "saturate")
NARROW = (np.int8, np.uint8, np.int16, np.uint16)  # the types of codes; a wider array becomes the first of them that holds it
__all__ = ["integer_matmul", "to_int32", "requantize", "quantize_multiplier"]


def integer_matmul(
    a: npt.ArrayLike, b: npt.ArrayLike, a_zero: npt.ArrayLike = 0, b_zero: npt.ArrayLike = 0, overflow: str = "raise"
) -> Array:
    """Return the exact int32 sums of products of codes, zero points taken off.

    Equation    y_mn = sum over k of (a_mk - a_zero)(b_kn - b_zero)                                                     (1)
                     = sum a_mk b_kn - a_zero sum b_kn - b_zero sum a_mk + K a_zero b_zero                              (2)
    Shapes      a (..., K), b (K, N) integers of at most 16 bits, or wider ones with values in that range; a_zero () or
                (...,), one per row of a; b_zero () or (N,), one per column of b -> y (..., N) int32
    Limits      float32 products for 8 bits, float64 for 16; the table of the module says how many terms at a time
    Convention  overflow: what becomes of a sum that int32 cannot hold: "raise", "wrap" (modulo 2^32, as hardware sums),
                "saturate". Only the final sum counts: an accumulator that wraps on the way ends at the same number
    Raises      ValueError if codes or zero points are not integers, codes exceed 16 bits, shapes differ, a sum overflows, or zero
                points are so large that a term of (2) might exceed int64
    Source      (2): Jacob et al. 2018, "Quantization and Training of Neural Networks ...", section 2.3

    >>> integer_matmul([[1, 2], [255, 255]], [[127, -128], [127, -128]], a_zero=12).tolist()
    [[-2667, 2688], [61722, -62208]]
    """
    _check_overflow(overflow)
    a, b = _codes(a, "a"), _codes(b, "b")
    a_zero, b_zero = np.asarray(a_zero), np.asarray(b_zero)
    for name, zero in (("a_zero", a_zero), ("b_zero", b_zero)):
        if not np.all((abs(zero) < np.inf) & (zero == np.trunc(zero))):
            raise ValueError(f"{name} is {zero.ravel()[:4]}; a zero point is a code, a finite whole number: round it")
    if a.ndim < 1 or b.ndim != 2 or a.shape[-1] != b.shape[0]:
        raise ValueError(f"a has shape {a.shape} and b {b.shape}; they must be (..., K) and (K, N) with one K")
    if a_zero.shape not in ((), a.shape[:-1]) or b_zero.shape not in ((), b.shape[1:]):
        raise ValueError(
            f"zero points have shapes {a_zero.shape} and {b_zero.shape}; "
            f"give one, or one per row {a.shape[:-1]} and per column {b.shape[1:]}"
        )
    K = a.shape[-1]
    # the magnitude that (2) can reach on the way decides whether int32 will do; int64 is twice the memory traffic
    za, zb = _largest(a_zero), _largest(b_zero)
    reach = max(K, 1) * (_magnitude(a) + za) * (_magnitude(b) + zb)  # Python integers, which do not wrap
    if reach >= 2**63:
        found = f"with |a_zero| up to {za} and |b_zero| up to {zb} sums of {K} terms might not fit int64"
        raise ValueError(f"{found}; give zero points within the range of the codes")
    if reach < 2**31:
        return _sums(a, b, a_zero, b_zero, np.int32)
    return to_int32(_sums(a, b, a_zero, b_zero, np.int64), overflow)


def to_int32(y: npt.ArrayLike, overflow: str = "raise") -> Array:
    """Return exact sums as int32, those that do not fit by the rule asked for.

    Shapes      y (...) whole numbers, int64 or a float64 that holds them -> int32 (...)
    Raises      ValueError if overflow is "raise" and a sum does not fit, or overflow has another name
    Source      this package

    >>> to_int32([2**31, -1], "wrap").tolist(), to_int32([2**31, -1], "saturate").tolist()
    ([-2147483648, -1], [2147483647, -1])
    """
    _check_overflow(overflow)
    y = np.asarray(y, np.int64)
    if overflow == "wrap" or not y.size or (y.min() >= -(2**31) and y.max() < 2**31):
        return y.astype(np.int32)
    if overflow == "raise":
        raise ValueError(
            f"sums from {y.min()} to {y.max()} do not fit int32; give overflow='wrap' or 'saturate', or smaller codes"
        )
    return np.asarray(np.clip(y, -(2**31), 2**31 - 1).astype(np.int32))


def _check_overflow(overflow: str) -> None:
    if overflow not in OVERFLOWS:
        raise ValueError(f"overflow is {overflow!r}; use one of {', '.join(OVERFLOWS)}")


def _codes(x: npt.ArrayLike, name: str) -> Array:
    x = np.asarray(x)
    if x.dtype.kind not in ("i", "u"):
        raise ValueError(f"{name} is {x.dtype}; it must hold integer codes: quantize it first")
    if x.dtype in NARROW:
        return x
    if not x.size:
        return x.astype(np.int8)
    low, high = int(x.min()), int(x.max())
    for narrow in NARROW:
        if np.iinfo(narrow).min <= low and high <= np.iinfo(narrow).max:
            return x.astype(narrow)
    raise ValueError(f"{name} holds codes from {low} to {high}; products of more than 16 bits are not exact here")


def _sums(a: Array, b: Array, a_zero: Array, b_zero: Array, wide: Any) -> Array:
    """(2), in an integer type that holds it and all its terms."""
    y, a_zero, b_zero = _products(a, b, wide), a_zero[..., None].astype(wide), b_zero.astype(wide)
    if b_zero.any():  # without a zero point the pass over a is spared
        y -= b_zero * (a.sum(-1, dtype=wide)[..., None] - a.shape[-1] * a_zero)  # the last two terms at once
    if a_zero.any():
        y -= a_zero * b.sum(0, dtype=wide)
    return y


def _products(a: Array, b: Array, wide: Any) -> Array:
    """The first sum of (2), by floating-point products of as many terms as stay exact."""
    K, (floating, block) = a.shape[-1], _exact_terms(a, b)
    total = (a[..., :block].astype(floating) @ b[:block].astype(floating)).astype(wide)
    for k in range(block, K, block):
        total += (a[..., k : k + block].astype(floating) @ b[k : k + block].astype(floating)).astype(wide)
    return np.asarray(total)


def _exact_terms(a: Array, b: Array) -> tuple[Any, int]:
    """The floating type for two types of codes, and how many of their products it adds exactly: the table of the module.

    >>> [_exact_terms(np.int8([1]), other) for other in (np.int8([1]), np.uint8([1]), np.int16([1]))]
    [(<class 'numpy.float32'>, 1024), (<class 'numpy.float32'>, 514), (<class 'numpy.float64'>, 2147483648)]
    """
    floating, bits = (np.float32, 24) if a.itemsize == b.itemsize == 1 else (np.float64, 53)
    return floating, 2**bits // (_magnitude(a) * _magnitude(b))


def _magnitude(x: Array) -> int:
    return max(-int(np.iinfo(x.dtype).min), int(np.iinfo(x.dtype).max))


def _largest(zero: Array) -> int:
    return max(-int(zero.min(initial=0)), int(zero.max(initial=0)))  # subtle: the int64 -2^63 has no absolute value
