"""What the model sees of a user, an item, a query: categorical codes, or bags of codes, and nothing else.

A field gives each entity of one kind its codes: the id itself, the category, the things a user has bought, the words of a
query. A number (a price, an age) becomes a code too, by the quantile bucket it falls in. Whatever is learned from data (a
history, a vocabulary, the edges of buckets) is learned from the training part alone: a history that holds the test item would
be the answer itself.

Letters     N entities of a kind, B rows of a batch, E edges between buckets
Not here: how codes become vectors (ops, recommender). Read next: bm25, recommender.
"""
from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tinycompress.bags import Bag, Ints, bag_from_lists, take
from tinycompress.interactions import Interactions

Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, eq=False)
class Field:
    """One input of the model: the codes of every entity of one kind."""

    name: str
    size: int  # codes are 0 to size - 1; the embedding table has this many rows
    entity: str  # the kind of thing described: "user", "item", "query"
    values: Ints | Bag  # one code per entity (N,), or N bags
    pooling: Literal["sum", "mean"] = "sum"  # how the vectors of a bag become one; says nothing if values is an array

    def __post_init__(self) -> None:
        codes = self.values.codes if isinstance(self.values, Bag) else self.values
        if codes.ndim != 1 or codes.dtype.kind not in "iu":
            raise ValueError(f"field {self.name!r} holds {codes.dtype} along {codes.ndim} axes; codes are integers along one")
        if len(codes) and not (codes.min() >= 0 and codes.max() < self.size):
            found = f"codes {codes.min()} to {codes.max()}"
            raise ValueError(f"field {self.name!r} holds {found}; its size {self.size} allows 0 to {self.size - 1}")
        if self.pooling not in ("sum", "mean"):
            raise ValueError(f"field {self.name!r} is pooled by {self.pooling!r}; use 'sum' or 'mean'")


def batch_inputs(fields: Sequence[Field], rows: Mapping[str, Ints]) -> tuple[Ints | Bag, ...]:
    """Return what the model is given for a batch: one input per field.

    Shapes      rows {entity: (B,)}, e.g. {"user": users, "item": items} -> per field int (B,) or Bag of B
    Raises      ValueError if an entity that a field describes is not among the rows, or the rows differ in number
    Source      this package

    >>> fields = [id_field("user", 3), Field("words", 9, "item", bag_from_lists([[7, 8], [5]]))]
    >>> users, words = batch_inputs(fields, {"user": np.array([2, 0]), "item": np.array([1, 1])})
    >>> users.tolist(), words.codes.tolist()
    ([2, 0], [5, 5])
    """
    missing = {field.entity for field in fields} - set(rows)
    if missing:
        raise ValueError(f"rows are given of {', '.join(rows) or 'nothing'}; fields describe {', '.join(sorted(missing))} too")
    sizes = {entity: len(index) for entity, index in rows.items()}
    if len(set(sizes.values())) > 1:
        raise ValueError(f"the batch has {sizes} rows; every entity must have the same number")
    return tuple(take(field.values, rows[field.entity]) for field in fields)


def id_field(entity: str, count: int, name: str | None = None) -> Field:
    """Return the field in which each entity is its own code.

    Shapes      values (count,)
    Source      this package

    >>> id_field("user", 3).values.tolist()
    [0, 1, 2]
    """
    return Field(name or f"{entity} id", count, entity, np.arange(count))


def history_field(train: Interactions, entity: Literal["user", "item"], pooling: Literal["sum", "mean"] = "sum") -> Field:
    """Return the field in which a user is the items met in training, or an item the users that met it there.

    Shapes      values: Bag of n_users bags of item codes, or of n_items bags of user codes; sorted by code
    Convention  whoever has no training row has an empty bag. A training pair (u, i) has i in the history of u, as in the models
                that this follows; a test pair must not, so give the training part only.
    Raises      ValueError if the entity is neither
    Source      Deng et al. 2019 (DeepCF, AAAI), section 3: rows and columns of the interaction matrix as inputs

    >>> ids = ["a", "b", "c"]
    >>> met = Interactions(np.array([0, 2, 0]), np.array([2, 1, 0]), None, None, ids, ids)
    >>> history_field(met, "user").values.codes.tolist(), history_field(met, "user").values.offsets.tolist()
    ([0, 2, 1], [0, 2, 2, 3])
    """
    sides = {"user": (train.users, train.n_users, train.items, train.n_items)}
    sides["item"] = sides["user"][2:] + sides["user"][:2]
    if entity not in sides:
        raise ValueError(f"a history is that of a 'user' or an 'item', not of {entity!r}")
    owners, count, codes, size = sides[entity]
    order = np.lexsort((codes, owners))
    offsets = np.concatenate([np.zeros(1, np.int64), np.bincount(owners, minlength=count).cumsum()])
    return Field(f"{entity} history", size, entity, Bag(codes[order], offsets), pooling)


