"""From judgments, or the searches of the shop, to what a ranker is trained and judged on: fields, and two parts of the lists.

Judged queries are few, so they are cross-validated: each fold of queries in turn is the test of a ranker that has learned from
all others. A query is its words and a product is its words, because a query of another fold has no row of its own. BM25 of query
and product is every list's prior, to be beaten, or added to.

Letters     Q queries, P products, M candidates of N lists, L candidates of a list of the shop
Not here: reading (judgments), the ranker (search). Read next: ops.
"""
from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tinycompress.bags import Ints
from tinycompress.bm25 import score_texts
from tinycompress.fields import Field, vocabulary, words_bag
from tinycompress.judgments import Judgments
from tinycompress.ragged import RaggedLists, cross_validation
from tinycompress.shop import Sessions, Shop, shop_fields


class Part(NamedTuple):
    """What one ranker is trained and judged on."""

    fields: tuple[Field, ...]
    train: RaggedLists
    test: RaggedLists
    numbers: npt.NDArray[np.int64]  # which of all lists those of the test are


def word_fields(
    queries: Sequence[str], products: Sequence[str], train: RaggedLists, pooling: str = "mean"
) -> tuple[Field, Field]:
    """Return the words of every query and of every product as bags, in the words that the training lists hold.

    Shapes      Q queries, P products -> fields of the entities "query" and "item"
    Convention  two vocabularies, each from the training lists alone. A word of a test query that no training query had is left
                out, even if products have it: its row would stay as it was drawn, which is noise. A query of such words only has
                an empty bag.
    Raises      ValueError if the pooling is neither "sum" nor "mean"
    Source      this package

    >>> train = RaggedLists({"query": np.array([0]), "item": np.array([1])}, np.array([1.0]), np.array([1]))
    >>> query, item = word_fields(["oak desk", "lamp"], ["steel lamp", "desk"], train)
    >>> query.size, item.size, query.values.offsets.tolist()
    (2, 1, [0, 2, 2])
    """
    if pooling not in ("sum", "mean"):
        raise ValueError(f"words are pooled by {pooling!r}; use 'sum' or 'mean'")
    made = []
    for entity, texts in (("query", queries), ("item", products)):
        words = vocabulary(texts[row] for row in np.unique(train.rows[entity]))
        bags = words_bag(texts, words)
        made.append(Field(f"{entity} words", len(words), entity, bags, "mean" if pooling == "mean" else "sum"))
    return made[0], made[1]


def lists_with_bm25(
    queries: Sequence[str],
    products: Sequence[str],
    rows: Mapping[str, Ints],
    relevance: npt.NDArray[np.floating[Any] | np.integer[Any]],
    lengths: npt.NDArray[np.int64],
) -> RaggedLists:
    """Return lists whose prior is the BM25 score of query and product; the products are the whole catalogue.

    Shapes      rows {"query": (M,), "item": (M,), ...}, relevance (M,), lengths (N,)
    Convention  k1, b and idf as bm25.score_texts has them, and not scaled: differences of BM25 are the log odds before training
    Raises      ValueError as RaggedLists
    Source      bm25

    >>> rows = {"query": np.array([0, 0]), "item": np.array([0, 1])}
    >>> lists = lists_with_bm25(["desk"], ["oak desk", "lamp"], rows, np.array([1.0, 0.0]), np.array([2]))
    >>> lists.prior.round(3).tolist()
    [0.277, 0.0]
    """
    prior = score_texts(queries, products, rows["query"], rows["item"])
    return RaggedLists(rows, np.asarray(relevance, np.float64), lengths, prior)


def judged_parts(judged: Judgments, folds: Ints) -> Iterator[Part]:
    """Yield, for each fold of queries, what a ranker is trained and judged on.

    Shapes      folds (Q,), as judgments.folds deals them out
    Convention  words and judgments are those of the training folds alone. BM25 counts words in all product texts, which are the
                catalogue, not the answer. One partition into folds is one draw: repeat with others, and average query by query.
    Raises      ValueError if there is not one fold per query
    Source      this package

    >>> rows = np.array([0, 1])
    >>> judged = Judgments(["oak", "lamp"], ["7", "8"], ["oak desk", "desk lamp"], rows, rows, np.array([1.0, 1.0]))
    >>> [(part.fields[1].size, part.numbers.tolist()) for part in judged_parts(judged, np.array([1, 0]))]
    [(2, [1]), (2, [0])]
    """
    rows = {"query": judged.query, "item": judged.product}
    lists = lists_with_bm25(judged.queries, judged.product_texts, rows, judged.grades, judged.lengths)
    for fold, (train, test) in zip(np.unique(folds), cross_validation(lists, folds)):
        yield Part(word_fields(judged.queries, judged.product_texts, train), train, test, np.flatnonzero(folds == fold))


def shop_part(shop: Shop) -> Part:
    """Return what a ranker is trained and judged on in the shop: its fields, the searches for training, those of the test.

    Shapes      N lists of L candidates, with relevance 0 skip, 1 click, 2 buy
    Source      this package

    >>> from tinycompress.shop import make_shop
    >>> part = shop_part(make_shop(np.random.default_rng(0), n_impressions=2_000))
    >>> len(part.train), len(part.test), part.test.mask.shape
    (64, 8, (8, 25))
    """

    def lists(sessions: Sessions) -> RaggedLists:
        lengths = np.full(len(sessions.users), sessions.products.shape[1])
        return lists_with_bm25(shop.queries, shop.product_names, sessions.rows, sessions.labels, lengths)

    return Part(shop_fields(shop), lists(shop.train), lists(shop.test), np.arange(len(shop.test.users)))
