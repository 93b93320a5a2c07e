"""The model that everything else makes smaller: embeddings of any number of fields, joined, then a small MLP.

    h_0 = join of table_f[codes_f] over the fields f;   h_{l+1} = relu(h_l w_l + b_l);   logits = h_last w_last + b_last

Parameters are a plain dict: "table0", "table1", ... (V, D), one per field; "w0", "b0", "w1", ... (I, O) and (O,). What a
dict cannot say (how bags are pooled, how fields are joined) stands in a frozen `Architecture`.

Letters     B rows of a batch, V rows of a table, D columns of a table, I inputs, O outputs of a layer
Not here: losses, updates (optimizers, training), fast scoring of many rows. Read next: scoring.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from tinycompress import ops
from tinycompress.bags import Bag

Array = NDArray[np.floating]
Params = dict[str, Array]
Gradients: TypeAlias = "dict[str, Array | ops.RowGradient]"
Input: TypeAlias = "NDArray[np.integer] | Bag"


@dataclass(frozen=True)
class Architecture:
    """The shape of a recommender: facts, checked once."""

    rows: tuple[int, ...]  # V of each field's table
    columns: tuple[int, ...]  # D of each field's table
    hidden: tuple[int, ...] = (32, 16, 8)  # widths of the hidden layers; () is one linear layer
    outputs: int = 1  # 1: one logit (click or not); C >= 2: logits of C classes
    pooling: tuple[str, ...] = ()  # of each field's bags, "sum" or "mean"; () means "sum" for all
    join: str = "concat"  # "concat" sets the fields side by side; "product" multiplies them element by element

    def __post_init__(self) -> None:
        if len(self.rows) != len(self.columns) or not self.rows:
            raise ValueError(
                f"{len(self.rows)} fields have rows and {len(self.columns)} have columns; give one of each per field"
            )
        if min(*self.rows, *self.columns, *self.hidden, self.outputs, 1) < 1:
            raise ValueError(f"sizes {self.rows}, {self.columns}, {self.hidden}, {self.outputs} must all be at least 1")
        if set(self.pooling) - {"sum", "mean"} or len(self.pooling) not in (0, len(self.rows)):
            raise ValueError(f"pooling is {self.pooling} for {len(self.rows)} fields; give 'sum' or 'mean' per field, or ()")
        if self.join not in ("concat", "product"):
            raise ValueError(f"join is {self.join!r}; use 'concat' or 'product'")
        if self.join == "product" and len(set(self.columns)) > 1:
            raise ValueError(f"columns {self.columns} differ; fields can be multiplied only if all are equally wide")

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths of h_0, the hidden layers and the logits."""
        joined = sum(self.columns) if self.join == "concat" else self.columns[0]
        return (joined, *self.hidden, self.outputs)

    def pool(self, field: int) -> str:
        """How the bags of one field are pooled."""
        return self.pooling[field] if self.pooling else "sum"


def init(rng: np.random.Generator, architecture: Architecture, dtype: type = np.float32) -> Params:
    """Draw initial parameters.

    Equation    tables ~ N(0, .03^2) joined by concat, N(0, 1 / D) by product; w ~ N(0, 2 / I); b = 0
    Shapes      returns the dict of tables (V, D), weights (I, O), biases (O,)
    Convention  a product of small numbers is a tiny one: its tables start larger, so that u . v has variance 1 / D
    Source      He et al. 2015 (arXiv 1502.01852) for w

    >>> sorted(init(np.random.default_rng(0), Architecture(rows=(5, 7), columns=(2, 2), hidden=(3,))))
    ['b0', 'b1', 'table0', 'table1', 'w0', 'w1']
    """
    params: Params = {}
    for f, (v, d) in enumerate(zip(architecture.rows, architecture.columns)):
        spread = 0.03 if architecture.join == "concat" else d**-0.5
        params[f"table{f}"] = (spread * rng.standard_normal((v, d))).astype(dtype)
    for layer, (i, o) in enumerate(zip(architecture.widths, architecture.widths[1:])):
        params[f"w{layer}"] = (math.sqrt(2 / i) * rng.standard_normal((i, o))).astype(dtype)
        params[f"b{layer}"] = np.zeros(o, dtype)
    return params


