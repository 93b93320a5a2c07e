"""What a file of no model scores: against loops and exact fractions, from both sides, and the figures known for real data."""

import math
import tracemalloc
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from tinycompress import metrics
from tinycompress.baselines import baseline_scores, ease, ease_weights, interaction_matrix, item_neighbours, most_popular
from tinycompress.interactions import Interactions
from tinycompress.prepared import read_ncf, read_npz
from tinycompress.problems import Lists
from tinycompress.splits import ranking_lists

U = 2.0**-53
SEEDS = st.integers(0, 10**6)


def hard_matrix(seed, users=None, items=None):
    """Few and many, with users of no item, items of no user, equal columns, full ones."""
    rng = np.random.default_rng(seed)
    x = rng.random((users or rng.integers(1, 7), items or rng.integers(1, 7))) < rng.choice([0.1, 0.5, 0.9])
    if seed % 3 == 0:
        x[:, -1] = x[:, 0]
    if seed % 4 == 0:
        x[:, rng.integers(x.shape[1])] = True
    return x.astype(float)


def some_interactions(seed, users=4, items=5, rows=12):
    rng = np.random.default_rng(seed)
    ids = [[str(n) for n in range(count)] for count in (users, items)]
    return Interactions(rng.integers(0, users, rows), rng.integers(0, items, rows), None, None, *ids)


# ---- the matrix and the most popular ----


@given(SEEDS)
def test_the_matrix_and_popularity_by_loops(seed):
    parts = some_interactions(seed), some_interactions(seed + 1)
    want = np.zeros((4, 5))
    for part in parts:
        for user, item in zip(part.users, part.items):
            want[user, item] = 1
    x = interaction_matrix(*parts)
    assert np.array_equal(x.toarray(), want) and x.nnz == want.sum()
    assert np.array_equal(most_popular(x), [sum(column) for column in want.T])


# ---- neighbours ----


@given(SEEDS, st.integers(1, 4))
def test_neighbours_by_loops(seed, block):
    """Each of fewer than I terms rounds 2 square roots, 2 divisions; their sum I more: (I + 8) u of a sum of numbers >= 0."""
    x = hard_matrix(seed)
    met = x.sum(axis=0)
    got = item_neighbours(csr_matrix(x), block=block)
    for u in range(x.shape[0]):
        for i in range(x.shape[1]):
            others = [j for j in range(x.shape[1]) if j != i and x[u, j]]
            want = math.fsum(x[:, i] @ x[:, j] / math.sqrt(met[i] * met[j]) for j in others if met[i])
            assert abs(got[u, i] - want) <= (x.shape[1] + 8) * U * want


@given(SEEDS, st.integers(1, 5))
def test_only_the_most_similar_count(seed, k):
    x = hard_matrix(seed)
    met = [int(v) for v in x.sum(axis=0)]
    got = item_neighbours(csr_matrix(x), k, block=2)
    for i in range(x.shape[1]):
        near = {
            j: Fraction(int(x[:, i] @ x[:, j]) ** 2, met[i] * met[j]) if met[i] * met[j] else Fraction(0)
            for j in range(x.shape[1]) if j != i
        }  # fmt: skip
        order = sorted(near, key=lambda j: (-near[j], j))
        if len(order) > k and 0 < near[order[k]] == near[order[k - 1]]:
            continue  # equal cosines may round differently; the next test has equals that do not
        for u in range(x.shape[0]):
            want = math.fsum(math.sqrt(near[j]) for j in order[:k] if x[u, j])
            assert abs(got[u, i] - want) <= (x.shape[1] + 8) * U * want


def test_of_equals_the_first_counts():
    x = csr_matrix(np.array([[1.0, 1, 1], [0, 1, 0], [0, 0, 1]]))  # items 1 and 2 are equally near to item 0
    assert item_neighbours(x, 1)[:, 0].tolist() == [1 / np.sqrt(2), 1 / np.sqrt(2), 0]


def test_an_item_says_nothing_about_itself():
    x = csr_matrix(np.eye(3))
    assert not item_neighbours(x).any() and not ease(x).any() and not ease_weights(x).any()
    alone = csr_matrix(np.array([[1.0, 0, 0, 0], [0, 0, 1, 1]]))  # fewer users than items
    assert ease(alone, 1.0)[0].tolist() == [0, 0, 0, 0]


