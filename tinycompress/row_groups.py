"""Rows cut into groups, so that one outlier spoils the scale of a few neighbours and not of a whole row.

Groups are rows of a reshaped array: a grid with axis=0 then has a scale for each. In four bits the scale of this row is 8, and
its seven small values become 0 or 8 in size; in groups of four the first group has the scale 1, and is exact:

    >>> from tinycompress.quantization import fake_quantize, symmetric_grid
    >>> row = np.array([[1.0, -7.0, 3.0, 5.0, 2.0, -6.0, 4.0, 56.0]])
    >>> fake_quantize(row, symmetric_grid(row, bits=4, axis=0)).tolist()
    [[0.0, -8.0, 0.0, 8.0, 0.0, -8.0, 0.0, 56.0]]
    >>> groups = group_rows(row, 4)
    >>> fake_quantize(groups, symmetric_grid(groups, bits=4, axis=0)).tolist()
    [[1.0, -7.0, 3.0, 5.0], [0.0, -8.0, 0.0, 56.0]]

A scale of 16 bits for a group of 32 to 128 values is 1/2 to 1/8 bit more for each value. What that buys where every row of 256
normal values has one outlier of 30, as the squared error of four bits beside that of one scale per row:

    >>> w = np.random.default_rng(0).standard_normal((64, 256))
    >>> w[:, 0] = 30
    >>> def error(size):
    ...     groups = group_rows(w, size)
    ...     return ((fake_quantize(groups, symmetric_grid(groups, bits=4, axis=0)) - groups) ** 2).sum()
    >>> [round(float(error(size) / error(256)), 2) for size in (128, 64, 32)]
    [0.51, 0.26, 0.13]

Letters     C columns, G groups
Not here: packing groups with their scales into bytes (storage). Read next: ranges, quantization.
"""
from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tinycompress.grids import Array


def group_rows(x: npt.ArrayLike, size: int) -> Array:
    """Return x cut along its last axis into groups of `size`, one group a row, so that axis=0 gives a scale per group.

    Shapes      x (..., C) -> (... ceil(C / size), size); ungroup_rows undoes it
    Convention  a ragged last group is filled by repeating the row's last value, which moves neither its smallest value nor its
                largest (zeros would, where a rule does not widen ranges to zero)
    Raises      ValueError if size is below 1 or a row is empty
    Source      this package; groups of weights as in Frantar et al. 2023 (GPTQ, arXiv 2210.17323), section 4

    >>> group_rows([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], 2)
    array([[1., 2.],
           [3., 3.],
           [4., 5.],
           [6., 6.]])
    """
    x = np.asarray(x)
    if size < 1 or x.ndim < 1 or x.shape[-1] < 1:
        raise ValueError(f"x has shape {x.shape} and the group size is {size}; give rows with values, and a size from 1 up")
    tail = -x.shape[-1] % size
    return np.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, tail)], mode="edge").reshape(-1, size)


def ungroup_rows(groups: npt.ArrayLike, shape: tuple[int, ...]) -> Array:
    """Return the array of `shape` that group_rows cut up, its filling removed.

    Shapes      groups (G, size) -> shape
    Raises      ValueError if the groups do not make up that shape
    Source      this package

    >>> ungroup_rows(group_rows([[1.0, 2.0, 3.0]], 2), (1, 3))
    array([[1., 2., 3.]])
    """
    groups = np.asarray(groups)
    per_row = -(-shape[-1] // groups.shape[-1])
    if groups.shape[0] * shape[-1] != per_row * int(np.prod(shape)):
        raise ValueError(f"{groups.shape[0]} groups of {groups.shape[-1]} do not make up {shape}, with {per_row} groups a row")
    return groups.reshape(*shape[:-1], -1)[..., : shape[-1]]
