"""What a file of no model scores: the most popular items, the neighbours of what a user has, and the best linear item model.

A compressed recommender is worth its bytes only above what the interactions say by themselves. Three answers that are not
trained: how often an item was met; how often it was met by those who met the user's other items; and least squares from the other
items to each one, which has a closed form. The last two need the user's history when they score, so their bytes are the
interactions, or an item-by-item matrix larger than most models: they are the quality to beat, not the size.

Letters     M users and I items, X (M, I) 1 where they met, G = X^T X (I, I) how many users met both, B (I, I) what one item says
            for another, lambda the strength of the penalty, S (M, I) scores, N lists of L candidates, u unit roundoff
Not here: the measures (metrics), the trained models (recommender). Read next: evaluation.
"""
from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from tinycompress.interactions import Interactions
from tinycompress.problems import Lists
from tinycompress.scoring import top_k
from tinycompress.splits import seen_items

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix  # half a second to import: only where it is used

Array = NDArray[np.float64]
Blocks = Iterator[tuple[slice, Array]]  # some items, and the scores of all users for these: (M, items)


def interaction_matrix(*parts: Interactions) -> csr_matrix:
    """Return X: 1 for each user and item that met in any of the parts.

    Shapes      parts of one data set -> (M, I) float64, sparse
    Convention  a pair that stands more than once counts once; values and times are not looked at
    Raises      ValueError if the parts count other users or items, or there is none
    Source      this package

    >>> ids = ["a", "b", "c"]
    >>> met = Interactions(np.array([0, 2, 0]), np.array([1, 0, 1]), None, None, ids, ids)
    >>> interaction_matrix(met).toarray().tolist()
    [[0.0, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]
    """
    from scipy.sparse import csr_matrix

    seen = seen_items(*parts)
    return csr_matrix((np.ones(len(seen.codes)), seen.codes, seen.offsets), shape=(len(seen), parts[0].n_items))


def most_popular(x: csr_matrix) -> Array:
    """Return how many users met each item: a score that is the same for everyone.

    Shapes      X (M, I) -> (I,)
    Source      textbook

    >>> from scipy.sparse import csr_matrix
    >>> most_popular(csr_matrix([[1.0, 0.0], [1.0, 1.0]])).tolist()
    [2.0, 1.0]
    """
    return np.asarray(x.sum(axis=0), np.float64).ravel()


def item_neighbours(x: csr_matrix, neighbours: int | None = None, block: int = 1024) -> Array:
    """Return the scores in which each item of a history speaks for its neighbours, as loudly as it is similar to them.

    Equation    S_ui = sum over the items j != i of user u of cos(i, j),  cos(i, j) = G_ij / sqrt(G_ii G_jj)
    Shapes      X (M, I) of zeros and ones -> (M, I)
    Units       memory ~ M I + 3 block (M + I) numbers: items are taken in blocks, because all I^2 cosines may be too many
    Bound       (I + 8) u S: no term is negative
    Convention  `neighbours`: how many items j, the most similar to i, count in its score, the lower code among equals; None: all.
                An item that nobody met scores 0
    Raises      ValueError if X holds anything but 0 and 1, or neighbours or block is below 1
    Source      Sarwar, Karypis, Konstan, Riedl 2001 (WWW)

    >>> from scipy.sparse import csr_matrix
    >>> item_neighbours(csr_matrix([[1.0, 1.0], [1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])).tolist()
    [[0.5, 0.5], [0.0, 0.5], [0.0, 0.5], [0.0, 0.5]]
    """
    return _whole(_neighbour_blocks(x, neighbours, block), x)


