"""Lists of unequal length: one query has three judged products, another forty.

A model scores pairs and does not care which list a pair is from; a measure or a loss looks at one list at a time. So candidates
are kept flat, list after list, with the length of each list, and are padded to a rectangle (N, L) only where a formula wants one:

    what is padded        with        why it changes no value
    logits                -inf        exp(-inf) = 0: no share of the softmax, no gradient, whatever the length
    relevance             0           no gain
    scores to be ranked   anything    the measures take `mask`, and do not read what it hides

Letters     N lists, L the longest list, M candidates of all lists together
Not here: where lists come from (judgments, problems). Read next: shop, losses.listwise, search.
"""
from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import numpy.typing as npt

from tinycompress.bags import Bag, Ints, take
from tinycompress.fields import Field, batch_inputs
from tinycompress.splits import shuffled_batches

Array = npt.NDArray[Any]


@dataclass(frozen=True, eq=False)
class RaggedLists:
    """N lists of any length from 1, end to end."""

    rows: Mapping[str, Ints]  # each (M,): which entity of each kind a candidate is about, {"query": ..., "item": ...}
    relevance: npt.NDArray[np.floating[Any]]  # (M,)
    lengths: npt.NDArray[np.int64]  # (N,)
    prior: npt.NDArray[np.floating[Any]] | None = None  # (M,) a score that is known already; a model learns what to add to it

    def __post_init__(self) -> None:
        sizes = {name: len(column) for name, column in self.rows.items()} | {"relevance": len(self.relevance)}
        sizes |= {"prior": len(self.prior)} if self.prior is not None else {}
        if self.lengths.ndim != 1 or self.lengths.dtype.kind not in "iu" or (self.lengths < 1).any():
            found = f"{self.lengths.dtype} {self.lengths.shape}, from {self.lengths.min(initial=1)}"
            raise ValueError(f"lengths are {found}; give whole numbers >= 1, one per list: leave out lists without candidates")
        if set(sizes.values()) != {int(self.lengths.sum())}:
            raise ValueError(f"the lists have {self.lengths.sum()} candidates, the columns {sizes}; all must have as many")

    def __len__(self) -> int:
        return len(self.lengths)

    @property
    def mask(self) -> npt.NDArray[np.bool_]:
        """True = a candidate (N, L); each list's candidates stand first."""
        return np.arange(self.lengths.max(initial=0)) < self.lengths[:, None]

    def part(self, lists: npt.NDArray[Any]) -> RaggedLists:
        """These lists (numbers or a mask), in that order; L becomes that of the longest among them."""
        chosen = np.flatnonzero(lists) if lists.dtype == bool else lists
        places = Bag(np.arange(len(self.relevance)), np.append(0, np.cumsum(self.lengths)).astype(np.int64))
        at = cast(Bag, take(places, chosen)).codes  # rows of a bag are a bag
        rows = {name: column[at] for name, column in self.rows.items()}
        return RaggedLists(rows, self.relevance[at], self.lengths[chosen], None if self.prior is None else self.prior[at])


def pad(flat: Array, mask: npt.NDArray[np.bool_], fill: float = 0.0) -> Array:
    """Return the rectangle of a flat column: its candidates where the mask is True, `fill` elsewhere.

    Shapes      flat (M,), mask (N, L) with M True -> (N, L) of flat's dtype
    Raises      ValueError if the mask has not M candidates
    Source      this package

    >>> pad(np.array([3.0, 1.0, 2.0]), np.array([[True, False], [True, True]]), -np.inf)
    array([[  3., -inf],
           [  1.,   2.]])
    """
    if flat.shape != (int(mask.sum()),):
        raise ValueError(f"a column of shape {flat.shape} for a mask of {mask.sum()} candidates; they must be as many")
    padded = np.full(mask.shape, fill, flat.dtype)
    padded[mask] = flat  # a mask is read row by row, which is list by list
    return padded


def unpad(padded: Array, mask: npt.NDArray[np.bool_]) -> Array:
    """Return the flat column of a rectangle: the inverse of `pad`.

    Shapes      padded (N, L), mask (N, L) -> (M,)
    Raises      ValueError if the shapes differ
    Source      this package

    >>> unpad(np.array([[3.0, 9.0], [1.0, 2.0]]), np.array([[True, False], [True, True]]))
    array([3., 1., 2.])
    """
    if padded.shape != mask.shape:
        raise ValueError(f"values have shape {padded.shape} and the mask {mask.shape}; make them equal")
    return padded[mask]


def list_batches(
    fields: Sequence[Field], lists: RaggedLists, size: int
) -> Callable[[np.random.Generator], Iterator[tuple[tuple[Any, ...], RaggedLists]]]:
    """Return the function that `training.fit` asks for an epoch's batches: (inputs of all candidates, the lists themselves).

    Shapes      `size` lists per batch, the last may have fewer; inputs have as many rows as these lists have candidates
    Convention  lists are shuffled, candidates stay in their list. Lists in which nothing is relevant teach nothing by a listwise
                loss, but count in its mean: leave them out beforehand, by `part`, or a batch's step is smaller than it says
    Raises      ValueError, when called, if size is below 1 or a field describes an entity that the lists do not name
    Source      this package

    >>> from tinycompress.fields import id_field
    >>> lists = RaggedLists({"item": np.array([0, 1, 2])}, np.array([1.0, 0.0, 1.0]), np.array([2, 1]))
    >>> batches = list_batches([id_field("item", 3)], lists, 1)
    >>> sorted(inputs[0].tolist() for inputs, _ in batches(np.random.default_rng(0)))
    [[0, 1], [2]]
    """

    def epoch(rng: np.random.Generator) -> Iterator[tuple[tuple[Any, ...], RaggedLists]]:
        for some in shuffled_batches(rng, len(lists), size):
            part = lists.part(some)
            yield batch_inputs(fields, part.rows), part

    return epoch


def cross_validation(lists: RaggedLists, folds: Ints) -> Iterator[tuple[RaggedLists, RaggedLists]]:
    """Return an iterator over (training lists, test lists), each fold in turn as the test.

    Shapes      folds (N,) the fold of each list, as judgments.folds deals them out -> one pair for each fold that occurs
    Raises      ValueError if there is not one fold per list
    Source      Stone 1974 (J. R. Stat. Soc. B 36)

    >>> lists = RaggedLists({}, np.array([1.0, 2.0, 3.0]), np.array([2, 1]))
    >>> [(train.relevance.tolist(), test.relevance.tolist()) for train, test in cross_validation(lists, np.array([1, 0]))]
    [([1.0, 2.0], [3.0]), ([3.0], [1.0, 2.0])]
    """
    if folds.shape != (len(lists),):
        raise ValueError(f"folds have shape {folds.shape} for {len(lists)} lists; give one per list")
    return ((lists.part(folds != fold), lists.part(folds == fold)) for fold in np.unique(folds))
