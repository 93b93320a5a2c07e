"""A table as short codes: a codebook for every column, codes chosen by the loss, bits paid for at their price.

Three steps in turn, none of which makes the whole cost larger: codes for given levels and lengths (loss_weighted), levels for
given codes, lengths for given codes (priced_levels). What comes out is one small integer per number, most of them the same few,
for an entropy coder to write; decode_tables turns what a file holds back into rows.

Letters     t rows as they are meant (V, D), V' of them after sharing; c levels, A to a column, q codes, H of each row,
            d = c_q - t, b bits of a code, lambda the price of a bit in units of the loss
Not here: H (row_curvature, alternating), the coder (coding), the turn that makes columns worth coding (factorization).
Read next: factorization.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tinycompress.codebooks import as_values
from tinycompress.column_codebooks import ColumnCodebooks
from tinycompress.loss_weighted import choose_codes, code_cost, descend_codes, refit_levels, stack_levels
from tinycompress.priced_levels import code_lengths, entropy_constrained

Array = npt.NDArray[Any]


def code_table(
    t: npt.ArrayLike, h: Array, price: float, rounds: int = 3, sweeps: int = 3, dtype: npt.DTypeLike = np.float16
) -> ColumnCodebooks:
    """Return a table's rows as codes of one codebook per column.

    Equation    J = sum over rows of 1/2 d^T H d + lambda sum of b_q                                                   (1)
                start: entropy_constrained for each column, weights 1/2 H_ii; then codes, levels and lengths in turn
    Shapes      t (V, D), h (1 or V, D, D), or (1 or V, D) if diagonal -> codes (V, D), D codebooks of the dtype
    Bound       J never rises from round to round (up to rounding), and so ends no higher than at the start, rounds=0. Rounding
                the levels to the dtype at the end moves d by e and sqrt(sum 1/2 d^T H d) by at most sqrt(sum 1/2 e^T H e)
    Limits      a column whose (t - mean)^2 stays below 3 lambda / (mean H_ii ln 2), the mean weighted by H_ii, has one level.
                A higher price mostly means fewer bits, but not always: each price ends in a minimum of its own, not in the least
    Convention  the first round looks for codes from scratch, later ones start from those they have. Levels that nothing takes are
                left out, equal ones merged; they stand in increasing order
    Raises      ValueError if price is not positive, or so small that a column would start with more than 65,536 levels; if t or h
                is not finite, their shapes do not fit, H is not positive semidefinite (as far as choose_codes notices), or a
                level is too large for the dtype
    Source      Chou, Lookabaugh, Gray 1989, with H for the distance; this package for the turns

    >>> t = np.array([[0.0], [0.125], [1.0], [0.875]])
    >>> book = code_table(t, np.ones((4, 1)), price=0.001)
    >>> book.codes.ravel().tolist(), [c.tolist() for c in book.levels]
    ([0, 1, 3, 2], [[0.0, 0.125, 0.875, 1.0]])
    >>> code_table(t, np.ones((4, 1)), price=0.03125).codes.ravel().tolist()
    [0, 0, 1, 1]
    """
    t, h = _checked(t, h)
    if not 0 < price < np.inf:
        raise ValueError(f"price is {price}; give a positive one: what a bit may cost in units of the loss")
    own = np.broadcast_to(h if h.ndim == 2 else np.einsum("vii->vi", h), t.shape)
    start = [entropy_constrained(x, price, w / 2, rounds=30) for x, w in zip(t.T, own.T)]
    levels, codes = [book.levels for book in start], np.stack([book.codes for book in start], axis=1).astype(np.intp)
    for number in range(rounds):
        prices = _prices(codes, levels, price)
        c = stack_levels(levels)
        if number == 0:
            found = choose_codes(t, c, h, prices, sweeps=sweeps)
            codes = np.where((found.cost < code_cost(t, c, h, codes, prices))[:, None], found.codes, codes)
        else:
            codes = descend_codes(t, c, h, codes, prices, sweeps)
        levels, codes = _in_order(refit_levels(t, levels, h, codes), codes)
    with np.errstate(under="ignore", over="ignore"):
        rounded = [c.astype(dtype) for c in levels]
    if beyond := [float(np.abs(c).max()) for c, r in zip(levels, rounded) if not np.isfinite(r).all()]:
        raise ValueError(f"a level of {max(beyond)} is beyond {np.dtype(dtype)}; scale the table down, or give a wider dtype")
    levels, codes = _in_order(rounded, codes)
    return ColumnCodebooks(tuple(levels), codes.astype(np.uint8 if max(map(len, levels)) <= 256 else np.uint16), 1)


def total_cost(t: npt.ArrayLike, book: ColumnCodebooks, h: Array, price: float) -> float:
    """Return J of a coded table.

    Equation    (1), the lengths those of the codes' own frequencies, column by column; the levels themselves are not counted
    Shapes      t (V, D), h (1 or V, D, D) or (1 or V, D) -> a number
    Raises      ValueError if t or h is not finite, or the shapes do not fit
    Source      code_table

    >>> book = ColumnCodebooks((np.array([0.0, 1.0]),), np.array([[0], [1]]), 1)
    >>> total_cost(np.array([[0.5], [1.0]]), book, np.ones((2, 1)), price=0.5)    # 1/2 (1/2)^2, and two bits
    1.125
    """
    t, h = _checked(t, h)
    if book.codes.shape != t.shape or book.group != 1:
        raise ValueError(f"codes have shape {book.codes.shape}, group {book.group} for a table {t.shape}; a codebook per column")
    prices = _prices(book.codes, book.levels, price)
    return float(code_cost(t, stack_levels(book.levels), h, book.codes.astype(np.intp), prices).sum())


def decode_tables(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tensors of a model with every table that a file holds as codes written out; all else as it is.

    Equation    row v of NAME: c_q, column by column, q row v' of the codes. v' = v; with NAME.kept the rows that are kept have
                the codes in their order, and those that are not share the last: V' is the number kept, plus 1 if some are not
    Shapes      NAME.codes (V', D) integers, NAME.levels (D, A), NAME.kept (V,) bool if rows share one -> NAME (V, D) float32
    Raises      ValueError if codes stand without levels, levels or `kept` without codes, NAME itself beside them, they do not fit
                each other, or a level is no finite float32
    Source      small_models writes them; shared rows: factorization.shared_rows

    >>> tensors = {"table0.codes": np.uint8([[0, 1], [1, 0]]), "table0.levels": np.float16([[0.5, 2.0], [-1.0, 4.0]])}
    >>> decode_tables(tensors)["table0"].tolist()
    [[0.5, 4.0], [2.0, -1.0]]
    >>> decode_tables({**tensors, "table0.kept": np.array([False, True, False])})["table0"].tolist()
    [[2.0, -1.0], [0.5, 4.0], [2.0, -1.0]]
    """
    decoded: dict[str, Any] = {}
    for name, tensor in tensors.items():
        owner, _, part = name.partition(".")
        if part not in ("codes", "levels", "kept"):
            decoded[name] = tensor
            continue
        if owner in tensors:
            raise ValueError(f"{owner} stands beside {name}; a table is numbers or codes: leave out one")
        for other in (f"{owner}.codes", f"{owner}.levels"):
            if other not in tensors:
                raise ValueError(f"{name} stands without {other}; codes need their levels: give both, or {owner} as numbers")
        if part == "codes":
            decoded[owner] = _written_out(owner, tensors)
    return decoded


