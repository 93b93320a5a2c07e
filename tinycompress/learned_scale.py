"""Train the grid with the model: gradients for the scale, the zero point, or the two ends of a range.

fake_quantize depends on its scale in two ways. A larger step moves every grid value outward, which serves what is clipped,
and makes the rounding of everything else coarser. The gradient below weighs the two, element by element, and sums.

    y = (q - z) s,   q = clip(r + z, qmin, qmax)                                                            (1)
    dy/dx = 1 where nothing is clipped, else 0                                                              (2)
    dy/ds = r - v where nothing is clipped; qmin - z below; qmax - z above                                  (3)
    dy/dz = 0 where nothing is clipped, else -s                                                             (4)

Letters     x values, y fake-quantized values, s scale, z zero_point, v = x / s, r = round(v), [qmin, qmax] the range of codes,
            g gradient_scale; dx, dy, ds, dz gradients of a loss; fl() rounds to the dtype of x
Not here: a scale chosen once from data (grids, calibration). Read next: quantization_aware.
"""
from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tinycompress.conventions import Elementwise, LearnedScale, resolve
from tinycompress.fused import fused_multiply_add
from tinycompress.grids import Grid
from tinycompress.quantization import fake_quantize, fake_quantize_backward
from tinycompress.summation import float32_lanes
from tinycompress.terms import floating, terms

Array = npt.NDArray[Any]
OWN_RULE = LearnedScale()


def lsq_initial_scale(x: npt.ArrayLike, qmax: int, axis: int | None = None) -> Array:
    """Return the scale at which training starts.

    Equation    s = 2 mean|x| / sqrt(qmax)
    Shapes      x (...) -> (), or (n,) along `axis`, in the dtype of x
    Limits      x all zero gives 0, which is no scale: the caller chooses another, 1.0 for instance
    Raises      ValueError if x is empty or qmax is not positive
    Source      Esser et al. 2020 (arXiv 1902.08153), section 2.1

    >>> float(lsq_initial_scale([1.0, -3.0], qmax=4))
    2.0
    """
    x = np.asarray(x)
    if not x.size or qmax <= 0:
        raise ValueError(f"x has {x.size} entries and qmax is {qmax}; a mean needs entries, a square root a positive qmax")
    others = None if axis is None else tuple(i for i in range(x.ndim) if i != axis % x.ndim)
    return np.asarray(np.mean(np.abs(x), axis=others) * (2 / qmax**0.5), x.dtype)


def lsq_gradient_scale(count: int, qmax: int) -> float:
    """Return g, which brings the gradient of the scale to the size of a weight's.

    Equation    g = 1 / sqrt(count qmax)
    Derivation  ds sums over `count` elements, each of order dy; a sum of random signs grows with sqrt(count). And s is smaller
                than the weights by about sqrt(qmax) (see lsq_initial_scale), so its steps must be smaller than theirs, too
    Shapes      takes no arrays; count: the elements that share one scale, in lsq-net those of the whole tensor even per channel
    Raises      ValueError if count or qmax is not positive
    Source      Esser et al. 2020 (arXiv 1902.08153), section 2.2

    >>> lsq_gradient_scale(16, 4)
    0.125
    """
    if count <= 0 or qmax <= 0:
        raise ValueError(f"count is {count} and qmax {qmax}; both must be positive")
    return float(1 / (count * qmax) ** 0.5)


def learned_fake_quantize(
    x: npt.ArrayLike, grid: Grid, convention: LearnedScale | str = OWN_RULE, gradient_scale: float = 1.0
) -> Array:
    """Return y, fake-quantized x, on a grid whose scale (and zero point, then of a floating dtype) is a parameter.

    Equation    (1); z is rounded and clipped to the codes first
    Shapes      x (...) float -> y (...)
    Convention  form "chain" passes s through (s - s g) + s g, as autograd code does to scale its gradient: a last bit may move
    Raises      ValueError as quantization.fake_quantize
    Source      Esser et al. 2020 (arXiv 1902.08153), equations 1-2

    >>> learned_fake_quantize(np.float32([0.3, 0.75, 9.0]), Grid(0.5, 0, -8, 7)).tolist()
    [0.5, 1.0, 3.5]
    """
    rule, x = resolve(convention, LearnedScale), floating(x)
    seen = _as_seen(grid, rule, "half_even", x.dtype, gradient_scale)
    return fake_quantize(x, seen, _forward_rule(rule.scaling, rule.clamp))


