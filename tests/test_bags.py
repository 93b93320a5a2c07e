"""Bags against lists of lists: whatever can be done to the one gives the same as done to the other."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycompress.bags import Bag, bag_from_lists, take

LISTS = st.lists(st.lists(st.integers(0, 9), max_size=4), min_size=1, max_size=6)  # empty bags, repeated codes


def lists_of(bag):
    return [bag.codes[a:b].tolist() for a, b in zip(bag.offsets, bag.offsets[1:])]


def rows_of(data, n):
    return np.array(data.draw(st.lists(st.integers(0, n - 1), max_size=8)), np.int64)


@given(LISTS)
def test_lists_round_trip(lists):
    bag = bag_from_lists(lists)
    assert lists_of(bag) == lists and len(bag) == len(lists)
    assert bag.codes.dtype == bag.offsets.dtype == np.int64


@given(LISTS, st.data())
def test_take_is_indexing_of_lists(lists, data):
    rows = rows_of(data, len(lists))
    assert lists_of(take(bag_from_lists(lists), rows)) == [lists[row] for row in rows]


@given(LISTS, st.data())
def test_take_of_take_is_take_of_the_taken_rows(lists, data):
    bag, rows = bag_from_lists(lists), rows_of(data, len(lists))
    again = rows_of(data, len(rows)) if len(rows) else rows
    assert lists_of(take(take(bag, rows), again)) == lists_of(take(bag, rows[again]))


@given(st.lists(st.integers(0, 9), min_size=1, max_size=6), st.data())
def test_codes_and_bags_of_one_code_are_the_same_field(codes, data):
    rows = rows_of(data, len(codes))
    assert take(bag_from_lists([c] for c in codes), rows).codes.tolist() == take(np.array(codes), rows).tolist()


def test_rows_of_any_integer_dtype():
    bag = bag_from_lists([[1], [2, 3]])
    for dtype in (np.int8, np.uint16, np.int32):
        assert lists_of(take(bag, np.array([1, 0], dtype))) == [[2, 3], [1]]


def test_no_rows_and_no_bags():
    assert lists_of(take(bag_from_lists([[1]]), np.array([], np.int64))) == []
    assert lists_of(bag_from_lists([])) == [] and lists_of(bag_from_lists([[], []])) == [[], []]


@pytest.mark.parametrize(
    ("codes", "offsets", "says"),
    [
        ([1, 2], [0, 1], "run from 0 to 1"),
        ([1, 2], [1, 2], "run from 1 to 2"),
        ([1, 2], [0, 2, 1, 2], "never decrease"),
        ([1], [], "run from nothing"),
        ([-1], [0, 1], "holds -1"),
    ],
)
def test_offsets_that_are_no_offsets(codes, offsets, says):
    with pytest.raises(ValueError, match=says):
        Bag(np.array(codes, np.int64), np.array(offsets, np.int64))


def test_other_dtypes_and_shapes_are_refused_with_the_remedy():
    for codes in (np.array([1], np.int32), np.array([1.0]), np.array([[1]])):
        with pytest.raises(ValueError, match="int64"):
            Bag(codes, np.array([0, 1]))
    for lists in ([[1.5]], [["a"]], [[[1]]], [[True]]):
        with pytest.raises(ValueError, match="flat list of integers"):
            bag_from_lists(lists)


@pytest.mark.parametrize("field", [np.array([5, 6]), bag_from_lists([[5], [6, 7]])], ids=["codes", "bag"])
def test_rows_that_are_not_there(field):
    for rows in ([-1], [2], [0, 2]):
        with pytest.raises(ValueError, match="0 to 1"):
            take(field, np.array(rows))
    for rows in (np.array([True, False]), np.array([0.0]), np.array([[0]])):
        with pytest.raises(ValueError, match="integers along one axis"):
            take(field, rows)