def tokens(text: str) -> list[str]:
    """Return the words of a text.

    Shapes      takes no arrays
    Convention  lower case; a word is a run of letters and digits of any script, or of the underscore; all else separates
    Source      this package

    >>> tokens("USB-C cable, 2m")
    ['usb', 'c', 'cable', '2m']
    """
    return re.findall(r"\w+", text.lower())


def vocabulary(texts: Iterable[str], min_count: int = 1) -> dict[str, int]:
    """Return the code of each word that these (training) texts hold at least `min_count` times.

    Shapes      any number of texts -> one code per word, the most frequent first, then by the alphabet
    Source      this package

    >>> vocabulary(["oak desk", "oak lamp"])
    {'oak': 0, 'desk': 1, 'lamp': 2}
    """
    counts = Counter(word for text in texts for word in tokens(text))
    ranked = sorted((-count, word) for word, count in counts.items() if count >= min_count)
    return {word: code for code, (_, word) in enumerate(ranked)}


def words_bag(texts: Iterable[str], words: Mapping[str, int]) -> Bag:
    """Return each text as the bag of its words' codes.

    Shapes      N texts -> Bag of N
    Convention  a word outside the vocabulary is left out; a word that stands twice counts twice
    Source      this package

    >>> words_bag(["Oak, oak!", "steel"], {"oak": 0, "desk": 1}).offsets.tolist()
    [0, 2, 2]
    """
    return bag_from_lists([words[word] for word in tokens(text) if word in words] for text in texts)


def quantile_edges(train_values: Floats | Ints, n: int) -> Floats:
    """Return the edges that cut the training values into n buckets of equal number, as far as ties allow.

    Equation    edge_j = quantile j / n of the values that are not NaN, j = 1 ... n - 1; equal edges are one
    Shapes      train_values (N,) -> float64, at most n - 1, strictly increasing
    Convention  quantiles between two values are interpolated linearly
    Raises      ValueError if n is below 1, a value is infinite, or all are NaN
    Source      numpy.quantile

    >>> quantile_edges(np.array([1.0, 2.0, 3.0, 4.0, np.nan]), 2)
    array([2.5])
    """
    values = np.asarray(train_values, np.float64)
    values = values[~np.isnan(values)]
    if n < 1 or len(values) == 0 or np.isinf(values).any():
        raise ValueError(f"{n} buckets of {len(values)} values that are not NaN; at least one of each is needed, and all finite")
    edges: Floats = np.unique(np.quantile(values, np.arange(1, n) / n))
    return edges


def bucketize(values: Floats | Ints, edges: Floats) -> npt.NDArray[np.int64]:
    """Return the bucket of each value; there are len(edges) + 2 buckets, which is the `size` of such a field.

    Equation    bucket = number of edges <= value; NaN: len(edges) + 1
    Shapes      values (N,), edges (E,) -> (N,) from 0 to E + 1
    Convention  a value on an edge belongs above it; -inf and inf fall in the first and last bucket of numbers; a NaN has the
                bucket after those, which stands in the table whether or not a NaN was seen in training
    Source      numpy.searchsorted, side="right"

    >>> bucketize(np.array([2.0, 2.5, 9.0, np.nan]), np.array([2.5]))
    array([0, 1, 1, 2])
    """
    values = np.asarray(values, np.float64)
    # subtle: searchsorted would sort NaN above every number, into the bucket of the dearest things
    return np.where(np.isnan(values), len(edges) + 1, np.searchsorted(edges, values, side="right")).astype(np.int64)