# ---- EASE ----


def exact_weights(x, strength):
    """Each column on its own, in fractions: ridge regression on the other items, by elimination."""
    g = [[Fraction(int(v)) for v in row] for row in x.T @ x]
    n, lam = len(g), Fraction(strength)
    b = [[Fraction(0)] * n for _ in range(n)]
    for j in range(n):
        rest = [i for i in range(n) if i != j]
        a = [[g[r][c] + (lam if r == c else 0) for c in rest] + [g[r][j]] for r in rest]
        for p in range(len(rest)):  # positive definite: no pivot is 0
            for r in range(len(rest)):
                if r != p:
                    f = a[r][p] / a[p][p]
                    a[r] = [u - f * v for u, v in zip(a[r], a[p])]
        for p, r in enumerate(rest):
            b[r][j] = a[p][-1] / a[p][p]
    return np.array([[float(v) for v in row] for row in b])


def condition(x, strength):
    return 1 + np.linalg.norm(x.T @ x, 2) / strength


def weights_slack(x, strength):
    """2 C I u k^(5/2), C = 50: what LAPACK's own tests accept.

    The inverse is off by e = C I u k / lambda, its norm being at most 1 / lambda. Column j of B = -P_j / P_jj is off by e / P_jj +
    |P_j| e / P_jj^2, P_jj >= 1 / |G + lambda| = 1 / (k lambda) and |P_j|^2 = e_j P P e_j <= P_jj / lambda: so e k lambda + e
    sqrt(k) k lambda.
    """
    return 2 * 50 * x.shape[1] * U * condition(x, strength) ** 2.5


@given(SEEDS, st.sampled_from([0.25, 1.0, 8.0, 500.0]))
def test_ease_is_ridge_regression_on_the_other_items(seed, strength):
    x = hard_matrix(seed)
    b = ease_weights(csr_matrix(x), strength)
    assert not np.diag(b).any()
    assert np.abs(b - exact_weights(x, strength)).max() <= weights_slack(x, strength)


@given(SEEDS, st.sampled_from([0.25, 1.0, 8.0, 500.0]))
def test_both_sides_give_the_same_scores(seed, strength):
    """Users' side: q_j = (X^T H X)_jj is off by |X_j|^2 C M u k / lambda <= C M u k^2, and 1 - q_j = lambda P_jj >= 1 / k: k^3 of
    H X / P_jj, whose size is |X_u| |P_j| / P_jj <= sqrt(k) |X_u|. H itself is off by C M u k / lambda, times |X_j| <= sqrt(k lambda),
    divided by P_jj >= 1 / (k lambda).
    """
    x = hard_matrix(seed)
    x = x if x.shape[0] < x.shape[1] else x.T
    got = ease(csr_matrix(x), strength)
    k, rows = condition(x, strength), np.linalg.norm(x, axis=1, keepdims=True)
    users_side = 50 * len(x) * U * (k**3.5 * rows + k**2.5 * np.sqrt(strength))
    want = x @ exact_weights(x, strength)
    assert (np.abs(got - want) <= users_side + x.shape[1] * U * np.abs(want).max(initial=0)).all()
    other = ease(csr_matrix(x.T), strength)  # the same matrix with the sides' roles changed
    wanted = x.T @ exact_weights(x.T, strength)
    assert np.abs(other - wanted).max() <= (weights_slack(x.T, strength) + len(x) * U) * np.linalg.norm(x.T, axis=1).max()


@given(SEEDS)
def test_no_other_weights_reconstruct_better(seed):
    """The loss is convex, and its slope (G + lambda) B - G is 0 off the diagonal: up to |G + lambda| times what B is off by."""
    rng = np.random.default_rng(seed)
    x = (rng.random((40, 12)) < 0.3).astype(float)
    strength = 10.0 ** rng.uniform(-1, 2)
    b = ease_weights(csr_matrix(x), strength)
    g = x.T @ x
    slope = (g + strength * np.eye(12)) @ b - g
    np.fill_diagonal(slope, 0)
    assert np.abs(slope).max() <= strength * condition(x, strength) * (weights_slack(x, strength) + 12 * U * np.abs(b).max() * 12)

    def loss(b):
        return ((x - x @ b) ** 2).sum() + strength * (b**2).sum()

    for scale in (1e-2, 1.0):
        d = scale * rng.standard_normal(b.shape)
        np.fill_diagonal(d, 0)
        assert loss(b + d) > loss(b)


