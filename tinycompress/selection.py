"""The k-th smallest of many numbers, without sorting them.

Pruning needs one number of a million: the threshold. A sorted sample of n^(2/3) entries tells within a narrow bracket where
that number lies; one pass counts what is below the bracket and collects what is inside, and only that, a few per cent, is
partitioned. The answer is exact whatever the sample says: a bracket that misses is noticed, and costs one more pass.

Letters     n entries, k rank counted from 1, a the numbers, R rows of them
Not here: what the numbers are. Read next: counting.
"""
from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_WORTH_IT = 1 << 15  # below, one partition is as fast


def kth_smallest(a: NDArray[Any], k: int) -> Any:
    """Return the k-th smallest entry, k = 1 being the smallest.

    Equation    sample every step-th entry, step = n^(1/3); of the sorted sample of m take the entries at
                m k / n -+ 2 sqrt(m) as a bracket [lo, hi]; if #(a < lo) < k <= #(a <= hi), select within it             (1)
    Shapes      a (n,) -> scalar of the dtype of a
    Bound       exact. Time is linear in n: about 2 n comparisons, and a partition of 4 n / sqrt(m) entries. The rank of
                a sample's entry has a standard deviation of at most sqrt(m) / 2, so the bracket spans four of them
    Convention  NaN ranks above infinity, as np.sort has it
    Raises      ValueError if k is not from 1 to n
    Source      Floyd, Rivest 1975, Algorithm 489, with one bracket in place of recursion

    >>> kth_smallest(np.array([4.0, 1.0, 3.0]), 2)
    np.float64(3.0)
    """
    n = a.size
    if not 1 <= k <= n:
        raise ValueError(f"k is {k} of {n} entries; ranks run from 1 to n")
    if n >= _WORTH_IT:
        # subtle: an odd step, because tables have 2^d columns, and an even one would look at few of them only
        sample = np.sort(a[:: int(n ** (1 / 3)) | 1])
        m = sample.size
        centre, half = k * m // n, 2 * int(m**0.5)
        lo, hi = sample[max(0, centre - half)], sample[min(m - 1, centre + half)]
        below = int(np.count_nonzero(a < lo))  # a NaN is neither below nor inside
        inside = a >= lo
        inside &= a <= hi
        middle = a[inside]
        if below < k <= below + middle.size:  # (1)
            if lo == hi:  # a heap of equal numbers: they are all that is inside
                return lo
            a, k = middle, k - below
    return np.partition(a, k - 1)[k - 1]


def kth_smallest_of_lines(a: NDArray[Any], k: int) -> NDArray[Any]:
    """Return the k-th smallest entry of each line.

    Shapes      a (R, n) -> (R, 1)
    Raises      ValueError if k is not from 1 to n
    Source      `kth_smallest`

    >>> kth_smallest_of_lines(np.array([[4, 1, 3], [5, 6, 7]]), 1)
    array([[1],
           [5]])
    """
    if len(a) == 1:
        return np.reshape(kth_smallest(a[0], k), (1, 1))
    if not 1 <= k <= a.shape[1]:
        raise ValueError(f"k is {k} of {a.shape[1]} entries; ranks run from 1 to n")
    return np.partition(a, k - 1)[:, k - 1 : k]
