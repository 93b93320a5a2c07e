"""Whole units, columns, blocks and rows: pruning that a plain dense matrix can profit from.

A mask with zeros here and there makes nothing smaller or faster by itself. A unit whose inputs are all masked is a constant, a
column of zeros is never read, a row that nobody uses can be shared: these can be taken out of the arrays, and what is left is
an ordinary smaller model that computes the same function.

    hidden unit j of layer l     column j of w_l, b_l[j], and row j of w_{l+1}:  I + 1 + O numbers, so 10 % of the units of a
                                 network are about 19 % of its numbers, since layers shrink on both sides
    column d of a table          the column, and the row of w0 that reads it

Letters     w (I, O) weights, b (O,) bias, V rows and D columns of a table, h what a unit puts out, u unit roundoff
Not here: norms of units (pruning). Read next: saliency.
"""
from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tinycompress.conventions import CountRule
from tinycompress.counting import DEFAULT, Mask, as_mask, keep_largest
from tinycompress.ops import relu
from tinycompress.recommender import Architecture

Array = NDArray[Any]
Params = dict[str, Array]


def block_mask(
    w: ArrayLike,
    block: tuple[int, int],
    sparsity: float | None = None,
    *,
    count: int | None = None,
    pool: str = "mean",
    layout: str = "tiles",
    convention: CountRule | str = DEFAULT,
) -> Mask:
    """Return the mask that prunes whole blocks, those of smallest pooled magnitude.

    Equation    score of a block = mean (or max) of its |w|; the round(s n) smallest of the n blocks go
    Shapes      w (I, O), block (rows, columns) -> mask (I, O)
    Convention  tiles begin at (0, 0); those at the far edges are smaller, and the mean counts what is there. TFMOT's SAME
                padding agrees as long as it adds less than two per side. layout "runs" takes runs of rows x columns entries
                in C order in place of tiles, as sparseml does for blocks wider than 1: its 2 x 2 block is 4 in a row
    Raises      ValueError if w is not a matrix, block, pool or layout is unknown, or runs do not divide w
    Source      tensorflow_model_optimization 0.8.1 (tiles), sparseml 1c04a016c (runs)

    >>> block_mask([[1, 1, 9, 9], [2, 2, 9, 9]], (2, 2), 0.5).astype(int)
    array([[0, 0, 1, 1],
           [0, 0, 1, 1]])
    >>> block_mask([[1, 1, 9, 9], [2, 2, 9, 9]], (2, 2), 0.5, layout="runs").astype(int)
    array([[0, 0, 0, 0],
           [1, 1, 1, 1]])
    """
    a = np.abs(np.asarray(w))
    high, wide = block
    if a.ndim != 2 or min(block) < 1 or pool not in ("mean", "max") or layout not in ("tiles", "runs"):
        raise ValueError(f"w has shape {a.shape}, block is {block}, pool is {pool!r}, layout is {layout!r}; see the docstring")
    if a.size == 0:
        return np.ones(a.shape, bool)
    if layout == "runs":
        if a.size % (high * wide):
            raise ValueError(f"{a.size} entries do not divide into runs of {high * wide}; choose another block")
        runs = a.reshape(-1, high * wide)
        pooled = runs.mean(axis=1) if pool == "mean" else runs.max(axis=1)
        kept = keep_largest(pooled, sparsity, count=count, convention=convention)
        return np.repeat(kept, high * wide).reshape(a.shape)
    rows, columns = np.arange(0, a.shape[0], high), np.arange(0, a.shape[1], wide)
    combine = np.add if pool == "mean" else np.maximum
    scores = combine.reduceat(combine.reduceat(a, rows, axis=0), columns, axis=1)
    if pool == "mean":
        scores = scores / np.outer(np.diff(rows, append=a.shape[0]), np.diff(columns, append=a.shape[1])).astype(scores.dtype)
    kept = keep_largest(scores, sparsity, count=count, convention=convention)
    return np.repeat(np.repeat(kept, high, axis=0), wide, axis=1)[: a.shape[0], : a.shape[1]]


def row_mask(uses: ArrayLike, columns: int, sparsity: float | None = None, *, count: int | None = None) -> Mask:
    """Return the mask of a table that keeps the rows used most.

    Shapes      uses (V,), D = columns -> mask (V, D), each row all True or all False
    Convention  use is how often a code occurs in the training data: the rows seldom asked for go, however large they are
    Raises      ValueError as `keep_largest`
    Source      this package

    >>> row_mask([9, 1, 5, 0], columns=2, sparsity=0.5).all(axis=1)
    array([ True, False,  True, False])
    """
    kept = keep_largest(uses, sparsity, count=count)
    return np.repeat(kept[:, None], columns, axis=1)


def remove_rows(table: Array, kept: Mask, stand_in: Array | None = None) -> tuple[Array, NDArray[np.intp]]:
    """Return the table without the rows not kept, and where each old code finds its row now.

    Equation    small[index[code]] = table[code] for kept rows, and the stand-in, the last row, for all others
    Shapes      table (V, D), kept (V,), stand_in (D,) -> small (V' + 1, D), index (V,); V' rows are kept
    Convention  the stand-in is 0, which equals the masked table bit for bit; the mean of what went is often better
    Raises      ValueError if kept is no mask of V rows
    Source      this package

    >>> small, index = remove_rows(np.array([[1.0], [2.0], [3.0]]), np.array([True, False, True]))
    >>> small[index].ravel()
    array([1., 0., 3.])
    """
    kept = as_mask(kept, table.shape[:1])
    last = np.zeros(table.shape[1:], table.dtype) if stand_in is None else np.asarray(stand_in, table.dtype)
    small = np.concatenate([table[kept], last[None]])
    return small, np.where(kept, np.cumsum(kept) - 1, len(small) - 1)


