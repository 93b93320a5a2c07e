"""Which rows a model may learn from, which choose the epoch, and which judge it; and the items it is judged against.

Implicit feedback has no negatives: they are drawn among the items a user has not met. To judge, each test item is ranked among
negatives that are met in no part; to train, negatives are drawn anew in each epoch among the items not met in the training
part. The difference matters: training negatives that avoid the test items would tell the model where they are.

Letters     N rows, L negatives per row, `seen` a Bag: the items each user has met, sorted, each once
Not here: what the model sees of users and items (fields), the scores (metrics). Read next: ragged, shop.
"""
from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tinycompress.bags import Bag, Ints
from tinycompress.interactions import Interactions, rows_to_keep


@dataclass(frozen=True, eq=False)
class Split:
    """Three parts of one data set, no row in two of them, under the same codes."""

    train: Interactions
    valid: Interactions  # chooses the epoch
    test: Interactions  # judges, once


def leave_one_out(
    interactions: Interactions, ties: Literal["file", "draw"] = "file", rng: np.random.Generator | None = None
) -> Split:
    """Return the split in which the last row of each user is for the test and the last but one for validation.

    Shapes      N rows -> train, valid, test of N rows together, each in the order of `interactions`
    Convention  last is by time. Equal times: "file" takes the row that stands later; "draw" draws among them by `rng`. Without
                times all are equal: the order of the file decides, or the draw. A user with two rows has none for validation, one
                with a single row keeps it in train.
    Raises      ValueError if `ties` is unknown, "draw" has no rng, or a (user, item) pair stands twice: its second row could be
                the test of its first
    Source      He et al. 2017 (NCF, WWW), section 4.1

    >>> ids = ["a", "b", "c"]
    >>> split = leave_one_out(Interactions(np.array([0, 0, 0]), np.array([0, 1, 2]), None, np.array([5, 9, 7]), ids, ids))
    >>> split.train.items.tolist(), split.valid.items.tolist(), split.test.items.tolist()
    ([0], [2], [1])
    """
    if ties not in ("file", "draw") or (ties == "draw" and rng is None):
        raise ValueError(f"ties is {ties!r} and rng {rng}; use 'file', or 'draw' with an rng")
    n = len(interactions)
    if len(rows_to_keep(interactions.pairs, "last")) < n:
        raise ValueError(f"a (user, item) pair stands twice among {n} rows; keep one of each, by rows_to_keep(pairs, 'last')")
    times = np.zeros(n) if interactions.times is None else interactions.times
    among_equals = np.arange(n) if ties == "file" or rng is None else rng.permutation(n)
    order = np.lexsort((among_equals, times, interactions.users))
    from_end, count = _places(interactions, order[::-1])
    test = (from_end == 0) & (count >= 2)
    valid = (from_end == 1) & (count >= 3)
    return _split(interactions, valid, test)


def by_fraction(
    rng: np.random.Generator, interactions: Interactions, valid: float = 0.1, test: float = 0.1, per_user: bool = False
) -> Split:
    """Return a random split, of all rows together or of each user's rows.

    Equation    floor(test n) rows are for the test, floor(valid n) for validation, the rest for training; n counts all rows, or
                those of each user
    Shapes      N rows -> train, valid, test of N rows together, each in the order of `interactions`
    Convention  per user, few rows may be too few: one who has 9 gives none to a tenth
    Raises      ValueError if a fraction is negative or nothing would be left for training
    Source      this package

    >>> ids = [str(code) for code in range(10)]
    >>> met = Interactions(np.zeros(10, int), np.arange(10), None, None, ids, ids)
    >>> [len(part) for part in vars(by_fraction(np.random.default_rng(0), met, valid=0.25, test=0.5)).values()]
    [3, 2, 5]
    """
    if not (valid >= 0 and test >= 0 and valid + test < 1):
        raise ValueError(f"fractions valid {valid} and test {test}: both must be >= 0, and together below 1")
    n = len(interactions)
    order = rng.permutation(n)
    if per_user:
        place, count = _places(interactions, order[interactions.users[order].argsort(kind="stable")])
    else:
        place, count = order.argsort(), np.full(n, n)
    in_test, in_valid = (np.floor((fraction * count).round(9)) for fraction in (test, valid))  # .29 x 100 is 28.999...
    return _split(interactions, (place >= in_test) & (place < in_test + in_valid), place < in_test)


