"""Quantize: from real numbers to small integers on a grid, and back; the way through which a gradient passes.

The whole idea is two lines, `nearest_codes` and `code_values` below. A grid with scale s has a value every s; code z is 0.0.
Everything further down computes the same two lines: in cache-sized blocks, with NaN refused and infinities saturated, and,
where a convention is named, in the order of operations of that library, to the last bit.

Letters     x values, q codes, s scale, z zero_point, [qmin, qmax] the range of codes, y values again, dx and dy gradients of
            a loss with respect to x and y; fl() rounds to the dtype of x
Not here: choosing s and z (grids, grid_rules, calibration), training the scale (learned_scale), arithmetic on codes (integer).
Read next: summation, learned_scale (training), integer (inference), elementwise (how conventions differ).
"""
from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tinycompress import elementwise
from tinycompress.conventions import Elementwise, get, resolve
from tinycompress.grid_rules import choose_grid
from tinycompress.grids import Grid, asymmetric_grid, symmetric_grid
from tinycompress.terms import floating, terms

__all__ = [
    "Grid", "Quantized", "asymmetric_grid", "choose_grid", "code_values", "dequantize", "fake_quantize", "fake_quantize_backward",
    "nearest_codes", "quantize", "symmetric_grid",
]  # fmt: skip

Array = npt.NDArray[Any]
OWN_RULE = Elementwise()
BLOCK = 2**18  # numbers worked on at a time: 1 MB stays in a cache, and what a block costs is little beside its numbers


def nearest_codes(x: Array, s: Any, z: Any, qmin: int, qmax: int) -> Array:
    """Return the code of the grid value nearest to x: the idea, without types, blocks and refusals.

    Equation    q = clip(half_even(x / s) + z, qmin, qmax)                                                  (1)
    Shapes      x (...) float; s, z broadcast to x -> q (...) floats that are whole numbers
    Source      Jacob et al. 2018 (arXiv 1712.05877), equation 12

    >>> nearest_codes(np.array([-0.25, 0.25, 0.75, 9.0]), 0.5, 3, 0, 15).tolist()
    [3.0, 3.0, 5.0, 15.0]
    """
    q: Array = np.clip(np.rint(x / s) + z, qmin, qmax)  # (1)
    return q


def code_values(q: Array, s: Any, z: Any) -> Array:
    """Return the values that codes stand for: the way back.

    Equation    y = (q - z) s                                                                               (2)
    Shapes      q (...) numbers; s, z broadcast to q -> y (...)
    Source      Jacob et al. 2018 (arXiv 1712.05877), equation 1

    >>> code_values(np.array([3.0, 4.0, 15.0]), 0.5, 3).tolist()
    [0.0, 0.5, 6.0]
    """
    y: Array = (q - z) * s  # (2)
    return y


@dataclass(frozen=True)
class Quantized:
    """An integer tensor and the grid its codes lie on; `bits` says what it costs on disk.

    >>> t = Quantized(np.int8([-3, 7]), Grid(0.5, 0, -8, 7), bits=4)
    >>> dequantize(t.codes, t.grid).tolist()
    [-1.5, 3.5]
    """

    codes: Array  # any shape, an integer dtype that holds [qmin, qmax]; not packed
    grid: Grid
    bits: int

    def __post_init__(self) -> None:
        if self.codes.dtype.kind not in ("i", "u"):
            raise ValueError(f"codes are {self.codes.dtype}; they are integers: see quantize")
        if self.grid.qmax - self.grid.qmin >= 2**self.bits:
            raise ValueError(f"codes {self.grid.qmin} ... {self.grid.qmax} do not fit {self.bits} bits")


