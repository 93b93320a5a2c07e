"""One block of values to codes and back, by any library's rule: what `quantization` calls once its grid is known.

The idea is two lines, q = clip(round(x / s) + z) and y = (q - z) s. Each library computes them in its own order, and every
rounding between the operations can move a code by one. Here each such choice is one line, chosen by one field of an
`Elementwise` record, in the order in which a value meets them: scale, zero point, rounding, overflow, range.

Letters     x values, s scale, z zero_point, v the number to be rounded, r the rounded number, q codes, y values again; fl()
            rounds to the dtype of x
Not here: cutting arrays into blocks (quantization), the roundings (rounding), who chose what (conventions.toml).
Read next: quantization.
"""
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from tinycompress.conventions import Elementwise
from tinycompress.fused import fused_multiply_add
from tinycompress.rounding import ROUNDINGS, hold, stochastic
from tinycompress.terms import Terms

Array = npt.NDArray[Any]
BELOW_TOP = 2147483520.0  # the largest float32 below 2^31


def unrounded(x: Array, t: Terms, rule: Elementwise, out: Array | None = None, clamp: bool = True) -> Array:
    """Return v, the number that will be rounded: x in steps of the grid, with z where the convention has it inside.

    Equation    v = fl(x / s), or fl(x fl(1 / s)), or x / s in float64;   + z if inside                     (3)
    Shapes      x (...) float -> (...), written to `out` if given
    Source      the builds in conventions.toml

    >>> rule = Elementwise(zero_point="inside")
    >>> from tinycompress.terms import terms; from tinycompress.grids import Grid
    >>> unrounded(np.float32([0.75]), terms(Grid(0.5, 3, 0, 15), rule, np.float32, 1), rule).tolist()
    [4.5]
    """
    if rule.clamp == "input" and clamp:
        x = np.minimum(np.maximum(x, t.low), t.high)
    if rule.origin == "range_start":
        x = x - t.low
    if rule.zero_point in ("inside_fma", "after_unless_float") and t.after is None:
        v = fused_multiply_add(x, t.divisor, t.before)
    else:
        v = (np.multiply if rule.scaling == "reciprocal" else np.divide)(x, t.divisor, out=out)  # (3)
        if t.before is not None:
            v = np.add(v, t.before, out=out)
    if rule.clamp == "before_rounding" and clamp:
        shift = np.asarray(0 if t.after is None else t.after, v.dtype)
        v = np.minimum(np.maximum(v, t.qmin - shift), t.qmax - shift)
    return v


def rounded(
    x: Array, t: Terms, rule: Elementwise, rng: np.random.Generator | None = None, out: Array | None = None, clamp: bool = True
) -> Array:
    """Return r + z, whole numbers that nothing holds to the range yet, as floats.

    Equation    r = round(v)                                                                                (4)
    Shapes      x (...) float -> (...), written to `out` if given and wide enough
    Raises      ValueError if the rounding is stochastic and no rng came
    Source      the builds in conventions.toml

    >>> rule = Elementwise(rounding="half_away")
    >>> from tinycompress.terms import terms; from tinycompress.grids import Grid
    >>> rounded(np.float32([2.5, -300.0]), terms(Grid(1.0, 1, -128, 127), rule, np.float32, 1), rule).tolist()
    [4.0, -299.0]
    """
    v = unrounded(x, t, rule, out, clamp)
    if rule.rounding == "stochastic":
        if rng is None:
            raise ValueError("the rounding is 'stochastic'; give rng=np.random.default_rng(seed)")
        r = stochastic(v, rng)
    else:
        r = ROUNDINGS[rule.rounding](v, out=v)  # (4)
    first = rule.saturation in ("int32_first", "int32_below_top_first")
    if first and r.size and not (-(2**23) <= r.min() and r.max() <= 2**23):  # otherwise nothing can overflow
        return _through_int32(r, t.after, rule.saturation == "int32_below_top_first")
    if t.after is not None and (np.ndim(t.after) or t.after != 0):
        r = np.add(r, t.after, out=r if t.after.dtype.itemsize <= r.dtype.itemsize else None)
    if rule.saturation == "int64_first":
        r = np.where((r >= -(2.0**63)) & (r < 2.0**63), r, r.dtype.type(-np.inf))  # NaN and overflow: the smallest int64
    return r


def codes(
    x: Array, t: Terms, rule: Elementwise, nan: str, rng: np.random.Generator | None = None, out: Array | None = None
) -> Array:
    """Return the codes as floats: NaN treated, held to the range.

    Equation    q = min(max(r + z, qmin), qmax)                                                             (5)
    Shapes      x (...) float -> (...)
    Raises      ValueError if a number is NaN and `nan` is "raise"
    Source      the builds in conventions.toml

    >>> rule = Elementwise()
    >>> from tinycompress.terms import terms; from tinycompress.grids import Grid
    >>> codes(np.float32([2.5, -300.0]), terms(Grid(1.0, 1, -128, 127), rule, np.float32, 1), rule, "raise").tolist()
    [3.0, -128.0]
    """
    q = rounded(x, t, rule, rng, out)
    if nan == "zero_point":
        q, nan = np.where(np.isnan(q), t.zero_point, q), "raise"
    if rule.clamp == "none":
        return hold(q, -(2**31), 2**31 - 1, nan) if nan != "keep" else q
    return hold(q, t.qmin, t.qmax, nan, out=q)  # (5)


