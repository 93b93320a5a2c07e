"""A synthetic shop: users search, are shown products, and skip, click or buy them by a model that is known.

Because the outcomes are drawn from stated probabilities, so is the best that any model can score on them: a compressed model can
be judged against what is possible, not only against the model it came from. Words are points in a plane: a name or a query has
the direction in which its words lie, and what lies in the direction of a user's taste, or of the query, is liked.

    interest = -1.6 + .8 quality_p + .7 <taste_u, style_p> + 2 <style_q, style_p> - .25 thrift_u z_p                      (1)
    intent   =  -.4 + .4 quality_p + .5 <taste_u, style_p>                        - .5  thrift_u z_p                      (2)
    P(skip) = 1 - s(interest),  P(click) = s(interest) (1 - s(intent)),  P(buy) = s(interest) s(intent)                     (3)

Users, queries and products come up in proportion to 1 / (rank + 10): few often, most rarely.

Letters     u user, q query, p product; <a, b> = a . b / sqrt 2; s the sigmoid; z_p the standardised logarithm of the price;
            quality and the two coordinates of a taste are N(0, 1), thrift N(1, .5^2)
            S sessions of L candidates; outcome, and relevance: 0 skip, 1 click, 2 buy
Not here: what the best scores are (optimum), the model that learns them (recommender). Read next: optimum, ops.
"""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tinycompress.bags import Ints
from tinycompress.fields import Field, bucketize, id_field, quantile_edges, vocabulary, words_bag

Floats = npt.NDArray[np.float64]

CATALOGUE = {
    "bath": ("towel", "soap", "sponge", "mirror", "robe", "comb"),
    "clothing": ("scarf", "jacket", "gloves", "socks", "hat", "belt"),
    "garden": ("spade", "rake", "hose", "planter", "trowel", "bench"),
    "kitchen": ("kettle", "pan", "knife", "grater", "toaster", "bowl"),
    "lighting": ("lamp", "lantern", "candle", "chandelier", "spotlight", "sconce"),
    "music": ("guitar", "drum", "flute", "violin", "piano", "harp"),
    "office": ("desk", "stapler", "notebook", "pen", "folder", "chair"),
    "sport": ("racket", "ball", "helmet", "skates", "dumbbell", "kayak"),
    "tools": ("hammer", "drill", "saw", "wrench", "pliers", "chisel"),
    "toys": ("puzzle", "doll", "kite", "robot", "blocks", "marbles"),
}
CATEGORIES = tuple(CATALOGUE)
NOUNS = tuple(noun for nouns in CATALOGUE.values() for noun in nouns)
PER_CATEGORY = len(NOUNS) // len(CATEGORIES)
ADJECTIVES = ("small", "large", "red", "blue", "green", "white", "black", "oak", "steel", "copper", "glass", "wool") + (
    ("folding", "vintage", "modern", "soft", "heavy", "light", "striped", "plain", "")  # a query may have none: the last
)


@dataclass(frozen=True, eq=False)
class Sessions:
    """Searches: each a user, a query, the products shown, what became of each, and how likely each outcome was."""

    users: Ints  # (S,)
    queries: Ints  # (S,)
    products: Ints  # (S, L), distinct within a session and in order of their codes: the place says nothing
    outcomes: Ints  # (S, L): 0 skip, 1 click, 2 buy
    probabilities: Floats  # (S, L, 3): of skip, click, buy

    @property
    def rows(self) -> dict[str, Ints]:
        """The entities of each impression, S L rows, session after session: what `fields.batch_inputs` takes."""
        length = self.products.shape[1]
        return {"user": self.users.repeat(length), "query": self.queries.repeat(length), "item": self.products.reshape(-1)}

    @property
    def labels(self) -> Ints:
        """The outcome of each impression (S L,), in the order of `rows`."""
        return self.outcomes.reshape(-1)


