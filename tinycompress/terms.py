"""A grid as one convention sees it: scale, reciprocal, zero point and ends, each rounded as that convention rounds it.

Two libraries given the same scale divide by different numbers: one by the scale rounded to float32, one multiplies by the
reciprocal of that, one by the reciprocal of a float64. All such decisions that do not depend on x are taken here, once a call.

Letters     s scale, z zero_point, [qmin, qmax] the range of codes, low and high the values of its ends; fl() rounds to the dtype
            of x
Not here: what is done with the terms (elementwise). Read next: elementwise.
"""
from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tinycompress.conventions import Elementwise
from tinycompress.grids import Grid
from tinycompress.rounding import ROUNDINGS


@dataclass(frozen=True)
class Terms:
    """What one call needs of its grid: scalars, or arrays that broadcast to x."""

    qmin: int
    qmax: int
    divisor: Any  # x is divided by it; under "reciprocal" multiplied
    before: Any  # added before the rounding, None: nothing
    after: Any  # added behind it, None: nothing
    scale: Any  # of the way back
    inverse: Any  # fl(1 / s)
    zero_point: Any
    low: Any = None  # the value of qmin; this and the next two only where the convention clips, masks or measures by them
    high: Any = None  # the value of qmax
    amax: Any = None  # fl(qmax s)

    def cut(self, where: tuple[slice, ...]) -> Terms:
        """The terms of one block of x."""
        if not np.ndim(self.scale):
            return self
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if np.ndim(getattr(self, f.name))}
        along = {k: tuple(i if n > 1 else slice(None) for i, n in zip(where, a.shape)) for k, a in arrays.items()}
        return replace(self, **{k: a[along[k]] for k, a in arrays.items()})


def floating(x: npt.ArrayLike) -> npt.NDArray[Any]:
    """Return x as float32 or float64, without a copy where it is one of them.

    Shapes      x (...): float16 -> float32, what is not floating -> float64
    Source      this package

    >>> floating(np.float16([0.5])).dtype, floating([1, 2]).dtype
    (dtype('float32'), dtype('float64'))
    """
    x = np.asarray(x)
    if x.dtype in (np.float32, np.float64):
        return x
    return x.astype(np.float32 if x.dtype == np.float16 else np.float64)


def terms(grid: Grid, rule: Elementwise, dtype: npt.DTypeLike, ndim: int) -> Terms:
    """Return what values of `ndim` dimensions and float `dtype` need of the grid.

    Shapes      as grid.scale, led by ones up to ndim dimensions
    Raises      ValueError if the zero point is fractional and the convention adds it to whole codes
    Source      the builds in conventions.toml

    >>> t = terms(Grid(0.1, 3, 0, 15), Elementwise(scaling="reciprocal", zero_point="inside"), np.float32, 1)
    >>> t.divisor.dtype, float(t.divisor), float(t.before), t.after
    (dtype('float32'), 10.0, 3.0, None)
    """
    given, z = (a.reshape((1,) * (ndim - a.ndim) + a.shape)[()] if a.ndim else a[()] for a in grid.along(ndim))
    inside = z.dtype.kind == "f" if rule.zero_point == "after_unless_float" else rule.zero_point != "after"
    with np.errstate(all="ignore"):  # zero, infinite and subnormal scales are legal in an unchecked grid
        stated = given.astype(dtype if rule.scale_dtype == "as_x" else rule.scale_dtype)
        scale = given.astype(dtype if rule.dequantize_scale == "as_x" else rule.dequantize_scale)
        inverse = (1 / stated).astype(dtype)
        divisor = inverse if rule.scaling == "reciprocal" else stated.astype(dtype)
        divisor = divisor.astype(np.float64) if rule.scaling == "divide_float64" else divisor
        if rule.nudge != "as_given" and z.dtype.kind == "f":
            z = _nudged(grid, rule, given, z, stated.astype(dtype))
        whole = z.dtype.kind == "i" or bool((z == np.rint(z)).all())
        if not inside and not whole:
            raise ValueError(f"zero point {z} is fractional, and codes are whole; round it, or use a convention that nudges it")
        ends: dict[str, Any] = {}
        if rule.origin == "range_start" or rule.clamp == "input" or rule.mask in ("range", "amax") or "range" in rule.dequantize:
            # whole codes end where their values do; a z of floating dtype says that the ends were stated, and s derived from them
            exact = (scale if z.dtype.kind == "i" else given).astype(np.float64)
            ends = {k: ((q - z) * exact).astype(dtype) for k, q in (("low", grid.qmin), ("high", grid.qmax))}
            ends["amax"] = (grid.qmax * given.astype(np.float64)).astype(dtype)
            if rule.clamp == "input":  # a range without width clips every x onto one value, whatever that is divided by
                divisor = np.where(ends["low"] == ends["high"], divisor.dtype.type(1), divisor)[()]
        # float32 counts to 2^24: enough for 16 bits, not for a fraction or the int32 codes that some libraries know too; float16
        # counts to 2^11 only
        small = whole and max(-grid.qmin, grid.qmax) <= 2**20 and np.dtype(dtype).itemsize > 2
        z = z.astype(dtype if small else np.float64)
    at_origin = z if rule.origin == "zero" else z.dtype.type(grid.qmin)  # the code of the value that x is measured from
    before = None if rule.origin == "zero" and not inside else (at_origin if inside else at_origin - z).astype(divisor.dtype)
    return Terms(grid.qmin, grid.qmax, divisor, before, None if inside else z, scale, inverse, z, **ends)


def _nudged(grid: Grid, rule: Elementwise, given: Any, z: Any, scale: Any) -> Any:
    """z as a code, from the stated low end, in the dtype of x: its two roundings decide ties."""
    low = ((grid.qmin - z) * given.astype(np.float64)).astype(scale.dtype)
    nudged = ROUNDINGS[rule.nudge](grid.qmin - low / scale)
    return np.clip(np.where(scale == 0, grid.qmin, nudged), grid.qmin, grid.qmax).astype(np.int64)[()]
