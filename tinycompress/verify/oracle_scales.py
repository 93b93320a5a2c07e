"""The exact oracle for what surrounds a grid: where the gradient passes, scale and zero point from data, and requantize.

As in oracle_grids, `pick` answers an axis with an option, and is asked only where the option makes a difference.

Letters     x values, s scale, z zero_point, b bits, m multiplier, acc an exact int32 sum
Not here: codes and values (oracle_grids), masks, packing, products of integers (oracle_masks). Read next: oracle_masks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

from tinycompress.verify.exact import Number, add, divide, fl32, fl64, from_float
from tinycompress.verify.oracle_grids import (
    ROUND,
    Pick,
    Refused,
    Undefined,
    clamp,
    round_by,
    saturate_by,
    scale_by,
    scaled,
)  # fmt: skip

EPSILON, TINY = Fraction(1, 2**23), Fraction(1, 2**126)


def passes(pick: Pick, x: float, scale: float, z: int, qmin: int, qmax: int) -> bool:
    """Say whether the gradient passes at x.

    Shapes      takes no arrays
    Raises      Refused where the point refuses a NaN
    Source      the sentences of INTEGER_AXES["fake_quantize_backward"]

    >>> from tinycompress.verify.axes import default_point
    >>> passes(default_point("fake_quantize_backward").__getitem__, 127.5, 1.0, 0, -128, 127)
    False
    """
    if math.isnan(x):
        rule = pick("nan")
        if rule == "error":
            raise Refused
        return rule == "passes"
    mask = pick("mask")
    if mask in ("everywhere", "nowhere"):
        return mask == "everywhere"
    s, number = scale_by(pick, scale), from_float(x)
    if mask == "absmax":
        return isinstance(number, Fraction) and abs(number) <= fl32(qmax * s)
    v, behind, fl = scaled(pick, number, s, z)
    q = add(v if mask == "unrounded" else round_by(pick, v, fl), Fraction(behind))
    return bool(qmin < q < qmax) if mask == "strict" else bool(qmin <= q <= qmax)


def symmetric_scale(pick: Pick, x: Sequence[float], bits: int) -> Number:
    """Return the scale of a symmetric grid over all of x.

    Shapes      takes no arrays
    Source      the sentences of INTEGER_AXES["symmetric_qparams"]

    >>> from tinycompress.verify.axes import default_point
    >>> float(symmetric_scale(default_point("symmetric_qparams").__getitem__, [-254.0, 3.0], 8))
    2.0
    """
    half = 1 << bits - 1
    values = [Fraction(v) for v in x]
    s: Number = Fraction(0)
    if values and any(values):
        divisor = pick("divisor")
        if divisor == "no_clipping":
            s = max(fl32(min(values) / -half), fl32(max(values) / (half - 1)))
        else:
            peak = max(map(abs, values)) if max(map(abs, values)) == max(values) or pick("peak") == "absolute" else max(values)
            below = {"qmax": Fraction(half - 1), "half_range": half - Fraction(1, 2), "minus_qmin": Fraction(half)}
            s = fl32(peak / below[divisor])
    if s == 0:
        return {"one": Fraction(1), "zero": Fraction(0), "epsilon": EPSILON, "tiny": TINY}[pick("degenerate")]
    floor = {"epsilon": EPSILON, "tiny": TINY}.get(pick("degenerate"), s) if s < EPSILON else s
    return max(s, floor)


def asymmetric_scale(pick: Pick, x: Sequence[float], bits: int) -> tuple[Number, int]:
    """Return scale and zero point of an asymmetric grid over all of x.

    Shapes      takes no arrays
    Raises      Undefined where the point says nothing about such an input
    Source      the sentences of INTEGER_AXES["asymmetric_qparams"]

    >>> from tinycompress.verify.axes import default_point
    >>> asymmetric_scale(default_point("asymmetric_qparams").__getitem__, [0.0, 255.0], 8)
    (Fraction(1, 1), -128)
    """
    values = [Fraction(v) for v in x]
    lo, hi = (min(values), max(values)) if values else (Fraction(0), Fraction(0))
    if (lo > 0 or hi < 0) and pick("widen") == "yes":
        lo, hi = min(lo, Fraction(0)), max(hi, Fraction(0))
    signed = pick("codes") == "signed"
    qmin, qmax = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    if hi == lo:
        rule = pick("degenerate")
        if rule == "epsilon":
            return EPSILON, _zero(pick, lo, EPSILON, qmin, qmax, False)
        return Fraction(rule != "zero"), qmin if rule == "one_qmin" else 0
    steps = (1 << bits) - (pick("steps") == "codes_minus_one")
    in64 = pick("precision") == "float64"
    fl = fl64 if in64 else fl32
    s = fl(divide(fl(hi - lo), Fraction(steps)))
    if not isinstance(s, Fraction) or fl32(s) == 0:
        raise Undefined
    if s < EPSILON and pick("degenerate") == "epsilon":
        s = EPSILON
    return fl32(s), _zero(pick, lo, s, qmin, qmax, in64)


def _zero(pick: Pick, lo: Fraction, s: Fraction, qmin: int, qmax: int, in64: bool) -> int:
    fl = fl64 if in64 else fl32
    rule = pick("zero_point")
    if rule == "exact":
        z = round_by(pick, qmin - lo / s, fl)
    elif rule == "round_quotient":
        z = add(Fraction(qmin), -round_by(pick, fl(lo / s), fl))
    else:
        z = round_by(pick, fl(add(Fraction(qmin), -fl(lo / s))), fl)
    if isinstance(z, Fraction) and qmin <= z <= qmax:
        return int(z)
    if pick("clamp") == "no":
        if not isinstance(z, Fraction) or abs(z) >= 1 << 31:
            raise Undefined
        return int(z)
    return clamp(z, qmin, qmax)


def fixed_point(multiplier: Fraction) -> tuple[int, int]:
    """Return (mantissa, shift): multiplier = mantissa 2^(shift - 31), mantissa of 31 bits, the nearest, ties away from zero.

    Shapes      takes no arrays
    Source      gemmlowp and TFLite, QuantizeMultiplier

    >>> fixed_point(Fraction(3, 8))
    (1610612736, -1)
    """
    shift = multiplier.numerator.bit_length() - multiplier.denominator.bit_length()
    while multiplier >= Fraction(2) ** shift:
        shift += 1
    while multiplier < Fraction(2) ** (shift - 1):
        shift -= 1
    mantissa = ROUND["half_away"](multiplier / Fraction(2) ** (shift - 31))
    return (mantissa // 2, shift + 1) if mantissa == 1 << 31 else (mantissa, shift)


def requantize(pick: Pick, acc: int, multiplier: float, z: int, qmin: int, qmax: int) -> int:
    """Return the code of one int32 sum.

    Shapes      takes no arrays
    Raises      Undefined where fixed-point arithmetic has no such multiplier, or a shifted sum leaves int32
    Source      the sentences of INTEGER_AXES["requantize"]

    >>> from tinycompress.verify.axes import default_point
    >>> [requantize(default_point("requantize").__getitem__, acc, 0.5, 10, -128, 127) for acc in (1, 3, 400)]
    [10, 12, 127]
    """
    arithmetic = pick("arithmetic")
    exact = Fraction(multiplier)
    if arithmetic in ("float32", "float64"):
        fl = fl32 if arithmetic == "float32" else fl64
        v = fl(multiply_finite(fl(Fraction(acc)), fl(exact)))
        if z and pick("zero_point") == "before":
            v, z = fl(add(v, Fraction(z))), 0
        rounded = round_by(pick, v, fl)
    else:
        if exact <= 0:
            raise Undefined
        mantissa, shift = fixed_point(exact)
        shifted = acc << max(shift, 0)
        if abs(shifted) >= 1 << 31 or shift < -31:
            raise Undefined
        v = Fraction(shifted * mantissa, 1 << 31)
        if arithmetic == "fixed_double":
            v = Fraction(ROUND["half_up"](v))
        rounded = round_by(pick, v / (1 << max(-shift, 0)), lambda exact: exact)
    q = add(rounded, Fraction(z))
    return int(q) if isinstance(q, Fraction) and qmin <= q <= qmax else saturate_by(pick, rounded, z, qmin, qmax)


def multiply_finite(a: Number, b: Number) -> Number:
    """Return a b where both are finite; a multiplier beyond float32 has no convention.

    Shapes      takes no arrays
    Raises      Undefined if either is not finite
    Source      this package

    >>> multiply_finite(Fraction(2), Fraction(3))
    Fraction(6, 1)
    """
    if not (isinstance(a, Fraction) and isinstance(b, Fraction)):
        raise Undefined
    return a * b
