"""BM25 against counting by hand, in words and fractions, and against its own laws."""
import math
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycompress.bags import Bag, bag_from_lists
from tinycompress.bm25 import bm25, score_texts, word_index

U = 2.0**-53
V = 6
texts = st.lists(st.lists(st.integers(0, V - 1), max_size=9), min_size=1, max_size=7)
constants = st.tuples(st.sampled_from([0.0, 0.5, 1.2, 2.0, 1e6]), st.sampled_from([0.0, 0.25, 0.75, 1.0]))
forms = st.sampled_from(["lucene", "robertson"])


def all_pairs(queries, documents):
    q, d = np.meshgrid(np.arange(len(queries)), np.arange(len(documents)), indexing="ij")
    return q.ravel(), d.ravel()


def scores(queries, documents, k1=1.2, b=0.75, idf="lucene"):
    """All queries against all documents (Q, P)."""
    index = word_index(bag_from_lists(documents), V, idf)
    found = bm25(index, bag_from_lists(queries), *all_pairs(queries, documents), k1, b)
    return found.reshape(len(queries), len(documents))


def by_hand(query, document, documents, k1, b, idf):
    """(score, sum of |terms|, sum of weights): a loop over the words, fractions up to the logarithm."""
    n, average = len(documents), Fraction(sum(map(len, documents)), len(documents))
    counts, score, size, weights = Counter(document), 0.0, 0.0, 0.0
    for word in query:
        df = sum(word in d for d in documents)
        odds = (n - df + Fraction(1, 2)) / (df + Fraction(1, 2))
        if counts[word]:
            below = counts[word] + Fraction(k1) * (1 - Fraction(b) + Fraction(b) * len(document) / average)
            weight, log = counts[word] / below, math.log(odds if idf == "robertson" else 1 + odds)
            score, size, weights = score + log * float(weight), size + abs(log) * float(weight), weights + float(weight)
    return score, size, weights


@given(texts, texts, constants, forms)
def test_equal_to_counting_by_hand(queries, documents, knobs, idf):
    """Bound: a term idf f / (...) passes through at most 9 roundings and a sum of n terms through n, on either side: 2 (n + 9) u of
    the sum of |terms|. The odds are rounded three times before the logarithm, which moves it by 3 u absolutely, and 1 u itself.
    """
    found = scores(queries, documents, *knobs, idf)
    for q, query in enumerate(queries):
        for d, document in enumerate(documents):
            expected, size, weights = by_hand(query, document, documents, *knobs, idf)
            assert abs(found[q, d] - expected) <= 2 * (len(query) + 9) * U * size + 2 * 4 * U * weights


def test_a_score_in_numbers_that_are_exact():
    """Two texts of 2 and 4 words: average 3. k1 = 3, b = 1: f / (f + 3 |d| / 3) is 2 / (2 + 2) and 1 / (1 + 4)."""
    found = scores([[0]], [[0, 0], [0, 1, 1, 1]], k1=3.0, b=1.0)
    idf = math.log(1 + 0.5 / 2.5)  # both hold the word
    assert found.tolist() == [[idf * 2 / 4, idf / 5]]
    # Half of the texts hold word 1: log(1.5 / 1.5) = 0 by Robertson and Sparck Jones, log 2 by Lucene
    assert scores([[1]], [[0, 0], [0, 1]], 0.0, 0.0, "robertson").tolist() == [[0, 0]]
    assert scores([[1]], [[0, 0], [0, 1]], 0.0, 0.0).tolist() == [[0, math.log(2)]]


@given(texts, texts, constants)
def test_between_nothing_and_the_idf_of_the_query(queries, documents, knobs):
    found = scores(queries, documents, *knobs)
    idf = word_index(bag_from_lists(documents), V).idf
    most = np.array([sum(idf[word] for word in query) for query in queries])
    assert (idf > 0).all() and (found >= 0).all() and (found <= most[:, None] * (1 + 20 * U)).all()
    shared = [[bool(set(q) & set(d)) for d in documents] for q in queries]
    assert ((found > 0) == shared).all(), "a shared word counts, and nothing else does"


@given(texts, texts, constants, forms, st.randoms(use_true_random=False))
def test_the_order_of_texts_and_of_words_says_nothing(queries, documents, knobs, idf, random):
    order = random.sample(range(len(documents)), len(documents))
    mixed = [random.sample(documents[d], len(documents[d])) for d in order]
    assert (scores(queries, mixed, *knobs, idf) == scores(queries, documents, *knobs, idf)[:, order]).all()


