"""From the exact int32 sum of an integer layer to an output code: times a real number, rounded, shifted, clipped.

A layer's sum stands for acc s_x s_w; the next layer wants codes on its own grid, so acc is multiplied by m = s_x s_w / s_y and
rounded. Every library does this one step in its own arithmetic, and it is where two int8 implementations of one network part.

Letters     acc (..., O) the int32 sums, m the multiplier, z zero_point, q output codes, s scale; fl32() rounds to float32
Not here: the sum (integer), integer-only multiplication itself (fixed_point). Read next: integer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tinycompress.conventions import Requantization, resolve
from tinycompress.fixed_point import FixedPoint, multiply_fixed_point, quantize_multiplier, rounding_shift
from tinycompress.rounding import ROUNDINGS, saturate

Array = npt.NDArray[Any]
DEFAULT = Requantization()


def requantize(
    acc: npt.ArrayLike,
    multiplier: npt.ArrayLike | FixedPoint,
    zero_point: npt.ArrayLike,
    qmin: int,
    qmax: int,
    convention: Requantization | str = DEFAULT,
) -> Array:
    """Return the output codes of int32 sums.

    Equation    q = clip(half_even(fl32(fl32(acc) fl32(m))) + z, qmin, qmax)                 (1)  the default
                other rules: float64, fixed point with one or two roundings, 8 fraction bits, z inside the rounding
    Shapes      acc int (..., O) of int32 values, or for a float rule finite floats: sums with a bias that stayed in floating
                point; multiplier and zero_point () or (O,), or any shape that broadcasts against acc -> q of acc's shape, the
                smallest integer dtype that holds qmin and qmax
    Bound       default: |q - z - acc m| <= 1/2 + 3 (1 + u)^2 u |acc m| with u = 2^-24, where (1) did not clip
    Convention  m may be negative or >= 1 in the float rules; fixed-point rules need 0 <= m < 2^30, or take the FixedPoint
                that quantize_multiplier gives. A float32 rule rounds the given m to float32 first
    Raises      ValueError if acc does not hold such values, m is not finite, or the shapes do not broadcast to acc's
    Source      (1): onnxruntime 1.32, MlasRequantizeOutput; the other rules: conventions.toml, kind requantization

    >>> requantize([1, 3, 5, 9], 0.5, 1, 0, 255).tolist()
    [1, 3, 3, 5]
    >>> requantize([1, 3, 5, 9], 0.5, 1, 0, 255, Requantization(zero_point="before")).tolist()
    [2, 2, 4, 6]
    """
    rule = resolve(convention, Requantization)
    acc, z = np.asarray(acc), np.asarray(zero_point)
    _check_sums(acc, rule)
    if np.broadcast_shapes(acc.shape, np.shape(z), np.shape(getattr(multiplier, "mantissa", multiplier))) != acc.shape:
        raise ValueError(f"multiplier and zero point do not broadcast to acc's shape {acc.shape}; give one, or one per last axis")
    if not qmin < qmax:
        raise ValueError(f"qmin {qmin} is not below qmax {qmax}; a range needs two codes")
    if rule.arithmetic in ("float32", "float64"):
        return round_scaled(_scaled(acc, multiplier, rule), z, qmin, qmax, rule)
    q = _integer_scaled(acc, multiplier, rule) + z.astype(np.int64)
    return saturate(q, qmin, qmax, code_dtype(qmin, qmax))


def combine_scales(
    x_scale: npt.ArrayLike, w_scale: npt.ArrayLike, y_scale: npt.ArrayLike, convention: Requantization | str = DEFAULT
) -> Array:
    """Return the multiplier m of a layer, in the arithmetic in which the convention forms it.

    Equation    m = fl32(fl32(s_x s_w) / s_y), the default
    Shapes      x_scale, y_scale (); w_scale () or (O,) -> m, the shape of w_scale; float32, or float64 where the rule divides so
    Convention  the scales are rounded to float32 first, as the libraries store them; see Requantization.scales. "one_by_one"
                forms no multiplier (quantized_linear then scales step by step); the default m stands in for it here
    Raises      ValueError if a scale or a multiplier is not finite, or a scale is not positive
    Source      PyTorch 2.13, onnxruntime 1.32, LiteRT f674577; each with its own: conventions.toml

    >>> combine_scales(0.5, [0.5, 0.25], 2.0).tolist()
    [0.125, 0.0625]
    """
    rule = resolve(convention, Requantization)
    with np.errstate(all="ignore"):  # what overflows or underflows is seen below
        s_x, s_w, s_y = (np.asarray(s, np.float32) for s in (x_scale, w_scale, y_scale))
        m: Any
        scales = rule.scales_per_channel if s_w.size > 1 and rule.scales_per_channel != "as_scales" else rule.scales
        if scales == "float64":
            m = s_x.astype(np.float64) * s_w / s_y.astype(np.float64)
        elif scales == "float32_product":
            m = (s_x * s_w).astype(np.float64) / s_y
        elif scales == "float32_reciprocal":
            m = (s_x * s_w) * (np.float32(1) / s_y)
        else:
            m = s_x * s_w / s_y
    if not all((np.isfinite(s) & (s > 0)).all() for s in (s_x, s_w, s_y)) or not np.isfinite(m).all():
        raise ValueError(
            f"scales {x_scale!r}, {w_scale!r} and {y_scale!r} are not positive float32 numbers with a finite multiplier"
        )
    return np.asarray(m)


def reciprocal_twice(scale: npt.ArrayLike) -> Array:
    """Return a scale that has travelled as its float32 reciprocal: often itself, sometimes one ulp beside.

    Equation    s' = fl32(1 / fl32(1 / s)), the inner quotient in the dtype of one scale, in float32 of several
    Shapes      scale () or (O,) -> the same, float32
    Source      measured: PyTorch 2.13 with the onednn engine, which hands oneDNN 1 / s

    >>> float(reciprocal_twice(0.25)), bool(reciprocal_twice(np.float32(0.03)) < np.float32(0.03))
    (0.25, True)
    """
    s = np.asarray(scale)
    inner = np.float32(1) / s.astype(np.float32) if s.ndim else np.float64(1) / s
    return np.asarray(np.float32(1) / np.asarray(inner).astype(np.float32))


def code_dtype(qmin: int, qmax: int) -> np.dtype[Any]:
    """Return the smallest integer dtype that holds both ends of a range; unsigned where nothing is negative.

    Shapes      takes no arrays
    Raises      ValueError if int64 does not hold the range
    Source      this package

    >>> code_dtype(0, 255), code_dtype(-128, 127), code_dtype(-1, 255)
    (dtype('uint8'), dtype('int8'), dtype('int16'))
    """
    for dtype in (np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.int64):
        if np.iinfo(dtype).min <= qmin and qmax <= np.iinfo(dtype).max:
            return np.dtype(dtype)
    raise ValueError(f"no integer dtype holds {qmin} ... {qmax}; codes have at most 63 bits")


def _check_sums(acc: Array, rule: Requantization) -> None:
    if acc.dtype.kind == "f" and rule.arithmetic in ("float32", "float64"):
        if not np.isfinite(acc).all():
            raise ValueError(f"{(~np.isfinite(acc)).sum()} of {acc.size} sums are not finite, and no code stands for them")
    elif acc.dtype.kind not in "iu" or (acc.size and (acc.min() < -(2**31) or acc.max() > 2**31 - 1)):
        raise ValueError(
            f"acc holds {acc.dtype} values beyond int32; a requantization starts from int32 sums: see integer_matmul's overflow"
        )


def _multiplier(multiplier: Any, rule: Requantization) -> Array:
    """The real multiplier, in the precision in which the rule holds it."""
    if isinstance(multiplier, FixedPoint):
        raise ValueError(f"the rule's arithmetic is {rule.arithmetic}, and the multiplier is {multiplier}; give a real number")
    with np.errstate(all="ignore"):
        held = np.float32 if rule.scales in ("float32", "float32_reciprocal", "one_by_one") else np.float64
        m = np.asarray(multiplier, held)
    if not np.isfinite(m).all():
        raise ValueError(f"multiplier {multiplier} is not a finite {np.dtype(held)}; check the three scales")
    return m


def _scaled(acc: Array, multiplier: Any, rule: Requantization) -> Array:
    """acc m in the rule's float arithmetic, not yet rounded to an integer."""
    m = _multiplier(multiplier, rule).astype(rule.arithmetic)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # beyond float32 is beyond every code: inf clips well
        return np.asarray(acc.astype(rule.arithmetic) * m)  # (1)