def test_the_smaller_side_is_worked_on():
    """3,000 items by 3,000 would be 72 MB for each matrix; the scores of 5 users are 120 kB."""
    x = csr_matrix(hard_matrix(1, 5, 3000))
    for matrix in (x, csr_matrix(x.T)):
        tracemalloc.start()
        ease(matrix)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 3e6


def test_a_strong_penalty_leaves_the_counts():
    """lambda B -> G off the diagonal: the next term is -G G / lambda, at most |G|^2 / lambda."""
    x = hard_matrix(5, 6, 5)
    g = x.T @ x
    off = g - np.diag(np.diag(g))
    strength = 1e9
    assert np.abs(strength * ease_weights(csr_matrix(x), strength) - off).max() <= 2 * np.linalg.norm(g) ** 2 / strength + 1e-12


def test_items_nobody_met_score_nothing():
    x = hard_matrix(7, 5, 9)
    x[:, [2, 6]] = 0
    for matrix in (x, np.vstack([x] * 3)):  # users' side, items' side
        for scores in (ease(csr_matrix(matrix)), item_neighbours(csr_matrix(matrix)), item_neighbours(csr_matrix(matrix), 2)):
            assert not scores[:, [2, 6]].any() and scores.shape == matrix.shape


# ---- lists ----


def test_scores_stand_where_the_candidates_stand():
    met = some_interactions(3)
    x = interaction_matrix(met)
    users, items = np.array([3, 0, 2]), np.array([[1, 4], [0, 2], [3, 3]])
    lists = Lists({"user": np.repeat(users, 2), "item": items.ravel()}, np.zeros((3, 2), np.float32))
    found = baseline_scores(lists, met, strength=2.0, neighbours=2)
    for n in range(3):
        for c in range(2):
            u, i = users[n], items[n, c]
            assert found["most popular"][n, c] == most_popular(x)[i]
            assert found["item neighbours"][n, c] == item_neighbours(x, 2)[u, i]
            assert found["EASE"][n, c] == ease(x, 2.0)[u, i]


@pytest.mark.parametrize("users, items", [(100, 6000), (6000, 100)])
def test_scores_that_no_list_asks_for_are_not_kept(users, items):
    """The memory that is stated, in numbers of 8 bytes; all users times all items are 600,000, and were kept twice."""
    rng = np.random.default_rng(0)
    ids = [str(n) for n in range(6000)]
    met = Interactions(rng.integers(0, users, 3000), rng.integers(0, items, 3000), None, None, ids[:users], ids[:items])
    lists = Lists({"user": np.arange(100) % users, "item": np.arange(100) % items}, np.zeros((50, 2), np.float32))
    baseline_scores(lists, met)  # imports, once
    tracemalloc.start()
    baseline_scores(lists, met, block=10)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    sparse = 12 * 3000 + 8 * (users + items)  # bytes of X: a code and a number for each pair, and where rows begin
    turned = 10 * sparse  # X is made, checked, transposed, sliced and multiplied: less than ten of its size at once
    assert most < 8 * (4 * 100**2 + 3 * 10 * (users + items)) + turned < 8 * users * items


def judged(scores, relevance):
    return tuple(round(float(measure(scores, relevance, 10)), 4) for measure in (metrics.hit_rate, metrics.ndcg))


def near(found, want):
    """The last digit may turn: EASE's scores depend on how BLAS sums, and two candidates may be that near."""
    return all(abs(a - b) <= 0.00051 for a, b in zip(found, want))


