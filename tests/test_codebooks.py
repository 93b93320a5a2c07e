"""Levels that are means: Lloyd's two conditions in exact fractions, the best partition by trying all, lengths priced."""

import functools
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from gradients import check_gradient
from hypothesis import given, settings
from hypothesis import strategies as st

from tinycompress.codebooks import SEEDINGS, centroids, k_means, nearest_codes, optimal_levels, seed_levels
from tinycompress.column_codebooks import ColumnCodebooks, by_columns, decode, decode_backward, stored_bits
from tinycompress.priced_levels import code_lengths, entropy_constrained

EPS = Fraction(1, 2**52)
few = st.sampled_from([0.0, -0.0, 1.0, 1.0, -1.0, 0.5, 3.0, 1e-40, 1e6, -1e6, float(np.nextafter(np.float32(1), 2))])
values = st.lists(st.one_of(few, st.floats(-8, 8, width=32)), min_size=1, max_size=20).map(np.float32)
integers = st.lists(st.integers(-20, 20), min_size=1, max_size=7)


def error(x, levels, codes, weight=None):
    """The sum of w (x - c_q)^2 as a fraction."""
    w = np.ones(len(x)) if weight is None else weight
    exact = ((Fraction(float(b)), Fraction(float(v)) - Fraction(float(levels[q]))) for v, q, b in zip(x, codes, w))
    return sum((b * d**2 for b, d in exact), Fraction(0))


def slack(x, levels, before):
    """By how much rounding may raise the error: a mean is off by less than n eps range, squared, a comparison by eps."""
    reach = max(float(np.max(x)), float(np.max(levels))) - min(float(np.min(x)), float(np.min(levels)))
    return len(x) * (len(x) * EPS * Fraction(reach)) ** 2 + 8 * EPS * before


def partitions(n, most):
    """Every way to cut n sorted values into at most `most` runs."""
    for k in range(min(n, most)):
        for cuts in itertools.combinations(range(1, n), k):
            yield list(itertools.pairwise((0, *cuts, n)))


def run_error(run, weight):
    total, mass = sum(a * b for a, b in zip(run, weight)), sum(weight)
    return sum(b * (a - Fraction(total, mass)) ** 2 for a, b in zip(run, weight))


# ---- Lloyd's conditions ----


@given(values, st.lists(st.floats(-9, 9, width=32), min_size=1, max_size=6, unique=True))
def test_the_nearest_level_and_the_lower_of_two(x, levels):
    levels = np.unique(np.float64(levels))
    codes = nearest_codes(x, levels)
    distance = np.abs(np.float64(x)[:, None] - levels)
    assert (distance[np.arange(len(x)), codes] == distance.min(axis=1)).all()


@given(st.lists(st.integers(-20, 20), min_size=1), st.sets(st.integers(-10, 10), min_size=1, max_size=6))
def test_midway_takes_the_lower(x, levels):
    x, levels = np.float64(x) / 2, np.sort(np.float64(list(levels)))
    assert (nearest_codes(x, levels) == np.abs(x[:, None] - levels).argmin(axis=1)).all()


@given(values, st.integers(1, 5), st.data())
def test_neither_step_ever_raises_the_error(x, n, data):
    w = np.array(data.draw(st.lists(st.sampled_from([0.0, 1.0, 0.25, 3.0]), min_size=len(x), max_size=len(x))))
    levels = seed_levels(x, n)
    codes = np.array(data.draw(st.lists(st.integers(0, len(levels) - 1), min_size=len(x), max_size=len(x))))
    for _ in range(3):
        before = error(x, levels, codes, w)
        codes = nearest_codes(x, levels)
        after = error(x, levels, codes, w)
        assert after <= before + slack(x, levels, before)
        moved = centroids(x, codes, levels, w)
        assert error(x, moved, codes, w) <= after + 3 * slack(x, levels, after)
        levels = np.unique(moved)
        codes = nearest_codes(x, levels)


@given(values, st.data())
def test_a_centroid_is_the_mean(x, data):
    codes = np.array(data.draw(st.lists(st.integers(0, 2), min_size=len(x), max_size=len(x))))
    levels = np.array([0.0, 1.0, 2.0])
    for a, c in enumerate(centroids(x, codes, levels)):
        cell = [Fraction(float(v)) for v in x[codes == a]]
        if not cell:
            assert c == levels[a], "a code that nothing takes keeps its level"
        else:  # n + 2 roundings of numbers no larger than max |x - c|, and one of the result
            bound = EPS * ((len(cell) + 2) * max(abs(v - a) for v in cell) + abs(Fraction(c)))
            assert abs(Fraction(c) - sum(cell) / len(cell)) <= bound