def round_scaled(v: Array, zero_point: npt.ArrayLike, qmin: int, qmax: int, rule: Requantization) -> Array:
    """Return the codes of real values v = y / s_y: what every float rule does after its multiplication.

    Equation    q = clip(round(v) + z, qmin, qmax), or clip(round(fl(v + z)), qmin, qmax)
    Shapes      v (...) float32 or float64, zero_point broadcasts against it -> q (...)
    Raises      ValueError if v holds NaN
    Source      as requantize

    >>> round_scaled(np.float32([0.5, 1.5, 1e30]), 3, 0, 255, Requantization()).tolist()
    [3, 5, 255]
    """
    z = np.asarray(zero_point)
    with np.errstate(over="ignore"):
        rounded = ROUNDINGS[rule.rounding](v + z.astype(v.dtype) if rule.zero_point == "before" else v)
    if rule.beyond_int32 == "int32_min":
        # subtle: -2^31 fits int32 and 2^31 does not; the conversion answers -2^31 to both sides, so large sums become qmin
        beyond = (rounded >= 2.0**31) | (rounded < -(2.0**31))
        rounded = np.where(beyond, v.dtype.type(-(2**31)), rounded)
    if rule.zero_point == "after":
        # exact below 2^24 in float32; larger numbers are outside any range of 16 bits, and rounding cannot bring them back
        wide = max(abs(qmin), abs(qmax)) >= 2**16  # with the zero point, which lies in the range
        kind = np.float64 if wide else v.dtype
        rounded = rounded.astype(kind) + z.astype(kind)
    return saturate(rounded, qmin, qmax, code_dtype(qmin, qmax))


def _integer_scaled(acc: Array, multiplier: Any, rule: Requantization) -> Array:
    """round(acc m) without floating point once m is an integer."""
    acc = acc.astype(np.int64)
    if rule.arithmetic == "fraction_8":
        m = _multiplier(multiplier, rule).astype(np.float64)
        return rounding_shift(acc * np.rint(256 * m).astype(np.int64), 8, rule.rounding)
    fixed = multiplier if isinstance(multiplier, FixedPoint) else quantize_multiplier(_multiplier(multiplier, rule))
    roundings = 2 if rule.arithmetic == "fixed_double" else 1
    q = multiply_fixed_point(acc, fixed, roundings, rule.rounding)
    if rule.tail_rounding != "as_rounding":
        tail = multiply_fixed_point(acc, fixed, roundings, rule.tail_rounding)
        in_tail = np.arange(acc.size).reshape(acc.shape) >= acc.size // rule.block * rule.block
        q = np.where(in_tail, tail, q)
    return q
