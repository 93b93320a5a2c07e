"""BM25: how well a text answers a query, by the words that they share. Nothing is learned, so it is the score to beat.

    score(q, d) = sum over the words t of q of  idf_t f / (f + k1 (1 - b + b |d| / average))                             (1)

A word counts more the rarer it is in the catalogue (idf), more the oftener it stands in the text, but never more than idf however
often (k1), and less in a text that is longer than usual (b).

Letters     f how often t stands in d, |d| words of d, df how many of the P texts hold t
            k1 where saturation sets in: f = k1 counts half, in a text of average length; b the share of the length that counts
            V words, P documents, Q queries, M pairs
Not here: texts as words (fields), which pairs were judged (judgments), the measure of an order (metrics). Read next: splits.
"""
from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args

import numpy as np
import numpy.typing as npt

from tinycompress.bags import Bag, Ints, take
from tinycompress.fields import vocabulary, words_bag

Floats = npt.NDArray[np.float64]
Idf = Literal["lucene", "robertson"]


@dataclass(frozen=True, eq=False)
class WordIndex:
    """The counts of a catalogue of P texts that BM25 asks for."""

    idf: Floats  # (V,)
    lengths: npt.NDArray[np.int64]  # (P,) words of each text
    keys: npt.NDArray[np.int64]  # (nnz,) sorted: d V + t for each word t that stands in d
    counts: npt.NDArray[np.int64]  # (nnz,) f of each key


def word_index(documents: Bag, size: int, idf: Idf = "lucene") -> WordIndex:
    """Return the counts of a catalogue.

    Equation    "robertson": idf = log((P - df + 1/2) / (df + 1/2));   "lucene": idf = log(1 + the same quotient)         (2)
    Shapes      documents P bags of codes below size = V
    Convention  "robertson" is negative for a word that more than half of the texts hold: whoever mentions it loses. "lucene" is
                always positive. Both are nearly the same for rare words. The catalogue is no judgment: counting texts that no
                training query was judged with reveals nothing of the answers.
    Raises      ValueError if idf is unknown or a code is not below size
    Source      Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond (2009), section 3; Lucene's
                BM25Similarity for log(1 + ...)

    >>> from tinycompress.bags import bag_from_lists
    >>> index = word_index(bag_from_lists([[0, 0, 1], [1]]), 3, "robertson")
    >>> index.idf.round(4).tolist(), index.lengths.tolist(), index.counts.tolist()
    ([0.0, -1.6094, 1.6094], [3, 1], [2, 1, 1])
    """
    if idf not in get_args(Idf):
        raise ValueError(f"idf is {idf!r}; use one of {get_args(Idf)}")
    _refuse_foreign_words("documents", documents, size)
    lengths = np.diff(documents.offsets)
    keys, counts = np.unique(np.repeat(np.arange(len(documents)), lengths) * size + documents.codes, return_counts=True)
    df = np.bincount(keys % size, minlength=size) if size else np.zeros(0)
    odds = (len(documents) - df + 0.5) / (df + 0.5)
    return WordIndex(np.log(odds if idf == "robertson" else 1 + odds), lengths, keys, counts)  # (2)