def learned_fake_quantize_backward(
    dy: npt.ArrayLike, x: npt.ArrayLike, grid: Grid, convention: LearnedScale | str = OWN_RULE, gradient_scale: float = 1.0
) -> tuple[Array, Array, Array]:
    """Return dL/dx, dL/ds and dL/dz of learned_fake_quantize; ds and dz times gradient_scale.

    Derivation  Inside the range y = s r(x / s). By the product rule dy/ds = r + s dr/ds; read r's staircase as a line of slope 1
                (the straight-through estimator), dr/ds = dv/ds = -x / s^2, so dy/ds = r - v: at most 1/2, zero on the grid.
                Clipped, y = (qmax - z) s: dy/ds = qmax - z, and z itself moves y by -s. z cancels inside: dy/dz = 0
    Shapes      dy, x (...) -> dx (...); ds, dz in the shape of grid.scale and the dtype of x
    Gradient    dx = dy dy/dx, ds = g sum dy dy/ds, dz = g sum dy dy/dz, by (2) (3) (4); sums over what shares a scale
    Bound       terms as the convention rounds them; their sum in float64 is within count 2^-53 sum|terms| and one rounding
    Convention  what counts as clipped: by default x / s outside the range, so that 7.4 of 7 is clipped (LSQ); for torch the
                code it rounds to, so that 7.4 is inside with dy/ds = -0.4
    Raises      ValueError if dy and x differ in shape
    Source      Esser et al. 2020 (arXiv 1902.08153), equations 3 and 5; zero point: Bhalgat et al. 2020 (arXiv 2004.09576)

    >>> dx, ds, dz = learned_fake_quantize_backward(np.ones(3), [0.25, 1.25, 9.0], Grid(1.0, 0, -8, 7))
    >>> dx.tolist(), float(ds), float(dz)               # ds = (0 - .25) + (1 - 1.25) + 7
    ([1.0, 1.0, 0.0], 6.5, -1.0)
    """
    rule, x, dy = resolve(convention, LearnedScale), floating(x), floating(dy)
    if dy.shape != x.shape:
        raise ValueError(f"dy has shape {dy.shape} and x {x.shape}; the gradient of each y goes to its own x")
    seen = _as_seen(grid, rule, rule.zero_point_backward, x.dtype, gradient_scale)
    s, z = (a.astype(x.dtype) for a in seen.along(x.ndim))
    g = x.dtype.type(gradient_scale)
    with np.errstate(all="ignore"):
        inverse = (1 / s).astype(x.dtype)
        v = x * inverse if rule.scaling == "reciprocal" else x / s
        r = np.rint(fused_multiply_add(x, inverse, z)) - z if rule.form == "fused" else np.rint(v)
        outcome = v if rule.clamp == "before_rounding" else r
        first, last = seen.qmin - z, seen.qmax - z  # the range, relative to z
        at_end = rule.at_the_edge == "clipped" and rule.clamp == "before_rounding"
        below = outcome <= first if at_end else outcome < first
        above = outcome >= last if at_end else outcome > last
        inside = ~(below | above | np.isnan(x))
        total = functools.partial(_sum_to, shape=s.shape, order=rule.sum if x.dtype == np.float32 else "float64")
        if rule.form == "chain":  # y = fl(r s), v = fl(x / s): the derivative of each, in the order autograd visits them
            dr = dy * s
            dx = np.where(inside, dr / s, 0)
            ds = total(dy * np.clip(r, first, last)) - total(np.where(inside, dr * (v / s), 0))
            ds = ds.astype(x.dtype) * g
        else:
            dx = np.where(inside, dy, 0)
            moved = dy * (fused_multiply_add(r, s, -x) if rule.form == "fused" else r * s - x)
            moved = moved * inverse if rule.scaling == "reciprocal" else moved / s
            ds = total(np.where(inside, moved, dy * np.where(below, first, last)) * g)  # (3)
        dz = total(np.where(inside, 0, -dy * s * g))  # (4)
    return dx.astype(dy.dtype), *(d.astype(x.dtype).reshape(grid.scale.shape) for d in (ds, dz))  # type: ignore[return-value]