def seen_items(*parts: Interactions) -> Bag:
    """Return the items that each user has met in any of these parts.

    Shapes      any number of parts -> Bag of n_users, each sorted, each item once
    Raises      ValueError if the parts count other users or items
    Source      this package

    >>> ids = ["a", "b", "c"]
    >>> part = lambda user, item: Interactions(np.array([user]), np.array([item]), None, None, ids, ids)
    >>> seen_items(part(1, 2), part(1, 0)).codes.tolist()
    [0, 2]
    """
    sizes = {(part.n_users, part.n_items) for part in parts}
    if len(sizes) != 1:
        raise ValueError(f"the parts have (users, items) {sorted(sizes)}; give one or more parts of one data set")
    n_users, n_items = sizes.pop()
    pairs = np.unique(np.concatenate([part.pairs for part in parts]))
    return Bag(pairs % n_items, np.searchsorted(pairs, np.arange(n_users + 1) * n_items).astype(np.int64))


def sample_negatives(rng: np.random.Generator, users: Ints, seen: Bag, n_items: int, count: int) -> npt.NDArray[np.int64]:
    """Return, for each row, `count` distinct items that its user has not met: the candidates of an evaluation.

    Shapes      users (N,), seen Bag -> (N, count)
    Convention  every set of `count` unseen items is equally likely; the order within a row says nothing. Two rows of one user may
                share items. To judge, let `seen` hold all parts: seen_items(train, valid, test).
    Raises      ValueError if a user has fewer than `count` unseen items
    Source      Bentley & Floyd 1987, Comm. ACM 30(9), for the distinct draw

    >>> sample_negatives(np.random.default_rng(0), np.array([0]), Bag(np.array([1]), np.array([0, 1])), 4, 3).tolist()
    [[0, 2, 3]]
    """
    unseen = _count_unseen(users, seen, n_items, count)
    ranks = np.empty((len(users), count), np.int64)
    for done in range(count):  # Floyd: a draw from one more item than before; if it was had, the new item itself was not
        newest = unseen - count + done
        draw = rng.integers(0, newest + 1)
        had = (ranks[:, :done] == draw[:, None]).any(axis=1)
        ranks[:, done] = np.where(had, newest, draw)
    return np.sort(_unseen_of_rank(ranks, users, seen, n_items), axis=1)


def training_negatives(
    rng: np.random.Generator, users: Ints, seen: Bag, n_items: int, per_positive: int = 4
) -> npt.NDArray[np.int64]:
    """Return, for each training row, items that its user has not met in training; to be drawn anew in each epoch.

    Shapes      users (N,), seen Bag -> (N, per_positive)
    Convention  independent and uniform: a row may hold an item twice. Let `seen` be seen_items(train), without the parts that
                judge.
    Raises      ValueError if a user has met every item
    Source      He et al. 2017 (NCF, WWW), section 3.2: four negatives per positive

    >>> training_negatives(np.random.default_rng(0), np.array([0]), Bag(np.array([0, 2]), np.array([0, 2])), 3).tolist()
    [[1, 1, 1, 1]]
    """
    unseen = _count_unseen(users, seen, n_items, 1)
    return _unseen_of_rank(rng.integers(0, unseen[:, None], (len(users), per_positive)), users, seen, n_items)


