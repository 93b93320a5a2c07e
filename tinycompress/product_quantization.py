"""A row of a table as a few codes, one for each part of the row, and scores of all rows by look-up.

One codebook for whole rows would need as many levels as there are kinds of rows. Cut the row into S parts with A centres each,
and A^S different rows can be written with S A stored parts: 8 parts of 256 centres write 2^64 different rows in 8 bytes each. A
query meets the S A centres only; the score of each row is then a sum of S numbers that are looked up.

Letters     x rows (V, D), w their weights, q codes (V, S), c centres (S, A, D / S), E squared error, u queries (B, D)
Not here: a single column (codebooks); fewer columns (factorization). Read next: rate_distortion.
"""
from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from tinycompress.codebooks import as_values, as_weights

Array = npt.NDArray[Any]


class ProductCode(NamedTuple):
    """Rows as codes: part s of row v is centres[s, codes[v, s]]."""

    centres: Array  # (S, A, D / S) in the dtype of the table
    codes: Array  # (V, S) uint8 or uint16


def nearest_rows(x: Array, centres: Array) -> Array:
    """Return the code of each row's nearest centre.

    Equation    q = argmin over a of |x - c_a|^2                                                                   (1)
    Shapes      x (V, d), centres (A, d) -> (V,)
    Convention  the lower of equals. Differences, not |x|^2 - 2 x c + |c|^2: a row that equals its centre has distance 0
    Source      Lloyd 1982; Linde, Buzo, Gray 1980

    >>> nearest_rows(np.array([[0.0, 1.0], [5.0, 4.0]]), np.array([[0.0, 0.0], [4.0, 4.0]])).tolist()
    [0, 1]
    """
    least, codes = np.full(len(x), np.inf), np.zeros(len(x), np.intp)
    with np.errstate(under="ignore"):
        for a, c in enumerate(centres):  # one centre at a time, for memory's sake
            distance = ((x - c) ** 2).sum(axis=1)
            codes[distance < least] = a  # (1)
            least = np.minimum(least, distance)
    return codes


def k_means_rows(
    x: npt.ArrayLike, n_centres: int, rng: np.random.Generator, weight: npt.ArrayLike | None = None, rounds: int = 50
) -> tuple[Array, Array]:
    """Return A centres for rows, and each row's code.

    Equation    (1), and c_a <- weighted mean of the rows with q = a, in turn until no code changes                (2)
    Shapes      x (V, d), weight (V,) -> centres (A, d) float64, codes (V,)
    Bound       sum of w |x - c_q|^2 never rises from one round to the next
    Convention  starts by k-means++ (weighted). With fewer different rows than A the rest of the centres repeat the first and
                stay unused; a centre that loses all its rows stays where it is
    Raises      ValueError if x is not a matrix with rows, n_centres is outside 1 ... 65,536, or x or weights are not finite
    Source      Linde, Buzo, Gray 1980; Arthur, Vassilvitskii 2007

    >>> centres, codes = k_means_rows([[0.0], [1.0], [8.0]], 2, np.random.default_rng(0))
    >>> centres[codes].tolist()
    [[0.5], [0.5], [8.0]]
    """
    x = as_values(x)
    if x.ndim != 2 or not x.size or not 1 <= n_centres <= 1 << 16:
        raise ValueError(f"{n_centres} centres for x of shape {x.shape}; give a matrix with rows, and 1 to 65,536 centres")
    w = as_weights(weight, (len(x),))
    centres = _spread(x, n_centres, rng, w)
    codes = nearest_rows(x, centres)
    with np.errstate(under="ignore"):
        for _ in range(rounds):
            mass = np.bincount(codes, w, n_centres)
            moved = np.zeros_like(centres)
            np.add.at(moved, codes, w[:, None] * (x - centres[codes]))
            centres = centres + moved / np.where(mass > 0, mass, 1)[:, None]  # (2)
            last, codes = codes, nearest_rows(x, centres)
            if np.array_equal(codes, last):
                break
    return centres, codes


def product_quantize(
    table: npt.ArrayLike, parts: int, n_centres: int, rng: np.random.Generator,
    weight: npt.ArrayLike | None = None, rounds: int = 50,
) -> ProductCode:  # fmt: skip
    """Return a table as codes, by k-means in each of `parts` runs of neighbouring columns.

    Equation    E = sum over parts of E_s: squared distance is a sum over columns, so each part is a problem of its own
    Shapes      table (V, D), weight (V,) how much a row's error costs -> centres (S, A, D / S), codes (V, S)
    Limits      S = 1: k-means of rows; S = D: a scalar codebook for each column
    Convention  columns that belong together should stand together; a rotation that evens out the spread of the parts helps
    Raises      ValueError if D is not a multiple of parts (append zero columns, or take another number), else as k_means_rows
    Source      Jegou, Douze, Schmid 2011, Product Quantization for Nearest Neighbor Search, section II

    >>> code = product_quantize(np.float32([[0, 5], [1, 5], [0, 9], [1, 9]]), 2, 2, np.random.default_rng(0))
    >>> code.codes.dtype, reconstruct(code).tolist()
    (dtype('uint8'), [[0.0, 5.0], [1.0, 5.0], [0.0, 9.0], [1.0, 9.0]])
    """
    table = np.asarray(table)
    if table.ndim != 2 or parts < 1 or table.shape[1] % parts:
        raise ValueError(f"{parts} parts of a table of shape {table.shape}; they must divide its columns: append zero columns")
    found = [k_means_rows(x, n_centres, rng, weight, rounds) for x in np.split(table, parts, axis=1)]
    dtype = table.dtype if table.dtype in (np.float32, np.float64) else np.float64
    codes = np.stack([q for _, q in found], axis=1).astype(np.uint8 if n_centres <= 256 else np.uint16)
    return ProductCode(np.stack([c for c, _ in found]).astype(dtype), codes)


