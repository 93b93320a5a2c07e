"""A grid: the evenly spaced values that integer codes stand for, and the two plain ways to lay one over data.

A code q stands for the value (q - z) s: neighbours are s apart, and code z is exactly 0.0. Laying a grid means choosing
s and z so that the data fits between codes qmin and qmax. A symmetric grid has its zero in the middle (z = 0, good for
weights); an asymmetric one spends its codes between the smallest and the largest value (good for activations).

Letters     x values, q codes, s scale, z zero_point, b bits, n = qmax - qmin steps; fl32() rounds to float32
Not here: other libraries' choices of s and z (grid_rules), rounding values to codes (quantization), ranges that leave outliers
out (calibration). Read next: row_groups, grid_rules, quantization.
"""
from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class Grid:
    """The values (q - zero_point) scale for the integers q from qmin to qmax; one scale for all of x, or one per slice of it.

    >>> grid = Grid(0.5, 2, 0, 15)
    >>> float(grid.low), float(grid.high), grid.dtype
    (-1.0, 6.5, dtype('uint8'))
    """

    scale: Any  # (), or (n,) along `axis`, or any shape that broadcasts to x; float32 or float64 as given (a float is float64)
    zero_point: Any  # shape of scale; integer, or floating where a method shifts its grid by a fraction of a step
    qmin: int
    qmax: int
    axis: int | None = None  # the axis of x along which n scales lie; None: scale broadcasts to x as it is
    unchecked: bool = False  # True: kept as given, for a library that answers with a negative, zero, infinite or NaN scale

    def __post_init__(self) -> None:
        scale, zero_point = np.asarray(self.scale), np.asarray(self.zero_point)
        if scale.dtype not in (np.float32, np.float64):
            scale = scale.astype(np.float64)
        zero_point = zero_point.astype(np.int64 if zero_point.dtype.kind in "iub" else scale.dtype)
        for name, value in (("scale", scale), ("zero_point", np.broadcast_to(zero_point, scale.shape))):
            value = value.view()
            value.flags.writeable = False  # a grid is a fact: a caller who writes to it would change codes already made
            object.__setattr__(self, name, value)
        object.__setattr__(self, "qmin", int(self.qmin))
        object.__setattr__(self, "qmax", int(self.qmax))
        _check(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Grid):
            return NotImplemented
        facts = ((g.qmin, g.qmax, g.axis, g.scale.dtype) for g in (self, other))
        arrays = ((self.scale, other.scale), (self.zero_point, other.zero_point))
        return next(facts) == next(facts) and all(np.array_equal(a, b, equal_nan=True) for a, b in arrays)

    @property
    def dtype(self) -> np.dtype[Any]:
        """The smallest integer dtype that holds every code."""
        kinds = (np.uint8, np.uint16, np.uint32) if self.qmin >= 0 else (np.int8, np.int16, np.int32)
        for kind in kinds:
            if np.iinfo(kind).min <= self.qmin and self.qmax <= np.iinfo(kind).max:
                return np.dtype(kind)
        return np.dtype(np.int64)

    @property
    def low(self) -> Array:
        """The value of code qmin, in the dtype of scale."""
        return self._value(self.qmin)

    @property
    def high(self) -> Array:
        """The value of code qmax, in the dtype of scale."""
        return self._value(self.qmax)

    def along(self, ndim: int) -> tuple[Array, Array]:
        """Scale and zero point, shaped to broadcast against an x of `ndim` dimensions."""
        if self.axis is None:
            return self.scale, self.zero_point
        if not -ndim <= self.axis < ndim:
            raise ValueError(f"the grid has a scale per slice of axis {self.axis}, and x has {ndim} dimensions")
        shape = [1] * ndim
        shape[self.axis] = -1
        return self.scale.reshape(shape), self.zero_point.reshape(shape)

    def _value(self, q: int) -> Array:
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # in float64 the product is exact, then rounded once
            return np.asarray(np.asarray((q - self.zero_point) * self.scale.astype(np.float64)).astype(self.scale.dtype))