def implicit_examples(
    train: Interactions, negatives: Ints
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return (users, items, labels): each training row with label 1, then its negatives with label 0.

    Shapes      N rows, negatives (N, L) -> three of (N (1 + L),)
    Source      this package

    >>> ids = ["a", "b", "c"]
    >>> met = Interactions(np.array([1]), np.array([2]), None, None, ids, ids)
    >>> [column.tolist() for column in implicit_examples(met, np.array([[0, 1]]))]
    [[1, 1, 1], [2, 0, 1], [1.0, 0.0, 0.0]]
    """
    items, relevance = ranking_lists(train.items, negatives)
    return np.repeat(train.users, items.shape[1]), items.reshape(-1), relevance.reshape(-1)


def ranking_lists(positives: Ints, negatives: Ints) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """Return (items, relevance) of lists to rank: the positive first, with relevance 1, then its negatives with 0.

    Shapes      positives (N,), negatives (N, L) -> two of (N, 1 + L)
    Source      this package

    >>> ranking_lists(np.array([7]), np.array([[3, 4]]))[0].tolist()
    [[7, 3, 4]]
    """
    items = np.concatenate([positives[:, None], negatives], axis=1, dtype=np.int64)
    relevance = np.zeros(items.shape, np.float32)
    relevance[:, 0] = 1
    return items, relevance


def shuffled_batches(rng: np.random.Generator, n: int, batch_size: int) -> Iterator[npt.NDArray[np.int64]]:
    """Return an iterator over the rows 0 ... n - 1 in random order, cut into batches: every row once.

    Shapes      ceil(n / batch_size) arrays (batch_size,); the last may be shorter
    Convention  rows are shuffled, not batches: which rows meet in a batch differs from call to call. The order is drawn at once,
                when this is called.
    Raises      ValueError if batch_size is below 1
    Source      this package

    >>> sorted(np.concatenate(list(shuffled_batches(np.random.default_rng(0), 5, 2))).tolist())
    [0, 1, 2, 3, 4]
    """
    if batch_size < 1:
        raise ValueError(f"batch_size is {batch_size}; it must be at least 1")
    order = rng.permutation(n)
    return (order[start : start + batch_size] for start in range(0, n, batch_size))


def _split(interactions: Interactions, valid: npt.NDArray[Any], test: npt.NDArray[Any]) -> Split:
    return Split(*(interactions.rows(np.flatnonzero(mask)) for mask in (~(valid | test), valid, test)))


def _places(interactions: Interactions, order: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """For each row its place, from 0, among its user's rows in `order`, which holds users together; and how many those are."""
    users = interactions.users[order]
    place = np.arange(len(users))
    starts = np.flatnonzero(np.diff(users, prepend=-1))
    count = np.diff(starts, append=len(users))
    place -= np.repeat(starts, count)
    back = np.empty_like(order)
    back[order] = np.arange(len(order))
    return place[back], np.repeat(count, count)[back]


def _count_unseen(users: Ints, seen: Bag, n_items: int, needed: int) -> npt.NDArray[np.int64]:
    """How many items the user of each row has not met."""
    if len(users) and (users.min() < 0 or users.max() >= len(seen)):
        raise ValueError(f"users {users.min()} to {users.max()} are asked for; seen has users 0 to {len(seen) - 1}")
    unseen = n_items - np.diff(seen.offsets)[users]
    if len(users) and unseen.min() < needed:
        few = f"user {users[unseen.argmin()]} has {unseen.min()} of {n_items} items not met"
        raise ValueError(f"{few}; {needed} are asked for: ask for fewer, or leave the user out")
    return unseen


def _unseen_of_rank(ranks: npt.NDArray[np.int64], users: Ints, seen: Bag, n_items: int) -> npt.NDArray[np.int64]:
    """The item of each rank (N, L) among those the row's user has not met: no draw is ever rejected.

    Of the seen items s_0 < s_1 < ..., s_j has s_j - j unseen ones below it. So the unseen item of rank r stands above exactly
    those s_j with s_j - j <= r, and is r + their number. One search finds that number for all rows: users are kept apart by
    steps of n_items + 1.
    """
    lengths = np.diff(seen.offsets)
    owners = np.repeat(np.arange(len(seen)), lengths)
    below = seen.codes - (np.arange(len(seen.codes)) - np.repeat(seen.offsets[:-1], lengths))
    keys = owners * (n_items + 1) + below
    if (np.diff(keys) < 0).any() or (len(below) and (below.min() < 0 or seen.codes.max() >= n_items)):
        raise ValueError(f"seen must hold items below {n_items}, sorted and each once per user; make it by seen_items")
    asked = users[:, None] * (n_items + 1) + ranks
    return ranks + np.searchsorted(keys, asked, side="right") - seen.offsets[users][:, None]