def constant_units(params: Mapping[str, Array], layer: int) -> Mask:
    """Return which units of a hidden layer the rest of the model cannot tell from a constant.

    Shapes      w{layer} (I, O) -> (O,): True where the unit's inputs are all 0, or nothing reads it
    Raises      ValueError if the layer is not a hidden one
    Source      this package

    >>> params = {"w0": np.array([[0.0, 2.0]]), "b0": np.zeros(2), "w1": np.ones((2, 1)), "b1": np.zeros(1)}
    >>> constant_units(params, 0)
    array([ True, False])
    """
    if f"w{layer}" not in params or f"w{layer + 1}" not in params:
        raise ValueError(f"layer {layer} is not hidden: it needs w{layer} and w{layer + 1}; there are {sorted(params)}")
    unfed = ~np.any(params[f"w{layer}"], axis=0)
    unread = ~np.any(params[f"w{layer + 1}"], axis=1)
    return np.asarray(unfed | unread)


def remove_units(
    params: Mapping[str, Array], layer: int, kept: Mask, activation: Callable[[Array], Array] | None = None
) -> Params:
    """Return the parameters without some units of a hidden layer, computing the same function.

    Equation    a unit with no inputs puts out h_j = act(b_j) for every row, so                                     (1)
                b_{l+1} <- b_{l+1} + sum over removed j of act(b_j) w_{l+1}[j]
    Shapes      w_l (I, O) -> (I, O'), b_l (O',), w_{l+1} (O', ...); kept (O,)
    Bound       per layer |y - y'| <= 2 gamma_{O+2} (|h| |w_{l+1}| + |b_{l+1}|), gamma_n = n u / (1 - n u): the sum of the
                same terms in another order, and the constants added first. With b = 0 under relu nothing is folded
    Convention  act is `activation`, relu if none is given. A unit that is neither constant nor unread is not removed: mask it
                first (`neuron_mask`, `apply_masks`)
    Raises      ValueError if kept is no mask of the units, a removed unit is alive, or the layer is not hidden
    Source      pytorch#38598 shows what happens to a unit pruned without its bias; this package for the folding

    >>> params = {"w0": np.array([[0.0, 2.0]]), "b0": np.array([1.0, 0.0]), "w1": np.array([[3.0], [4.0]]), "b1": np.array([0.5])}
    >>> remove_units(params, 0, np.array([False, True]))["b1"]
    array([3.5])
    """
    here, after = f"w{layer}", f"w{layer + 1}"
    dead = constant_units(params, layer)
    gone = ~as_mask(kept, dead.shape)
    if (gone & ~dead).any():
        alive = np.flatnonzero(gone & ~dead)[:5].tolist()
        raise ValueError(f"units {alive} of layer {layer} are neither constant nor unread; mask their inputs first")
    small = dict(params)
    # subtle: a unit that has inputs but no readers is no constant; its row of w_{l+1} is 0, so it adds nothing here
    constants = (activation or relu)(params[f"b{layer}"][gone])
    small[f"b{layer + 1}"] = params[f"b{layer + 1}"] + constants @ params[after][gone]  # (1)
    small[here], small[f"b{layer}"] = np.ascontiguousarray(params[here][:, ~gone]), params[f"b{layer}"][~gone]
    small[after] = params[after][~gone]
    return small


def compact(params: Mapping[str, Array], architecture: Architecture) -> tuple[Params, Architecture]:
    """Return the smallest dense model with the same function: without constant units, and without columns that are 0.

    Shapes      params of the architecture -> params of a smaller one, and that architecture
    Bound       as `remove_units`, layer by layer
    Convention  every layer and table keeps at least one unit or column. Tables joined by product lose a column only
                together: where one has a 0, the product is 0
    Raises      ValueError if the parameters do not fit the architecture
    Source      this package

    >>> params = {"table0": np.array([[1.0, 0.0], [2.0, 0.0]]), "w0": np.ones((2, 1)), "b0": np.zeros(1)}
    >>> small, shape = compact(params, Architecture(rows=(2,), columns=(2,), hidden=()))
    >>> small["table0"].shape, small["w0"].shape, shape.columns
    ((2, 1), (1, 1), (1,))
    """
    if len(params["w0"]) != architecture.widths[0]:
        raise ValueError(f"w0 has {len(params['w0'])} inputs and the architecture {architecture.widths[0]}; they must agree")
    small = dict(params)
    tables = [f"table{f}" for f in range(len(architecture.rows))]
    read = np.any(params["w0"], axis=1)
    if architecture.join == "product":
        used = [_at_least_one(np.logical_and.reduce([read, *(np.any(params[t], axis=0) for t in tables)]))] * len(tables)
        small["w0"] = params["w0"][used[0]]
    else:
        fields = np.split(read, np.cumsum(architecture.columns)[:-1])
        used = [_at_least_one(np.any(params[t], axis=0) & r) for t, r in zip(tables, fields, strict=True)]
        small["w0"] = params["w0"][np.concatenate(used)]
    for t, columns in zip(tables, used, strict=True):
        small[t] = np.ascontiguousarray(params[t][:, columns])  # indexed columns leave rows scattered: slow to look up
    for layer in range(len(architecture.hidden)):
        small = remove_units(small, layer, _at_least_one(~constant_units(small, layer)))
    hidden = tuple(small[f"w{layer}"].shape[1] for layer in range(len(architecture.hidden)))
    shape = replace(architecture, columns=tuple(int(u.sum()) for u in used), hidden=hidden)
    # a unit that only removed units read is itself unread now: again, until nothing goes
    return (small, shape) if shape == architecture else compact(small, shape)


def _at_least_one(kept: Mask) -> Mask:
    if not kept.any():
        kept = kept.copy()
        kept[0] = True
    return kept