def bm25(
    index: WordIndex, queries: Bag, query_rows: Ints, document_rows: Ints, k1: float = 1.2, b: float = 0.75
) -> Floats:
    """Return the score of each pair of a query and a document.

    Equation    (1)
    Shapes      queries Q bags, query_rows (M,), document_rows (M,) -> (M,)
    Bound       with idf > 0: 0 <= score < sum of idf over the words of the query (at k1 = 0: <=)
    Limits      k1 = 0: f does not count, only whether the word is there. k1 -> inf: (1 + k1) score -> idf f if b = 0.
                b = 0: the length does not count; b = 1: f counts per word of the text
    Convention  without the factor k1 + 1 above the line that some add, as in Lucene since 8.0: it is the same for all words and
                texts, and changes no order. A word that stands twice in the query counts twice; one in no text, nothing.
    Raises      ValueError if k1 is negative or not finite, b is outside [0, 1], or a row or word does not exist
    Source      Robertson and Zaragoza (2009), equation 3.15 and its variations

    >>> from tinycompress.bags import bag_from_lists
    >>> index = word_index(bag_from_lists([[0, 0], [1, 2], [2, 1]]), 3)  # idf of word 0: log(1 + 2.5 / 1.5) = log(8 / 3)
    >>> scores = bm25(index, bag_from_lists([[0]]), np.array([0, 0]), np.array([0, 1]), k1=2.0)
    >>> scores.tolist() == [math.log(1 + 2.5 / 1.5) / 2, 0.0]  # f = 2 = k1, length as the average: half of idf
    True
    """
    if not (0 <= k1 < math.inf and 0 <= b <= 1):
        raise ValueError(f"k1 is {k1} and b is {b}; use a finite k1 >= 0, as 1.2, and b in [0, 1], as 0.75")
    if len(query_rows) != len(document_rows):
        raise ValueError(f"{len(query_rows)} queries are paired with {len(document_rows)} documents; give one of each per pair")
    if len(document_rows) and not 0 <= document_rows.min() <= document_rows.max() < len(index.lengths):
        rows = f"{document_rows.min()} to {document_rows.max()}"
        raise ValueError(f"documents {rows} are asked of an index that has 0 to {len(index.lengths) - 1}")
    size = len(index.idf)
    _refuse_foreign_words("queries", queries, size)
    asked = cast(Bag, take(queries, query_rows))  # rows of a bag are a bag
    pair = np.repeat(np.arange(len(query_rows)), np.diff(asked.offsets))  # the pair that each word of a query is asked for
    keys = document_rows[pair] * size + asked.codes
    place = np.searchsorted(index.keys, keys)
    met = np.flatnonzero(np.append(index.keys, -1)[place] == keys)  # only there is f > 0; elsewhere (1) adds 0, or 0 / 0
    pair, word, f = pair[met], asked.codes[met], index.counts[place[met]]
    average = index.lengths.mean() if len(index.lengths) else 0.0
    length = index.lengths[document_rows[pair]] / average if len(met) else np.zeros(0)
    with np.errstate(under="ignore"):  # a b or k1 next to 0 counts as 0
        terms = index.idf[word] * f / (f + k1 * (1 - b + b * length))  # (1)
    scores: Floats = np.bincount(pair, terms, minlength=len(query_rows)).astype(np.float64)
    return scores


def score_texts(
    queries: Sequence[str],
    documents: Sequence[str],
    query_rows: Ints,
    document_rows: Ints,
    k1: float = 1.2,
    b: float = 0.75,
    idf: Idf = "lucene",
) -> Floats:
    """Return the BM25 score of each pair, from plain texts; the documents are the whole catalogue.

    Shapes      Q queries, P documents, query_rows (M,), document_rows (M,) -> (M,)
    Convention  words as fields.tokens cuts them: no stemming, no list of words to leave out
    Raises      ValueError as word_index and bm25
    Source      bm25

    Here idf = log(1 + 1.5 / 1.5), 2 words are 4 / 3 of the average: log(2) / (1 + 1.2 (1 - 0.75 + 0.75 4 / 3)) = log(2) / 2.5.

    >>> score_texts(["desk"], ["oak desk", "lamp"], np.array([0, 0]), np.array([0, 1])).round(3).tolist()
    [0.277, 0.0]
    """
    words = vocabulary([*queries, *documents])
    index = word_index(words_bag(documents, words), len(words), idf)
    return bm25(index, words_bag(queries, words), query_rows, document_rows, k1, b)


def _refuse_foreign_words(name: str, bags: Bag, size: int) -> None:
    if len(bags.codes) and bags.codes.max() >= size:
        raise ValueError(f"{name} hold word {bags.codes.max()}; the vocabulary has words 0 to {size - 1}")