@given(st.integers(1, 8), st.floats(0.1, 10), st.floats(0, 1))
def test_oftener_counts_more_and_longer_counts_less(f, k1, b):
    document = lambda f, length: [0] * f + [1] * (length - f)  # noqa: E731
    often = scores([[0]], [document(f, 10), document(f + 1, 10), [2] * 10], k1, b)[0]
    assert often[0] < often[1]
    long = scores([[0]], [document(f, 10), document(f, 12), [2] * 10], k1, b)[0]
    assert long[0] > long[1] or b < 1e-9


@given(texts, texts, forms)
def test_the_ends_of_k1_and_b(queries, documents, idf):
    known = word_index(bag_from_lists(documents), V, idf).idf
    present = [[math.fsum(known[w] for w in q if w in d) for d in documents] for q in queries]
    found = scores(queries, documents, 0.0, 0.75, idf)
    assert np.allclose(found, present, rtol=0, atol=20 * U * np.abs(known).sum() * 9), "k1 = 0: there or not"
    longer = [d + [V - 1] * (9 - len(d)) for d in documents]  # all of 9 words: as if b were 0
    assert (scores(queries, longer, 1.2, 0.0) == scores(queries, longer, 1.2, 0.5)).all()


@given(texts, texts, constants)
def test_a_query_is_the_sum_of_its_words(queries, documents, knobs):
    """Up to the order of a sum of at most 9 nonnegative terms: 9 u on either side."""
    single = scores([[word] for word in range(V)], documents, *knobs)
    for query, row in zip(queries, scores(queries, documents, *knobs)):
        expected = sum((single[word] for word in query), np.zeros(len(documents)))
        assert (abs(row - expected) <= 2 * 9 * U * expected).all()


def test_rare_words_weigh_more_and_half_is_where_robertson_turns():
    documents = [[0, *([1] if d < 3 else []), *([2] if d < 5 else []), *([3] if d < 1 else [])] for d in range(6)]
    for form in ("lucene", "robertson"):
        idf = word_index(bag_from_lists(documents), 5, form).idf
        assert idf[4] > idf[3] > idf[1] > idf[2] > idf[0]
    assert idf[1] == 0 and idf[0] == -idf[4] and idf[3] == -idf[2], "log of odds: df and P - df mirror each other"


def test_nothing_is_no_trouble():
    empty = bag_from_lists([])
    assert bm25(word_index(empty, 0), empty, np.zeros(0, int), np.zeros(0, int)).shape == (0,)
    assert scores([[], [0]], [[], [], []], 0.0, 1.0).tolist() == [[0.0] * 3] * 2
    assert scores([[5]], [[0], []]).tolist() == [[0.0, 0.0]], "a word that no text holds"
    assert score_texts(["", "Oak!"], ["oak", ""], np.array([0, 1, 1]), np.array([0, 0, 1])).tolist() == [0, math.log(2) / (1 + 1.2 * 1.75), 0]
    assert scores([[0]], [[0]]).dtype == np.float64


INDEX, QUERY, ROW = word_index(bag_from_lists([[0], [1]]), V), bag_from_lists([[0]]), np.array([0])


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: bm25(INDEX, QUERY, ROW, ROW, k1=-0.1), "k1 is -0.1"),
        (lambda: bm25(INDEX, QUERY, ROW, ROW, k1=math.inf), "k1 is inf"),
        (lambda: bm25(INDEX, QUERY, ROW, ROW, k1=math.nan), "k1 is nan"),
        (lambda: bm25(INDEX, QUERY, ROW, ROW, b=1.01), "b is 1.01"),
        (lambda: bm25(INDEX, QUERY, ROW, ROW, b=-0.01), "b is -0.01"),
        (lambda: bm25(INDEX, QUERY, ROW, np.array([0, 1])), "1 queries are paired with 2 documents"),
        (lambda: bm25(INDEX, QUERY, ROW, np.array([2])), "documents 2 to 2 are asked of an index that has 0 to 1"),
        (lambda: bm25(INDEX, QUERY, ROW, np.array([-1])), "documents -1 to -1"),
        (lambda: bm25(INDEX, QUERY, np.array([1]), ROW), "rows 1 to 1 are asked of a field that has 0 to 0"),
        (lambda: bm25(INDEX, bag_from_lists([[V]]), ROW, ROW), "queries hold word 6; the vocabulary has words 0 to 5"),
        (lambda: word_index(Bag(np.array([V]), np.array([0, 1])), V), "documents hold word 6"),
        (lambda: word_index(bag_from_lists([[0]]), V, "plus"), "idf is 'plus'; use one of"),
    ],
)
def test_bad_input_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
