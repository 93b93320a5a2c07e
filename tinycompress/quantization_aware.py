"""Training a model for the codes it will be stored in: quantization-aware training as a view of the parameters.

The forward pass computes with fake-quantized weights, the gradient goes back to the raw ones straight through the rounding.
The raw weights move by small steps that rounding would swallow, and a code changes when they have moved far enough. The grid is
laid anew over the raw weights at each step, or its scale is a parameter like any other (LSQ).

Letters     w raw weights, s scale
Not here: the rounding and its gradient (quantization, learned_scale), the loop (training). Read next: calibration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tinycompress.grids import Grid
from tinycompress.learned_scale import (
    learned_fake_quantize,
    learned_fake_quantize_backward,
    lsq_gradient_scale,
    lsq_initial_scale,
)
from tinycompress.ops import RowGradient
from tinycompress.quantization import Quantized, fake_quantize, fake_quantize_backward, quantize
from tinycompress.training import View

Array = npt.NDArray[Any]
GridOf = Callable[[Array], Grid]  # lays a grid over a tensor, e.g. lambda w: symmetric_grid(w, bits=4, axis=0)


def straight_through_view(grids: Mapping[str, GridOf]) -> View:
    """Return the view in which the named tensors are fake-quantized on a grid laid over their present values.

    Equation    view(w) = fake_quantize(w, grid(w))
    Shapes      any; of a RowGradient only its rows are worked on
    Gradient    dw = fake_quantize_backward(dview, w, grid(w)): 1 where nothing was clipped; the grid itself is taken as constant
    Convention  a grid with axis=0 has one scale per row, so a table's row depends on that row alone
    Raises      ValueError, when used, if a named tensor is missing
    Source      Jacob et al. 2018 (arXiv 1712.05877), section 3; Bengio et al. 2013 (arXiv 1308.3432)

    >>> from tinycompress.grids import symmetric_grid
    >>> view = straight_through_view({"w0": lambda w: symmetric_grid(w, bits=2)})
    >>> view.forward({"w0": np.float32([[-1.0, 0.25, 0.75]])})["w0"].tolist()
    [[-1.0, 0.0, 1.0]]
    """

    def forward(params: dict[str, Array]) -> dict[str, Array]:
        _refuse_missing(grids, params)
        return {**params, **{name: fake_quantize(params[name], lay(params[name])) for name, lay in grids.items()}}

    def backward(grads: dict[str, Any], params: dict[str, Array]) -> dict[str, Any]:
        back = dict(grads)
        for name, lay in grids.items():
            g, w = grads[name], params[name]
            if isinstance(g, RowGradient):
                some = w[g.rows]
                back[name] = replace(g, values=fake_quantize_backward(g.values, some, _grid_of_rows(lay(w), g.rows)))
            else:
                back[name] = fake_quantize_backward(g, w, lay(w))
        return back

    return View(forward, backward)


def add_scales(params: Mapping[str, Array], bits: int, axes: Mapping[str, int | None]) -> dict[str, Array]:
    """Return the parameters with a scale to be learned beside each named tensor, under "scale_" + its name.

    Equation    s = 2 mean |w| / sqrt(qmax), qmax = 2^(bits-1) - 1; 1.0 where w is all zero
    Shapes      scale () for axis None, (n,) for an axis of n slices
    Raises      ValueError if bits is below 2
    Source      Esser et al. 2020 (arXiv 1902.08153), section 2.1

    >>> add_scales({"w0": np.float32([[1.0, -3.0]])}, bits=2, axes={"w0": None})["scale_w0"]
    array(4., dtype=float32)
    """
    if bits < 2:
        raise ValueError(f"bits is {bits}; a symmetric grid needs at least 2")
    scales = {}
    for name, axis in axes.items():
        s = lsq_initial_scale(params[name], 2 ** (bits - 1) - 1, axis)
        scales[f"scale_{name}"] = np.asarray(np.where(s > 0, s, s.dtype.type(1)))
    return {**params, **scales}


def learned_scale_view(bits: int, axes: Mapping[str, int | None]) -> View:
    """Return the view in which the named tensors are fake-quantized on symmetric grids whose scales are parameters.

    Equation    view(w, s) = clip(half_even(w / s), -qmax, qmax) s;  the scales themselves are not seen by the model
    Shapes      params as `add_scales` gives them; of a RowGradient only its rows are worked on, and then the gradient of scales
                per row is a RowGradient too
    Gradient    dw and ds by learned_scale.learned_fake_quantize_backward, ds times 1 / sqrt(count qmax), count the elements that
                share the scale
    Convention  a scale that a step has carried to 0 or below is seen as the smallest normal number: no code is lost for good
    Raises      ValueError, when used, if a named tensor or its scale is missing
    Source      Esser et al. 2020 (arXiv 1902.08153)

    >>> view = learned_scale_view(bits=2, axes={"w0": None})
    >>> view.forward({"w0": np.float32([[-1.0, 0.25, 0.75]]), "scale_w0": np.float32(0.5)})
    {'w0': array([[-0.5,  0. ,  0.5]], dtype=float32)}
    """

    def gradient_scale(name: str, params: Mapping[str, Array]) -> float:
        return lsq_gradient_scale(params[name].size // max(params[f"scale_{name}"].size, 1), 2 ** (bits - 1) - 1)

    def forward(params: dict[str, Array]) -> dict[str, Array]:
        _refuse_missing(axes, params)
        _refuse_missing([f"scale_{name}" for name in axes], params)
        seen = {name: p for name, p in params.items() if name.removeprefix("scale_") not in axes or name in axes}
        for name in axes:
            seen[name] = learned_fake_quantize(params[name], _grid_of_scale(params[f"scale_{name}"], bits, axes[name]))
        return seen

    def backward(grads: dict[str, Any], params: dict[str, Array]) -> dict[str, Any]:
        back = dict(grads)
        for name in axes:
            g, w, weight = grads[name], params[name], gradient_scale(name, params)
            grid = _grid_of_scale(params[f"scale_{name}"], bits, axes[name])
            if isinstance(g, RowGradient):
                part = _grid_of_rows(grid, g.rows)
                dw, ds, _ = learned_fake_quantize_backward(g.values, w[g.rows], part, gradient_scale=weight)
                back[name] = replace(g, values=dw)
                # One scale per row: only the batch's rows have a gradient. One for the tensor: the other rows add nothing.
                back[f"scale_{name}"] = RowGradient(g.rows, ds, grid.scale.shape) if grid.axis == 0 else ds
            else:
                back[name], back[f"scale_{name}"], _ = learned_fake_quantize_backward(g, w, grid, gradient_scale=weight)
        return back

    return View(forward, backward)


def freeze(params: Mapping[str, Array], grids: Mapping[str, GridOf], bits: Mapping[str, int]) -> dict[str, Array | Quantized]:
    """Return the trained parameters with the named tensors as codes: what the view showed, to the bit, as integers.

    Shapes      any
    Raises      ValueError if a named tensor is missing, or its codes do not fit the bits
    Source      this package

    >>> from tinycompress.grids import symmetric_grid
    >>> frozen = freeze({"w0": np.float32([[-1.0, 0.75]])}, {"w0": lambda w: symmetric_grid(w, bits=2)}, {"w0": 2})
    >>> frozen["w0"].codes.tolist()
    [[-1, 1]]
    """
    _refuse_missing(grids, params)
    frozen: dict[str, Array | Quantized] = dict(params)
    for name, lay in grids.items():
        grid = lay(params[name])
        frozen[name] = Quantized(quantize(params[name], grid), grid, bits[name])
    return frozen


def learned_grids(params: Mapping[str, Array], bits: int, axes: Mapping[str, int | None]) -> dict[str, GridOf]:
    """Return, for `freeze`, the grids whose scales were learned.

    Shapes      params as trained under `learned_scale_view`
    Raises      ValueError if a scale is missing
    Source      this package

    >>> grids = learned_grids({"scale_w0": np.float32(0.5)}, bits=2, axes={"w0": None})
    >>> grids["w0"](np.float32([9.0])).scale.tolist()
    0.5
    """
    _refuse_missing([f"scale_{name}" for name in axes], params)

    def lay(name: str) -> GridOf:
        grid = _grid_of_scale(params[f"scale_{name}"], bits, axes[name])
        return lambda w: grid

    return {name: lay(name) for name in axes}


def _grid_of_scale(s: Array, bits: int, axis: int | None) -> Grid:
    qmax = 2 ** (bits - 1) - 1
    return Grid(np.maximum(s, np.finfo(s.dtype).tiny), np.zeros(s.shape, np.int64), -qmax, qmax, axis)


def _grid_of_rows(grid: Grid, rows: Array) -> Grid:
    """The part of a grid that belongs to some rows; all of it where the rows share one scale."""
    if grid.axis != 0:
        return grid
    return replace(grid, scale=grid.scale[rows], zero_point=grid.zero_point[rows])


def _refuse_missing(names: Any, params: Mapping[str, Array]) -> None:
    missing = [name for name in names if name not in params]
    if missing:
        raise ValueError(f"there is no parameter {missing[0]!r}; there are {', '.join(sorted(params))}")
