"""A bag is a list of codes of any length, one per entity: the words of a query, the things a user has bought.

All bags of a field are kept end to end in one array, with the place where each begins; so a batch of them is gathered,
embedded and summed without a Python loop. A field is either one code per entity, an int array (N,), or such a Bag; `take`
serves both.

Letters     codes int64 (nnz,): the codes of all bags, one bag after the other; nnz is their number
            offsets int64 (N + 1,): entity i holds codes[offsets[i]:offsets[i + 1]]; an empty bag has two equal offsets
            N entities, B rows of a batch
Not here: what a bag is summed or averaged into (ops), how text becomes codes (fields). Read next: delimited, interactions.
"""
from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True, eq=False)
class Bag:
    """Bags of codes kept end to end; the order and the repetitions inside a bag are kept as given."""

    codes: npt.NDArray[np.int64]  # (nnz,)
    offsets: npt.NDArray[np.int64]  # (N + 1,), from 0 to nnz, never decreasing

    def __post_init__(self) -> None:
        for name in ("codes", "offsets"):
            array = getattr(self, name)
            if array.dtype != np.int64 or array.ndim != 1:
                raise ValueError(f"Bag.{name} is {array.dtype} with {array.ndim} axes; use .astype(np.int64), with one axis")
        offsets, nnz = self.offsets, len(self.codes)
        if len(offsets) == 0 or offsets[0] != 0 or offsets[-1] != nnz or (offsets[1:] < offsets[:-1]).any():
            ends = f"{offsets[0]} to {offsets[-1]}" if len(offsets) else "nothing"
            raise ValueError(f"Bag.offsets run from {ends}; they must run from 0 to the {nnz} codes and never decrease")
        if nnz and self.codes.min() < 0:
            raise ValueError(f"Bag.codes holds {self.codes.min()}; codes are row numbers of a table, from 0 up")

    def __len__(self) -> int:
        """The number of entities, empty bags included."""
        return len(self.offsets) - 1


def take(field: Ints | Bag, rows: Ints) -> Ints | Bag:
    """Return the given rows of a field, in the order asked for; a row may be asked for more than once.

    Shapes      field int (N,) or Bag of N; rows int (B,) -> int (B,) or Bag of B
    Raises      ValueError if a row is negative, not below N, or not an integer
    Source      the gather of compressed sparse rows (as in scipy.sparse), without values

    >>> bag = bag_from_lists([[5, 6], [], [7]])
    >>> out = take(bag, np.array([2, 0]))
    >>> out.codes.tolist(), out.offsets.tolist()
    ([7, 5, 6], [0, 1, 3])
    """
    if rows.ndim != 1 or rows.dtype.kind not in "iu":
        raise ValueError(f"rows are {rows.dtype} with {rows.ndim} axes; row numbers are integers along one axis")
    if len(rows) and (rows.min() < 0 or rows.max() >= len(field)):
        raise ValueError(f"rows {rows.min()} to {rows.max()} are asked of a field that has 0 to {len(field) - 1}")
    if not isinstance(field, Bag):
        return field[rows]
    starts = field.offsets[rows]
    lengths = field.offsets[1:][rows] - starts
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    # Position j of the answer lies in bag b at j - offsets[b]; the same code lies in the field at that plus starts[b].
    places = np.arange(offsets[-1]) + np.repeat(starts - offsets[:-1], lengths)
    return Bag(field.codes[places], offsets)


def bag_from_lists(lists: Iterable[Iterable[int]]) -> Bag:
    """Return the Bag of these lists of codes, one list per entity.

    Shapes      N lists -> Bag of N
    Raises      ValueError if a code is negative or not an integer
    Source      this package

    >>> bag_from_lists([[1, 1], []]).offsets.tolist()
    [0, 2, 2]
    """
    arrays = [np.asarray(list(codes)) for codes in lists]
    wrong = [array for array in arrays if array.size and (array.ndim != 1 or array.dtype.kind not in "iu")]
    if wrong:
        raise ValueError(f"a bag holds {wrong[0].tolist()!r}; its codes must be a flat list of integers")
    codes = np.concatenate([array.astype(np.int64) for array in arrays]) if arrays else np.zeros(0, np.int64)
    offsets = np.cumsum([0, *map(len, arrays)], dtype=np.int64)
    return Bag(codes, offsets)
