"""Laws of splitting and sampling: nothing lost, nothing twice, no negative that is a positive, every set equally likely."""
import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycompress.bags import bag_from_lists
from tinycompress.fields import history_field
from tinycompress.interactions import Interactions
from tinycompress.splits import (
    by_fraction,
    implicit_examples,
    leave_one_out,
    ranking_lists,
    sample_negatives,
    seen_items,
    shuffled_batches,
    training_negatives,
)

N_USERS, N_ITEMS = 4, 6


@st.composite
def interactions(draw, timed=True):
    pairs = draw(st.lists(st.tuples(st.integers(0, N_USERS - 1), st.integers(0, N_ITEMS - 1)), unique=True, min_size=1))
    times = draw(st.lists(st.integers(0, 2), min_size=len(pairs), max_size=len(pairs)))  # few values: ties
    users, items = (np.array([pair[side] for pair in pairs], np.int64) for side in (0, 1))
    return Interactions(users, items, None, np.array(times) if timed else None, list("abcd"), list("uvwxyz"))


def rng(seed=0):
    return np.random.default_rng(seed)


def check_parts(split, whole):
    parts = (split.train, split.valid, split.test)
    assert sorted(np.concatenate([part.pairs for part in parts]).tolist()) == sorted(whole.pairs.tolist())
    assert all(part.user_ids is whole.user_ids for part in parts)
    for part in parts:  # the order of the whole is kept
        places = [whole.pairs.tolist().index(pair) for pair in part.pairs]
        assert places == sorted(places)


@given(interactions(), st.sampled_from(["file", "draw"]))
def test_leave_one_out_takes_the_last_of_each_user(whole, ties):
    split = leave_one_out(whole, ties, rng())
    check_parts(split, whole)
    for user in range(N_USERS):
        rows = np.flatnonzero(whole.users == user)
        ordered = sorted(rows, key=lambda row: (whole.times[row], row))
        got = [part.pairs[part.users == user].tolist() for part in (split.train, split.valid, split.test)]
        assert [len(g) for g in got[1:]] == [int(len(rows) >= 3), int(len(rows) >= 2)]
        if ties == "file" and len(rows) >= 2:
            assert got[2] == [whole.pairs[ordered[-1]]]
            assert got[1] == [whole.pairs[row] for row in ordered[-2:-1] if len(rows) >= 3]
        if len(rows) >= 2:
            assert split.test.times[split.test.users == user].tolist() == [max(whole.times[rows])]
        if len(rows) >= 3:
            assert split.valid.times[split.valid.users == user].tolist() == [sorted(whole.times[rows])[-2]]


def test_ties_are_drawn_uniformly_and_by_the_seed():
    whole = Interactions(np.zeros(3, int), np.arange(3), None, np.array([5, 9, 9]), ["a"], list("xyz"))
    tests = [leave_one_out(whole, "draw", rng(seed)).test.items[0] for seed in range(400)]
    assert tests == [leave_one_out(whole, "draw", rng(seed)).test.items[0] for seed in range(400)]
    # a fair coin thrown 400 times is 6 standard deviations, 60, from 200 in 2 of 10^9 series
    assert tests.count(0) == 0 and abs(tests.count(1) - 200) < 60
    untimed = Interactions(whole.users, whole.items, None, None, ["a"], list("xyz"))
    assert leave_one_out(untimed).test.items.tolist() == [2], "no times: the last of the file"
    assert {leave_one_out(untimed, "draw", rng(seed)).test.items[0] for seed in range(40)} == {0, 1, 2}


def test_leave_one_out_refuses():
    twice = Interactions(np.zeros(2, int), np.zeros(2, int), None, None, ["a"], ["x"])
    with pytest.raises(ValueError, match="stands twice"):
        leave_one_out(twice)
    for ties in ("draw", "first"):
        with pytest.raises(ValueError, match="'draw' with an rng"):
            leave_one_out(twice.rows(np.array([0])), ties)


