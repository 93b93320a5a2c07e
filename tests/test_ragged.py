"""Lists of unequal length: padding changes no value, and every list keeps its candidates."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycompress import metrics
from tinycompress.bags import bag_from_lists
from tinycompress.fields import Field, id_field
from tinycompress.losses import listwise, listwise_backward
from tinycompress.ragged import RaggedLists, cross_validation, list_batches, pad, unpad

U = 2.0**-53
lengths = st.lists(st.integers(1, 7), min_size=1, max_size=8).map(lambda n: np.array(n, np.int64))
seeds = st.integers(0, 2**32)


def drawn(lengths, seed, prior=True):
    """Lists whose candidates are numbered, so that one can see where each went."""
    rng, m = np.random.default_rng(seed), int(lengths.sum())
    rows = {"query": np.repeat(np.arange(len(lengths)), lengths), "item": np.arange(m)}
    return RaggedLists(rows, rng.integers(0, 4, m).astype(float), lengths, rng.standard_normal(m) if prior else None)


def each(lists, values):
    """The values of each list on its own, (1, its length)."""
    return [part[None] for part in np.split(values, np.cumsum(lists.lengths)[:-1])]


@given(lengths, seeds)
def test_there_and_back(lengths, seed):
    lists = drawn(lengths, seed)
    padded = pad(lists.prior, lists.mask, -np.inf)
    assert (unpad(padded, lists.mask) == lists.prior).all() and (padded[~lists.mask] == -np.inf).all()
    assert padded.shape == (len(lengths), lengths.max()) and padded.dtype == lists.prior.dtype
    for row, own in zip(padded, each(lists, lists.prior)):
        assert (row[: own.size] == own).all(), "a list's candidates stand first, in their order"
    assert pad(lists.rows["item"], lists.mask).dtype == lists.rows["item"].dtype


@given(lengths, seeds, st.sampled_from(["float32", "float64"]))
def test_padding_changes_no_loss_and_no_gradient(lengths, seed, dtype):
    """Exact: rows shorter than 8 are summed from left to right, and adding a zero at the end is no rounding."""
    lists = drawn(lengths, seed)
    logits = lists.prior.astype(dtype)
    z, y = pad(logits, lists.mask, -np.inf), pad(lists.relevance, lists.mask)
    alone = [(listwise(a, b, "sum"), listwise_backward(a, b, "sum")) for a, b in zip(each(lists, logits), each(lists, lists.relevance))]
    assert [listwise(a, b, "sum") for a, b in zip(z[:, None], y[:, None])] == [loss for loss, _ in alone]
    d = listwise_backward(z, y, "sum")
    assert (unpad(d, lists.mask) == np.concatenate([g.ravel() for _, g in alone])).all()
    assert (d[~lists.mask] == 0).all(), "padding has no gradient"


@given(st.lists(st.integers(1, 60), min_size=2, max_size=5).map(np.array), seeds)
def test_padding_of_long_lists_moves_a_loss_by_its_rounding_only(lengths, seed):
    """Sums of n <= 60 terms, in another order where padded: each within n u of the true sum of their sizes, the exponentials' sum
    relatively, so its logarithm absolutely. |z| <= 8 here. Both sides: 2 (n + 4) u of sum t |log p|, and as much for log Z."""
    lists = drawn(lengths, seed)
    z, y = pad(lists.prior, lists.mask, -np.inf), pad(lists.relevance, lists.mask)
    for n, a, b, padded_z, padded_y in zip(lengths, each(lists, lists.prior), each(lists, lists.relevance), z[:, None], y[:, None]):
        alone = listwise(a, b)
        assert abs(listwise(padded_z, padded_y) - alone) <= 2 * (n + 4) * U * (alone + 1)


@given(lengths, seeds, st.integers(1, 9), st.sampled_from([np.nan, -np.inf, np.inf, 7.0]))
def test_padding_changes_no_ndcg(lengths, seed, k, junk):
    lists = drawn(lengths, seed)
    scores = np.round(lists.prior)  # with ties
    mask, y = lists.mask, pad(lists.relevance, lists.mask)
    found = metrics.ndcg(pad(scores, mask, junk), y, k, mask=mask, average=None)
    alone = [metrics.ndcg(a, b, k) for a, b in zip(each(lists, scores), each(lists, lists.relevance))]
    assert found.tolist() == alone


@given(lengths, seeds)
def test_parts_are_lists_as_they_were(lengths, seed):
    lists, rng = drawn(lengths, seed), np.random.default_rng(seed)
    chosen = rng.permutation(len(lengths))[: rng.integers(0, len(lengths) + 1)]
    part = lists.part(chosen)
    assert part.lengths.tolist() == lengths[chosen].tolist()
    expected = [item for c in chosen for item in np.flatnonzero(lists.rows["query"] == c)]
    assert part.rows["item"].tolist() == expected
    assert (part.relevance == lists.relevance[expected]).all() and (part.prior == lists.prior[expected]).all()
    asked = np.isin(np.arange(len(lengths)), chosen)
    assert lists.part(asked).rows["item"].tolist() == lists.part(np.flatnonzero(asked)).rows["item"].tolist(), "a mask will do"
    assert drawn(lengths, seed, prior=False).part(chosen).prior is None


@given(lengths, seeds, st.integers(1, 9))
def test_an_epoch_meets_every_list_once_and_whole(lengths, seed, size):
    lists = drawn(lengths, seed)
    m = int(lengths.sum())
    fields = [id_field("query", len(lengths)), Field("words", 9, "item", bag_from_lists([[i % 9] * (i % 3) for i in range(m)]))]
    batches = list(list_batches(fields, lists, size)(np.random.default_rng(seed)))
    assert [len(part) for _, part in batches[:-1]] == [size] * (len(batches) - 1) and 0 < len(batches[-1][1]) <= size
    met = np.concatenate([part.rows["item"] for _, part in batches])
    assert sorted(met.tolist()) == list(range(m))
    for (queries, words), part in batches:
        assert queries.tolist() == part.rows["query"].tolist() and len(words) == len(part.relevance) == part.mask.sum()
        assert (part.relevance == lists.relevance[part.rows["item"]]).all() and (part.prior == lists.prior[part.rows["item"]]).all()
        assert np.diff(words.offsets).tolist() == [i % 3 for i in part.rows["item"]]
        assert all(len(set(q.ravel())) == 1 for q in each(part, queries)), "a list is of one query"


@given(lengths, seeds, st.integers(1, 4))
def test_each_list_is_tested_once_by_those_who_never_saw_it(lengths, seed, count):
    lists = drawn(lengths, seed)
    folds = np.random.default_rng(seed).integers(0, count, len(lengths))
    tested = []
    for train, test in cross_validation(lists, folds):
        assert not set(train.rows["item"]) & set(test.rows["item"]) and len(train) + len(test) == len(lists)
        assert len(train.rows["item"]) + len(test.rows["item"]) == lengths.sum()
        tested += test.rows["item"].tolist()
    assert sorted(tested) == list(range(int(lengths.sum())))


M2 = {"item": np.arange(2)}


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: RaggedLists(M2, np.ones(2), np.array([3])), "the lists have 3 candidates, the columns {'item': 2, 'relevance': 2}"),
        (lambda: RaggedLists(M2, np.ones(3), np.array([2])), "'relevance': 3"),
        (lambda: RaggedLists(M2, np.ones(2), np.array([2]), np.ones(3)), "'prior': 3"),
        (lambda: RaggedLists(M2, np.ones(2), np.array([3, -1])), "lengths are int64 \\(2,\\), from -1"),
        (lambda: RaggedLists(M2, np.ones(2), np.array([2, 0])), "leave out lists without candidates"),
        (lambda: RaggedLists(M2, np.ones(2), np.array([2.0])), "lengths are float64"),
        (lambda: RaggedLists(M2, np.ones(2), np.array([[2]])), "give whole numbers >= 1, one per list"),
        (lambda: pad(np.ones(3), np.ones((1, 2), bool)), "a mask of 2 candidates"),
        (lambda: pad(np.ones((1, 2)), np.ones((1, 2), bool)), "a column of shape"),
        (lambda: unpad(np.ones((1, 3)), np.ones((1, 2), bool)), "make them equal"),
        (lambda: list(list_batches([], RaggedLists(M2, np.ones(2), np.array([2])), 0)(np.random.default_rng(0))), "batch_size is 0"),
        (lambda: list(list_batches([id_field("user", 3)], RaggedLists(M2, np.ones(2), np.array([2])), 1)(np.random.default_rng(0))), "fields describe user too"),
        (lambda: cross_validation(RaggedLists(M2, np.ones(2), np.array([2])), np.array([0, 1])), "for 1 lists; give one per list"),
        (lambda: RaggedLists(M2, np.ones(2), np.array([2])).part(np.array([1])), "rows 1 to 1 are asked"),
    ],
)  # fmt: skip
def test_bad_input_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def test_no_lists_at_all():
    none = RaggedLists({"item": np.zeros(0, int)}, np.zeros(0), np.zeros(0, int))
    assert len(none) == 0 and none.mask.shape == (0, 0) and pad(none.relevance, none.mask).shape == (0, 0)
    assert list(cross_validation(none, np.zeros(0, int))) == [] and len(none.part(np.zeros(0, int))) == 0