def forward(params: Params, inputs: Sequence[Input], architecture: Architecture) -> tuple[Array, list[Array]]:
    """Return the logits of a batch, and the layer inputs h_0, h_1, ... that `backward` needs.

    Shapes      inputs one per field, codes (B,) or B bags -> logits (B,) if outputs is 1, else (B, outputs)
    Raises      ValueError if the number of inputs differs from the number of fields, or a code has no row
    Source      the equation at the head of this module; Covington, Adams, Sargin 2016 for the shape of such models

    >>> params = {"table0": np.array([[1.0], [2.0]]), "w0": np.array([[3.0]]), "b0": np.array([0.5])}
    >>> forward(params, [np.array([1])], Architecture(rows=(2,), columns=(1,), hidden=()))[0]
    array([6.5])
    """
    if len(inputs) != len(architecture.rows):
        raise ValueError(f"{len(inputs)} inputs for {len(architecture.rows)} fields; give one per field")
    h = _join(_looked_up(params, inputs, architecture), architecture)
    layers = [h]
    last = len(architecture.hidden)
    for layer in range(last):
        h = ops.relu(ops.linear(h, params[f"w{layer}"], params[f"b{layer}"]))
        layers.append(h)  # relu_backward needs only the output of relu
    logits = ops.linear(h, params[f"w{last}"], params[f"b{last}"])
    return (logits[:, 0] if architecture.outputs == 1 else logits), layers


def backward(
    dlogits: Array, layers: list[Array], params: Params, inputs: Sequence[Input], architecture: Architecture
) -> Gradients:
    """Return the gradient of every parameter; those of tables as `RowGradient`.

    Shapes      dlogits as the logits of `forward`, layers from `forward`
    Source      the chain rule, in the order of `forward` reversed

    >>> params = {"table0": np.array([[1.0], [2.0]]), "w0": np.array([[3.0]]), "b0": np.array([0.5])}
    >>> shape = Architecture(rows=(2,), columns=(1,), hidden=())
    >>> _, layers = forward(params, [np.array([1])], shape)
    >>> backward(np.array([1.0]), layers, params, [np.array([1])], shape)["w0"]
    array([[2.]])
    """
    grads: Gradients = {}
    d = dlogits[:, None] if architecture.outputs == 1 else dlogits
    for layer in reversed(range(len(layers))):
        h = layers[layer]
        d, grads[f"w{layer}"], grads[f"b{layer}"] = ops.linear_backward(d, h, params[f"w{layer}"])
        if layer > 0:
            d = ops.relu_backward(d, h)  # h > 0 exactly where the layer's sum was
    for f, d_field in enumerate(_join_backward(d, params, inputs, architecture)):
        field = inputs[f]
        if isinstance(field, Bag):
            grads[f"table{f}"] = ops.embedding_bag_backward(d_field, field, architecture.rows[f], architecture.pool(f))
        else:
            grads[f"table{f}"] = ops.embedding_backward(d_field, field, architecture.rows[f])
    return grads


def look_up(table: Array, field: Input, pooling: str) -> Array:
    """Return the rows of a table that a field asks for: one per code, or one pooled row per bag.

    Shapes      table (V, D), field (B,) or B bags -> (B, D)
    Source      this package

    >>> look_up(np.array([[1.0], [2.0]]), np.array([1]), "sum")
    array([[2.]])
    """
    return ops.embedding_bag(table, field, pooling) if isinstance(field, Bag) else ops.embedding(table, field)


def _looked_up(params: Params, inputs: Sequence[Input], architecture: Architecture) -> list[Array]:
    return [look_up(params[f"table{f}"], field, architecture.pool(f)) for f, field in enumerate(inputs)]


def _join(parts: list[Array], architecture: Architecture) -> Array:
    if architecture.join == "concat":
        return np.concatenate(parts, axis=1)
    product = parts[0].copy()
    for part in parts[1:]:
        product *= part
    return product


def _join_backward(d: Array, params: Params, inputs: Sequence[Input], architecture: Architecture) -> list[Array]:
    if architecture.join == "concat":
        ends = np.cumsum(architecture.columns)[:-1]
        return np.split(d, ends, axis=1)
    parts = _looked_up(params, inputs, architecture)
    return [d * math.prod(parts[:f] + parts[f + 1 :], start=np.ones_like(d)) for f in range(len(parts))]