@given(interactions(), st.sampled_from([0, 0.1, 0.25, 0.29, 0.5]), st.sampled_from([0, 0.25, 0.49]), st.booleans())
def test_by_fraction_counts_exactly(whole, valid, test, per_user):
    split = by_fraction(rng(), whole, valid, test, per_user)
    check_parts(split, whole)
    groups = [np.flatnonzero(whole.users == user) for user in range(N_USERS)] if per_user else [np.arange(len(whole))]
    floor = lambda fraction: sum(math.floor(round(fraction * len(group), 9)) for group in groups)  # noqa: E731
    assert (len(split.valid), len(split.test)) == (floor(valid), floor(test))
    assert by_fraction(rng(), whole, valid, test, per_user).test.pairs.tolist() == split.test.pairs.tolist()


def test_by_fraction_counts_whole_numbers_despite_rounding():
    whole = Interactions(np.zeros(100, int), np.arange(100), None, None, ["a"], [str(n) for n in range(100)])
    for per_user in (False, True):  # .29 x 100 = 28.999999999999996
        split = by_fraction(rng(), whole, valid=0.57, test=0.29, per_user=per_user)
        assert (len(split.train), len(split.valid), len(split.test)) == (14, 57, 29)
    for valid, test in ((-0.1, 0.1), (0.5, 0.5), (float("nan"), 0.1)):
        with pytest.raises(ValueError, match="together below 1"):
            by_fraction(rng(), whole, valid, test)


@given(interactions(), st.sampled_from(["file", "draw"]))
def test_no_test_item_in_a_history(whole, ties):
    split = leave_one_out(whole, ties, rng())
    for held in (split.valid, split.test):
        for mine, other, entity in ((held.users, held.items, "user"), (held.items, held.users, "item")):
            bag = history_field(split.train, entity).values
            assert not any(o in bag.codes[bag.offsets[m] : bag.offsets[m + 1]] for m, o in zip(mine, other))


def sets_of(bag):
    return [set(bag.codes[a:b].tolist()) for a, b in zip(bag.offsets, bag.offsets[1:])]


@given(interactions(), interactions())
def test_seen_items_are_the_union(one, other):
    seen = seen_items(one, other)
    union = [set(one.items[one.users == u].tolist()) | set(other.items[other.users == u].tolist()) for u in range(N_USERS)]
    assert sets_of(seen) == union
    assert all(seen.codes[a:b].tolist() == sorted(seen.codes[a:b]) for a, b in zip(seen.offsets, seen.offsets[1:]))


@given(interactions(), st.integers(0, 3), st.integers(0, 99))
def test_negatives_are_never_positives(whole, count, seed):
    seen = seen_items(whole)
    met = sets_of(seen)
    users = np.array([u for u in range(N_USERS) if N_ITEMS - len(met[u]) >= max(count, 1)] * 2, np.int64)
    judged = sample_negatives(rng(seed), users, seen, N_ITEMS, count)
    trained = training_negatives(rng(seed), users, seen, N_ITEMS, count)
    assert judged.shape == trained.shape == (len(users), count)
    for user, row, other in zip(users, judged.tolist(), trained.tolist()):
        assert not set(row) & met[user] and not set(other) & met[user]
        assert len(set(row)) == count and set(row) | set(other) <= set(range(N_ITEMS))


def test_all_unseen_items_can_be_asked_for():
    seen = bag_from_lists([[0, 3], [], [5]])
    assert sample_negatives(rng(), np.array([0]), seen, 6, 4).tolist() == [[1, 2, 4, 5]]
    assert sample_negatives(rng(), np.array([1]), seen, 6, 6).tolist() == [[0, 1, 2, 3, 4, 5]]
    assert sample_negatives(rng(), np.array([], np.int64), seen, 6, 6).shape == (0, 6)


