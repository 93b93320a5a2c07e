"""Dynamic quantization: float in, float out, and an integer product between, on a grid laid over the batch at hand.

The weights are codes beforehand; the activation's grid is chosen when its values are known, so nothing has to be calibrated
and nothing clips. The price is a pass over the input for its range, and outputs that stay floating point.

Letters     x (B, I) float activations, w (I, O) codes with their Grid; s scale, z zero_point, q codes of x, acc int32 sums
Not here: layers whose output is codes too (integer_layers). Read next: integer_layers.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tinycompress.conventions import DynamicLinear, Elementwise, resolve
from tinycompress.fused import fused_multiply_add
from tinycompress.grid_rules import grid_for
from tinycompress.integer import integer_matmul
from tinycompress.quantization import Grid, asymmetric_grid, quantize
from tinycompress.requantization import reciprocal_twice

Array = npt.NDArray[Any]
DEFAULT = DynamicLinear()


def dynamic_quantize(
    x: npt.ArrayLike, convention: DynamicLinear | str = DEFAULT, reduce_range: bool = False, axis: int | None = None
) -> tuple[Array, Grid]:
    """Return the uint8 codes of a batch and the grid chosen for it.

    Equation    s = (max(x, 0) - min(x, 0)) / 255,   z = half_even(-min(x, 0) / s),   q = clip(half_even(x / s) + z, 0, 255)
    Shapes      x (...) float32 -> q (...) uint8, a Grid with one scale, or with axis one per slice of it
    Bound       |x - (q - z) s| <= s / 2 + s n 2^-21, n = 255 steps, at the ends too: z rounded by half a step pushes an end half
                a step beyond the last code, where clipping replaces rounding (grids.asymmetric_grid)
    Convention  reduce_range lays the grid over 0 ... 127, against int16 sums that saturate on older processors; the codes may
                still use all of 0 ... 255, as in PyTorch
    Raises      ValueError if x holds NaN and the convention does not say what becomes of it
    Source      ONNX DynamicQuantizeLinear, opset 11; PyTorch 2.13, qlinear_dynamic.cpp

    >>> q, grid = dynamic_quantize(np.float32([-1.0, 0.5, 2.0]), "onnxruntime.DynamicQuantizeMatMul")
    >>> q.tolist(), int(grid.zero_point)
    ([0, 127, 255], 85)
    """
    rule = resolve(convention, DynamicLinear)
    x = np.asarray(x, np.float32)
    reduced = reduce_range and rule.reduce_range == "follow"
    if rule.grid:
        chosen = grid_for(x, 8, False, rule.grid, axis=axis, **({"reduce_range": True} if reduced else {}))
    else:
        chosen = asymmetric_grid(x, 7 if reduced else 8, axis, signed=False)
    grid = replace(chosen, qmin=0, qmax=255)
    return quantize(x, grid, rule.elementwise or Elementwise()), grid


def dynamic_linear(
    x: npt.ArrayLike, w: npt.ArrayLike, w_grid: Grid, bias: npt.ArrayLike | None = None,
    convention: DynamicLinear | str = DEFAULT, reduce_range: bool = False, axis: int | None = None,
) -> Array:  # fmt: skip
    """Return the float outputs of a linear layer whose weights are codes.

    Equation    y = s_x s_w sum over i of (q - z_x)(w - z_w) + bias,   q, s_x, z_x = dynamic_quantize(x)                (1)
    Shapes      x (B, I) float32, w (I, O) codes, w_grid with one scale or, axis=1, one per output, bias (O,) -> (B, O) float32
    Bound       |y - (x w_real + bias)| <= s_x (1/2 + 2^-13) sum |w_real| + 2^-22 (|y| + |bias|): the error of the codes, at both
                ends too, and four roundings
    Convention  axis=0: a grid per row, so that one row's outlier does not coarsen the others
    Raises      ValueError if shapes or grids do not fit each other, or as dynamic_quantize does
    Source      PyTorch 2.13, quantized.linear_dynamic; onnxruntime 1.32, com.microsoft.DynamicQuantizeMatMul

    >>> x, w = np.float32([[-1.0, 0.5, 2.0]]), np.int8([[10, 100], [20, -100], [-30, 50]])
    >>> grid = Grid(0.01, 0, -128, 127)
    >>> [round(float(dynamic_linear(x, w, grid, None, f"{name}")[0, 1]), 5) for name in
    ...  ("fbgemm.linear_dynamic", "onnxruntime.DynamicQuantizeMatMul")]
    [-0.50588, -0.49412]
    """
    rule = resolve(convention, DynamicLinear)
    if w_grid.axis not in (None, 1, -1) or axis not in (None, 0):
        raise ValueError(
            f"w has scales along axis {w_grid.axis} and x along {axis}; use axis=1 (per output) and axis=0 (per row)"
        )
    q, x_grid = dynamic_quantize(x, rule, reduce_range, axis)
    acc = integer_matmul(q, w, x_grid.zero_point, w_grid.zero_point).astype(np.float32)
    s_x = x_grid.scale if axis is None else x_grid.scale[:, None]
    b = np.float32(0) if bias is None else np.asarray(bias, np.float32)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):  # a range beyond float32 has an infinite scale
        if rule.output == "one_by_one":
            return np.asarray(acc * reciprocal_twice(s_x) * reciprocal_twice(w_grid.scale) + b)  # (1)
        step = np.asarray(s_x, np.float32) * np.asarray(w_grid.scale, np.float32)
        return fused_multiply_add(acc, step, b) if rule.output == "product_fma" else np.asarray(acc * step + b)
