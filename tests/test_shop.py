"""The shop is what it says: drawn from its own probabilities, seeded, long-tailed, quick to make, and learnable."""
import dataclasses
import math
import time

import numpy as np
import pytest

from tinycompress import metrics
from tinycompress.fields import batch_inputs
from tinycompress.optimizers import adam
from tinycompress.optimum import best_possible
from tinycompress.recommender import Architecture, forward, init
from tinycompress.shop import CATALOGUE, CATEGORIES, NOUNS, make_shop, shop_fields
from tinycompress.splits import shuffled_batches
from tinycompress.training import fit, supervised


@pytest.fixture(scope="module")
def shop():
    with np.errstate(all="raise"):
        return make_shop(np.random.default_rng(0))


def whole(shop, name):
    return np.concatenate([getattr(part, name) for part in (shop.train, shop.valid, shop.test)])


def flat(record):
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        yield from flat(value) if dataclasses.is_dataclass(value) else [np.asarray(value)]


def test_same_seed_same_bits(shop):
    again, other = make_shop(np.random.default_rng(0)), make_shop(np.random.default_rng(1))
    assert all(a.dtype == b.dtype and a.tobytes() == b.tobytes() for a, b in zip(flat(shop), flat(again), strict=True))
    assert not np.array_equal(shop.test.outcomes, other.test.outcomes)


def test_less_than_two_seconds():
    times = []
    for seed in range(3):
        start = time.process_time()  # of this process alone: the machine may be busy
        make_shop(np.random.default_rng(seed))
        times.append(time.process_time() - start)
    assert np.median(times) < 2


def test_sizes_and_parts(shop):
    assert [part.products.shape for part in (shop.train, shop.valid, shop.test)] == [(6400, 25), (800, 25), (800, 25)]
    assert len(shop.queries) == len(set(shop.queries)) == 200 and len(shop.product_names) == len(shop.prices) == 500
    products = whole(shop, "products")
    assert (np.diff(products, axis=1) > 0).all(), "a candidate twice in a session, or out of order"
    assert products.min() >= 0 and products.max() < 500
    rows = shop.test.rows
    at = 7 * 25 + 3
    found = (rows["user"][at], rows["query"][at], rows["item"][at])
    assert found == (shop.test.users[7], shop.test.queries[7], shop.test.products[7, 3])
    assert shop.test.labels[at] == shop.test.outcomes[7, 3]


def test_names_belong_to_their_category(shop):
    for name, category in zip(shop.product_names, shop.categories):
        first, second, noun = name.split()
        assert noun in CATALOGUE[CATEGORIES[category]] and first != second
    assert all(query.split()[-1] in NOUNS and len(query.split()) <= 2 for query in shop.queries)


def test_probabilities_are_probabilities(shop):
    p = whole(shop, "probabilities")
    assert (p > 0).all()
    # six operations on numbers up to 1, each off by at most 2^-53: 1 - c, 1 - b, c (1 - b), c b and two sums
    assert (np.abs(p.sum(axis=-1) - 1) <= 6 * 2.0**-53).all()


def test_outcomes_come_as_often_as_their_probabilities_say(shop):
    """By Hoeffding, n independent outcomes stray from the sum of their chances by sqrt(n log(2e9) / 2) in 1 of 10^9 cases."""
    p, outcomes, products = (whole(shop, name) for name in ("probabilities", "outcomes", "products"))
    for outcome in range(3):
        chance, happened = p[..., outcome].ravel(), (outcomes == outcome).ravel()
        of_category = shop.categories[products.ravel()]
        decile = np.searchsorted(np.quantile(chance, np.arange(1, 10) / 10), chance)
        for group in (decile, of_category, products.ravel()):
            n = np.bincount(group)
            stray = np.bincount(group, happened) - np.bincount(group, chance)
            assert (np.abs(stray) <= np.sqrt(n * math.log(2e9) / 2)).all()


