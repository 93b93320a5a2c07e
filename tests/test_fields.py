"""What the model sees: histories hold what was met and nothing else, buckets keep order, words are words."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycompress.bags import Bag, bag_from_lists
from tinycompress.fields import (
    Field,
    batch_inputs,
    bucketize,
    history_field,
    id_field,
    quantile_edges,
    tokens,
    vocabulary,
    words_bag,
)
from tinycompress.interactions import Interactions


def interactions(pairs, n_users=4, n_items=5):
    users, items = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
    return Interactions(users, items, None, None, [f"u{n}" for n in range(n_users)], [f"i{n}" for n in range(n_items)])


PAIRS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 4)), unique=True)


@given(PAIRS)
def test_histories_hold_what_was_met_and_nothing_else(pairs):
    met = interactions(pairs)
    for entity, mine, other, size in (("user", 0, 1, met.n_users), ("item", 1, 0, met.n_items)):
        field = history_field(met, entity)
        bags = [field.values.codes[a:b].tolist() for a, b in zip(field.values.offsets, field.values.offsets[1:])]
        assert bags == [sorted(pair[other] for pair in pairs if pair[mine] == code) for code in range(size)]
        assert field.entity == entity and field.size == (met.n_items if entity == "user" else met.n_users)
    with pytest.raises(ValueError, match="'query'"):
        history_field(met, "query")


def test_batch_inputs_take_each_field_from_its_entity():
    word_field = Field("words", 9, "query", bag_from_lists([[7, 8], [5]]))
    fields = [id_field("user", 3), word_field, Field("shelf", 4, "item", np.array([3, 2]))]
    rows = {"user": np.array([2, 0, 2]), "query": np.array([1, 0, 1]), "item": np.array([0, 1, 1])}
    users, words, shelves = batch_inputs(fields, rows)
    assert users.tolist() == [2, 0, 2] and shelves.tolist() == [3, 2, 2]
    assert words.codes.tolist() == [5, 7, 8, 5] and words.offsets.tolist() == [0, 1, 3, 4]
    with pytest.raises(ValueError, match="rows are given of user; fields describe item, query too"):
        batch_inputs(fields, {"user": np.array([0])})
    with pytest.raises(ValueError, match="'item': 2"):
        batch_inputs(fields, {"user": np.array([0]), "query": np.array([1]), "item": np.array([0, 1])})


def test_fields_refuse_codes_beyond_their_size():
    for values in (np.array([0, 3]), np.array([-1]), Bag(np.array([3]), np.array([0, 1]))):
        with pytest.raises(ValueError, match="its size 3 allows 0 to 2"):
            Field("x", 3, "user", values)
    for values in (np.array([0.0]), np.array([[0]])):
        with pytest.raises(ValueError, match="integers along one"):
            Field("x", 3, "user", values)
    with pytest.raises(ValueError, match="'max'"):
        Field("x", 3, "user", np.array([0]), "max")


def test_words():
    assert tokens("Café-Set, 2×Löffel_groß\tA4!") == ["café", "set", "2", "löffel_groß", "a4"]
    assert tokens(" ,;\n") == []
    words = vocabulary(["b a", "c b", "b c d"], min_count=2)
    assert words == {"b": 0, "c": 1}
    bag = words_bag(["b b x", "", "C"], words)
    assert bag.codes.tolist() == [0, 0, 1] and bag.offsets.tolist() == [0, 2, 2, 3]


NUMBERS = st.one_of(st.integers(-3, 3).map(float), st.floats(-1e9, 1e9))


@given(st.lists(NUMBERS, min_size=1, max_size=20), st.integers(1, 6), st.lists(st.floats(allow_subnormal=False), max_size=8))
def test_buckets_keep_order_and_cover_everything(train, n, values):
    edges = quantile_edges(np.array(train), n)
    assert (np.diff(edges) > 0).all() and len(edges) <= n - 1
    buckets = bucketize(np.array(values, float), edges)
    for value, bucket in zip(values, buckets.tolist()):
        assert bucket == (len(edges) + 1 if np.isnan(value) else sum(edge <= value for edge in edges.tolist()))


@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=40, unique=True), st.integers(1, 6))
def test_distinct_values_fall_in_buckets_of_equal_number(train, n):
    """Of m distinct values, those at or above the j-th edge are the m - ceil(j (m - 1) / n) largest; so buckets differ by 1."""
    counts = np.bincount(bucketize(np.array(train), quantile_edges(np.array(train), n)))
    if len(train) >= 2 * n:
        assert len(counts) == n and counts.max() - counts.min() <= 1


def test_nan_has_a_bucket_of_its_own_and_teaches_nothing():
    edges = quantile_edges(np.array([1.0, np.nan, 2.0, 3.0, np.nan, 4.0]), 2)
    assert edges.tolist() == [2.5]
    assert bucketize(np.array([np.nan, np.inf, -np.inf, 2.5]), edges).tolist() == [2, 1, 0, 1]
    assert bucketize(np.array([3, 2]), edges).tolist() == [1, 0]
    assert quantile_edges(np.array([5.0, 5.0]), 4).tolist() == [5.0]
    for values, n in (([np.nan], 2), ([], 2), ([1.0, np.inf], 2), ([1.0], 0)):
        with pytest.raises(ValueError, match="all finite"):
            quantile_edges(np.array(values), n)