def quantize(
    x: npt.ArrayLike, grid: Grid, convention: Elementwise | str = OWN_RULE, rng: np.random.Generator | None = None
) -> Array:
    """Return the codes of x on the grid.

    Equation    (1), with fl32(x / s) where x is float32: s is rounded to the dtype of x, the quotient is rounded once
    Shapes      x (...) float32 or float64, any strides -> q (...), the smallest integer dtype that holds [qmin, qmax]. float16
                is computed in float32, what is not floating in float64. Groups along an axis: reshape it to (groups, size)
                and give the grid a scale (..., groups, 1); a ragged last group is a second call
    Bound       |x - dequantize(q)| <= s / 2 + ulp(x) where (1) did not clip
    Limits      s -> 0: everything saturates, only 0.0 keeps code z
    Convention  by default ties to even, z added behind the rounding, infinities saturate, NaN is refused; others by name or
                record: conventions.names(). `rng` serves rounding="stochastic" only. Beside the answer, under 16 MB of memory
    Raises      ValueError if x holds NaN and the convention has no code for it, or the grid's scales do not fit x
    Source      Jacob et al. 2018 (arXiv 1712.05877); ONNX QuantizeLinear, opset 21

    >>> x = np.float32([-0.5, 0.5, 1.5, 2.5, 300.0])
    >>> quantize(x, Grid(1.0, 1, -128, 127)).tolist()
    [1, 1, 3, 3, 127]
    >>> quantize(x, Grid(1.0, 1, -128, 127), "torch.quantize_per_tensor").tolist()
    [0, 2, 2, 4, 127]
    """
    rule, x = _rule(convention, grid), floating(x)
    if rule.block:
        return _quantize_with_tail(x, grid, rule)
    open_ended = rule.clamp == "none"
    q = np.empty_like(x, np.int32 if open_ended else grid.dtype)
    nan = "raise" if rule.nan == "keep" else rule.nan
    with np.errstate(all="ignore"):  # overflow, 0 / 0 and NaN are answered by the rule
        for block, out, t, buffer in _blocks(grid, rule, x, q):
            held = elementwise.codes(block, t, rule, nan, rng, buffer)
            np.copyto(out, held, casting="unsafe")  # whole and in range: nothing is cut
    return q


def dequantize(
    q: npt.ArrayLike, grid: Grid, convention: Elementwise | str = OWN_RULE, dtype: npt.DTypeLike = np.float32
) -> Array:
    """Return the values that codes stand for, as float32 or another float `dtype`.

    Equation    y = fl((q - z) s), s rounded to `dtype` first                                               (2)
    Shapes      q (...) of any integer dtype -> y (...) dtype
    Bound       one rounding; (q - z) s is exact before it, for codes of up to 16 bits
    Convention  others subtract rounded products, fuse them, or multiply by a float64 scale: a last bit apart in a third of cases
    Raises      ValueError if q is not of an integer dtype or `dtype` is not floating, or the grid's scales do not fit q
    Source      Jacob et al. 2018 (arXiv 1712.05877), equation 1; ONNX DequantizeLinear, opset 21

    >>> grid = Grid(0.1, 7, -128, 127)
    >>> y = dequantize(np.int8([-128, 7, 8]), grid)
    >>> y.dtype, y.tolist() == np.float32([-13.5, 0.0, 0.1]).tolist()
    (dtype('float32'), True)
    """
    rule, q = _rule(convention, grid), np.asarray(q)
    if q.dtype.kind not in ("i", "u"):
        raise ValueError(f"q is {q.dtype}; codes are integers: cast them if they hold whole numbers")
    y = np.empty_like(q, dtype)
    if y.dtype.kind != "f":
        raise ValueError(f"dtype is {y.dtype}; the values of codes are real numbers: give a floating one, as float32")
    with np.errstate(all="ignore"):
        for block, out, t, _ in _blocks(grid, rule, q, y):
            elementwise.values(block, t, rule, out)
    return y


def fake_quantize(
    x: npt.ArrayLike, grid: Grid, convention: Elementwise | str = OWN_RULE, rng: np.random.Generator | None = None
) -> Array:
    """Return x moved to the nearest values of the grid: what training sees of a quantized tensor.

    Equation    y = dequantize(quantize(x))
    Shapes      x (...) float32 or float64 -> y (...), the same dtype. float16 becomes float32, what is not floating float64
    Bound       |y - x| <= s / 2 + ulp(x) inside the range; fake_quantize(y) = y
    Convention  as quantize; fake_quantize of a library need not equal its own dequantize(quantize(x)): torch's does not
    Raises      ValueError as quantize
    Source      Jacob et al. 2018 (arXiv 1712.05877), section 3

    >>> fake_quantize(np.float32([0.3, 0.75, -9.0]), Grid(0.5, 0, -8, 7)).tolist()
    [0.5, 1.0, -4.0]
    """
    rule, x = _rule(convention, grid), floating(x)
    y = np.empty_like(x)
    with np.errstate(all="ignore"):
        for block, out, t, buffer in _blocks(grid, rule, x, y):
            elementwise.values(elementwise.codes(block, t, rule, rule.nan, rng, buffer), t, rule, out)
    return y