def _written_out(name: str, tensors: Mapping[str, Any]) -> Array:
    codes, levels = (np.asarray(tensors[f"{name}.{part}"]) for part in ("codes", "levels"))
    if codes.ndim != 2 or codes.dtype.kind not in "iu" or levels.ndim != 2 or len(levels) != codes.shape[1]:
        found = f"{name}.codes are {codes.dtype} {codes.shape}, {name}.levels {levels.shape}"
        raise ValueError(f"{found}; give integers (V, D) and levels (D, A)")
    if codes.size and not 0 <= codes.min() <= codes.max() < levels.shape[1]:
        raise ValueError(f"{name}.codes run from {codes.min()} to {codes.max()}; {name}.levels are 0 to {levels.shape[1] - 1}")
    with np.errstate(over="ignore", under="ignore"):
        rounded = levels.astype(np.float32)
    if not np.isfinite(rounded).all():
        bad = levels[~np.isfinite(rounded)][0]
        raise ValueError(f"{name}.levels hold {bad}; give finite numbers that float32 holds: scale the table down")
    rows: Array = rounded[np.arange(codes.shape[1]), codes]
    if f"{name}.kept" not in tensors:
        return rows
    kept = np.asarray(tensors[f"{name}.kept"])
    if kept.ndim != 1 or kept.dtype != bool or kept.sum() + (not kept.all()) != len(rows):
        found = f"{name}.kept is {kept.dtype} {kept.shape} and keeps {kept.sum()}"
        raise ValueError(f"{found} of {len(rows)} rows of {name}.codes; give bool (V,), a row for each kept, one for the others")
    return rows[np.where(kept, np.cumsum(kept) - 1, len(rows) - 1)]


def _checked(t: npt.ArrayLike, h: Array) -> tuple[Array, Array]:
    t, h = as_values(t), as_values(h)
    if t.ndim != 2 or not t.size or h.ndim not in (2, 3) or len(h) not in (1, len(t)) or set(h.shape[1:]) != {t.shape[1]}:
        raise ValueError(f"a table of shape {t.shape}, H {h.shape}; give rows, and H (1 or V, D) if diagonal or (1 or V, D, D)")
    return t, h


def _prices(codes: Array, levels: Sequence[Array], price: float) -> Array:
    """lambda b_a, (D, A); inf for what no row takes, and for what pads a short codebook, so that no code can turn to it."""
    lengths = [code_lengths(q, len(c)) for q, c in zip(codes.T, levels)]
    most = max(map(len, lengths))
    return price * np.stack([np.pad(b, (0, most - len(b)), constant_values=np.inf) for b in lengths])


def _in_order(levels: Sequence[Array], codes: Array) -> tuple[list[Array], Array]:
    """The same values, each column's levels increasing, none unused, none twice."""
    books, columns = [], []
    for c, q in zip(levels, codes.T):
        used = np.bincount(q, minlength=len(c)) > 0
        kept, place = np.unique(c[used], return_inverse=True)
        books.append(kept)
        columns.append(place.reshape(-1)[np.cumsum(used)[q] - 1])
    return books, np.stack(columns, axis=1)
