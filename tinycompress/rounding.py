"""Every rounding rule by its true name, and the cast that saturates.

A quantizer turns the quotient x / s into an integer. Libraries agree on the idea and differ in the ties: 0.5, 1.5, 2.5
become 0 2 2, or 1 2 3, or 0 1 2. A value halfway between two integers is not rare: data that was quantized once, or that
counts something, sits on ties everywhere. What no code can hold saturates at the ends of the range; NaN follows a policy. Each
rule keeps the dtype, infinities, NaN and (half_up_by_adding apart) the sign of zero.

Letters     x the value to round, r the rounded value, q the code, [qmin, qmax] the range of codes; fl() rounds to the dtype of x
Not here: the scale and zero point (grids), where they enter (quantization). Read next: fused, grids.
"""
from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def half_even(x: npt.ArrayLike, out: Array | None = None) -> Array:
    """Round to the nearest integer; a tie goes to the even one.

    Equation    |r - x| <= 1/2, and r even where x is halfway
    Shapes      x (...) float -> r (...), written to `out` if given; `out` may be x itself, here and below
    Limits      over ties of both parities the error averages 0; no other rule for ties does that
    Convention  the default of IEEE 754; torch, ONNX, XNNPACK, and the round of NumPy and Python
    Source      IEEE 754-2019, 4.3.1 roundTiesToEven

    >>> half_even([-1.5, -0.5, 0.5, 1.5, 2.5]).tolist()
    [-2.0, -0.0, 0.0, 2.0, 2.0]
    """
    return np.asarray(np.rint(x, out=out))


def half_away(x: npt.ArrayLike, out: Array | None = None) -> Array:
    """Round to the nearest integer; a tie goes away from zero.

    Equation    r = sign(x) (floor|x| + [|x| - floor|x| >= 1/2])
    Shapes      x (...) float -> r (...)
    Convention  C's round(), the reference kernels of LiteRT. Not floor(|x| + 1/2): that sum rounds up just below 1/2
    Source      IEEE 754-2019, 4.3.1 roundTiesToAway

    >>> half_away(np.float32([-2.5, -0.5, 0.49999997, 0.5])).tolist()
    [-3.0, -1.0, 0.0, 1.0]
    """
    return np.asarray(np.copysign(_half_up_magnitude(np.abs(x)), x, out=out))


def half_up(x: npt.ArrayLike, out: Array | None = None) -> Array:
    """Round to the nearest integer; a tie goes toward plus infinity.

    Equation    r = floor(x) + [x - floor(x) >= 1/2]
    Shapes      x (...) float -> r (...)
    Convention  kernels that add one half and shift right
    Source      gemmlowp 16e8662, fixedpoint.h

    >>> half_up([-2.5, -0.5, 0.5, 1.5]).tolist()
    [-2.0, -0.0, 1.0, 2.0]
    """
    return np.asarray(np.copysign(_half_up_magnitude(np.asarray(x)), x, out=out))


def half_down(x: npt.ArrayLike, out: Array | None = None) -> Array:
    """Round to the nearest integer; a tie goes toward minus infinity.

    Equation    r = -half_up(-x)
    Shapes      x (...) float -> r (...)
    Convention  what half_up becomes for the data when the scale is negative
    Source      the mirror image of half_up

    >>> half_down([-1.5, -0.5, 0.5, 1.5]).tolist()
    [-2.0, -1.0, 0.0, 1.0]
    """
    return np.asarray(np.negative(half_up(np.negative(x)), out=out))


def toward_zero(x: npt.ArrayLike, out: Array | None = None) -> Array:
    """Cut the fraction off, as a cast to an integer does.

    Shapes      x (...) float -> r (...)
    Limits      the error reaches 1 and always shrinks the value
    Source      IEEE 754-2019, 4.3.2 roundTowardZero

    >>> toward_zero([-1.75, 1.75]).tolist()
    [-1.0, 1.0]
    """
    return np.asarray(np.trunc(x, out=out))