def test_every_set_of_unseen_items_is_equally_likely():
    """Counts are binomial; 6 standard deviations are exceeded with a chance below 2e-9 each."""
    n, seen = 6000, bag_from_lists([[1, 4]])  # unseen: 0 2 3 5
    users = np.zeros(n, int)
    for count in (1, 2, 3):
        rows, times = np.unique(sample_negatives(rng(count), users, seen, 6, count), axis=0, return_counts=True)
        sets = list(itertools.combinations((0, 2, 3, 5), count))
        assert [tuple(row) for row in rows.tolist()] == sets
        p = 1 / len(sets)
        assert (np.abs(times - n * p) <= 6 * math.sqrt(n * p * (1 - p))).all()
    drawn = training_negatives(rng(), users, seen, 6, 2)
    times = np.unique(drawn @ [6, 1], return_counts=True)[1]  # ordered pairs, equal ones too: 16
    assert len(times) == 16 and (np.abs(times - n / 16) <= 6 * math.sqrt(n / 16 * 15 / 16)).all()


def test_too_few_unseen_items():
    seen = bag_from_lists([[0, 1, 2], [0]])
    with pytest.raises(ValueError, match="user 0 has 0 of 3 items not met; 1 are asked for"):
        training_negatives(rng(), np.array([1, 0]), seen, 3)
    with pytest.raises(ValueError, match="user 1 has 2 of 3 items not met; 3 are asked for"):
        sample_negatives(rng(), np.array([1]), seen, 3, 3)
    for users in ([2], [-1]):
        with pytest.raises(ValueError, match="seen has users 0 to 1"):
            sample_negatives(rng(), np.array(users), seen, 3, 1)
    for wrong in ([2, 0], [0, 0], [3]):
        with pytest.raises(ValueError, match="make it by seen_items"):
            training_negatives(rng(), np.array([0]), bag_from_lists([wrong]), 3)
    for parts in ((), (leave_one_out_whole(2).test, leave_one_out_whole(3).test)):
        with pytest.raises(ValueError, match="parts of one data set"):
            seen_items(*parts)


def leave_one_out_whole(n):
    return leave_one_out(Interactions(np.zeros(n, int), np.arange(n), None, None, ["a"], [str(i) for i in range(n)]))


def test_examples_and_lists():
    met = Interactions(np.array([1, 0]), np.array([2, 1]), None, None, ["a", "b"], list("xyz"))
    users, items, labels = implicit_examples(met, np.array([[0, 1], [2, 2]]))
    assert list(zip(users, items, labels)) == [(1, 2, 1), (1, 0, 0), (1, 1, 0), (0, 1, 1), (0, 2, 0), (0, 2, 0)]
    items, relevance = ranking_lists(met.items, np.array([[0, 1], [2, 2]]))
    assert items.tolist() == [[2, 0, 1], [1, 2, 2]] and relevance.tolist() == [[1, 0, 0], [1, 0, 0]]


@given(st.integers(0, 30), st.integers(1, 9))
def test_every_row_once_per_epoch(n, batch_size):
    batches = list(shuffled_batches(rng(), n, batch_size))
    assert sorted(itertools.chain(*batches)) == list(range(n))
    assert [len(batch) for batch in batches] == [batch_size] * (n // batch_size) + [n % batch_size] * (n % batch_size > 0)


def test_rows_are_shuffled_not_batches():
    """Rows 0 and 1 meet in a batch of 2 of 10 with chance 1/9, each epoch anew: of 900 epochs 100, sd 9.4, here within 6 sd."""
    draws = rng()
    together = sum(any({0, 1} == set(batch.tolist()) for batch in shuffled_batches(draws, 10, 2)) for _ in range(900))
    assert abs(together - 100) <= 6 * math.sqrt(900 * (1 / 9) * (8 / 9))
    assert [b.tolist() for b in shuffled_batches(rng(3), 9, 4)] == [b.tolist() for b in shuffled_batches(rng(3), 9, 4)]
    with pytest.raises(ValueError, match="batch_size is 0"):
        shuffled_batches(rng(), 3, 0)
