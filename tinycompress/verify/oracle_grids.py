"""The exact oracle for grids: quantize, dequantize and both in one, one entry at a time.

Each function takes `pick`, which answers an axis with an option, and asks it only where the option makes a difference: whoever
listens learns which axes an input speaks about. Slow and obvious on purpose: fractions, one rounding at a time.

Letters     x value, s scale, z zero_point, q code, v what is rounded, m multiplier
Not here: the gradient, scale and zero point, requantize (oracle_scales). Read next: oracle_scales.
"""
from __future__ import annotations

import functools
import math
from collections.abc import Callable
from fractions import Fraction

from tinycompress.verify.exact import NAN, Number, add, divide, finite, fl32, fl64, from_float, multiply

Pick = Callable[[str], str]
HALF = Fraction(1, 2)


class Refused(Exception):
    """The point answers with a ValueError."""


class Undefined(Exception):
    """The point says nothing about this input: any answer is consistent with it."""


def _toward(v: Fraction, tie: int) -> int:
    low = math.floor(v)
    return low + (v - low > HALF or (v - low == HALF and tie == low + 1))


ROUND: dict[str, Callable[[Fraction], int]] = {
    "half_even": round,
    "half_away": lambda v: _toward(v, math.ceil(v) if v > 0 else math.floor(v)),
    "half_up": lambda v: math.floor(v + HALF),
    "half_down": lambda v: math.ceil(v - HALF),
    "half_to_zero": lambda v: _toward(v, math.floor(v) if v > 0 else math.ceil(v)),
    "toward_zero": math.trunc,
    "away_from_zero": lambda v: math.ceil(v) if v > 0 else math.floor(v),
    "floor": math.floor,
    "ceil": math.ceil,
}


def round_by(pick: Pick, v: Number, fl: Callable[[Number], Number]) -> Number:
    """Round to an integer by the `rounding` axis; infinities and NaN stay. fl is the format that v is held in.

    Shapes      takes no arrays
    Source      the sentences of ROUNDING

    >>> round_by(lambda axis: "half_away", Fraction(5, 2), fl32)
    Fraction(3, 1)
    """
    if not isinstance(v, Fraction) or v.denominator == 1:
        return v
    rule = pick("rounding")
    if rule in ("half_up_added", "half_away_added"):
        down = rule == "half_away_added" and v < 0
        added = fl((-v if down else v) + HALF)
        whole = Fraction(math.floor(added)) if isinstance(added, Fraction) else added
        return -whole if down else whole
    return Fraction(ROUND[rule](v))


def scale_by(pick: Pick, scale: float) -> Fraction:
    """Return the scale as it is used: rounded to float32, or as passed.

    Shapes      takes no arrays
    Source      the sentences of SCALE

    >>> float(scale_by(lambda axis: "float32", 0.1))
    0.10000000149011612
    """
    s = Fraction(scale)
    rounded = fl32(s)
    return rounded if isinstance(rounded, Fraction) and (rounded == s or pick("scale") == "float32") else s


@functools.lru_cache(1 << 14)
def _scaled(x: Number, s: Fraction, scaling: str, z: int | None, fused: bool) -> Number:
    """x / s by one option; with z, the sum is formed too."""
    if scaling in ("divide", "reciprocal"):
        v = divide(x, s) if scaling == "divide" else multiply(x, fl32(divide(Fraction(1), s)))
        if fused and z is not None:
            return fl32(add(v, Fraction(z)))
        v = fl32(v)
        return v if z is None else fl32(add(v, Fraction(z)))
    v = fl64(divide(x, s)) if scaling == "divide64" else fl64(multiply(x, fl64(divide(Fraction(1), s))))
    return v if z is None else fl64(add(v, Fraction(z)))


def scaled(pick: Pick, x: Number, s: Fraction, z: int) -> tuple[Number, int, Callable[[Number], Number]]:
    """Return what is rounded, what is added behind the rounding, and the format that the first is held in.

    Shapes      takes no arrays
    Source      the sentences of SCALING and ZERO_POINT

    >>> scaled({"scaling": "divide", "zero_point": "inside"}.__getitem__, Fraction(3), Fraction(2), 1)[:2]
    (Fraction(5, 2), 0)
    """
    where = "after" if z == 0 or not finite(x) else pick("zero_point")
    scaling = "reciprocal" if where == "inside_fma" else pick("scaling")
    fl = fl32 if scaling in ("divide", "reciprocal") else fl64
    if where == "after":
        return _scaled(x, s, scaling, None, False), z, fl
    return _scaled(x, s, scaling, z, where == "inside_fma"), 0, fl


def clamp(v: Number, low: int, high: int) -> int:
    """Return the nearest code in range.

    Shapes      takes no arrays
    Source      this package

    >>> clamp(math.inf, -128, 127)
    127
    """
    return int(v) if isinstance(v, Fraction) and low <= v <= high else low if v < low else high


def _wrap(v: int, bits: int) -> int:
    return (v + (1 << bits - 1)) % (1 << bits) - (1 << bits - 1)


def _cast(v: Number, bits: int) -> int:
    """A float to a signed integer as x86 does it: everything out of range, and NaN, is the lowest."""
    lowest = -(1 << bits - 1)
    return int(v) if isinstance(v, Fraction) and lowest <= v < -lowest else lowest