def fake_quantize_backward(dy: npt.ArrayLike, x: npt.ArrayLike, grid: Grid, convention: Elementwise | str = OWN_RULE) -> Array:
    """Return dL/dx of fake_quantize by the straight-through estimator.

    Derivation  y is a staircase in x: its true derivative is 0 between the steps, and nothing would ever train. Rounding moves
                x by at most s / 2 either way, so the estimator reads y as x + (an error of mean 0), dy/dx = 1. Clipping is no
                such error: outside the range y does not move with x at all, dy/dx = 0. What counts as outside is the mask
    Shapes      dy, x (...) -> dx (...), the dtype of dy where it is float32 or float64, else as fake_quantize
    Gradient    dx = dy where qmin <= half_even(fl(x / s)) + z <= qmax, else 0; 0 at NaN
    Convention  mask "rounded" (default: the code before clipping is in range; torch, torchao, AIMET), "unrounded" (x / s itself
                is: 127.4 is out; the LSQ paper), "amax" (|x| <= qmax s; ModelOpt), "range" (TensorFlow's nudged ends)
    Raises      ValueError if dy and x differ in shape
    Source      Bengio et al. 2013 (arXiv 1308.3432); masks: conventions.toml

    >>> fake_quantize_backward(np.float32([1, 1, 1]), np.float32([7.25, 7.5, -9.0]), Grid(1.0, 0, -8, 7)).tolist()
    [1.0, 0.0, 0.0]
    """
    rule, x, dy = _rule(convention, grid), floating(x), floating(dy)
    if dy.shape != x.shape:
        raise ValueError(f"dy has shape {dy.shape} and x {x.shape}; the gradient of each y goes to its own x")
    dx = np.zeros_like(dy)
    with np.errstate(all="ignore"):
        for block, dy_block, out, t, buffer in _blocks(grid, rule, x, dy, dx):
            np.copyto(out, dy_block, where=elementwise.passes(block, t, rule, buffer))
    return dx


def _rule(convention: Elementwise | str, grid: Grid) -> Elementwise:
    rule: Elementwise = resolve(convention, Elementwise)
    if rule.wide and grid.qmax - grid.qmin > 255:
        rule = get(rule.wide)
    return rule


def _blocks(grid: Grid, rule: Elementwise, x: Array, *others: Array) -> Iterator[tuple[Any, ...]]:
    """For each block of the arrays, which have one shape: a view of each, the terms of the grid there, and a work buffer."""
    scales = grid.along(x.ndim)[0].shape
    if len(scales) > x.ndim or any(n not in (1, m) for n, m in zip(reversed(scales), reversed(x.shape))):
        raise ValueError(f"the grid has scales of shape {scales}, and x has shape {x.shape}; they must broadcast to x")
    t = terms(grid, rule, x.dtype if x.dtype.kind == "f" else others[0].dtype, x.ndim)
    buffer = np.empty(min(x.size, BLOCK), t.divisor.dtype)
    shape = x.shape or (1,)  # one number is a block too
    first, *rest = (a.reshape(shape) for a in (x, *others))  # views, also of strided arrays
    for where in _cuts(shape):
        block = first[where]
        yield block, *(a[where] for a in rest), t.cut(where), buffer[: block.size].reshape(block.shape)


def _cuts(shape: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Indices that cut an array into blocks of at most BLOCK entries, along as few leading axes as it takes."""
    inner = math.prod(shape[1:])
    if 0 < inner <= BLOCK:
        step = BLOCK // inner
        yield from ((slice(i, i + step),) for i in range(0, shape[0], step))
    elif inner > BLOCK:
        yield from ((slice(i, i + 1), *rest) for i in range(shape[0]) for rest in _cuts(shape[1:]))


def _quantize_with_tail(x: Array, grid: Grid, rule: Elementwise) -> Array:
    """A vector kernel handles whole blocks, a scalar loop what is left at the end; they need not agree, and here they do not."""
    if grid.scale.ndim:
        raise ValueError(f"the grid has scales of shape {grid.scale.shape}; a rule with a tail is stated for one scale only")
    flat = x.ravel()
    whole = flat.size - flat.size % rule.block
    parts = quantize(flat[:whole], grid, replace(rule, block=0)), quantize(flat[whole:], grid, rule.tail)
    return np.concatenate(parts).reshape(x.shape)