def reconstruct(code: ProductCode) -> Array:
    """Return the table that the codes stand for.

    Equation    x^_v = c_1[q_v1] c_2[q_v2] ... joined
    Shapes      -> (V, D)
    Source      Jegou, Douze, Schmid 2011, equation 8

    >>> reconstruct(ProductCode(np.array([[[0.5], [2.0]], [[1.0], [4.0]]]), np.array([[1, 0]])))
    array([[2., 1.]])
    """
    s = np.arange(len(code.centres))
    return code.centres[s, code.codes].reshape(len(code.codes), -1)


def lookup_scores(u: npt.ArrayLike, code: ProductCode) -> Array:
    """Return the inner product of each query with every row, without building a row.

    Equation    t_sa = u_s . c_sa,  score_v = sum over s of t_s[q_vs]                                              (3)
    Shapes      u (B, D) -> (B, V)
    Units       multiply-adds per query: A D for the tables, then S additions a row in place of D multiply-adds
    Bound       equals u @ reconstruct(code).T up to the order of its sums: |difference| <= 2 gamma |u| @ |x^|,
                gamma = D eps / (1 - D eps), eps the unit roundoff
    Raises      ValueError if queries have another number of columns
    Source      Jegou, Douze, Schmid 2011, section III (there with distances)

    >>> lookup_scores([[1.0, 10.0]], ProductCode(np.array([[[0.5], [2.0]], [[1.0], [4.0]]]), np.array([[1, 0], [0, 1]])))
    array([[12. , 40.5]])
    """
    u = np.asarray(u)
    parts, _, width = code.centres.shape
    if u.ndim != 2 or u.shape[1] != parts * width:
        raise ValueError(f"queries have shape {u.shape}, the table has {parts * width} columns; give (B, {parts * width})")
    tables = np.einsum("bsd,sad->sba", u.reshape(len(u), parts, width), code.centres)
    scores = np.zeros((len(u), len(code.codes)), tables.dtype)
    for t, q in zip(tables, code.codes.T):
        scores += t[:, q]  # (3)
    return scores


def residual_quantize(
    table: npt.ArrayLike, parts: int, n_centres: int, stages: int, rng: np.random.Generator, weight: npt.ArrayLike | None = None
) -> tuple[ProductCode, ...]:
    """Return codes of the table, then codes of what they miss, and so on: the sum of the reconstructions is the table's.

    Equation    r_0 = x,  code_k = product_quantize(r_k),  r_k+1 = r_k - x^_k                                      (4)
    Shapes      table (V, D) -> stages codes; scores are the sum of lookup_scores, reconstructions add up likewise
    Bound       each stage leaves at most the error it found: the mean of a cell is at least as good as 0
    Raises      ValueError if stages is below 1, else as product_quantize
    Source      Chen, Guan, Wang 2010, Approximate Nearest Neighbor Search by Residual Vector Quantization

    >>> x = np.array([[0.0], [1.0], [8.0], [9.0]])
    >>> sum(reconstruct(code) for code in residual_quantize(x, 1, 2, 2, np.random.default_rng(0))).ravel()
    array([0., 1., 8., 9.])
    """
    if stages < 1:
        raise ValueError(f"stages is {stages}; give 1 or more")
    rest, codes = np.asarray(table), []
    for _ in range(stages):
        codes.append(product_quantize(rest, parts, n_centres, rng, weight))
        rest = rest - reconstruct(codes[-1])  # (4)
    return tuple(codes)


def product_bits(code: ProductCode, centre_bits: int = 32) -> float:
    """Return the bits of codes of equal length and of the centres.

    Equation    V S log2 A + centre_bits A D
    Shapes      -> a number
    Source      Jegou, Douze, Schmid 2011, section II

    >>> product_bits(ProductCode(np.zeros((2, 4, 3)), np.zeros((100, 2), np.uint8)), 16)
    784.0
    """
    return code.codes.size * float(np.log2(code.centres.shape[1])) + centre_bits * code.centres.size


def _spread(x: Array, n: int, rng: np.random.Generator, w: Array) -> Array:
    """k-means++: rows drawn one by one, each as likely as its weighted squared distance to the nearest drawn so far is large."""
    chosen, least = [], w
    with np.errstate(under="ignore"):
        for _ in range(n):
            if not least.any():
                break
            chosen.append(x[rng.choice(len(x), p=least / least.sum())])
            distance = w * ((x - chosen[-1]) ** 2).sum(axis=1)
            least = np.minimum(least, distance) if len(chosen) > 1 else distance
    chosen = chosen or [x[0]]
    return np.array(chosen + chosen[:1] * (n - len(chosen)))
