"""A whole multi-layer perceptron in integers: codes in, codes out, and no floating-point number from one layer to the next.

Each layer is an exact integer product, an int32 bias and a requantization to the next layer's grid; ReLU costs nothing, because
clipping at the code of 0.0 is ReLU. Beside it stands its twin, the same network with fake-quantized floats, which is what
training with quantization sees, and a bound on how many codes the two can differ. A network's grids are those of its input and
of each layer's output.

Letters     x (B, I) inputs, w (I, O) and b (O,) of a layer, h activations, q codes; s scale, z zero_point, m = s_x s_w / s_y;
            e codes of difference
Not here: where the grids come from (calibration). Read next: divergences, packing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from tinycompress.conventions import Requantization, resolve
from tinycompress.integer_layers import quantize_bias, quantized_linear
from tinycompress.quantization import Grid, quantize, symmetric_grid

Array = npt.NDArray[Any]
DEFAULT = Requantization()


@dataclass(frozen=True, eq=False)
class IntegerLayer:
    """One layer: its weights' codes, its bias on the grid of the sums, and the grid of its output."""

    w: Array  # (I, O) int8
    w_grid: Grid
    b: Array  # (O,) int32, steps of s_x s_w
    y_grid: Grid  # of a hidden layer: qmin is the code of 0.0, so that clipping is ReLU


@dataclass(frozen=True, eq=False)
class IntegerNetwork:
    """Layers in order, and the grid on which the first one expects its input."""

    x_grid: Grid
    layers: tuple[IntegerLayer, ...]


def build_network(
    params: Mapping[str, Array], x_grid: Grid, y_grids: Sequence[Grid], bits: int = 8, per_output: bool = True
) -> IntegerNetwork:
    """Return the integers of a trained MLP whose layers are w0, b0, w1, b1, ... of `params`.

    Equation    w_q = half_even(w / s_w) on a symmetric grid, b_q = half_even(b / (s_x s_w))
    Shapes      params w (I, O), b (O,); one y_grid per layer -> as many layers
    Convention  per_output: a scale for each column of w; ReLU after each layer but the last
    Raises      ValueError if the number of grids is not that of the layers, or weights are not finite
    Source      Jacob et al. 2018, sections 2.1 to 2.4

    >>> params = {"w0": np.eye(2, dtype=np.float32), "b0": np.float32([0.5, -0.5])}
    >>> network = build_network(params, Grid(0.5, 0, 0, 255), [Grid(0.5, 0, 0, 255)])
    >>> run_integers(network, np.uint8([[2, 4]])).tolist()
    [[3, 3]]
    """
    names = [f"w{k}" for k in range(len(y_grids))]
    if not all(name in params for name in names) or f"w{len(y_grids)}" in params:
        raise ValueError(
            f"{len(y_grids)} output grids are given for the layers {sorted(k for k in params if k[0] == 'w')}; give one each"
        )
    layers, grid = [], x_grid
    for k, y_grid in enumerate(y_grids):
        w = np.asarray(params[f"w{k}"])
        w_grid = symmetric_grid(w, bits, axis=1 if per_output else None)
        if k < len(y_grids) - 1:
            y_grid = replace(y_grid, qmin=int(y_grid.zero_point))
        layers.append(IntegerLayer(quantize(w, w_grid), w_grid, quantize_bias(params[f"b{k}"], grid.scale, w_grid.scale), y_grid))
        grid = y_grid
    return IntegerNetwork(x_grid, tuple(layers))


def run_integers(network: IntegerNetwork, x: npt.ArrayLike, convention: Requantization | str = DEFAULT) -> Array:
    """Return the last layer's codes for codes of the input.

    Equation    q_(l+1) = clip(half_even(m (sum (q_l - z)(w - z_w) + b_q)) + z', qmin, qmax) for each layer l
    Shapes      x (B, I) codes on x_grid -> (B, O) codes on the last y_grid
    Bound       see code_bound
    Raises      ValueError as quantized_linear does
    Source      Jacob et al. 2018, section 2.2

    >>> w = np.array([[1.0, -1.0]])
    >>> hidden, out = Grid(1.0, 0, 0, 255), Grid(1.0, 0, -128, 127)
    >>> net = build_network({"w0": w, "b0": np.zeros(2), "w1": w.T, "b1": np.zeros(1)}, hidden, [hidden, out])
    >>> run_integers(net, np.uint8([[5], [7]])).tolist()
    [[5], [7]]
    """
    q, grid = np.asarray(x), network.x_grid
    for layer in network.layers:
        q = quantized_linear(q, grid, layer.w, layer.w_grid, layer.b, layer.y_grid, convention)
        grid = layer.y_grid
    return q