def floor(x: npt.ArrayLike, out: Array | None = None) -> Array:
    """Round toward minus infinity.

    Shapes      x (...) float -> r (...)
    Source      IEEE 754-2019, 4.3.2 roundTowardNegative

    >>> floor([-1.25, 1.75]).tolist()
    [-2.0, 1.0]
    """
    return np.asarray(np.floor(x, out=out))


def ceil(x: npt.ArrayLike, out: Array | None = None) -> Array:
    """Round toward plus infinity.

    Shapes      x (...) float -> r (...)
    Source      IEEE 754-2019, 4.3.2 roundTowardPositive

    >>> ceil([-1.75, 1.25]).tolist()
    [-1.0, 2.0]
    """
    return np.asarray(np.ceil(x, out=out))


def half_up_by_adding(x: npt.ArrayLike, out: Array | None = None) -> Array:
    """Add one half in the dtype of x, then take the floor: half_up, except where that sum itself rounds.

    Equation    r = floor(fl(x + 1/2))
    Shapes      x (...) float -> r (...)
    Convention  TensorFlow's fake quantization; not half_up at the float just below 1/2, nor at odd |x| > 2^23
    Source      TensorFlow 2.21, fake_quant_ops_functor.h

    >>> half_up_by_adding(np.float32([0.49999997, 0.5, 1.375])).tolist()
    [1.0, 1.0, 1.0]
    """
    x = np.asarray(x)
    return np.asarray(np.floor(x + x.dtype.type(0.5), out=out))


def half_even_above_zero(x: npt.ArrayLike, out: Array | None = None) -> Array:
    """Round to the nearest integer; a tie above zero goes to the even one, a tie below zero toward plus infinity.

    Shapes      x (...) float -> r (...)
    Convention  Xilinx's DPU, as brevitas' DPURound states it
    Source      brevitas 0.13.4, DPURound

    >>> half_even_above_zero([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5]).tolist()
    [-2.0, -1.0, -0.0, 0.0, 2.0, 2.0]
    """
    below = np.asarray(x) < 0
    r = half_even(x)
    np.copyto(r, half_up(x), where=below)
    return r if out is None else np.positive(r, out=out)


ROUNDINGS: dict[str, Callable[..., Array]] = {
    rule.__name__: rule
    for rule in (half_even, half_away, half_up, half_down, toward_zero, floor, ceil, half_up_by_adding, half_even_above_zero)
}


def stochastic(x: npt.ArrayLike, rng: np.random.Generator) -> Array:
    """Round up with the probability of the fraction, down otherwise, so that the expectation is x.

    Equation    r = floor(x) + [u < x - floor(x)],   u uniform in [0, 1)
    Shapes      x (...) float -> r (...)
    Bound       E[r] = x, var[r] = f (1 - f) <= 1/4 with f = x - floor(x); integers stay what they are
    Source      Gupta et al. 2015, "Deep Learning with Limited Numerical Precision", section 3.1

    >>> stochastic([-2.0, 7.0], np.random.default_rng(0)).tolist()
    [-2.0, 7.0]
    """
    x = np.asarray(x)
    whole = np.floor(x)
    up = rng.random(x.shape) < _fraction(x, whole)
    return np.asarray(np.copysign(whole + up.astype(whole.dtype), x))