def _neighbour_blocks(x: csr_matrix, neighbours: int | None, block: int) -> Blocks:
    x = _checked(x)
    if neighbours is not None and neighbours < 1:
        raise ValueError(f"neighbours is {neighbours}; give 1 or more, or None for all")
    length, by_item = np.sqrt(np.maximum(most_popular(x), 1)), x.tocsc()
    for part in _parts(x.shape[1], block):
        items = np.arange(part.start, part.stop)
        similar = (by_item[:, part].T @ x).toarray() / length / length[items, None]  # (block, I)
        similar[items - part.start, items] = 0  # an item says nothing about itself
        if neighbours is not None:
            far = np.ones(similar.shape, bool)
            np.put_along_axis(far, top_k(similar, neighbours), False, axis=1)
            similar[far] = 0
        yield part, np.asarray(x @ similar.T)


def ease_weights(x: csr_matrix, strength: float = 500.0) -> Array:
    """Return the weights that best reconstruct each item of a history from its other items.

    Equation    minimise |X - X B|^2 + lambda |B|^2 with B_ii = 0:  B_ij = -P_ij / P_jj,  P = (G + lambda)^-1          (1)
    Why         where B is free the slope is 0: (G + lambda) B = G - diag(mu), with mu for B_ii = 0. So
                B = P (1/P - lambda - diag(mu)) = 1 - P diag(lambda + mu), and a diagonal of 0 asks lambda + mu_j = 1 / P_jj
    Shapes      X (M, I) of zeros and ones -> (I, I)
    Units       time ~ I^3, memory ~ 4 I^2 numbers
    Bound       columns of B are off by 2 C I u k^(5/2), k = 1 + |G| / lambda, C the modest constant of the inverse, which is off
                by C I u k / lambda. For P_jj >= 1 / (k lambda), and |P_j|^2 <= P_jj / lambda
    Limits      lambda -> inf: lambda B -> G without its diagonal
    Raises      ValueError if X holds anything but 0 and 1, or the strength is not positive and finite
    Source      Steck 2019 (arXiv 1905.03375), equation 8

    >>> from scipy.sparse import csr_matrix
    >>> ease_weights(csr_matrix([[1.0, 1.0], [1.0, 0.0]]), strength=1.0).round(12).tolist()
    [[0.0, 0.333333333333], [0.5, 0.0]]
    """
    x = _checked(x, strength)
    p = _inverse(x.T @ x, strength)
    weights = -p / np.diag(p)  # (1)
    np.fill_diagonal(weights, 0)
    return weights


def ease(x: csr_matrix, strength: float = 500.0, block: int = 1024) -> Array:
    """Return the scores of the best linear item model, from the side of users or items, whichever are fewer.

    Equation    S = X B of (1).  From the users: X P = H X with H = (X X^T + lambda)^-1, because X (X^T X + lambda) =
                (X X^T + lambda) X; and lambda P = 1 - X^T H X. So
                S = X - H X diag(1 / P_jj),  P_jj = (1 - (X^T H X)_jj) / lambda                                       (2)
    Shapes      X (M, I) of zeros and ones -> (M, I)
    Units       time ~ min(M, I)^3, memory ~ M I + 4 min(M, I)^2 + 3 block (M + I) numbers
    Bound       items' side: that of B times |X_u|, X_u the row of user u; users' side, where 1 / P_jj carries what P_jj loses:
                C M u (k^(7/2) |X_u| + k^(5/2) sqrt(lambda)), k and C as in ease_weights
    Convention  an item that nobody met scores 0, which is above every negative score; one of a user's own scores by the others
    Raises      ValueError as ease_weights, or if block is below 1
    Source      Steck 2019, equation 8; (2) by the push-through identity

    >>> from scipy.sparse import csr_matrix
    >>> ease(csr_matrix([[1.0, 1.0, 0.0], [1.0, 0.0, 0.0]]), strength=1.0).round(12).tolist()[1]
    [0.0, 0.333333333333, 0.0]
    """
    return _whole(_ease_blocks(x, strength, block), x)


def _ease_blocks(x: csr_matrix, strength: float, block: int) -> Blocks:
    users, items = x.shape
    parts = _parts(items, block)
    if items <= users:
        weights = ease_weights(x, strength)
        for part in parts:
            yield part, np.asarray(x @ weights[:, part])
        return
    x = _checked(x, strength)
    h, by_item = _inverse(x @ x.T, strength), x.tocsc()
    for part in parts:
        some = by_item[:, part]
        hx = (some.T @ h).T  # H is symmetric
        p = (1 - np.asarray(some.multiply(hx).sum(axis=0)).ravel()) / strength
        yield part, np.asarray(some.toarray() - hx / p)  # (2)


