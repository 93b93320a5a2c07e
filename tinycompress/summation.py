"""A float32 sum in the order in which a vector kernel adds, for those whose last bits have to agree.

Adding in another order rounds differently: four numbers are enough to see it. A kernel keeps 8 lanes of float32 in a register,
four registers in flight, and sums long vectors in blocks, so that errors grow slowly: the order is a rule like any other.

Letters     v the numbers, n their count, p partial sums
Not here: sums that are only meant to be right (use float64). Read next: learned_scale.
"""
from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
LANES, REGISTERS, LEVELS = 8, 4, 4


def float32_lanes(v: npt.ArrayLike) -> Array:
    """Return the float32 sum over the last axis, added as torch's CPU kernel adds contiguous numbers on one thread.

    Equation    n < 8: one lane. Else lane j holds v_j, v_(j+8), ...; first what is left over at the end, then lanes 0 to 7
    Shapes      v (..., n) -> (...) float32
    Bound       as any order: |error| <= (n - 1) 2^-24 sum |v| to first order; by blocks of 2^4 or more it is nearer sqrt(n)
    Convention  measured at n = 1 ... 32767; several threads, or a sum over another axis than the last, add in other orders
    Source      torch 2.13, ATen/native/cpu/SumKernel.cpp, cascade_sum

    >>> v = np.float32([1, 2**-24, 2**-24, 2**-24])
    >>> float32_lanes(v) == np.float32(1), float(v.astype(np.float64).sum()) > 1
    (np.True_, True)
    """
    v = np.moveaxis(np.asarray(v, np.float32), -1, 0)  # (n, ...)
    whole = len(v) // LANES * LANES
    if not whole:
        return _registers(v)
    lanes = _registers(v[:whole].reshape(-1, LANES, *v.shape[1:]))
    return _in_turn(np.concatenate([v[whole:], lanes]))


def _in_turn(v: Array, axis: int = 0) -> Array:
    """Sum over an axis, one after the other. subtle: NumPy's sum adds a contiguous axis in pairs; a running sum cannot."""
    if not v.shape[axis]:
        return np.zeros(v.shape[:axis] + v.shape[axis + 1 :], np.float32)
    return np.asarray(np.add.accumulate(v, axis=axis).take(-1, axis))


def _registers(v: Array) -> Array:
    """Sum over the first axis in four strands; strand 0 also takes what is left over, then the strands are added in turn."""
    whole = len(v) // REGISTERS * REGISTERS
    p = _blocks(v[:whole].reshape(-1, REGISTERS, *v.shape[1:]))
    p[0] = _in_turn(np.concatenate([p[:1], v[whole:]]))
    return _in_turn(p)


def _blocks(v: Array) -> Array:
    """Sum over the first axis in blocks, the blocks' sums in blocks again, up to four levels; then the levels in turn."""
    step = 2 ** max(4, max(len(v) - 1, 0).bit_length() // LEVELS)
    parts = []
    for _ in range(LEVELS - 1):
        whole = len(v) // step * step
        parts.append(_in_turn(v[whole:]))
        v = _in_turn(v[:whole].reshape(-1, step, *v.shape[1:]), axis=1)
    return _in_turn(np.stack([*parts, _in_turn(v)]))