def _check(grid: Grid) -> None:
    s, z = grid.scale, grid.zero_point
    if grid.qmin >= grid.qmax:
        raise ValueError(f"qmin {grid.qmin} is not below qmax {grid.qmax}; a grid needs two codes")
    if grid.axis is not None and s.ndim != 1 or grid.axis is None and s.ndim == 1 and s.size > 1:
        raise ValueError(f"scale has shape {s.shape} and axis is {grid.axis}; n scales need the axis of x along which they lie")
    if grid.unchecked:
        return
    if not (np.isfinite(s) & (s > 0)).all():
        raise ValueError(f"scale {s} is not finite and above zero; data without width can use 1.0")
    if not np.isfinite(z).all():
        raise ValueError(f"zero point {z} is not finite")
    if z.dtype.kind == "i" and not ((grid.qmin <= z) & (z <= grid.qmax)).all():
        raise ValueError(f"zero point {z} is outside [{grid.qmin}, {grid.qmax}], so 0.0 has no code; widen the range to zero")


def code_range(bits: int, signed: bool = True, narrow: bool = False) -> tuple[int, int]:
    """Return the smallest and the largest code of `bits` bits.

    Equation    signed: -2^(b-1) ... 2^(b-1) - 1; unsigned: 0 ... 2^b - 1; narrow: without the lowest code
    Shapes      takes no arrays
    Convention  narrow makes a signed range as long below zero as above it
    Raises      ValueError if bits is outside 2 ... 16
    Source      Krishnamoorthi 2018 (arXiv 1806.08342), section 2

    >>> code_range(8), code_range(8, narrow=True), code_range(4, signed=False)
    ((-128, 127), (-127, 127), (0, 15))
    """
    if not 2 <= bits <= 16:
        raise ValueError(f"bits is {bits}; use 2 ... 16, or give qmin and qmax")
    qmin = -(2 ** (bits - 1)) if signed else 0
    return qmin + narrow, qmin + 2**bits - 1


def value_range(x: npt.ArrayLike, axis: int | None = None, ignore_nan: bool = False) -> tuple[Array, Array]:
    """Return the smallest and the largest value of x as float32, or of each slice of `axis`; 0 and 0 where there is none.

    Shapes      x any -> two of shape (), or (n,)
    Convention  NaN anywhere makes both ends NaN, unless it is ignored; a value that float32 cannot hold is infinite
    Raises      ValueError if x has no such axis
    Source      this package

    >>> value_range([[1.0, -2.0], [3.0, 0.5]], axis=0)
    (array([-2. ,  0.5], dtype=float32), array([1., 3.], dtype=float32))
    """
    x = np.asarray(x)
    x = x if x.dtype.kind == "f" else x.astype(np.float64)  # an empty range begins at infinity, which integers have not
    if axis is not None and not -x.ndim <= axis < x.ndim:
        raise ValueError(f"axis is {axis}, and x has {x.ndim} dimensions; use one of them, or None for one range over all of x")
    others = None if axis is None else tuple(i for i in range(x.ndim) if i != axis % x.ndim)
    seen: Any = ~np.isnan(x) if ignore_nan else True
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        lo = np.asarray(np.min(x, axis=others, initial=np.inf, where=seen)).astype(np.float32)
        hi = np.asarray(np.max(x, axis=others, initial=-np.inf, where=seen)).astype(np.float32)
    nothing = lo > hi
    return np.where(nothing, np.float32(0), lo), np.where(nothing, np.float32(0), hi)


def symmetric_grid(x: npt.ArrayLike, bits: int = 8, axis: int | None = None, narrow: bool = True) -> Grid:
    """Return the signed grid with zero in its middle that just reaches the largest magnitude of x, or of each slice.

    Equation    s = fl32(max |x| / (2^(b-1) - 1)), z = 0                                             (1)
    Shapes      x any -> scale (), or (n,) with one scale per slice of `axis`
    Bound       |x - (q - z) s| <= s / 2 + s n 2^-21 + n 2^-149, in exact arithmetic, q the nearest code. Rounding is off by
                s / 2; s by 2^-24 of itself, so the largest |x| lies at most n 2^-24 steps beyond the last code; the float32
                quotient x / s is off by as much again. The last term counts only where s is subnormal, hence off by 2^-150
    Limits      max |x| / (2^(b-1) - 1) below 2^-150 rounds to 0, which is no scale: 1.0, as for a zero or empty x
    Convention  narrow=True leaves the code -2^(b-1) unused, narrow=False has it as a spare: s is the same
    Raises      ValueError if bits is outside 2 ... 16 or x is not finite
    Source      Jacob et al. 2018 (arXiv 1712.05877), section 3

    >>> grid = symmetric_grid([63.5, -127.0, 3.0])
    >>> float(grid.scale), int(grid.zero_point), grid.qmin, grid.qmax
    (1.0, 0, -127, 127)
    """
    qmin, qmax = code_range(bits, True, narrow)
    lo, hi = _finite_range(x, axis)
    with np.errstate(under="ignore"):
        scale = np.maximum(-lo, hi) / np.float32(qmax)  # (1)
    scale = np.where(scale == 0, np.float32(1), scale)
    return Grid(scale, np.zeros(scale.shape, np.int64), qmin, qmax, axis)