def narrowed(pick: Pick, qmin: int, qmax: int) -> int:
    """Return the lowest code that is used.

    Shapes      takes no arrays
    Source      the sentences of RANGE

    >>> narrowed(lambda axis: "narrow", -128, 127), narrowed(lambda axis: "narrow", 0, 255)
    (-127, 0)
    """
    whole = qmin < 0 and qmax == -qmin - 1 and qmax & -qmin == 0
    return qmin + 1 if whole and pick("range") == "narrow" else qmin


def code(pick: Pick, x: float, scale: float, z: int, qmin: int, qmax: int) -> int:
    """Return the code of one value.

    Shapes      takes no arrays
    Raises      Refused where the point refuses a NaN
    Source      the sentences of INTEGER_AXES["quantize"]

    >>> from tinycompress.verify.axes import default_point
    >>> [code(default_point("quantize").__getitem__, x, 1.0, 1, -128, 127) for x in (0.5, 1.5, 1e9)]
    [1, 3, 127]
    """
    number = from_float(x)
    v, behind, fl = (NAN, 0, fl32) if math.isnan(x) else scaled(pick, number, scale_by(pick, scale), z)
    if v != v:
        if pick("saturation") == "wrap":
            raise Undefined
        rule = pick("nan")
        if rule == "error":
            raise Refused
        low = narrowed(pick, qmin, qmax)
        if rule == "cast":
            return clamp(Fraction(_wrap(-(1 << 31) + z, 32)), low, qmax)
        return clamp(Fraction({"qmin": low, "qmax": qmax, "zero": 0, "zero_point": z}[rule]), low, qmax)
    rounded = round_by(pick, v, fl)
    q = add(rounded, Fraction(behind))
    if isinstance(q, Fraction) and qmin < q <= qmax:
        return int(q)
    low = narrowed(pick, qmin, qmax)
    if q == low:
        return low
    return saturate_by(pick, rounded, behind, low, qmax)


def saturate_by(pick: Pick, rounded: Number, behind: int, low: int, high: int) -> int:
    """Return a code in range for a rounded value that is outside, plus what is added behind the rounding.

    Shapes      takes no arrays
    Raises      Undefined where the point says nothing about such an input
    Source      the sentences of SATURATION

    >>> saturate_by(lambda axis: "wrap", Fraction(130), 0, -128, 127)
    -126
    >>> saturate_by(lambda axis: "int32_first", math.inf, 5, -128, 127)
    -128
    """
    rule = pick("saturation")
    q = add(rounded, Fraction(behind))
    if rule == "int32_first":
        q = Fraction(_wrap(_cast(rounded, 32) + behind, 32))
    elif rule == "int64_first":
        q = Fraction(_cast(q, 64))
    elif rule == "wrap":
        if not isinstance(q, Fraction) or abs(q) >= 1 << 31 or (high - low + 1) & (high - low):
            raise Undefined
        return low + (int(q) - low) % (high - low + 1)
    return clamp(q, low, high)


def value(pick: Pick, q: int, s: Fraction, z: int, fl: Callable[[Number], Number]) -> Number:
    """Return the value that a code stands for; fl is the format that is computed in.

    Shapes      takes no arrays
    Raises      Undefined where the point says nothing about such an input
    Source      the sentences of ORDER

    >>> float(value(lambda axis: "difference", 3, Fraction(1, 2), 1, fl32))
    1.0
    """
    order = "difference" if z == 0 else pick("order")
    if order == "difference":
        return fl32(fl((q - z) * s))
    product = fl(z * s)
    if not isinstance(product, Fraction):
        raise Undefined
    return fl32(fl(add(q * s if order == "fma" else fl(q * s), -product)))


def dequantize(pick: Pick, q: int, scale: float, z: int, bits: int, signed: bool) -> Number:
    """Return the value of a code that came in an integer dtype of so many bits.

    Shapes      takes no arrays
    Source      the sentences of INTEGER_AXES["dequantize"]

    >>> from tinycompress.verify.axes import default_point
    >>> float(dequantize(default_point("dequantize").__getitem__, -128, 0.5, 100, 8, True))
    -114.0
    """
    d = q - z
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    if not low <= d <= high and pick("difference") == "wraps":
        q = (d - low) % (1 << bits) + low + z
    in64 = pick("scale") == "float64" if fl32(Fraction(scale)) != Fraction(scale) or z else False
    s = Fraction(scale) if in64 else scale_by(lambda axis: "float32", scale)
    return value(pick, q, s, z, fl64 if in64 else fl32)


def fake_quantize(pick: Pick, x: float, scale: float, z: int, qmin: int, qmax: int) -> Number:
    """Return the value of the code of x.

    Shapes      takes no arrays
    Raises      Refused where the point refuses a NaN
    Source      the sentences of INTEGER_AXES["fake_quantize"]

    >>> from tinycompress.verify.axes import default_point
    >>> float(fake_quantize(default_point("fake_quantize").__getitem__, 0.3, 0.25, 1, -128, 127))
    0.25
    """
    if math.isnan(x) and pick("nan") == "nan":
        return NAN
    q = code(pick, x, scale, z, qmin, qmax)
    return value(pick, q, scale_by(pick, scale), z, fl32)