@given(values, st.integers(1, 6), st.sampled_from(SEEDINGS), st.integers(0, 3))
def test_k_means_ends_where_both_conditions_hold(x, n, seeding, seed):
    book = k_means(x, n, seeding=seeding, rng=np.random.default_rng(seed))
    assert book.levels.dtype == x.dtype and len(book.levels) <= n and (np.diff(book.levels) > 0).all()
    assert (book.codes == nearest_codes(x, book.levels)).all() and set(book.codes) == set(range(len(book.levels)))
    again = k_means(np.float64(x), n, seeding=seeding, rng=np.random.default_rng(seed))
    once_more = centroids(x, again.codes, again.levels)
    assert np.abs(once_more - again.levels).max() <= len(x) * 2.0**-52 * np.ptp(np.float64(x))
    assert ((x.min() <= book.levels) & (book.levels <= x.max())).all()


@given(values, st.integers(1, 6), st.integers(-20, 20))
def test_k_means_does_not_depend_on_the_unit(x, n, power):
    x = np.float64(x)
    book, scaled = k_means(x, n), k_means(x * 2.0**power, n)
    assert (book.codes == scaled.codes).all() and (book.levels * 2.0**power == scaled.levels).all()


def test_enough_levels_are_the_values():
    x = np.float32([3, -1, 3, 0.1, 0.1])
    drawn = k_means(x, 3, seeding="k-means++", rng=np.random.default_rng(0))
    for book in (k_means(x, 3, seeding="density"), drawn, optimal_levels(x, 9)):
        assert (book.levels[book.codes] == x).all()
    assert k_means(np.full(10, 0.1), 4).levels.tolist() == [0.1]


def test_seeds_are_what_they_say():
    x, rng = np.float64([4, 0, 1, 2, 9]), np.random.default_rng(0)
    assert seed_levels(x, 4).tolist() == [0, 3, 6, 9] and seed_levels(x, 1).tolist() == [4.5]
    assert seed_levels(x, 5, "density").tolist() == [0, 1, 2, 4, 9] and seed_levels(x, 1, "density").tolist() == [2]
    assert set(seed_levels(x, 3, "random", rng)) < set(x) and len(seed_levels(x, 99, "random", rng)) == 5
    assert seed_levels([1.0] * 9 + [5.0], 2, "k-means++", rng).tolist() == [1, 5], "a value at distance 0 is never drawn"


# ---- the best there is ----


@given(integers, st.integers(1, 4), st.data())
def test_dynamic_programming_finds_the_best_partition(x, n, data):
    """Values are integers, weights 1 or 2, so that errors are multiples of 1 / lcm(1 ... 14) = 1 / 360,360: two that differ do
    so by more than 1e-9, and the rounding of sums below 10^4 stays far under it."""
    w = data.draw(st.lists(st.integers(1, 2), min_size=len(x), max_size=len(x)))
    pairs = sorted(zip(x, w))
    xs, ws = [p[0] for p in pairs], [p[1] for p in pairs]
    best = min(sum(run_error(xs[i:j], ws[i:j]) for i, j in cut) for cut in partitions(len(xs), n))
    book = optimal_levels(np.float64(x), n, np.float64(w))
    found = error(x, book.levels, book.codes, w)
    assert len(book.levels) <= n and best <= found + Fraction(1, 10**9) and found <= best + Fraction(1, 10**9)
    for seeding in SEEDINGS:
        other = k_means(np.float64(x), n, w, seeding, np.random.default_rng(0))
        assert error(x, other.levels, other.codes, w) >= best


@given(integers, st.integers(1, 4))
def test_a_weight_is_a_repetition(x, n):
    w = np.arange(len(x)) % 3 + 1
    for fit in (optimal_levels, k_means):
        a, b = fit(np.float64(x), n, weight=w), fit(np.repeat(np.float64(x), w), n)
        gap = abs(error(x, a.levels, a.codes, w) - error(np.repeat(x, w), b.levels, b.codes))
        assert gap <= Fraction(1, 10**9) or fit is k_means and len(a.levels) != len(b.levels)


