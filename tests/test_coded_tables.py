"""A table as short codes: the cost never rises from round to round; what float16 may add; one level where a bit is too dear."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tinycompress.coded_tables import code_table, decode_tables, total_cost
from tinycompress.column_codebooks import ColumnCodebooks, decode, stored_bits
from tinycompress.loss_weighted import choose_codes, descend_codes, quadratic
from tinycompress.priced_levels import entropy_constrained


def gamma(k):
    """The relative error of k roundings (Higham 2002, lemma 3.1)."""
    return k * 2.0**-53 / (1 - k * 2.0**-53)


def case(seed):
    """Rows, H of every shape that is allowed (full or diagonal, one or each, rows with H = 0), a price."""
    rng = np.random.default_rng(seed)
    v, d = int(rng.integers(1, 30)), int(rng.integers(1, 5))
    t = rng.standard_normal((v, d)) * rng.choice([0.1, 1.0, 10.0]) + rng.choice([0.0, 3.0])
    if seed % 3 == 0:
        t = np.round(2 * t) / 2  # values that coincide
    x = rng.standard_normal(([1, v][seed % 2], 6, d)) + 2 * rng.standard_normal(([1, v][seed % 2], 6, 1))
    h = x.swapaxes(1, 2) @ x / 6
    h[rng.random(len(h)) < 0.2] = 0
    if seed % 5 == 0:
        h[:, 0] = h[:, :, 0] = 0
    h = np.einsum("vii->vi", h) if seed // 2 % 3 == 0 else h
    return t, h, float(np.geomspace(0.003, 3, 7)[rng.integers(7)])


def changes(t, h, price, books, sweeps=3):
    """What rounding can add to J in a round, where every change of a code or level falls by the numbers compared.

    A row's J is at most R^2 / 2 sum |H| + D lambda 5 bits in size, R the largest |d|; the two numbers that are compared are sums of
    D + 8 roundings of that, and there are sweeps + 2 comparisons of each of D columns, one change of each level, and the sum itself.
    """
    r = np.abs(t).max() + max(np.abs(c).max() for book in books for c in book.levels)
    size = len(t) * (r**2 * np.abs(h).sum(axis=tuple(range(1, h.ndim))).max() + t.shape[1] * price * 5)
    return 2 * (sweeps + 4) * t.shape[1] * gamma(t.shape[1] + len(t) + 8) * size


@given(st.integers(0, 10**6))
@settings(max_examples=30)
def test_the_cost_never_rises_from_the_start_on(seed):
    t, h, price = case(seed)
    books = [code_table(t, h, price, rounds, dtype=np.float64) for rounds in range(5)]
    costs = [total_cost(t, book, h, price) for book in books]
    assert (np.diff(costs) <= changes(t, h, price, books)).all(), costs
    hasty = code_table(t, h, price, 1, sweeps=0, dtype=np.float64)  # what it finds from scratch is often worse than the start
    assert total_cost(t, hasty, h, price) <= costs[0] + changes(t, h, price, [books[0], hasty])
    own = np.broadcast_to(h if h.ndim == 2 else np.einsum("vii->vi", h), t.shape)
    for i, c in enumerate(books[0].levels):  # rounds=0: each column on its own
        start = entropy_constrained(t[:, i], price, own[:, i] / 2, rounds=30)
        assert (c == start.levels).all() and (books[0].codes[:, i] == start.codes).all()


@given(st.integers(0, 10**6))
@settings(max_examples=30)
def test_the_levels_stand_in_order_and_all_are_used(seed):
    t, h, price = case(seed)
    for dtype, rounds in ((np.float16, 3), (np.float64, 0), (np.float32, 1)):
        book = code_table(t, h, price, rounds, dtype=dtype)
        assert book.codes.shape == t.shape and book.codes.dtype == np.uint8 and book.group == 1 and len(book.levels) == t.shape[1]
        for c, q in zip(book.levels, book.codes.T):
            assert c.dtype == dtype and (np.diff(c.astype(float)) > 0).all() and set(q.tolist()) == set(range(len(c)))


@given(st.integers(0, 10**6))
@settings(max_examples=30)
def test_what_float16_adds(seed):
    """sqrt(sum 1/2 d^T H d) is a length, so that it grows by no more than that of e; |e| <= 2^-11 |c|, or 2^-25 near 0.

    The bits never grow: levels that become equal are one.
    """
    t, h, price = case(seed)
    exact, stored = (code_table(t, h, price, dtype=dtype) for dtype in (np.float64, np.float16))
    e = decode(stored).astype(float) - decode(exact)
    assert (np.abs(e) <= np.maximum(2.0**-11 * np.abs(decode(exact)), 2.0**-25)).all()
    before, after, added = (math.sqrt(max(quadratic(d, h).sum(), 0)) for d in (decode(exact) - t, decode(exact) + e - t, e))
    size = (np.abs(decode(exact)).max() + np.abs(t).max()) ** 2 * np.abs(h).sum() * len(t)
    assert after <= before + added + math.sqrt(gamma(len(t) + 20) * size)
    assert stored_bits(stored, 0) <= stored_bits(exact, 0) * (1 + gamma(len(t) + 5))


@given(st.integers(0, 10**6))
@settings(max_examples=30)
def test_the_total_is_a_sum_over_rows(seed):
    t, h, price = case(seed)
    book = code_table(t, h, price)
    expected = size = 0.0
    for v, (row, q) in enumerate(zip(t, book.codes)):
        own = np.broadcast_to(h, (len(t), *h.shape[1:]))[v]
        d = [float(c[a]) - x for c, a, x in zip(book.levels, q, row)]
        full = own if own.ndim == 2 else np.diag(own)
        terms = [d[i] * full[i, j] * d[j] / 2 for i in range(len(d)) for j in range(len(d))]
        bits = [-price * math.log2((book.codes[:, i] == a).mean()) for i, a in enumerate(q)]
        expected, size = expected + sum(terms) + sum(bits), size + sum(map(abs, terms)) + sum(bits)
    assert abs(total_cost(t, book, h, price) - expected) <= 2 * gamma(len(t) + t.shape[1] ** 2 + 12) * size


@given(st.integers(0, 10**6))
@settings(max_examples=30)
def test_one_level_where_a_column_is_worth_less_than_a_bit(seed):
    """(t - mean)^2 below 3 lambda / (mean H_ii ln 2); the other columns may be as they like. Also: every column, if the price is high."""
    t, h, price = case(seed)
    own = np.broadcast_to(h if h.ndim == 2 else np.einsum("vii->vi", h), t.shape)
    for i in range(t.shape[1]):
        w, x = own[:, i], t[:, i]
        mean = w @ x / w.sum() if w.any() else x[0]
        spread = np.abs(x - mean).max()
        if w.any() and spread > 0:
            t[:, i] = mean + (x - mean) * (0.999 * math.sqrt(3 * price / w.mean() / math.log(2)) / spread if i % 2 == 0 else 1)
    found = [len(c) for c in code_table(t, h, price, dtype=np.float64).levels]
    assert set(found[::2]) == {1}
    dear = code_table(t, h, (1 + np.abs(t).max() ** 2) * (1 + np.abs(h).max()), dtype=np.float64)  # (2 t)^2 H < 4 lambda
    assert all(len(c) == 1 for c in dear.levels) and not dear.codes.any()
    if h.ndim == 2:
        for c, x, w in zip(dear.levels, t.T, own.T):
            assert not w.any() or abs(c[0] - w @ x / w.sum()) <= gamma(3 * len(t) + 20) * 4 * np.abs(t).max(), "the weighted mean"


def test_it_pays_to_let_columns_make_up_for_each_other():
    """Columns that the loss sees together: J well below the start, which takes each alone. The turns after the first gain, too."""
    rng = np.random.default_rng(0)
    t, x = rng.standard_normal((400, 8)), rng.standard_normal((400, 5, 8)) + 1.5 * rng.standard_normal((400, 5, 1))
    h = x.swapaxes(1, 2) @ x / 5 + 0.05 * np.eye(8)
    costs = [total_cost(t, code_table(t, h, 0.05, rounds), h, 0.05) for rounds in (0, 1, 3)]
    assert costs[1] < 0.9 * costs[0] and costs[2] < 0.995 * costs[1]


def test_a_higher_price_means_fewer_bits_mostly():
    """A sweep over prices falls from thousands of bits to none; not at each step, as each price has its own minimum."""
    rng = np.random.default_rng(3)
    t, x = rng.standard_normal((60, 3)), rng.standard_normal((60, 4, 3))
    h = x.swapaxes(1, 2) @ x / 4
    bits = np.array([stored_bits(code_table(t, h, price), 0) for price in np.geomspace(0.01, 10, 40)])
    assert bits[0] > 500 and bits[-1] == 0 and (np.diff(bits) < 0).sum() > 4 * (np.diff(bits) > 0).sum() > 0


def test_full_and_diagonal_one_and_each_are_the_same():
    rng = np.random.default_rng(4)
    t, own = rng.standard_normal((50, 3)), rng.random(3) + 0.1
    forms = (own[None], np.tile(own, (50, 1)), np.diag(own)[None], np.tile(np.diag(own), (50, 1, 1)))
    first, *others = (code_table(t, h, 0.02) for h in forms)
    assert len(first.levels[0]) > 3
    for book in others:
        assert (book.codes == first.codes).all() and all((a == b).all() for a, b in zip(book.levels, first.levels))


def test_small_and_odd_tables():
    one_row = code_table([[1.0, -2.0, 0.1]], np.ones((1, 3)), 0.1)
    assert one_row.codes.tolist() == [[0, 0, 0]] and [c.tolist() for c in one_row.levels] == [[1.0], [-2.0], [float(np.float16(0.1))]]
    constant = code_table(np.full((9, 2), 0.25, np.float32), np.ones((9, 2, 2)), 1e-6)
    assert not constant.codes.any() and [c.tolist() for c in constant.levels] == [[0.25], [0.25]]
    blind = code_table(np.arange(6.0).reshape(3, 2), np.zeros((3, 2)), 1.0)  # no error costs anything: no bits
    assert not blind.codes.any()
    many = np.stack([np.arange(600.0), np.zeros(600)], axis=1)
    wide = code_table(many, np.ones((1, 2)), 1e-4)
    assert wide.codes.dtype == np.uint16 and len(wide.levels[0]) == 600 and (decode(wide) == many).all()
    tiny = code_table(np.array([[1e-7], [3e-8], [1e-9]]), np.ones((3, 1)), 1e-20)  # float16 rounds the last to 0
    assert [c.tolist() for c in tiny.levels] == [[0.0, 2.0**-24, 2.0**-23]]
    near = code_table(np.array([[1.0], [1.0 + 2.0**-13], [2.0]]), np.ones((1, 1)), 1e-10)  # two levels that float16 makes one
    assert near.levels[0].tolist() == [1.0, 2.0] and near.codes.ravel().tolist() == [0, 0, 1]
    assert code_table([[1e5], [-1e5]], np.ones((1, 1)), 1e6, dtype=np.float32).levels[0].tolist() == [-1e5, 1e5]


@given(st.integers(0, 10**6))
@settings(max_examples=30)
def test_the_descent_that_skips_what_has_settled_is_the_plain_one(seed):
    """To the bit: every row, column and level at every sweep, against rows that have settled and levels of infinite price left out."""
    t, h, _ = case(seed)
    rng, (v, d) = np.random.default_rng(seed), t.shape
    a = int(rng.integers(1, 6))
    levels = np.sort(rng.standard_normal([(a,), (d, a), (v, 1, a), (v, d, a)][seed % 4]), axis=-1)
    levels = np.round(2 * levels) / 2 if seed % 3 == 0 else levels  # with the t of such seeds: equal costs
    price = np.where(rng.random((d, a)) < 0.3, np.inf, 0.5 if seed % 3 == 0 else rng.random((d, a)))
    price[:, 0] = 0.5
    c, codes = np.broadcast_to(levels, (v, d, a)), np.zeros((v, d), np.intp)
    for sweeps in range(4):
        assert (descend_codes(t, levels, h, np.zeros((v, d), int), price, sweeps) == codes).all()
        for n in range(v):
            h_n = np.broadcast_to(h, (v, *h.shape[1:]))[n]
            for i in range(d):
                e = np.array([c[n, j, codes[n, j]] - t[n, j] for j in range(d)])
                own, x = (h_n[i, i], c[n, i] - t[n, i]) if h.ndim == 3 else (h_n[i], c[n, i] - t[n, i])
                g = (h_n[i] * e)[None].sum(axis=1)[0] - own * e[i] if h.ndim == 3 else 0.0
                cost = 0.5 * own * x**2 + g * x + price[i]
                if cost.min() < cost[codes[n, i]]:
                    codes[n, i] = cost.argmin()
    assert np.isfinite(choose_codes(t, levels, h, np.where(np.isinf(price), 9.0, price)).cost).all()


CODED = {"table0.codes": np.uint8([[0, 1], [1, 0], [1, 1]]), "table0.levels": np.float16([[0.5, 2.0], [-1.0, 4.0]])}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"table0.levels": None}, "table0.codes stands without table0.levels; codes need their levels"),
        ({"table0.codes": None}, "table0.levels stands without table0.codes"),
        ({"table0.codes": None, "table0.levels": None, "table0.kept": np.ones(3, bool)}, "table0.kept stands without table0.codes"),
        ({"table0.codes": np.uint8([[0, 2]])}, "table0.codes run from 0 to 2; table0.levels are 0 to 1"),
        ({"table0.codes": np.int8([[0, -1]])}, "table0.codes run from -1 to 0"),
        ({"table0.codes": np.uint8([[0, 1, 1]])}, r"table0.codes are uint8 \(1, 3\), table0.levels \(2, 2\); give"),
        ({"table0.codes": np.uint8([0, 1])}, r"table0.codes are uint8 \(2,\)"),
        ({"table0.codes": np.zeros((1, 2))}, "table0.codes are float64"),
        ({"table0.levels": np.ones(2)}, r"table0.levels \(2,\)"),
        ({"table0.kept": np.ones(4, bool)}, r"table0.kept is bool \(4,\) and keeps 4 of 3 rows"),
        ({"table0.kept": np.array([True, True, True, False])}, "keeps 3 of 3 rows"),
        ({"table0.kept": np.ones(2, bool)}, r"table0.kept is bool \(2,\) and keeps 2 of 3 rows"),
        ({"table0.kept": np.array([True, False])}, "keeps 1 of 3 rows"),
        ({"table0.kept": np.zeros(0, bool)}, "keeps 0 of 3 rows"),
        ({"table0": np.zeros((3, 2))}, "table0 stands beside table0.(codes|levels); a table is numbers or codes: leave out one"),
        *[
            ({"table0.levels": np.array([[0.5, 2.0], [-1.0, level]])}, f"table0.levels hold {shown}; give finite numbers")
            for level, shown in ((1e300, r"1e\+300"), (-1e300, r"-1e\+300"), (np.inf, "inf"), (np.nan, "nan"))
        ],
        ({"table0.kept": np.ones(3, np.uint8)}, "table0.kept is uint8"),
        ({"table0.kept": np.ones((3, 1), bool)}, r"table0.kept is bool \(3, 1\)"),
    ],
)
def test_a_table_that_is_not_whole_is_named(change, words):
    tensors = {name: t for name, t in {**CODED, "b0": np.zeros(1), **change}.items() if t is not None}
    for order in (tensors, dict(reversed(tensors.items()))):  # whichever stands first
        with pytest.raises(ValueError, match=words):
            decode_tables(order)


def test_levels_are_rounded_to_float32():
    levels = np.array([[0.1, 1e-300], [3e38, -(2.0**-149)]])
    tensors = {"table0.codes": np.uint8([[0, 0], [1, 1]]), "table0.levels": levels}
    assert decode_tables(tensors)["table0"].tolist() == [[float(np.float32(0.1)), float(np.float32(3e38))], [0.0, -(2.0**-149)]]


def test_what_stands_between_tables_stays_in_its_place():
    """Any order of a file, each table where its codes are; rows that are all kept, and no rows at all."""
    kept = np.array([True, False, True, False])  # two rows kept, one shared by two
    tensors = {"b0": np.ones(1), "table1.levels": np.ones((2, 1)), **CODED, "table0.kept": kept, "table1.codes": np.zeros((0, 2), int)}
    decoded = decode_tables(tensors)
    assert list(decoded) == ["b0", "table0", "table1"] and decoded["b0"] is tensors["b0"]
    assert decoded["table0"].tolist() == [[0.5, 4.0], [2.0, 4.0], [2.0, -1.0], [2.0, 4.0]] and decoded["table1"].shape == (0, 2)
    assert decode_tables({**CODED, "table0.kept": np.ones(3, bool)})["table0"].tolist() == decode_tables(CODED)["table0"].tolist()


BOOK = ColumnCodebooks((np.array([0.0, 1.0]),), np.array([[0], [1]]), 1)


def test_what_does_not_fit_is_named():
    for call in (lambda h: code_table(np.ones((3, 2)), h, 1.0, 0), lambda h: total_cost(np.ones((3, 2)), BOOK, h, 1.0)):
        with pytest.raises(ValueError, match=r"table of shape \(3, 2\), H \(2, 2\)"):
            call(np.ones((2, 2)))


@pytest.mark.parametrize(
    "call",
    [
        *[lambda p=p: code_table(np.ones((2, 1)), np.ones((2, 1)), p) for p in (0.0, -1.0, np.nan, np.inf)],
        lambda: code_table(np.ones(2), np.ones((2, 1)), 1.0),
        lambda: code_table(np.ones((0, 1)), np.ones((0, 1)), 1.0),
        lambda: code_table(np.ones((2, 0)), np.ones((2, 0)), 1.0),
        lambda: code_table(np.array([[1.0], [np.nan]]), np.ones((2, 1)), 1.0),
        lambda: code_table(np.ones((2, 1)), np.full((2, 1), np.inf), 1.0),
        lambda: code_table(np.ones((2, 1)), -np.ones((2, 1)), 1.0),
        lambda: code_table(np.eye(2), np.array([[[1.0, 2.0], [2.0, 1.0]]]), 0.01),
        *[lambda s=s: code_table(np.ones((3, 2)), np.ones(s), 1.0) for s in ((3, 3), (2, 2), (3, 2, 1), (3, 1, 1), (3,), (1, 2, 2, 2))],
        lambda: code_table(np.array([[1e5], [0.0]]), np.ones((2, 1)), 1.0),
        lambda: code_table(np.arange(9e4)[:, None], np.ones((1, 1)), 1e-4),
        lambda: total_cost(np.ones((3, 1)), BOOK, np.ones((3, 1)), 1.0),
        lambda: total_cost(np.ones((2, 1)), BOOK, np.ones((2, 2)), 1.0),
        lambda: total_cost(np.ones((2, 1)), BOOK._replace(group=2), np.ones((2, 1)), 1.0),
    ],
)
def test_bad_input_is_refused(call):
    with pytest.raises(ValueError):
        call()
