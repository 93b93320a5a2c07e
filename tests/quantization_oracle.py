"""Quantization by exact fractions, written from the formulas: each float operation is an exact one and one rounding.

Slow and obvious on purpose. Nothing here comes from the package: numbers are Fractions, infinities and NaN are Python floats.
"""
import math
from fractions import Fraction

FORMATS = {"float32": (24, -149, 104), "float64": (53, -1074, 971)}  # bits; exponent of the last bit: smallest, largest


def rn(value, dtype):
    """The float nearest to an exact value, ties to the even one, as a Fraction; beyond the largest float an infinity."""
    if not isinstance(value, Fraction):
        return value  # infinity and NaN stay
    precision, smallest, largest = FORMATS[dtype]
    if value == 0:
        return Fraction(0)
    size = abs(value)
    exponent = max(size.numerator.bit_length() - size.denominator.bit_length() - precision, smallest)
    while size / Fraction(2) ** exponent >= 2**precision:
        exponent += 1
    whole = round(size / Fraction(2) ** exponent)  # Python rounds a Fraction half to even
    if whole == 2**precision:
        whole, exponent = whole // 2, exponent + 1
    if exponent > largest:
        return math.inf if value > 0 else -math.inf
    return whole * Fraction(2) ** exponent * (1 if value > 0 else -1)


def exact(x):
    """A float as an exact number."""
    x = float(x)
    return Fraction(x) if math.isfinite(x) else x


def add(a, b):
    return a + b if isinstance(a, Fraction) and isinstance(b, Fraction) else float(a) + float(b)


def multiply(a, b):
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a * b
    if a == 0 or b == 0 or a != a or b != b:
        return math.nan
    return math.inf if (a > 0) == (b > 0) else -math.inf


def divide(a, b):
    if isinstance(b, Fraction) and b != 0:
        return a / b if isinstance(a, Fraction) else multiply(a, b)
    if isinstance(b, Fraction):  # b = +0
        return math.nan if a == 0 or a != a else math.inf if a > 0 else -math.inf
    return Fraction(0) if isinstance(a, Fraction) and b == b else math.nan


HALF = Fraction(1, 2)


def rounded(v, rule, dtype):
    """The integer that a rule makes of an exact number."""
    if not isinstance(v, Fraction):
        return v
    return Fraction(
        {
            "half_even": lambda: round(v),
            "half_away": lambda: math.floor(abs(v) + HALF) * (1 if v >= 0 else -1),
            "half_up": lambda: math.floor(v + HALF),
            "half_down": lambda: math.ceil(v - HALF),
            "toward_zero": lambda: math.trunc(v),
            "floor": lambda: math.floor(v),
            "ceil": lambda: math.ceil(v),
            "half_up_by_adding": lambda: math.floor(rn(v + HALF, dtype)),
            "half_even_above_zero": lambda: round(v) if v >= 0 else math.floor(v + HALF),
        }[rule]()
    )


def clip(v, lo, hi):
    return v if v != v else max(min(v, hi), lo)


def code(x, s, z, qmin, qmax, rule, dtype):
    """The code of x, or None where a NaN arises, by the fields of a record."""
    s, z = rn(exact(s), dtype if rule.scale_dtype == "as_x" else rule.scale_dtype), Fraction(int(z))
    work = "float64" if rule.scaling == "divide_float64" else dtype
    x, s_x = exact(x), rn(s, dtype)
    ends = [rn(multiply(q - z, s_x), dtype) for q in (qmin, qmax)]
    if rule.clamp == "input":
        x = clip(x, *ends)
    if rule.origin == "range_start":
        x = rn(add(x, multiply(Fraction(-1), ends[0])), dtype)
    at_origin = z if rule.origin == "zero" else Fraction(qmin)
    shift = at_origin if rule.zero_point != "after" else at_origin - z
    if rule.scaling == "reciprocal":
        v = multiply(x, rn(divide(Fraction(1), s), dtype))
    else:
        v = divide(x, s_x)
    v = add(v, shift) if rule.zero_point == "inside_fma" else add(rn(v, work), shift)
    v = rn(v, work)
    inside = rule.zero_point != "after"
    if rule.clamp == "before_rounding":
        v = clip(v, *((qmin, qmax) if inside else (qmin - z, qmax - z)))
    r = rounded(Fraction(v) if isinstance(v, int) else v, rule.rounding, work)
    if r != r:
        return None
    r = r if inside else add(r, z)
    return int(clip(r, qmin, qmax))


def value(q, s, z, rule, dtype):
    """What a code stands for, by the fields of a record."""
    q, z, given = Fraction(int(q)), Fraction(int(z)), exact(s)
    s = rn(given, dtype if rule.dequantize_scale == "as_x" else rule.dequantize_scale)
    work = "float64" if "float64" in (dtype, rule.dequantize_scale) else dtype
    if rule.dequantize == "parts":
        y = rn(q * s, work) - rn(z * s, work)
    elif rule.dequantize == "fma":
        y = q * s - rn(z * s, work)
    elif rule.dequantize == "divide":
        y = (q - z) / rn(1 / rn(given, dtype if rule.scale_dtype == "as_x" else rule.scale_dtype), dtype)
    else:
        y = (q - z) * s
    return rn(rn(y, work), dtype)
