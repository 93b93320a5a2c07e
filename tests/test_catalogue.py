"""The K best of a catalogue are those of the plain model: exactly where sums are exact, else within the derived bound."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycompress.bags import bag_from_lists, take
from tinycompress.catalogue import ranker
from tinycompress.fields import batch_inputs
from tinycompress.problems import shop_problem
from tinycompress.recipes import architecture_for
from tinycompress.recommender import Architecture, forward, init
from tinycompress.scoring import ranking_scores, scores, top_k
from tinycompress.shop import make_shop

# each model, and which of its fields the request brings
MODELS = {
    "user, item": (Architecture((5, 6), (3, 2), (4, 3)), (0,)),
    "item, user": (Architecture((6, 5), (2, 3), (4,)), (1,)),
    "several fields a side": (Architecture((5, 4, 6, 3), (3, 2, 1, 2), (4,), pooling=("sum", "mean", "mean", "sum")), (0, 1)),
    "fields in turn": (Architecture((5, 4, 6), (3, 2, 1), (4, 2)), (0, 2)),
    "one layer": (Architecture((5, 6), (3, 2), ()), (0,)),
    "dot product": (Architecture((5, 6), (3, 3), (), join="product"), (0,)),
    "product of four": (Architecture((5, 4, 6, 3), (3,) * 4, (4,), join="product"), (1, 2)),
    "classes": (Architecture((5, 6), (3, 2), (4,), outputs=3), (0,)),
    "classes of a product": (Architecture((5, 6), (3, 3), (), outputs=3, join="product"), (0,)),
    "nothing asked": (Architecture((5, 6), (3, 2), (4,)), ()),
    "nothing asked of a product": (Architecture((5, 6), (3, 3), (4,), join="product"), ()),
}


def drawn(rng, rows, n, bags):
    """A field of n codes, or of n bags; bags of 0, 1, 2 or 4 codes have a mean that is exact in binary."""
    if not bags:
        return rng.integers(0, rows, n)
    return bag_from_lists([rng.integers(0, rows, rng.choice([0, 1, 2, 4])).tolist() for _ in range(n)])


def catalogue_of(rng, architecture, asked, count, bags):
    items = [None if f in asked else drawn(rng, rows, count, bags) for f, rows in enumerate(architecture.rows)]
    return items, [drawn(rng, architecture.rows[f], 1, bags) for f in asked]


def pairs(items, request, count):
    """The inputs of the plain model: the request repeated for every product."""
    rest = iter(request)
    return [take(next(rest), np.zeros(count, int)) if field is None else field for field in items]


def whole_numbers(rng, architecture):
    """Small integers as parameters: each sum of products is an integer below 2^24, so every order of summation is exact."""
    return {name: rng.integers(-3, 4, p.shape).astype(np.float32) for name, p in init(rng, architecture).items()}


@pytest.mark.parametrize("name", MODELS)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(0, 40), k=st.integers(0, 50), bags=st.booleans(), block=st.sampled_from([1, 7, None]))
def test_exact_sums_give_the_same_bits_and_ties_keep_their_order(name, seed, count, k, bags, block):
    rng = np.random.default_rng(seed)
    architecture, asked = MODELS[name]
    params = whole_numbers(rng, architecture)
    items, request = catalogue_of(rng, architecture, asked, count, bags)
    logits = forward(params, pairs(items, request, count), architecture)[0]
    products, found = ranker(params, architecture, items, block=block)(request, k)
    assert products.dtype == np.intp and found.dtype == np.float32 and len(products) == min(k, count)
    if architecture.outputs == 1:
        assert products.tolist() == np.argsort(-logits, kind="stable")[:k].tolist()
        assert found.tolist() == logits[products].tolist()
        return
    # The logits are equal to the bit; the softmax of a block and that of the whole need not be: exp within 4 ulps, a sum of C, a
    # division, a sum of C products, so 2 gamma_{2C + 9} gain for both sides together, and below `tiny` float32 has fewer bits.
    gains, small = ranking_scores(logits).astype(np.float64)[products], np.finfo(np.float32)
    assert (np.abs(found - gains) <= 2 * (2 * architecture.outputs + 9) * float(small.eps) * gains + float(small.tiny)).all()
    everything = ranker(params, architecture, items, block=block)(request, count)
    assert (everything[0][:k] == products).all() and (everything[1][:k] == found).all()
    assert sorted(everything[0].tolist()) == list(range(count))
    assert all(b < a or (a == b and i < j) for a, b, i, j in zip(found, found[1:], products, products[1:]))


def bound(params, inputs, architecture):
    """Run the layers on magnitudes: an upper bound M of sum |h||w| + |b| through all of them. Each layer adds at most 2 gamma_n of
    it, n <= largest width + 1 + fields, and hands on earlier differences; bags add up to 4 terms before: layers 2 gamma_n M."""
    magnitude = forward({k: np.abs(p).astype(np.float64) for k, p in params.items()}, inputs, architecture)[0]
    n, unit = max(architecture.widths) + 1 + len(inputs) + 4, np.finfo(np.float32).eps / 2
    return 2 * (len(architecture.hidden) + 1) * n * unit / (1 - n * unit) * magnitude


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("bags", [False, True])
def test_scores_are_those_of_forward_within_the_bound(name, bags):
    rng = np.random.default_rng(5)
    architecture, asked = MODELS[name]
    params = {k: p + rng.standard_normal(p.shape).astype(np.float32) for k, p in init(rng, architecture).items()}
    items, request = catalogue_of(rng, architecture, asked, 50, bags)
    inputs = pairs(items, request, 50)
    products, found = ranker(params, architecture, items, block=16)(request, 50)
    logits = forward(params, inputs, architecture)[0]
    if architecture.outputs == 1:
        assert (np.abs(found - logits[products]) <= bound(params, inputs, architecture)[products]).all()
    else:
        # d gain / d logit_c = p_c (g_c - gain), of magnitude <= p_c 2; so twice the largest difference of a logit, and 2 gamma_n as above
        off = 2 * bound(params, inputs, architecture).max(axis=1) + 2 * 15 * np.finfo(np.float32).eps * 2
        assert (np.abs(found - ranking_scores(logits)[products]) <= off[products]).all()
    assert (np.diff(found) <= 0).all()


def test_gains_decide_what_classes_are_worth():
    rng = np.random.default_rng(1)
    architecture, asked = MODELS["classes"]
    params = whole_numbers(rng, architecture)
    items, request = catalogue_of(rng, architecture, asked, 30, False)
    products, found = ranker(params, architecture, items, gains=(1.0, 0.0, 0.0))(request, 5)
    p = np.exp(forward(params, pairs(items, request, 30), architecture)[0].astype(np.float64))
    likely = (p / p.sum(axis=1, keepdims=True))[:, 0]
    assert np.abs(found - likely[products]).max() < 15 * np.finfo(np.float32).eps  # p <= 1, terms as above
    assert found[-1] >= np.sort(likely)[-5] - 15 * np.finfo(np.float32).eps


def test_a_shop_with_many_fields_a_side():
    """Fields say whose they are: those of an item are the catalogue's; user and query are asked with."""
    shop = make_shop(np.random.default_rng(0), n_impressions=2_000)
    fields = shop_problem(shop).fields
    architecture = architecture_for(shop_problem(shop), 4, (8,))
    params = init(np.random.default_rng(1), architecture)
    rank = ranker(params, architecture, [f.values if f.entity == "item" else None for f in fields])
    count = len(shop.product_names)
    for user, query in [(3, 5), (0, 199)]:
        request = batch_inputs([f for f in fields if f.entity != "item"], {"user": np.array([user]), "query": np.array([query])})
        products, found = rank(request, 10)
        inputs = batch_inputs(fields, {"user": np.full(count, user), "query": np.full(count, query), "item": np.arange(count)})
        plain = scores(params, inputs, architecture)
        # three classes, as above; bags of words are summed by the same call on both sides
        off = 2 * bound(params, inputs, architecture).max() + 2 * 15 * np.finfo(np.float32).eps * 2
        assert np.abs(found - plain[products]).max() <= off
        assert found[-1] >= np.sort(plain)[-10] - off


