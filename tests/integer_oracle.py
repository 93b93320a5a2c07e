"""Integer operations in pure Python: big integers and fractions, one number at a time, written from the formulas."""

from fractions import Fraction
from math import floor


def to_float(value, bits=24, smallest=-149):
    """The float of `bits` significant bits nearest to a rational, ties to even, as a Fraction; no overflow."""
    value = Fraction(value)
    if value == 0:
        return value
    exponent = 0
    while abs(value) / Fraction(2) ** exponent >= 2:
        exponent += 1
    while abs(value) / Fraction(2) ** exponent < 1:
        exponent -= 1
    unit = Fraction(2) ** max(exponent - bits + 1, smallest)
    return half_even(value / unit) * unit


def double(value):
    return to_float(value, 53, -1074)


def half_even(v):
    low = floor(v)
    rest = v - low
    return low + (rest > Fraction(1, 2) or (rest == Fraction(1, 2) and low % 2 == 1))


def half_up(v):
    return floor(v + Fraction(1, 2))


def half_away(v):
    return half_up(v) if v >= 0 else -half_up(-v)


ROUND = {"half_even": half_even, "half_up": half_up, "half_away": half_away}


def fixed(m):
    """(mantissa, shift) of a rational multiplier."""
    if m == 0:
        return 0, 0
    shift = 0
    while m / Fraction(2) ** shift >= 1:
        shift += 1
    while m / Fraction(2) ** shift < Fraction(1, 2):
        shift -= 1
    mantissa = half_away(m / Fraction(2) ** shift * 2**31)
    if mantissa == 2**31:
        mantissa, shift = 2**30, shift + 1
    return (0, 0) if shift < -31 else (mantissa, shift)


def wrap32(v):
    return (v + 2**31) % 2**32 - 2**31


def requantize(acc, m, z, qmin, qmax, rule):
    """One code, from an int and an exact rational multiplier."""
    rounding, held = ROUND[rule.rounding], to_float if rule.scales in ("float32", "float32_reciprocal", "one_by_one") else double
    m = held(m)
    if rule.arithmetic in ("float32", "float64"):
        fl = to_float if rule.arithmetic == "float32" else double
        v = fl(fl(acc) * fl(m))
        q = rounding(fl(v + fl(z))) if rule.zero_point == "before" else rounding(v)
        if rule.beyond_int32 == "int32_min" and not -(2**31) <= q < 2**31:
            q = -(2**31)
        q = q if rule.zero_point == "before" else q + z
    elif rule.arithmetic == "fraction_8":
        q = rounding(Fraction(acc * half_even(256 * m), 256)) + z
    else:
        mantissa, shift = fixed(m)
        if rule.arithmetic == "fixed_single":
            q = rounding(Fraction(acc * mantissa) / Fraction(2) ** (31 - shift)) + z
        else:
            first = min(half_up(Fraction(wrap32(acc * 2 ** max(shift, 0)) * mantissa, 2**31)), 2**31 - 1)
            q = rounding(Fraction(first, 2 ** max(-shift, 0))) + z
    return min(max(q, qmin), qmax)


def matmul(a, b, a_zero=0, b_zero=0):
    """Rows of sums, from lists of Python ints."""
    return [[sum((int(x) - a_zero) * (int(y) - b_zero) for x, y in zip(row, column)) for column in zip(*b)] for row in a]