def asymmetric_grid(x: npt.ArrayLike, bits: int = 8, axis: int | None = None, signed: bool = True) -> Grid:
    """Return the grid that spends all its codes between the smallest and the largest value of x, zero included.

    Equation    lo = min(x, 0), hi = max(x, 0)                                                       (2)
                s = fl32(fl32(hi - lo) / n)                                                          (3)
                z = clip(half_even(fl32(qmin - fl32(lo / s))), qmin, qmax)                           (4)
    Shapes      x any -> scale and zero_point (), or (n,) with one of each per slice of `axis`
    Bound       |x - (q - z) s| <= s / 2 + s n 2^-21 + n 2^-149, in exact arithmetic, q the nearest code. Inside, rounding is
                off by s / 2. At an end, z rounded by half a step pushes the end at most half a step beyond the last code, where
                clipping replaces rounding: s / 2 again, not s. (3) errs by 2 and (4) by 3 roundings of 2^-24 n steps; the
                last term as in symmetric_grid
    Limits      hi - lo above float32 (data from -3e38 to 3e38): both halved first, so that s stays finite and exact. A value
                beyond 1 - 1/n of the largest float32 may have its code half a step further out, which float32 does not hold
    Convention  no width (zero or empty x, or (3) rounds to 0): s = 1.0, z = 0
    Raises      ValueError if bits is outside 2 ... 16 or x is not finite
    Source      Jacob et al. 2018 (arXiv 1712.05877), section 3; zero as a code: Krishnamoorthi 2018, section 2.1

    >>> grid = asymmetric_grid([-0.5, 1.0, 7.0], bits=4, signed=False)
    >>> float(grid.scale), int(grid.zero_point), float(grid.low), float(grid.high)
    (0.5, 1, -0.5, 7.0)
    """
    qmin, qmax = code_range(bits, signed)
    lo, hi = _finite_range(x, axis)
    lo, hi = np.minimum(lo, 0), np.maximum(hi, 0)  # (2)
    scale = divide_width(lo, hi, qmax - qmin)  # (3)
    flat = scale == 0
    scale = np.where(flat, np.float32(1), scale)
    with np.errstate(under="ignore"):
        zero_point = np.clip(np.rint(np.float32(qmin) - lo / scale), qmin, qmax)  # (4)
    return Grid(scale, np.where(flat, 0, zero_point).astype(np.int64), qmin, qmax, axis)


def _finite_range(x: npt.ArrayLike, axis: int | None) -> tuple[Array, Array]:
    lo, hi = value_range(x, axis)
    if not (np.isfinite(lo) & np.isfinite(hi)).all():
        raise ValueError(f"x runs from {lo} to {hi} in float32; remove NaN and infinities, or clip x to what float32 holds")
    return lo, hi


def divide_width(lo: Array, hi: Array, n: float) -> Array:
    """Return fl32(fl32(hi - lo) / n) as if float32 could hold any hi - lo.

    Shapes      lo, hi float32 of one shape -> the same
    Source      this package

    >>> float(divide_width(np.float32(-3e38), np.float32(3e38), 3)) == float(np.float32(2e38))
    True
    """
    with np.errstate(over="ignore", under="ignore"):
        width = hi - lo
        halves = hi / np.float32(2) - lo / np.float32(2)  # exact where it is used: values that large have no bit to lose
        return np.asarray(np.where(np.isinf(width), halves / np.float32(n / 2), width / np.float32(n)))