def test_requests_leave_nothing_behind():
    rng = np.random.default_rng(2)
    for architecture, asked in MODELS.values():
        params = whole_numbers(rng, architecture)
        before = {name: p.copy() for name, p in params.items()}
        items, first = catalogue_of(rng, architecture, asked, 40, False)
        second = [np.array([0])] * len(asked)
        rank = ranker(params, architecture, items)
        a = rank(first, 40)
        kept = a[1].copy()
        b = rank(second, 40)
        again = rank(first, 40)
        assert (a[1] == kept).all() and (again[0] == a[0]).all() and (again[1] == kept).all()
        assert b[1].tolist() == ranker(params, architecture, items)(second, 40)[1].tolist()
        assert all((params[name] == before[name]).all() for name in params)


CODES = np.arange(6)


@pytest.mark.parametrize(
    ("items", "request_", "words"),
    [
        ([CODES], [], "1 items for 2 fields"),
        ([None, None], [CODES[:1]] * 2, "at least one field"),
        ([CODES[:3], CODES], [], r"\[3, 6\] rows"),
        ([None, CODES], [], r"rows for the fields \[0\]"),
        ([None, CODES], [CODES[:1]] * 2, "one row of each"),
        ([None, CODES], [CODES[:2]], r"request of \[2\] rows"),
        ([None, CODES + 1], [CODES[:1]], "codes run from 1 to 6; the table has rows 0 to 5"),
        ([None, CODES], [CODES[5:]], "codes run from 5 to 5; the table has rows 0 to 4"),
    ],
)
@pytest.mark.parametrize("join", ["concat", "product"])
def test_what_does_not_fit_is_refused(items, request_, words, join):
    architecture = Architecture((5, 6), (3, 3), (4,), join=join)
    with pytest.raises(ValueError, match=words):
        ranker(init(np.random.default_rng(0), architecture), architecture, items)(request_, 3)