def test_online_retail(data_dir):
    """HR@10 / NDCG@10 measured before, outside this code: .396 / .211, .5314 / .3354, .6333 / .4350 (that of lambda = 300)."""
    train, test, negatives = read_npz(data_dir / "online-retail" / "online_retail_5core_loo.npz")
    items, relevance = ranking_lists(test.items, negatives)
    lists = Lists({"user": np.repeat(test.users, items.shape[1]), "item": items.ravel()}, relevance)
    found = {name: judged(scores, relevance) for name, scores in baseline_scores(lists, train, strength=300.0).items()}
    assert found["most popular"] == (0.3961, 0.2112), "whole numbers, ties by expectation: exact"
    assert near(found["item neighbours"], (0.5314, 0.3354)) and near(found["EASE"], (0.6333, 0.4350))


def test_amazon_music(data_dir):
    """Published for the most popular: .2483 / .1304. A quarter of the test items was never met: no baseline can foresee them."""
    train, test, negatives = read_ncf(data_dir / "amazon-music" / "AMusic")
    items, relevance = ranking_lists(test.items, negatives)
    x = interaction_matrix(train)
    popular, best = most_popular(x)[items], ease(x)[test.users[:, None], items]
    met = popular[:, 0] > 0
    assert judged(popular, relevance) == (0.2483, 0.1302) and judged(popular[met], relevance[met]) == (0.3361, 0.1763)
    assert near(judged(best, relevance), (0.3776, 0.2402)) and near(judged(best[met], relevance[met]), (0.5087, 0.3240))


# ---- refusals ----


def of_pairs(users, items):
    return Lists({"user": np.array(users, int), "item": np.array(items, int)}, np.zeros((len(users), 1), np.float32))


def test_refusals():
    x = csr_matrix(np.ones((2, 2)))
    met = some_interactions(0)
    for call, words in (
        (lambda: interaction_matrix(), "one or more parts"),
        (lambda: interaction_matrix(met, some_interactions(0, items=7)), "one data set"),
        (lambda: item_neighbours(x, 0), "1 or more"),
        (lambda: item_neighbours(2 * x), "X holds 2.0"),
        (lambda: ease_weights(2 * x), "X holds 2.0"),
        (lambda: ease(csr_matrix([[0.5, 1.0]])), "X holds 0.5"),
        (lambda: ease(csr_matrix([[np.nan]])), "X holds nan"),
        (lambda: ease(x, 0.0), "strength is 0.0"),
        (lambda: ease(csr_matrix(np.ones((1, 2))), np.inf), "strength is inf"),
        (lambda: ease_weights(x, np.nan), "strength is nan"),
        (lambda: baseline_scores(Lists({"query": np.array([0])}, np.zeros((1, 1), np.float32)), met), "users and items"),
        *[
            (lambda f=f, b=b, m=m: f(m, block=b), f"block is {b}; give 1 or more")
            for f in (item_neighbours, ease)
            for b in (0, -1)
            for m in (x, x[:1])  # both sides of ease
        ],
        (lambda: baseline_scores(of_pairs([0], [0]), met, block=-1), "block is -1"),
        (lambda: baseline_scores(of_pairs([0, 0], [2, -1]), met), "item codes .* from -1 to 2, .* from 0 to 4; take both"),
        (lambda: baseline_scores(of_pairs([0, 0], [2, 5]), met), "item codes .* from 2 to 5"),
        (lambda: baseline_scores(of_pairs([-2, 3], [0, 0]), met), "user codes .* from -2 to 3, those of the parts from 0 to 3"),
        (lambda: baseline_scores(of_pairs([1, 4], [0, 0]), met), "user codes .* from 1 to 4"),
    ):
        with pytest.raises(ValueError, match=words):
            call()
    assert baseline_scores(of_pairs([], []), met)["EASE"].shape == (0, 1)
    assert baseline_scores(of_pairs([0, 3], [0, 4]), met)["EASE"].shape == (2, 1)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.float32])
def test_any_dtype_of_ones_scores_alike(dtype):
    """In int8 a sum of 200 ones wraps; a pair stored twice is no longer a one."""
    x = (np.random.default_rng(0).random((300, 6)) < 0.8).astype(np.float64)
    for score in (most_popular, item_neighbours, ease):
        assert (score(csr_matrix(x.astype(dtype))) == score(csr_matrix(x))).all()
    twice = csr_matrix((np.ones(2), ([0, 0], [1, 1])), (1, 2))
    with pytest.raises(ValueError, match="X holds 2"):
        ease(twice)