# ---- lengths priced ----


def cost(x, book, price):
    lengths = code_lengths(book.codes, len(book.levels))
    return float(((x - book.levels[book.codes]) ** 2).sum() + price * lengths[book.codes].sum())


@given(integers, st.sampled_from([0.01, 0.5, 2.0, 30.0]))
def test_the_price_is_never_beaten_by_the_best_partition_and_never_rises(x, price):
    """In exact arithmetic cells are runs of neighbours: among all of them the cheapest bounds the descent from below."""
    x = np.sort(np.float64(x))
    n = len(x)

    def whole(cut):
        return sum(((x[i:j] - x[i:j].mean()) ** 2).sum() - price * (j - i) * math.log2((j - i) / n) for i, j in cut)

    best, last = min(map(whole, partitions(n, n))), np.inf
    start = np.unique(x)
    for rounds in range(1, 5):
        now = cost(x, entropy_constrained(x, price, levels=start, rounds=rounds), price)
        assert best * (1 - 1e-12) - 1e-12 <= now <= last * (1 + 1e-12) + 1e-12  # 1e-12: n roundings, far more than there are
        last = now
    assert cost(x, entropy_constrained(x, 1e9), 1e9) == pytest.approx(((x - x.mean()) ** 2).sum(), rel=1e-12, abs=1e-12)


@given(integers, st.sampled_from([0.01, 0.5, 2.0]), st.data())
def test_the_weighted_cost_never_rises(x, price, data):
    x = np.float64(x)
    w = np.array(data.draw(st.lists(st.sampled_from([0.125, 1.0, 8.0]), min_size=len(x), max_size=len(x))))
    last = np.inf
    for rounds in range(1, 5):
        book = entropy_constrained(x, price, w, levels=np.unique(x)[:3], rounds=rounds)
        b = code_lengths(book.codes, len(book.levels))[book.codes]
        now = float((w * (x - book.levels[book.codes]) ** 2 + price * b).sum())
        assert now <= last * (1 + 1e-12) + 1e-12
        last = now
    for a, c in enumerate(book.levels):
        mine = book.codes == a
        assert c == pytest.approx(np.average(x[mine], weights=w[mine]), rel=1e-12, abs=1e-12)


def test_where_it_stops_no_value_gains_by_another_level():
    """With the lengths as they are, up to what it leaves when it stops: a millionth of the cost a round."""
    rng = np.random.default_rng(3)
    x, w, price = rng.standard_normal(300), np.exp(2 * rng.standard_normal(300)), 0.3
    book = entropy_constrained(x, price, w, levels=np.linspace(-3, 3, 20), rounds=1000)
    every = w[:, None] * (x[:, None] - book.levels) ** 2 + price * code_lengths(book.codes, len(book.levels))
    assert every[np.arange(300), book.codes].sum() <= every.min(axis=1).sum() * (1 + 1e-5)


def test_a_value_takes_a_level_that_is_not_its_nearest_if_that_is_cheaper():
    x = np.array([0.0] * 60 + [1.0] * 3 + [0.55])
    book = entropy_constrained(x, 0.05, levels=[0.0, 1.0])
    assert len(book.levels) == 2 and book.codes[-1] == 0, "|.55 - 0| > |.55 - 1|, but code 0 is 3.7 bits shorter"
    assert nearest_codes(x, book.levels)[-1] == 1


def test_no_price_is_k_means_from_the_same_levels():
    x, start = np.random.default_rng(0).standard_normal(200), np.linspace(-2, 2, 5)
    book, codes = entropy_constrained(x, 0.0, levels=start, rounds=500), nearest_codes(x, start)
    for _ in range(500):
        start = centroids(x, codes, start)
        codes = nearest_codes(x, start)
    assert error(x, book.levels, book.codes) <= error(x, start, codes) * (1 + Fraction(1, 10**4))  # it stops early