def test_fewer_than_no_products_are_refused():
    architecture, _ = MODELS["user, item"]
    with pytest.raises(ValueError, match="k is -1"):
        ranker(init(np.random.default_rng(0), architecture), architecture, [None, CODES])([CODES[:1]], -1)


def test_codes_are_no_scores():
    with pytest.raises(ValueError, match="scores are uint8; rank floating-point"):
        top_k(np.uint8([0, 255, 3]), 1)


VALUES = st.sampled_from([0.0, -0.0, 1.0, 2.0, np.inf, -np.inf, np.nan])


@given(st.integers(0, 2**32 - 1), st.lists(VALUES, min_size=1, max_size=4), st.integers(0, 1000), st.integers(0, 20))
def test_top_k_of_long_rows_is_the_stable_sort(seed, values, length, k):
    """Ties at the cut, all equal, infinities of either sign, and a NaN, which is last."""
    s = np.random.default_rng(seed).choice(values, (2, length))
    assert top_k(s, k).tolist() == np.argsort(-s, axis=-1, kind="stable")[:, :k].tolist()
    assert top_k(s.astype(np.float32)[0], k).tolist() == np.argsort(-s[0], kind="stable")[:k].tolist()


@given(st.integers(0, 2**32 - 1), st.integers(64, 3000), st.integers(1, 20), st.integers(0, 3))
def test_top_k_wherever_the_best_stand(seed, length, k, order):
    """At the end, where no run of equal length reaches; in order, so that one run holds them all; rising; falling."""
    s = np.random.default_rng(seed).standard_normal(length)
    s = [s, np.sort(s), np.sort(s)[::-1], np.where(np.arange(length) >= length - k, 9, s)][order]
    assert top_k(s, k).tolist() == np.argsort(-s, kind="stable")[:k].tolist()