def run_fake_quantized(network: IntegerNetwork, params: Mapping[str, Array], x: npt.ArrayLike) -> list[Array]:
    """Return each layer's codes in the twin that computes in floats: values of the grids, float64 sums, the float bias.

    Equation    h_(l+1) = s' (clip(half_even((h_l w_real + b) / s') + z', qmin, qmax) - z'),   w_real = s_w (w_q - z_w)
    Shapes      params: the floats, for their biases; x (B, I) codes on x_grid -> one (B, O) int64 array per layer
    Source      Krishnamoorthi 2018, "Quantizing deep convolutional networks for efficient inference", section 2.4

    >>> params = {"w0": np.eye(2), "b0": np.array([0.125, -0.125])}
    >>> network = build_network(params, Grid(0.5, 0, 0, 255), [Grid(0.5, 0, 0, 255)])
    >>> run_fake_quantized(network, params, np.uint8([[2, 4]]))[0].tolist()
    [[2, 4]]
    """
    h = (np.asarray(x, np.float64) - network.x_grid.zero_point) * network.x_grid.scale
    codes = []
    for k, layer in enumerate(network.layers):
        w = (layer.w - layer.w_grid.zero_point) * layer.w_grid.scale.astype(np.float64)
        grid = layer.y_grid
        q = np.clip(np.rint((h @ w + params[f"b{k}"]) / grid.scale) + grid.zero_point, grid.qmin, grid.qmax)
        codes.append(q.astype(np.int64))
        h = (q - grid.zero_point) * grid.scale
    return codes


def code_bound(network: IntegerNetwork, convention: Requantization | str = DEFAULT) -> list[Array]:
    """Return, for each layer, how many codes its integers can differ from the fake-quantized twin, whatever the input.

    Equation    e_0 = 0,   e_(l+1),o = floor(1 + m_o (1/2 + sum over i of e_l,i |w_io - z_w|) + 2^-20 R)                    (1)
    Why         inputs e_l codes apart move the exact sum by at most the inner sum; the bias was rounded by at most half a step;
                the roundings of three scales, twice of m, of acc and of the product are within 7 2^-24 R, float64 sums within
                the rest, R the largest |q - z| of the output: beyond it both clip. Two reals d apart round to integers at most
                floor(1 + d) apart, and clipping brings nothing further apart
    Shapes      takes no arrays -> one int64 (O,) per layer
    Convention  for rules that round m acc once to the nearest, the bias in int32
    Raises      ValueError if the convention rounds twice or keeps its bias in floating point
    Source      this package

    >>> params = {"w0": np.eye(2), "b0": np.array([0.125, -0.125])}
    >>> code_bound(build_network(params, Grid(0.5, 0, 0, 255), [Grid(0.5, 0, 0, 255)]))[0].tolist()
    [1, 1]
    """
    rule = resolve(convention, Requantization)
    if rule.arithmetic not in ("float32", "float64") or not rule.bias.startswith("int32"):
        raise ValueError(
            f"the bound is for one rounding and an int32 bias; this rule has {rule.arithmetic} and bias {rule.bias!r}"
        )
    bounds, grid = [], network.x_grid
    e: Array = np.zeros(network.layers[0].w.shape[0])
    for layer in network.layers:
        m = grid.scale.astype(np.float64) * layer.w_grid.scale / layer.y_grid.scale
        w = np.abs(layer.w.astype(np.int64) - layer.w_grid.zero_point)
        reach = max(layer.y_grid.qmax - int(layer.y_grid.zero_point), int(layer.y_grid.zero_point) - layer.y_grid.qmin)
        e = np.floor(1 + m * (0.5 + e @ w) + 2.0**-20 * reach)  # (1)
        bounds.append(e.astype(np.int64))
        grid = layer.y_grid
    return bounds