@given(
    integers,
    st.lists(st.sampled_from([0.0, 1e-300, 1.0, 8.0]), min_size=7, max_size=7),
    st.floats(0, 300).map(lambda e: 10**e) | st.sampled_from([1e7, 1e8, 1e300, np.finfo(float).max]),
)
def test_at_a_high_price_one_level_is_left(x, w, price):
    """The natural step, above sqrt(8 price / mean w), is more than twice the range if price > range^2 sum w: all values start
    at the mean, and stay. Weights of next to nothing make that step 1e150 and more. From levels of one's own all values take the
    shortest code, or the lowest of several, once rounding leaves nothing of the error beside a bit: 1e100 against 8 40^2.
    """
    x, w = np.float64(x), np.array(w[: len(x)])
    n, reach = len(x), float(np.ptp(x))
    book = entropy_constrained(x, price, w)
    assert np.isfinite(book.levels).all()
    if price > reach**2 * w.sum():
        exact = sum(Fraction(a) * Fraction(b) for a, b in zip(w, x)) / sum(map(Fraction, w)) if w.any() else Fraction(x[0])
        # c + sum of w (x - c) / sum of w, c within 2 n + 2 roundings of the mean: as many again, on what is no larger than the reach
        assert len(book.levels) == 1 and not book.codes.any()
        assert abs(Fraction(float(book.levels[0])) - exact) <= (4 * n + 8) * EPS * Fraction(reach + float(np.abs(x).max()))
    if price >= 1e100:
        assert len(entropy_constrained(x, price, w, levels=np.unique(x)).levels) == 1


def test_weights_move_levels_toward_what_matters_and_lengths_count_values():
    x, w = np.array([0.0, 1.0, 1.0, 9.0]), np.array([9.0, 1.0, 1.0, 0.0])
    book = entropy_constrained(x, 100.0, w)
    assert book.levels == pytest.approx([2 / 11], rel=1e-14)
    lengths = code_lengths(np.array([0, 0, 0, 2]), 3)
    assert lengths.tolist() == [np.log2(4 / 3), np.inf, 2.0]


# ---- columns ----


@pytest.mark.parametrize("group", [1, 2, 3, 5, 9])
def test_columns_are_coded_by_themselves(group):
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((40, 5)).astype(np.float32) * np.float32([1, 4, 0.5, 2, 8]), rng.random((40, 5))
    books = by_columns(x, functools.partial(k_means, n_levels=4), group, w)
    for i, levels in enumerate(books.levels):
        part = slice(i * group, (i + 1) * group)
        alone = k_means(x[:, part], 4, w[:, part])
        assert (alone.levels == levels).all() and (decode(books)[:, part] == alone.levels[alone.codes]).all()
    d = rng.standard_normal(x.shape)
    flat = np.concatenate(books.levels).astype(float)
    ends = np.cumsum([len(c) for c in books.levels])[:-1]
    check_gradient(
        lambda c: float((decode(books._replace(levels=tuple(np.split(c, ends)))) * d).sum()),
        np.concatenate(decode_backward(d, books)), flat, rng,
    )  # fmt: skip


def test_stored_bits_are_counted_by_hand():
    books = ColumnCodebooks((np.zeros(2), np.zeros(4)), np.array([[0, 0], [0, 1], [1, 2], [1, 3]]), 1)
    assert stored_bits(books, 16) == 4 * 1 + 4 * 2 + 6 * 16


@pytest.mark.parametrize(
    "call",
    [
        lambda: nearest_codes([np.nan], [0.0]), lambda: nearest_codes([1.0], []), lambda: nearest_codes([1.0], [1.0, 1.0]),
        lambda: k_means([1.0], 0), lambda: k_means([], 2), lambda: k_means([1.0], 2, seeding="best"), lambda: k_means([1e200], 1),
        lambda: k_means([1.0], 2, seeding="random"), lambda: k_means([1.0, 2.0], 1, weight=[1.0]),
        lambda: k_means([1.0], 1, weight=[-1.0]), lambda: optimal_levels(np.arange(3001), 2), lambda: optimal_levels([], 2),
        lambda: entropy_constrained([1.0], -1.0), lambda: entropy_constrained([1.0, 2.0], 0.0),
        lambda: entropy_constrained([], 1.0), lambda: by_columns(np.ones((2, 2)), k_means, 0),
    ],
)  # fmt: skip
def test_bad_input_is_refused(call):
    with pytest.raises(ValueError):
        call()


@settings(max_examples=20)
@given(values)
def test_all_of_it_on_hard_values(x):
    for book in (k_means(x, 3), entropy_constrained(x, 1e-2 + float(np.ptp(x)) ** 2 * 1e-6), optimal_levels(x, 3)):
        assert book.levels[book.codes].shape == x.shape and np.isfinite(book.levels).all()