def range_grid(lo: npt.ArrayLike, hi: npt.ArrayLike, qmin: int, qmax: int, axis: int | None = None) -> Grid:
    """Return the grid whose code qmin is exactly lo and whose code qmax is hi, so that its zero point is a fraction.

    Equation    s = (hi - lo) / (qmax - qmin),   z = qmin - lo / s
    Shapes      lo, hi () or (n,) along `axis` -> scale, zero_point the same, in float64: the ends survive to the last bit
    Convention  0.0 then has no code; a convention that nudges rounds z and shifts the range until it has. hi = lo: scale 0
    Raises      ValueError if lo exceeds hi
    Source      TensorFlow 2.21, fake_quant_ops_functor.h, Nudge

    >>> grid = range_grid(-1.0, 1.0, 0, 255)
    >>> float(grid.zero_point), fake_quantize(np.float32([1.0]), grid, "tf.fake_quant_with_min_max_vars").tolist()[0] > 1
    (127.5, True)
    """
    lo, hi = np.asarray(lo, np.float32), np.asarray(hi, np.float32)
    if (lo > hi).any():
        raise ValueError(f"lo {lo} exceeds hi {hi}; a range goes upward")
    with np.errstate(all="ignore"):
        scale = np.asarray((hi - lo).astype(np.float64) / (qmax - qmin))  # the width is rounded to float32, as its users do
        zero_point = np.where(scale == 0, qmin, qmin - lo / scale)
    return Grid(scale, zero_point, qmin, qmax, axis, unchecked=True)


def learned_range_backward(
    dy: npt.ArrayLike, x: npt.ArrayLike, grid: Grid, convention: Elementwise | str = "tf.fake_quant_with_min_max_vars"
) -> tuple[Array, Array, Array]:
    """Return dL/dx, dL/dlo and dL/dhi of fake_quantize on range_grid(lo, hi, ...): the ends are the parameters.

    Derivation  Inside the ends y follows x. Below, y is the lowest grid value, which is read as lo, so dy/dlo = 1; above, hi.
                That y inside also depends on lo and hi through the step is left out: rounding has mean error 0
    Shapes      dy, x (...) -> dx (...); dlo, dhi in the shape of grid.scale and the dtype of x
    Gradient    dx = dy where low <= x <= high, else 0;  dlo = sum of dy where x < low;  dhi = sum of dy where x > high
    Convention  low and high are the ends of the nudged range, not lo and hi; NaN passes to none
    Raises      ValueError if dy and x differ in shape
    Source      TensorFlow 2.21, fake_quant_ops_functor.h, FakeQuantWithMinMaxVarsGradientFunctor

    >>> x, dy = np.float32([-3, -2, -0.5, 0, 0.25]), np.float32([1, 1, 1, 1, 1])
    >>> dx, dlo, dhi = learned_range_backward(dy, x, range_grid(-2.0, -0.5, 0, 255))
    >>> dx.tolist(), float(dlo), float(dhi)             # the range becomes [-1.5, 0]
    ([0.0, 0.0, 1.0, 1.0, 0.0], 2.0, 1.0)
    """
    x, dy, rule = floating(x), floating(dy), resolve(convention, Elementwise)
    rule = rule if rule.mask == "range" else replace(rule, mask="range")
    dx = fake_quantize_backward(dy, x, grid, rule)
    t = terms(grid, rule, x.dtype, x.ndim)
    outside = (_sum_to(np.where(x < t.low, dy, 0), np.shape(t.low)), _sum_to(np.where(x > t.high, dy, 0), np.shape(t.low)))
    return dx, *(d.astype(x.dtype).reshape(grid.scale.shape) for d in outside)  # type: ignore[return-value]


@functools.cache
def _forward_rule(scaling: Any, clamp: Any) -> Elementwise:
    return Elementwise(scaling=scaling, clamp=clamp)


def _as_seen(grid: Grid, rule: LearnedScale, rounding: str, dtype: Any, gradient_scale: float) -> Grid:
    """The grid as the kernel sees it: z whole and among the codes, s through the gradient scaling of a chain."""
    z, s, g = grid.zero_point, grid.scale.astype(dtype), np.dtype(dtype).type(gradient_scale)
    trunc = rounding == "trunc_plus_half_per_tensor" and grid.axis is None and z.dtype.kind == "f"
    whole = np.trunc(z + z.dtype.type(0.5)) if trunc else np.rint(z)
    with np.errstate(all="ignore"):
        s = np.asarray((s - s * g) + s * g) if rule.form == "chain" else s
    return replace(grid, scale=s, zero_point=np.clip(whole, grid.qmin, grid.qmax).astype(np.int64))


def _sum_to(terms_: Array, shape: tuple[int, ...], order: str = "float64") -> Array:
    """Sum over the axes along which a scale of `shape` was shared, which stay as axes of length 1."""
    shape = (1,) * (terms_.ndim - len(shape)) + shape
    shared = tuple(i for i, n in enumerate(shape) if n == 1)
    if order == "float64":
        return np.asarray(terms_.sum(axis=shared, dtype=np.float64, keepdims=True))
    kept = tuple(i for i in range(terms_.ndim) if i not in shared)
    rows = terms_.transpose(kept + shared).reshape(*(terms_.shape[i] for i in kept), -1)
    return float32_lanes(rows).reshape(shape)