def hold(x: npt.ArrayLike, qmin: int, qmax: int, nan: str = "raise", out: Array | None = None) -> Array:
    """Return rounded values held within [qmin, qmax], still floating; x itself where nothing has to be held.

    Equation    min(max(x, qmin), qmax)
    Shapes      x (...) float -> (...), float64 if the ends need it; `out` may be x, and is used if it spares a copy
    Convention  nan: "raise", or what NaN becomes: "qmin", "qmax", "zero" (0, or the end nearest to it), "keep" (NaN), or
                "cast": what an x86 cast leaves in a code of that range, the smallest int32 or its low bits, which are 0
    Raises      ValueError if x holds NaN and the policy is "raise" or unknown, or if float64 cannot count the range
    Source      this package; the policies are those of the builds in conventions.toml

    >>> hold(np.float32([-300.0, -3.0, np.nan]), -128, 127, nan="qmax").tolist()
    [-128.0, -3.0, 127.0]
    """
    x = np.asarray(x)
    if max(-qmin, qmax) > 2 ** np.finfo(x.dtype).nmant:
        if max(-qmin, qmax) > 2**53:
            raise ValueError(f"the range [{qmin}, {qmax}] passes 2^53, beyond which float64 skips integers; use a narrower one")
        x, out = x.astype(np.float64), None  # the ends themselves must be exact: float32 knows no 2^31 - 1
    # Looking is cheaper than clipping, and most blocks of most data need no clip. NaN survives min and fails every comparison.
    lowest, highest = (x.min(), x.max()) if x.size else (qmin, qmax)
    if qmin <= lowest and highest <= qmax:
        return x
    if lowest == lowest:
        clipped: Array = np.asarray(np.clip(x, qmin, qmax, out=out))
        return clipped
    if nan == "raise":
        raise ValueError("a value is NaN, and no code stands for NaN; clean the data, or say what it becomes by a convention")
    nearest_zero, low_bits = min(max(0, qmin), qmax), -(2**31) if qmin <= -(2**31) else 0
    fillers = {"qmin": qmin, "qmax": qmax, "zero": nearest_zero, "cast": low_bits, "keep": np.nan}
    if nan not in fillers:
        raise ValueError(f"nan is {nan!r}; use 'raise' or one of {', '.join(map(repr, fillers))}")
    return np.asarray(np.where(np.isnan(x), x.dtype.type(fillers[nan]), np.clip(x, qmin, qmax)))


def saturate(x: npt.ArrayLike, qmin: int, qmax: int, dtype: npt.DTypeLike, nan: str = "raise") -> Array:
    """Return rounded values as integers of `dtype`, those outside [qmin, qmax] at its ends.

    Equation    q = min(max(x, qmin), qmax), compared in floating point, cast last
    Shapes      x (...) float or integer -> q (...) dtype
    Convention  casting first is what goes wrong elsewhere: 3e9 becomes the smallest int32, and clips to the wrong end.
                nan as in `hold`, but "keep" has no code
    Raises      ValueError if x holds NaN and the policy is "raise", or if the range does not fit the dtype
    Source      IEEE 754-2019, 5.8: out of range, a conversion to integer is invalid and its result not defined

    >>> saturate([-1e30, -3.0, np.inf, 3e9], -128, 127, np.int8).tolist()
    [-128, -3, 127, 127]
    """
    x, dtype = np.asarray(x), np.dtype(dtype)
    if not np.iinfo(dtype).min <= qmin <= qmax <= np.iinfo(dtype).max:
        raise ValueError(f"the range [{qmin}, {qmax}] does not fit {dtype}; give qmin <= qmax and a dtype that holds both")
    if nan not in ("raise", "qmin", "qmax", "zero", "cast"):
        raise ValueError(f"nan is {nan!r}; an integer can follow 'raise', 'qmin', 'qmax', 'zero' or 'cast'")
    if x.dtype.kind != "f":
        return np.asarray(np.clip(x.astype(np.int64), qmin, qmax), dtype)
    return hold(x, qmin, qmax, nan).astype(dtype)


def _fraction(x: Array, whole: Array) -> Array:
    """x - whole: exact unless x is a tiny negative number, and then at least 1/2, rounded or not; NaN at infinity."""
    with np.errstate(invalid="ignore"):
        return np.asarray(x - whole)


def _half_up_magnitude(x: Array) -> Array:
    """floor(x) + [fraction >= 1/2], up to the sign of zero; of a magnitude it is half_away, of a number half_up."""
    whole = np.floor(x)
    return np.asarray(np.add(whole, _fraction(x, whole) >= 0.5))
