"""Whole operations on codes: a linear layer, a change of grid, a product and a sum of two tensors, each end to end.

Codes and grids go in, codes come out, and what happens between is one exact integer computation and one requantization.
Given the scales, zero points and bias that a library's operation was called with, and that operation's name, the answer has
its bits.

Letters     x (B, I), w (I, O), a, b codes, each with its Grid: s scale, z zero_point; bias (O,); acc int32 sums; q output codes
Not here: float activations that are quantized on the way (dynamic), a network (integer_network). Read next: integer_network.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tinycompress.conventions import Addition, Requantization, resolve
from tinycompress.fixed_point import multiply_fixed_point, quantize_multiplier, rounding_shift
from tinycompress.fused import fused_multiply_add
from tinycompress.grids import Grid
from tinycompress.integer import integer_matmul, to_int32
from tinycompress.requantization import combine_scales, reciprocal_twice, requantize, round_scaled
from tinycompress.rounding import saturate

Array = npt.NDArray[Any]
DEFAULT, DEFAULT_SUM = Requantization(), Addition()


def quantized_linear(
    x: npt.ArrayLike, x_grid: Grid, w: npt.ArrayLike, w_grid: Grid, bias: npt.ArrayLike | None, y_grid: Grid,
    convention: Requantization | str = DEFAULT, overflow: str = "raise",
) -> Array:  # fmt: skip
    """Return the output codes of a linear layer whose input, weights and output are codes.

    Equation    q = clip(half_even(m (sum over i of (x - z_x)(w - z_w) + bias_q)) + z_y, qmin, qmax)          (1)
                m = s_x s_w / s_y,   bias_q = half_even(bias / (s_x s_w)): the default; other rules by name
    Shapes      x (..., I), w (I, O) integers -> (..., O); x_grid and y_grid with one scale, w_grid with one or, axis=1, one
                per output; bias (O,): integers are added to the sums, floats follow the convention's bias rule; or None
    Bound       with real y = sum x_real w_real + bias: |q - z_y - y / s_y| <= 1/2 + m / 2 + 2^-22 |y / s_y|, where (1) did not
                clip: half a code of rounding, half a step of the bias, three roundings to float32 and one of acc
    Raises      ValueError if shapes, grids or codes do not fit each other, or a sum overflows int32 (see integer_matmul)
    Source      Jacob et al. 2018, section 2.2; the rules: conventions.toml, kind requantization

    >>> one, two = Grid(1.0, 0, 0, 255), Grid(2.0, 0, 0, 255)
    >>> x, w, bias = [[1, 3, 5]], np.eye(3, dtype=np.int8), np.float32([0.5, 0.5, 0.25])
    >>> [quantized_linear(x, one, w, one, bias, two, rule).tolist() for rule in ("fbgemm.linear", "qnnpack.linear")]
    [[[1, 2, 3]], [[0, 2, 2]]]
    """
    rule = resolve(convention, Requantization)
    x, w = np.asarray(x), np.asarray(w)
    if w_grid.axis not in (None, 1, -1) or x_grid.axis is not None or y_grid.axis is not None:
        raise ValueError(
            f"grids have axes {x_grid.axis}, {w_grid.axis} and {y_grid.axis}; only w may have a scale per output, axis=1"
        )
    acc = integer_matmul(x, w, x_grid.zero_point, w_grid.zero_point, overflow)
    per_channel = w_grid.axis is not None and rule.bias_per_channel != "as_bias"
    bias_rule = rule.bias_per_channel if per_channel else rule.bias
    if bias is not None and np.asarray(bias).dtype.kind in "iu":
        acc, bias = to_int32(acc + np.asarray(bias, np.int64), overflow), None
    if bias is not None and bias_rule.startswith("int32"):
        acc, bias = to_int32(acc + quantize_bias(bias, x_grid.scale, w_grid.scale, rule).astype(np.int64), overflow), None
    if bias is None and rule.scales != "one_by_one":
        m = combine_scales(x_grid.scale, w_grid.scale, y_grid.scale, rule)
        return requantize(acc, m, y_grid.zero_point, y_grid.qmin, y_grid.qmax, rule)
    v = _in_output_steps(acc, x_grid.scale, w_grid.scale, y_grid.scale, bias, bias_rule, rule)
    return round_scaled(v, y_grid.zero_point, y_grid.qmin, y_grid.qmax, rule)


def quantize_bias(
    bias: npt.ArrayLike, x_scale: npt.ArrayLike, w_scale: npt.ArrayLike, convention: Requantization | str = DEFAULT
) -> Array:
    """Return a float bias as integers on the grid of the sums, whose step is s_x s_w.

    Equation    bias_q = half_even(bias / (s_x s_w)), the quotient in float64                                       (2)
    Shapes      bias (O,), x_scale (), w_scale () or (O,) -> (O,) int32
    Bound       |bias_q s_x s_w - bias| <= s_x s_w / 2 where (2) did not clip
    Convention  saturates at the ends of int32
    Raises      ValueError if the bias holds NaN, or the convention keeps its bias in floating point
    Source      Jacob et al. 2018, equation 11; PyTorch 2.13, qlinear_prepack (int32_reciprocal)

    >>> quantize_bias([0.5, 0.25, -0.75], 1.0, 0.5).tolist()
    [1, 0, -2]
    """
    rule = resolve(convention, Requantization)
    step = np.asarray(x_scale, np.float64) * np.asarray(w_scale, np.float64)
    with np.errstate(over="ignore", under="ignore"):
        if rule.bias == "int32":
            v = np.asarray(bias, np.float64) / step  # (2)
        elif rule.bias == "int32_reciprocal":
            v = np.asarray(bias, np.float32) * (np.float32(1) / step.astype(np.float32))
        else:
            raise ValueError(
                f"this convention's bias rule is {rule.bias!r}: it has no integer bias; quantized_linear takes the floats"
            )
        return saturate(np.rint(v), -(2**31), 2**31 - 1, np.int32)


def change_grid(q: npt.ArrayLike, from_grid: Grid, to_grid: Grid, convention: Requantization | str = DEFAULT) -> Array:
    """Return codes of one grid as codes of another, without leaving the integers.

    Equation    q' = clip(half_even(m (q - z)) + z', qmin, qmax),   m = s / s'
    Shapes      q integers (...) -> (...) the dtype of to_grid
    Bound       |(q' - z') s' - (q - z) s| <= s' / 2 (1 + 2^-22 |m (q - z)|), where nothing clipped
    Raises      ValueError as requantize does
    Source      conventions.toml: litert.xnnpack.REQUANTIZE and its relatives

    >>> change_grid([-6, -2, 1, 2], Grid(1.0, 0, -128, 127), Grid(4.0, 0, -128, 127), "litert.reference.REQUANTIZE").tolist()
    [-2, -1, 1, 1]
    """
    m = combine_scales(from_grid.scale, np.float32(1), to_grid.scale, convention)
    return requantize(_centred(q, from_grid), m, to_grid.zero_point, to_grid.qmin, to_grid.qmax, convention)


def quantized_mul(
    a: npt.ArrayLike, a_grid: Grid, b: npt.ArrayLike, b_grid: Grid, y_grid: Grid, convention: Requantization | str = DEFAULT
) -> Array:
    """Return the codes of a product, element by element.

    Equation    q = clip(half_even(m (a - z_a)(b - z_b)) + z_y, qmin, qmax),   m = s_a s_b / s_y
    Shapes      a, b integers that broadcast together -> their common shape, the dtype of y_grid
    Raises      ValueError as requantize does
    Source      conventions.toml: torch.quantized.mul, onnxruntime.QLinearMul, litert.*.MUL

    >>> quantized_mul([1, 2, 3], Grid(1.0, 0, 0, 255), [1, 1, 1], Grid(1.0, 0, 0, 255), Grid(2.0, 0, 0, 255)).tolist()
    [0, 1, 2]
    """
    m = combine_scales(a_grid.scale, b_grid.scale, y_grid.scale, convention)
    return requantize(_centred(a, a_grid) * _centred(b, b_grid), m, y_grid.zero_point, y_grid.qmin, y_grid.qmax, convention)


def quantized_add(
    a: npt.ArrayLike, a_grid: Grid, b: npt.ArrayLike, b_grid: Grid, y_grid: Grid, convention: Addition | str = DEFAULT_SUM
) -> Array:
    """Return the codes of a sum, element by element.

    Equation    q = clip(half_even(fl(fl((a - z_a) r_a) + fl((b - z_b) r_b))) + z_y, qmin, qmax),   r = fl32(s / s_y)  (3)
    Shapes      a, b integers that broadcast together -> their common shape, the dtype of y_grid
    Convention  fixed: both summands on the step 2 max(s_a, s_b) / 2^20 first; shared_shift: integer ratios with one shift
    Raises      ValueError as requantize does
    Source      conventions.toml, kind addition

    >>> one, two = Grid(1.0, 0, 0, 255), Grid(2.0, 1, 0, 255)
    >>> quantized_add([1, 2, 3, 4], one, [0, 1, 2, 4], one, two).tolist()
    [1, 3, 3, 5]
    >>> quantized_add([1, 2, 3, 4], one, [0, 1, 2, 4], one, two, "onnxruntime.QLinearAdd").tolist()
    [2, 2, 4, 5]
    """
    rule = resolve(convention, Addition)
    a, b = np.broadcast_arrays(_centred(a, a_grid), _centred(b, b_grid))
    if rule.arithmetic in ("fixed", "shared_shift"):
        s_a, s_b, s_y = (float(np.float32(g.scale)) for g in (a_grid, b_grid, y_grid))
        q = _add_fixed(a, b, s_a, s_b, s_y, rule) + y_grid.zero_point
        return saturate(q, y_grid.qmin, y_grid.qmax, y_grid.dtype)
    v = _add_values(a, a_grid, b, b_grid, y_grid, rule)
    finish = Requantization(rounding=rule.rounding, zero_point=rule.zero_point)
    if rule.arithmetic == "ratios_fused":
        return round_scaled(v, 0, y_grid.qmin, y_grid.qmax, finish)
    q = round_scaled(v, y_grid.zero_point, y_grid.qmin, y_grid.qmax, finish)
    if rule.tail_zero_point != "as_zero_point":
        tail = round_scaled(v, y_grid.zero_point, y_grid.qmin, y_grid.qmax, replace(finish, zero_point=rule.tail_zero_point))
        q = np.where(_in_blocks(q, rule.block), q, tail)
    return q


def _centred(q: npt.ArrayLike, grid: Grid) -> Array:
    q = np.asarray(q)
    if q.dtype.kind not in "iu":
        raise ValueError(f"codes are {q.dtype}; give integers: quantize first")
    return np.asarray(q.astype(np.int64) - grid.along(q.ndim)[1])


def _in_output_steps(acc: Array, s_x: Any, s_w: Any, s_y: Any, bias: Any, bias_rule: str, rule: Requantization) -> Array:
    """(acc s_x s_w + bias) / s_y in float32, by the rules that keep the bias in floating point or form no multiplier."""
    v = acc.astype(np.float32)
    b = None if bias is None else np.asarray(bias, np.float32)
    with np.errstate(over="ignore", under="ignore"):
        if rule.scales == "one_by_one":
            v = v * reciprocal_twice(s_x) * reciprocal_twice(s_w)
            return np.asarray((v if b is None else v + b) * (np.float32(1) / reciprocal_twice(s_y)))
        step = np.asarray(s_x, np.float32) * np.asarray(s_w, np.float32)
        if b is not None:
            v = v + b / step if bias_rule == "float" else fused_multiply_add(b, np.float32(1) / step, v)
        return np.asarray(v * combine_scales(s_x, s_w, s_y, rule))


def _add_fixed(a: Array, b: Array, s_a: float, s_b: float, s_y: float, rule: Addition) -> Array:
    """round((a s_a + b s_b) / s_y) in integers."""
    if rule.arithmetic == "fixed":
        largest = 2 * max(s_a, s_b)
        terms = [multiply_fixed_point(q << 20, quantize_multiplier(s / largest)) for q, s in ((a, s_a), (b, s_b))]
        return multiply_fixed_point(terms[0] + terms[1], quantize_multiplier(largest / (2**20 * s_y)))
    r_a, r_b = (float(np.float32(s / s_y)) for s in (s_a, s_b))
    shift = rule.bits - int(np.frexp(max(r_a, r_b))[1])
    m_a, m_b = (int(np.rint(np.ldexp(r, shift))) for r in (r_a, r_b))
    return rounding_shift(a * m_a + b * m_b, shift, rule.rounding)


def _add_values(a: Array, a_grid: Grid, b: Array, b_grid: Grid, y_grid: Grid, rule: Addition) -> Array:
    """(a s_a + b s_b) / s_y in float32, a and b without their zero points."""
    s_a, s_b, s_y = (np.float32(g.scale) for g in (a_grid, b_grid, y_grid))
    z_a, z_b, z_y = (np.float32(g.zero_point) for g in (a_grid, b_grid, y_grid))
    x, y = a.astype(np.float32), b.astype(np.float32)
    if rule.arithmetic == "ratios":
        return np.asarray(x * (s_a / s_y) + y * (s_b / s_y))  # (3)
    if rule.arithmetic == "ratios_fused":
        r_a, r_b = s_a / s_y, s_b / s_y
        constant = z_y - fused_multiply_add(r_a, z_a, r_b * z_b)
        return fused_multiply_add(x + z_a, r_a, fused_multiply_add(y + z_b, r_b, constant))
    values = x * s_a + y * s_b
    if rule.fma:
        fused = fused_multiply_add(x + z_a, s_a, -(s_a * z_a)) + fused_multiply_add(y + z_b, s_b, -(s_b * z_b))
        values = np.where(_in_blocks(values, rule.block), fused, values)
    return np.asarray(values * (np.float32(1) / s_y))


def _in_blocks(q: Array, block: int) -> Array:
    """True for the entries that lie in whole blocks of the flat array."""
    return np.asarray(np.arange(q.size).reshape(q.shape) < q.size // block * block)