def values(q: Array, t: Terms, rule: Elementwise, out: Array) -> Array:
    """Write the values that codes stand for to `out`, and return it.

    Equation    y = fl((q - z) s), or as the convention has it                                              (6)
    Shapes      q (...) integer, or float holding integers -> out (...) of a float dtype; out may be q
    Source      the builds in conventions.toml

    >>> from tinycompress.terms import terms; from tinycompress.grids import Grid
    >>> rule, y = Elementwise(dequantize="parts"), np.empty(2, np.float32)
    >>> values(np.int8([3, -5]), terms(Grid(0.5, 1, -128, 127), rule, np.float32, 1), rule, y).tolist()
    [1.0, -3.0]
    """
    dtype, z, s = out.dtype, t.zero_point, t.scale
    work = np.result_type(dtype, s)  # a float64 scale makes its product one of float64, rounded to the dtype at the end
    if rule.dequantize in ("difference", "divide"):
        wide = q.dtype.kind in ("i", "u") and q.dtype.itemsize > 2
        exact = np.result_type(work, z, np.float64 if wide else dtype)  # the dtype in which q - z is exact
        # subtle: -0.0 + (0 - 0) is +0.0, the zero of integers; -0.0 - 0 stays -0.0, the zero of peers whose codes are floats
        minus, by_z = (np.subtract, z) if rule.zero_sign == "kept" else (np.add, 0 - z)
        difference = minus(q, by_z, out=out if exact == dtype else None, dtype=exact)
        back, by = (np.divide, t.inverse) if rule.dequantize == "divide" else (np.multiply, s)
        back(difference, by, out=out, dtype=exact, casting="same_kind")  # (6)
        return out
    q = q + q.dtype.type(0)  # codes are integers in what follows: no -0.0
    if rule.dequantize == "difference_int32":
        wrapped = (q.astype(np.int64) - z.astype(np.int64)).astype(np.int32)
        out[...] = wrapped.astype(dtype).astype(work) * s
    elif rule.dequantize == "difference_float":
        out[...] = (q.astype(dtype) - z.astype(dtype)).astype(work) * s
    elif rule.dequantize == "parts":
        out[...] = q.astype(work) * s - z.astype(work) * s
    elif rule.dequantize == "from_range_start":
        out[...] = (q.astype(work) - work.type(t.qmin)) * s + t.low
    else:
        out[...] = fused_multiply_add(q.astype(work), s.astype(work), -(z.astype(work) * s))
    return out


def passes(x: Array, t: Terms, rule: Elementwise, out: Array | None = None) -> Array:
    """Return where the straight-through gradient passes; nowhere at NaN.

    Shapes      x (...) float -> (...) bool
    Raises      ValueError if the mask asks for the rounded code and the rounding is stochastic
    Source      the builds in conventions.toml

    >>> from tinycompress.terms import terms; from tinycompress.grids import Grid
    >>> x, grid = np.float32([7.25, 7.5, -8.5]), Grid(1.0, 0, -8, 7)
    >>> [passes(x, terms(grid, r, np.float32, 1), r).tolist() for r in (Elementwise(), Elementwise(mask="unrounded"))]
    [[True, False, True], [False, False, False]]
    """
    if rule.mask == "all":
        return np.ones(x.shape, bool)
    if rule.mask == "amax":
        return np.asarray(np.abs(x) <= t.amax)
    if rule.mask == "range":
        return np.asarray((t.low <= x) & (x <= t.high))
    if rule.mask == "unrounded":
        v = unrounded(x, t, rule, out, clamp=False)  # clipping first would hide what was clipped
        v = v if t.after is None else v + t.after
    elif rule.rounding == "stochastic":
        raise ValueError("the mask is 'rounded', and a stochastic rounding does not repeat; use mask='unrounded'")
    else:
        v = rounded(x, t, rule, None, out, clamp=False)
    return np.asarray((t.qmin <= v) & (v <= t.qmax))


def _through_int32(r: Array, after: Any, below_top: bool) -> Array:
    """r cast to int32 as x86 casts, then z added in int32, which wraps."""
    r = np.fmin(r, BELOW_TOP) if below_top else r  # fmin prefers a number to NaN, as the vector instruction does
    q: Array = np.where(np.abs(r) < 2.0**31, r, -(2.0**31)).astype(np.int64)
    return (q if after is None else (q + after.astype(np.int64)).astype(np.int32)).astype(np.float64)
