"""Multiplying by a fraction with integers only: a 31-bit mantissa, a shift, and one rounding or two.

A processor without floating point multiplies an int32 sum by m = 0.0123 as (sum mantissa) / 2^31 / 2^-shift. Libraries agree on
that and differ in where they round. Twice, and 1 x 0.25 becomes 1: the first rounding makes it 1/2, the second 1. Everything
here is exact in int64, so a tie is a tie and never a float that happens to lie near one.

Letters     x, a, b int32 integers; m the real multiplier; mantissa and shift with m = mantissa 2^(shift - 31) nearly
Not here: zero points, clipping to a range of codes, multipliers in floating point (requantization). Read next: requantization.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


class FixedPoint(NamedTuple):
    """A positive multiplier as integers: mantissa 2^(shift - 31), with 2^30 <= mantissa < 2^31; (0, 0) is zero."""

    mantissa: Any  # int or int64 (...)
    shift: Any  # int or int64 (...), -31 ... 30; negative for m < 1/2


def rounding_shift(v: npt.ArrayLike, shift: npt.ArrayLike, rounding: str = "half_up") -> Array:
    """Return v / 2^shift rounded to an integer, exactly.

    Equation    q = floor(v / 2^shift) + [the remainder is over a half, or a half and the rule goes up]
    Shapes      v int64 (...), shift int (...) from 0 to 62 -> q int64 (...)
    Convention  rounding: half_up (the tie toward +inf), half_away (from zero), half_even, half_down (toward -inf)
    Raises      ValueError if a shift is outside 0 ... 62 or the rounding has another name
    Source      this package; ARM calls half_up "rounding shift right" (VRSHR)

    >>> [rounding_shift([-6, -2, 2, 6], 2, rule).tolist() for rule in ("half_up", "half_away", "half_even")]
    [[-1, 0, 1, 2], [-2, -1, 1, 2], [-2, 0, 0, 2]]
    """
    v, shift = np.asarray(v, np.int64), np.asarray(shift, np.int64)
    if ((shift < 0) | (shift > 62)).any():
        raise ValueError(f"shifts from {shift.min()} to {shift.max()} are asked; int64 can be shifted right by 0 to 62")
    floor = v >> shift
    remainder, half = v - (floor << shift), (np.int64(1) << shift) >> 1  # shift 0: no remainder, and half is 0
    if rounding == "half_up":
        tie_up: Any = True
    elif rounding == "half_away":
        tie_up = v >= 0
    elif rounding == "half_even":
        tie_up = floor & 1 == 1
    elif rounding == "half_down":
        tie_up = False
    else:
        raise ValueError(f"rounding is {rounding!r}; use half_up, half_away, half_even or half_down")
    return np.asarray(floor + ((remainder > half) | ((remainder == half) & (shift > 0) & tie_up)))


def quantize_multiplier(real: npt.ArrayLike) -> FixedPoint:
    """Return the mantissa and the shift of a real multiplier m >= 0.

    Equation    m = f 2^shift with 1/2 <= f < 1; mantissa = half_away(2^31 f); a mantissa of 2^31 becomes 2^30, shift + 1
    Shapes      real float () or (...) -> mantissa int32 values, shift: int where real is one number, else int64 (...)
    Bound       |mantissa 2^(shift - 31) - m| <= 2^-31 m
    Limits      below 2^-32: (0, 0)
    Raises      ValueError if m is negative, not finite, or 2^30 and more
    Source      TensorFlow Lite, kernels/internal/quantization_util.cc, QuantizeMultiplier

    >>> quantize_multiplier(0.1), quantize_multiplier(1.0)
    (FixedPoint(mantissa=1717986918, shift=-3), FixedPoint(mantissa=1073741824, shift=1))
    """
    m = np.asarray(real, np.float64)
    if not ((m >= 0) & (m < 2.0**30)).all():  # false for NaN, too
        raise ValueError(
            f"a multiplier of {real!r} has no fixed-point form; it must be at least 0 and below 2^30: use a float rule"
        )
    fraction, shift = np.frexp(m)
    scaled = fraction * 2.0**31
    mantissa = np.floor(scaled).astype(np.int64) + (scaled - np.floor(scaled) >= 0.5)
    carry = mantissa == 2**31
    mantissa, shift = np.where(carry, 2**30, mantissa), shift.astype(np.int64) + carry
    tiny = shift < -31
    mantissa, shift = np.where(tiny, 0, mantissa), np.where(tiny, 0, shift)
    return FixedPoint(int(mantissa), int(shift)) if m.ndim == 0 else FixedPoint(mantissa, shift)


def saturating_rounding_doubling_high_mul(a: npt.ArrayLike, b: npt.ArrayLike) -> Array:
    """Return a b / 2^31 rounded half up: the product of two fractions in [-1, 1) kept in 31 bits.

    Equation    r = floor((a b + 2^30) / 2^31), INT32_MAX for a = b = INT32_MIN, the one product that does not fit
    Shapes      a, b int32 values (...) -> r int64 (...), int32 values
    Raises      ValueError if a value is outside int32
    Source      gemmlowp, fixedpoint.h, SaturatingRoundingDoublingHighMul; ARM's SQRDMULH

    >>> saturating_rounding_doubling_high_mul([-5, -3, -1, 1, 3], 2**30).tolist()
    [-2, -1, 0, 1, 2]
    """
    product = _int32(a, "a") * _int32(b, "b")
    return np.minimum(rounding_shift(product, 31), INT32_MAX)


def rounding_divide_by_pot(x: npt.ArrayLike, exponent: npt.ArrayLike) -> Array:
    """Return x / 2^exponent rounded half away from zero.

    Shapes      x int32 values (...), exponent int (...) from 0 to 31 -> r int64 (...), int32 values
    Raises      ValueError if x is outside int32 or an exponent outside 0 ... 62
    Source      gemmlowp, fixedpoint.h, RoundingDivideByPOT

    >>> rounding_divide_by_pot([-5, -3, -1, 1, 3, 5], 1).tolist()
    [-3, -2, -1, 1, 2, 3]
    """
    return rounding_shift(_int32(x, "x"), exponent, "half_away")


def multiply_fixed_point(x: npt.ArrayLike, multiplier: FixedPoint, roundings: int = 2, rounding: str = "half_away") -> Array:
    """Return x m rounded to an integer, m in fixed point, rounding once or twice.

    Equation    twice  q = rounding(half_up((x 2^max(shift, 0)) mantissa / 2^31) / 2^max(-shift, 0))                 (1)
                once   q = rounding(x mantissa / 2^(31 - shift))                                                     (2)
    Shapes      x int32 values (...), multiplier broadcasts against x -> q int64 (...)
    Bound       once: |q - x m| <= 1/2 + 2^-31 |x m|; twice: a further 1/2 2^shift where shift < 0
    Convention  twice, half_away: gemmlowp and TensorFlow Lite (MultiplyByQuantizedMultiplier); twice, half_up: the vector
                code of both; once, half_up: ruy's reference. In (1) x 2^shift wraps in int32, as it does there
    Raises      ValueError if x is outside int32 or roundings is neither 1 nor 2
    Source      TensorFlow Lite, kernels/internal/common.cc; ruy, apply_multiplier.cc

    >>> quarter = FixedPoint(2**30, -1)
    >>> [multiply_fixed_point([-6, 1, 5], quarter, times, "half_up").tolist() for times in (2, 1)]
    [[-1, 1, 2], [-1, 0, 1]]
    """
    x = _int32(x, "x")
    mantissa, shift = np.asarray(multiplier.mantissa, np.int64), np.asarray(multiplier.shift, np.int64)
    if roundings == 1:
        return rounding_shift(x * mantissa, 31 - shift, rounding)  # (2)
    if roundings != 2:
        raise ValueError(f"roundings is {roundings}; fixed-point multiplication rounds once or twice")
    left = (x << np.maximum(shift, 0)).astype(np.int32).astype(np.int64)
    return rounding_shift(saturating_rounding_doubling_high_mul(left, mantissa), np.maximum(-shift, 0), rounding)  # (1)


def choose_requantization_multiplier(real: float, precision: int = 32) -> tuple[int, int]:
    """Return FBGEMM's form of a multiplier, (multiplier, right_shift): m = multiplier 2^(32 - precision) / 2^right_shift nearly.

    Equation    fl32(m) = f 2^e with 1/2 <= f < 1; multiplier = half_even(f 2^(precision - 1)), right_shift = 31 - e
    Shapes      real float, precision int (bits, sign included) -> two ints
    Bound       exact at 32 bits: a float32 has 24
    Raises      ValueError if m is not positive and finite, or its right_shift not in 0 ... 63
    Source      FBGEMM 71d6f8b, src/QuantUtils.cc, ChooseRequantizationMultiplier

    >>> choose_requantization_multiplier(0.5), choose_requantization_multiplier(1.5)
    ((1073741824, 31), (1610612736, 30))
    """
    with np.errstate(all="ignore"):  # a real multiplier that float32 cannot hold becomes inf or 0, and is refused below
        m = float(np.float32(real))
    fraction, exponent = np.frexp(m) if 0 < m < np.inf else (np.float64(0), -33)
    if not -33 < exponent <= 31:
        raise ValueError(f"a multiplier of {real} has no right shift in 0 ... 63; it must be at least 2^-33 and below 2^31")
    multiplier, right_shift = int(np.rint(fraction * 2.0 ** (precision - 1))), 31 - int(exponent)
    if multiplier == 2 ** (precision - 1):
        multiplier, right_shift = multiplier // 2, right_shift - 1
    return multiplier, right_shift


def saturating_rounding_mul_with_shift(a: npt.ArrayLike, b: npt.ArrayLike, right_shift: int) -> Array:
    """Return a b / 2^right_shift rounded half up; in spite of its name at the source, it never saturates.

    Shapes      a, b int32 values (...), right_shift int from 1 to 62 -> r int64 (...)
    Raises      ValueError if a value is outside int32 or the shift outside 0 ... 62
    Source      FBGEMM 71d6f8b, src/QuantUtils.cc, SaturatingRoundingMulWithShift

    >>> saturating_rounding_mul_with_shift([-3, 3], 2**30, 31).tolist()
    [-1, 2]
    """
    return rounding_shift(_int32(a, "a") * _int32(b, "b"), right_shift)


def _int32(x: npt.ArrayLike, name: str) -> Array:
    x = np.asarray(x)
    if x.dtype.kind not in "iub" or (x.size and (x.min() < INT32_MIN or x.max() > INT32_MAX)):
        raise ValueError(f"{name} holds {x.dtype} values that are not int32; it must be integers from {INT32_MIN} to {INT32_MAX}")
    return x.astype(np.int64)