def test_few_come_often_and_most_rarely(shop):
    """Those that came most often came at least as often as those that were to: n P(first tenth), less 6 standard deviations."""
    for name, n in (("users", 400), ("queries", 200)):
        column = whole(shop, name)
        share = 1 / (10 + np.arange(n))
        p = share[: n // 10].sum() / share.sum()
        counts = np.sort(np.bincount(column, minlength=n))[::-1]
        assert counts[: n // 10].sum() >= len(column) * p - 6 * math.sqrt(len(column) * p * (1 - p))
        assert counts[n // 2 :].sum() < len(column) / 4
    shown = np.sort(np.bincount(whole(shop, "products").ravel(), minlength=500))[::-1]
    assert shown[:50].sum() > shown[250:].sum() > 0, "a tenth of the products is shown more than the rarer half"


def test_candidates_fit_the_query(shop):
    noun_of_query = np.array([NOUNS.index(query.split()[-1]) for query in shop.queries])
    asked = noun_of_query[whole(shop, "queries")] // (len(NOUNS) // len(CATEGORIES))
    fitting = (shop.categories[whole(shop, "products")] == asked[:, None]).mean()
    by_chance = (np.bincount(shop.categories) / 500) @ (np.bincount(asked, minlength=10) / len(asked))
    assert fitting > 2 * by_chance


def test_the_truth_scores_what_the_optimum_says(shop):
    """Accuracy is a mean of independent hits: Hoeffding again. The others are reported, and beat what needs no model."""
    part = shop.test
    p, y = part.probabilities.reshape(-1, 3), part.labels
    best = best_possible(part.probabilities)
    assert abs(metrics.accuracy(y, p.argmax(axis=1)) - best.accuracy) <= math.sqrt(math.log(2e9) / 2 / len(y))
    gain, clicks = part.probabilities @ np.arange(3), np.bincount(shop.train.products.ravel(), shop.train.labels > 0)
    popular = (clicks / np.bincount(shop.train.products.ravel()))[part.products]
    assert metrics.ndcg(gain, part.outcomes, 10) > metrics.ndcg(popular, part.outcomes, 10) + 0.05
    assert metrics.auc(y > 0, 1 - p[:, 0]) > metrics.auc(y > 0, popular.ravel()) + 0.05
    assert 0.7 < best.accuracy < 0.85 and 0.8 < best.auc < 0.95, "neither trivial nor hopeless"
    assert best.accuracy > np.bincount(y).max() / len(y) + 0.05


def test_a_small_network_comes_within_two_percent_of_the_best_auc(shop):
    fields = shop_fields(shop)
    architecture = Architecture(tuple(f.size for f in fields), columns=(8,) * len(fields), hidden=(32, 16, 8), outputs=3)
    rows, labels = shop.train.rows, shop.train.labels

    def batches(rng):
        for batch in shuffled_batches(rng, len(labels), 1024):
            yield batch_inputs(fields, {entity: codes[batch] for entity, codes in rows.items()}), labels[batch]

    def auc(params, part):
        logits = forward(params, batch_inputs(fields, part.rows), architecture)[0].astype(np.float64)
        return metrics.auc(part.labels > 0, np.logaddexp(logits[:, 1], logits[:, 2]) - logits[:, 0])  # the logit of "not skipped"

    rng = np.random.default_rng(0)
    params = init(rng, architecture)
    objective = supervised(architecture, "cross_entropy")
    with np.errstate(under="ignore"):
        found = fit(params, batches, objective, adam(lr=3e-3), 6, rng, validate=lambda p: auc(p, shop.valid))
    best = metrics.auc(shop.test.labels > 0, 1 - shop.test.probabilities.reshape(-1, 3)[:, 0])
    assert auc(found.params, shop.test) >= 0.98 * best


def test_buying_follows_equation_2(shop):
    """P(buy) / P(click or buy) = s(intent) depends on user and product alone, and falls as prices rise."""
    p, products = (whole(shop, name) for name in ("probabilities", "products"))
    pairs = (whole(shop, "users")[:, None] * 500 + products).ravel()
    intent = (np.log(p[..., 2]) - np.log(p[..., 1])).ravel()  # its logit
    _, group, count = np.unique(pairs, return_inverse=True, return_counts=True)
    mean = (np.bincount(group, intent) / count)[group]
    assert (count > 1).any()
    # log p has an error of the relative one of p, a few 2^-53, and of its own rounding; mean sums up to count.max() of them
    assert (np.abs(intent - mean) <= (20 + count.max()) * 2.0**-53 * (1 + np.abs(np.log(p)).max())).all()
    assert np.corrcoef(intent, np.log(shop.prices)[products].ravel())[0, 1] < -0.3


def test_prices_are_cut_by_training_impressions(shop):
    """A bucket begins and ends within the impressions of one product, so that its share is off by the most that one has."""
    price = shop_fields(shop, buckets=4)[4]
    shares = np.bincount(price.values[shop.train.products.ravel()], minlength=5) / shop.train.products.size
    most = np.bincount(shop.train.products.ravel()).max() / shop.train.products.size
    assert price.size == 5 and shares[4] == 0, "the last bucket is that of NaN"
    assert (np.abs(shares[:4] - 1 / 4) <= most).all()


def test_fields_learn_from_training_alone():
    shop = make_shop(np.random.default_rng(0), n_products=30, n_queries=1000, n_impressions=1000, n_candidates=10)
    fields = {field.name: field for field in shop_fields(shop)}
    described = [(field.entity, len(field.values)) for field in fields.values()]
    assert described == [("user", 400), ("query", 1000), ("item", 30), ("item", 30), ("item", 30)]
    known = {word for text in shop.product_names + [shop.queries[q] for q in shop.train.queries] for word in text.split()}
    assert fields["query words"].size == len(known)
    lengths = [sum(word in known for word in query.split()) for query in shop.queries]
    assert np.diff(fields["query words"].values.offsets).tolist() == lengths
    assert len(known) < 80, "or nothing is shown by this"


def test_sizes_that_make_no_shop():
    rng = np.random.default_rng(0)
    for wrong in ({"n_users": 1}, {"n_products": 20}, {"n_queries": 5000}, {"n_candidates": 0}):
        with pytest.raises(ValueError, match="n_candidates up to n_products, n_queries up to 1260"):
            make_shop(rng, **wrong)
    for wrong in (200_001, 225, 0, -50):
        with pytest.raises(ValueError, match="a multiple of n_candidates 25, from 10 times it up"):
            make_shop(rng, n_impressions=wrong)