@dataclass(frozen=True, eq=False)
class Shop:
    """What is for sale, what is asked for, and three parts of the sessions, which are drawn alike and independently."""

    n_users: int
    queries: list[str]  # distinct
    product_names: list[str]
    categories: Ints  # (n_products,): places in CATEGORIES
    prices: Floats  # (n_products,)
    train: Sessions  # the first 80 % of the sessions
    valid: Sessions  # the next 10 %
    test: Sessions  # the last 10 %


def make_shop(
    rng: np.random.Generator,
    n_users: int = 400,
    n_products: int = 500,
    n_queries: int = 200,
    n_impressions: int = 200_000,
    n_candidates: int = 25,
) -> Shop:
    """Return a shop and its sessions, drawn from the model at the head of this module.

    Equation    the L candidates of a session: distinct, drawn one after the other in proportion to
                exp(2 [p and q are of one category]) / (rank_p + 10)                                                      (4)
    Shapes      S = n_impressions / n_candidates sessions of L = n_candidates
    Convention  the same rng state gives the same bits. Time and memory grow with S n_products.
    Raises      ValueError if there are too few of anything, or n_impressions is no multiple of n_candidates
    Source      this package; Efraimidis & Spirakis 2006 (Inf. Proc. Letters 97) for drawing (4)

    >>> shop = make_shop(np.random.default_rng(0), n_impressions=2_000)
    >>> len(shop.product_names), shop.test.products.shape, sorted(set(shop.test.labels.tolist()))
    (500, (8, 25), [0, 1, 2])
    """
    counts = {"n_users": n_users, "n_products": n_products, "n_queries": n_queries, "n_candidates": n_candidates}
    askable = len(NOUNS) * len(ADJECTIVES)
    if min(counts.values()) < 2 or n_candidates > n_products or n_queries > askable:
        raise ValueError(f"{counts}: use at least 2 of each, n_candidates up to n_products, n_queries up to {askable}")
    n_sessions, rest = divmod(n_impressions, n_candidates)
    if rest or n_sessions < 10:
        raise ValueError(f"n_impressions is {n_impressions}; use a multiple of n_candidates {n_candidates}, from 10 times it up")

    noun, first, second = _draw_names(rng, n_products)
    asked, asked_adjective = np.divmod(rng.choice(askable, n_queries, replace=False), len(ADJECTIVES))
    noun_vectors, adjective_vectors = _draw_words(rng)
    product_styles = _standardised(noun_vectors[noun] + (adjective_vectors[first] + adjective_vectors[second]) / 2)
    query_styles = _standardised(noun_vectors[asked] + adjective_vectors[asked_adjective] / 2)
    categories = noun // PER_CATEGORY
    log_prices = 3 + 0.6 * rng.standard_normal(len(CATEGORIES))[categories] + 0.8 * rng.standard_normal(n_products)
    z = (log_prices - log_prices.mean()) / log_prices.std()
    quality = rng.standard_normal(n_products)
    tastes, thrift = rng.standard_normal((n_users, 2)), 1 + 0.5 * rng.standard_normal(n_users)

    users = rng.choice(n_users, n_sessions, p=_long_tail(rng, n_users))
    queries = rng.choice(n_queries, n_sessions, p=_long_tail(rng, n_queries))
    boost = np.exp(2.0 * (asked[:, None] // PER_CATEGORY == categories))  # (n_queries, n_products)
    products = _draw_distinct(rng, _long_tail(rng, n_products) * boost, queries, n_candidates)  # (4)

    u, q, p = users[:, None], queries[:, None], products
    liked = (tastes @ product_styles.T / np.sqrt(2))[u, p]
    asked_for = (query_styles @ product_styles.T / np.sqrt(2))[q, p]
    interest = -1.6 + 0.8 * quality[p] + 0.7 * liked + 2 * asked_for - 0.25 * thrift[u] * z[p]  # (1)
    intent = -0.4 + 0.4 * quality[p] + 0.5 * liked - 0.5 * thrift[u] * z[p]  # (2)
    click, buy = 1 / (1 + np.exp(-interest)), 1 / (1 + np.exp(-intent))
    probabilities = np.stack([1 - click, click * (1 - buy), click * buy], axis=-1)  # (3)
    below = np.cumsum(probabilities[..., :2], axis=-1)
    outcomes = (rng.random(products.shape)[..., None] >= below).sum(axis=-1)  # (S, L)

    texts = [f"{ADJECTIVES[a]} {NOUNS[n]}".strip() for a, n in zip(asked_adjective, asked)]
    names = [f"{ADJECTIVES[a]} {ADJECTIVES[b]} {NOUNS[n]}" for a, b, n in zip(first, second, noun)]

    def part(first: int, last: int) -> Sessions:
        of = slice(first * n_sessions // 10, last * n_sessions // 10)
        return Sessions(users[of], queries[of], products[of], outcomes[of], probabilities[of])

    return Shop(n_users, texts, names, categories, np.exp(log_prices), part(0, 8), part(8, 9), part(9, 10))


def shop_fields(shop: Shop, buckets: int = 10) -> tuple[Field, ...]:
    """Return what a model may see of an impression: user, words of the query, product, its category, its price bucket.

    Shapes      five fields, of the entities "user", "query" and "item"
    Convention  the words are those of the catalogue and of the queries in training; prices are cut into buckets of equally
                many training impressions
    Source      this package

    >>> shop = make_shop(np.random.default_rng(0), n_impressions=2_000)
    >>> [(field.name, field.size) for field in shop_fields(shop)][:2]
    [('user id', 400), ('query words', 80)]
    """
    words = vocabulary(shop.product_names + [shop.queries[q] for q in np.unique(shop.train.queries)])
    edges = quantile_edges(shop.prices[shop.train.products.reshape(-1)], buckets)
    return (
        id_field("user", shop.n_users),
        Field("query words", len(words), "query", words_bag(shop.queries, words)),
        id_field("item", len(shop.prices)),
        Field("category", len(CATEGORIES), "item", shop.categories),
        Field("price bucket", len(edges) + 2, "item", bucketize(shop.prices, edges)),
    )


def _draw_names(rng: np.random.Generator, n: int) -> tuple[Ints, Ints, Ints]:
    """A noun and two different adjectives for each of n products."""
    real = len(ADJECTIVES) - 1
    first = rng.integers(0, real, n)
    return rng.integers(0, len(NOUNS), n), first, (first + rng.integers(1, real, n)) % real


def _draw_words(rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Where nouns and adjectives lie in the plane: nouns of a category near each other, no adjective at 0."""
    of_category = rng.standard_normal((len(CATEGORIES), 2)).repeat(PER_CATEGORY, axis=0)
    adjectives = 0.7 * rng.standard_normal((len(ADJECTIVES), 2))
    adjectives[-1] = 0
    return of_category + 0.5 * rng.standard_normal((len(NOUNS), 2)), adjectives


def _draw_distinct(rng: np.random.Generator, weights: Floats, rows: Ints, count: int) -> Ints:
    """For each of these rows, `count` distinct columns, drawn one after the other in proportion to weights[row]; ascending."""
    drawn = np.empty((len(rows), count), np.int64)
    block = 1 + 2**20 // weights.shape[1]  # rows at a time, so that the noise stays small in memory
    for start in range(0, len(rows), block):
        some = rows[start : start + block]
        # subtle: if column j waits an exponential time of rate weight_j, the first to come are such a draw: no loop over draws
        waits = rng.standard_exponential((len(some), weights.shape[1])) / weights[some]
        drawn[start : start + block] = np.argpartition(waits, count - 1, axis=1)[:, :count]
    return np.sort(drawn, axis=1)


def _standardised(vectors: Floats) -> Floats:
    """The vectors, scaled so that a coordinate has mean square 1."""
    scaled: Floats = vectors / np.sqrt((vectors**2).mean())
    return scaled


def _long_tail(rng: np.random.Generator, n: int) -> Floats:
    """How often each of n comes up: 1 / (rank + 10), for ranks in random order."""
    weights = 1 / (10.0 + rng.permutation(n))
    share: Floats = weights / weights.sum()
    return share
