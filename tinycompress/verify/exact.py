"""Exact numbers, and how a float format rounds them: the ground that the oracle stands on.

A number is a Fraction; infinities and NaN are Python floats. A float operation is the exact result, rounded once. Signed zeros
are not told apart: no operation of the kit answers differently for them. Logarithms and exponentials are decimals of 60 digits.

Letters     p precision in bits, e exponent, v an exact value
Not here: any operation of the kit (oracle_grids, oracle_masks, oracle_losses, oracle_metrics). Read next: oracle_grids.
"""

from __future__ import annotations

import decimal
import functools
import math
from decimal import Decimal
from fractions import Fraction

Number = Fraction | float  # finite: a Fraction; a float only where not finite
NAN, INF = float("nan"), float("inf")
_CONTEXT = decimal.Context(prec=60, Emax=999999, Emin=-999999)


def from_float(x: float) -> Number:
    """Return a float as the exact number it is.

    Shapes      takes no arrays
    Source      this package

    >>> from_float(0.75)
    Fraction(3, 4)
    """
    x = float(x)
    return Fraction(x) if math.isfinite(x) else x


def finite(v: Number) -> bool:
    """Say whether a number is neither infinite nor NaN.

    Shapes      takes no arrays
    Source      this package

    >>> finite(Fraction(1)), finite(INF)
    (True, False)
    """
    return isinstance(v, Fraction)


def round_even(v: Fraction) -> int:
    """Return the nearest integer, the even one at a tie.

    Shapes      takes no arrays
    Source      this package

    >>> [round_even(Fraction(n, 2)) for n in (1, 3, 5)]
    [0, 2, 2]
    """
    return round(v)


def _round_format(v: Number, precision: int, lowest: int, highest: int) -> Number:
    if not isinstance(v, Fraction) or v == 0:
        return v
    n, d = abs(v.numerator), v.denominator
    e = n.bit_length() - d.bit_length()
    if (n << max(-e, 0)) < (d << max(e, 0)):  # now 2^e <= |v| < 2^(e + 1)
        e -= 1
    # subtle: below the smallest normal number the spacing stays that of the lowest exponent: subnormals
    quantum = max(e, lowest) - precision + 1
    rounded = Fraction(round(v / Fraction(2) ** quantum)) * Fraction(2) ** quantum
    if abs(rounded) >= Fraction(2) ** (highest + 1):
        return math.copysign(INF, v)
    return rounded


@functools.lru_cache(1 << 14)
def fl32(v: Number) -> Number:
    """Round to binary32: to nearest, ties to even, with subnormals, beyond the largest number to infinity.

    Shapes      takes no arrays
    Source      IEEE 754-2019, 4.3.1

    >>> fl32(Fraction(2**24 + 1)), fl32(Fraction(2) ** 128)
    (Fraction(16777216, 1), inf)
    """
    return _round_format(v, 24, -126, 127)


@functools.lru_cache(1 << 14)
def fl64(v: Number) -> Number:
    """Round to binary64, as fl32.

    Shapes      takes no arrays
    Source      IEEE 754-2019, 4.3.1

    >>> fl64(Fraction(2**53 + 1))
    Fraction(9007199254740992, 1)
    """
    return _round_format(v, 53, -1022, 1023)


def add(a: Number, b: Number) -> Number:
    """Return a + b, not rounded; infinities and NaN as IEEE 754 has them.

    Shapes      takes no arrays
    Source      IEEE 754-2019, 6.1

    >>> add(INF, Fraction(1))
    inf
    """
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a + b
    return (0.0 if isinstance(a, Fraction) else a) + (0.0 if isinstance(b, Fraction) else b)


def multiply(a: Number, b: Number) -> Number:
    """Return a b, not rounded; infinities and NaN as IEEE 754 has them.

    Shapes      takes no arrays
    Source      IEEE 754-2019, 6.1

    >>> multiply(-INF, Fraction(3)), multiply(INF, Fraction(0))
    (-inf, nan)
    """
    if isinstance(a, Fraction) and isinstance(b, Fraction):
        return a * b
    return _sign(a) * _sign(b)


def divide(a: Number, b: Number) -> Number:
    """Return a / b, not rounded; infinities and NaN as IEEE 754 has them.

    Shapes      takes no arrays
    Source      IEEE 754-2019, 6.1 and 7.3

    >>> divide(Fraction(1), Fraction(3)), divide(Fraction(1), Fraction(0)), divide(Fraction(1), INF)
    (Fraction(1, 3), inf, Fraction(0, 1))
    """
    if isinstance(b, Fraction):
        if b == 0:
            return NAN if a == 0 or a != a else math.copysign(INF, a)
        return multiply(a, 1 / b)
    return Fraction(0) if isinstance(a, Fraction) and not math.isnan(b) else NAN


def _sign(v: Number) -> float:
    return float((v > 0) - (v < 0)) if isinstance(v, Fraction) else v


def to_float(v: Number | Decimal | int) -> float:
    """Return the float64 nearest to an exact number: the correctly rounded result.

    Shapes      takes no arrays
    Source      IEEE 754-2019, 4.3.1

    >>> to_float(Fraction(1, 3))
    0.3333333333333333
    """
    return float(v)


@functools.lru_cache(1 << 14)
def exp(v: Decimal) -> Decimal:
    """Return e^v to 60 digits.

    Shapes      takes no arrays
    Source      Python's decimal

    >>> str(exp(Decimal(1)))[:12]
    '2.7182818284'
    """
    return v.exp(_CONTEXT)


@functools.lru_cache(1 << 14)
def log(v: Decimal) -> Decimal:
    """Return the natural logarithm of v to 60 digits.

    Shapes      takes no arrays
    Source      Python's decimal

    >>> str(log(Decimal(2)))[:12]
    '0.6931471805'
    """
    return v.ln(_CONTEXT)


def total(terms: list[Decimal]) -> Decimal:
    """Return a sum to 60 digits.

    Shapes      takes no arrays
    Source      Python's decimal

    >>> total([Decimal(1), Decimal(2)])
    Decimal('3')
    """
    return functools.reduce(_CONTEXT.add, terms, Decimal(0))


def decimals() -> decimal.Context:
    """Return the context in which decimals are added, multiplied and divided: 60 digits, half even.

    Shapes      takes no arrays
    Source      Python's decimal

    >>> decimals().prec
    60
    """
    return _CONTEXT


def unit_roundoff(single: bool) -> float:
    """Return half the spacing of numbers in [1, 2): 2^-24 for float32, 2^-53 for float64.

    Shapes      takes no arrays
    Source      IEEE 754-2019

    >>> unit_roundoff(True) == 2.0**-24
    True
    """
    return 2.0**-24 if single else 2.0**-53