def baseline_scores(
    lists: Lists, *parts: Interactions, strength: float = 500.0, neighbours: int | None = None, block: int = 1024
) -> dict[str, Array]:
    """Return the scores of all three for the candidates of each list, by name.

    Shapes      N lists of L candidates, the parts that may be learned from -> (N, L) each
    Units       memory ~ 4 min(M, I)^2 + 3 block (M + I) numbers: scores of users and items that meet in no list are not kept
    Raises      ValueError as the three, or if the lists are not of users and items, or of some that the parts do not count
    Source      this package

    >>> ids = ["a", "b", "c"]
    >>> met = Interactions(np.array([0, 0, 1]), np.array([0, 1, 0]), None, None, ids, ids)
    >>> lists = Lists({"user": np.array([1, 1]), "item": np.array([1, 2])}, np.float32([[1, 0]]))
    >>> {name: scores.round(3).tolist() for name, scores in baseline_scores(lists, met, strength=1.0).items()}
    {'most popular': [[1.0, 0.0]], 'item neighbours': [[0.707, 0.0]], 'EASE': [[0.333, 0.0]]}
    """
    if not {"user", "item"} <= set(lists.rows):
        raise ValueError(f"the lists are of {sorted(lists.rows)}; baselines know users and items")
    x = interaction_matrix(*parts)
    users, items = lists.rows["user"], lists.rows["item"]
    for name, codes, size in zip(("user", "item"), (users, items), x.shape):
        if len(codes) and not 0 <= codes.min() <= codes.max() < size:
            met = f"{name} codes of the lists run from {codes.min()} to {codes.max()}, those of the parts from 0 to {size - 1}"
            raise ValueError(f"{met}; take both from one data set")
    found = {
        "most popular": most_popular(x)[items],
        "item neighbours": _of_pairs(_neighbour_blocks(x, neighbours, block), users, items),
        "EASE": _of_pairs(_ease_blocks(x, strength, block), users, items),
    }
    return {name: scores.reshape(lists.relevance.shape) for name, scores in found.items()}


def _parts(items: int, block: int) -> Iterator[slice]:
    if block < 1:
        raise ValueError(f"block is {block}; give 1 or more: how many of {items} items are taken at a time")
    return (slice(start, min(start + block, items)) for start in range(0, items, block))


def _whole(blocks: Blocks, x: csr_matrix) -> Array:
    scores = np.empty(x.shape)
    for part, some in blocks:
        scores[:, part] = some
    return scores


def _of_pairs(blocks: Blocks, users: NDArray[np.integer], items: NDArray[np.integer]) -> Array:
    """The scores of so many users, each for one item."""
    scores = np.empty(len(items))
    for part, some in blocks:
        here = np.flatnonzero((part.start <= items) & (items < part.stop))
        scores[here] = some[users[here], items[here] - part.start]
    return scores


def _inverse(gram: csr_matrix, strength: float) -> Array:
    a = np.asarray(gram.toarray(), np.float64)
    a[np.diag_indices_from(a)] += strength
    return np.asarray(np.linalg.inv(a))


def _checked(x: csr_matrix, strength: float = 1.0) -> csr_matrix:
    """X in float64, where products cannot overflow, each pair once."""
    from scipy.sparse import csr_matrix

    x = csr_matrix(x, dtype=np.float64, copy=True)
    x.sum_duplicates()
    values = np.asarray(x.data)
    if not np.isin(values, (0, 1)).all():
        raise ValueError(f"X holds {values[~np.isin(values, (0, 1))][0]}; give 1 where user and item met, and 0")
    if not 0 < strength < np.inf:
        raise ValueError(f"strength is {strength}; give a positive number, some hundreds for thousands of users")
    return x
