"""The exact oracle for masks, packed bits, and products of integers: whole arrays as nested lists of Python numbers.

As in oracle_grids, `pick` answers an axis with an option, and is asked only where the option makes a difference.

Letters     w weights, q codes, b bits, n entries, k how many are pruned; M rows and K terms of a product
Not here: grids (oracle_grids), anything with a tolerance (oracle_losses). Read next: oracle_layers.
"""
from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from tinycompress.verify.exact import fl32, fl64
from tinycompress.verify.oracle_grids import ROUND, Pick, Refused, Undefined


def _wrap(v: int, bits: int, signed: bool) -> int:
    low = -(1 << bits - 1) if signed else 0
    return (v - low) % (1 << bits) + low


def integer_matmul(
    pick: Pick, a: Sequence[Sequence[int]], b: Sequence[Sequence[int]], columns: int, zeros: tuple[int, int],
    formats: tuple[tuple[int, bool], tuple[int, bool]],
) -> list[int]:  # fmt: skip
    """Return all sums in C order; `formats` are (bits, signed) of a and b.

    Shapes      a (M, K), b (K, columns) -> M columns
    Source      the sentences of INTEGER_AXES["integer_matmul"]

    >>> from tinycompress.verify.axes import default_point
    >>> integer_matmul(default_point("integer_matmul").__getitem__, [[1, 2]], [[3], [4]], 1, (1, 0), ((8, True), (8, True)))
    [4]
    """
    rule = pick("zeros") if any(zeros) else "both"
    sign = 1 if rule == "added" else -1
    shift = [sign * z if rule in (side, "both", "added") else 0 for z, side in zip(zeros, ("a_only", "b_only"), strict=True)]
    left = [[v + shift[0] for v in row] for row in a]
    right = [[v + shift[1] for v in row] for row in b]
    for i, matrix in enumerate((left, right)):
        bits, signed = formats[i]
        wrapped = [[_wrap(v, bits, signed) for v in row] for row in matrix]
        if wrapped != matrix and pick("difference") == "wraps":
            matrix[:] = wrapped
    return [
        _sum(pick, [v * right[k][j] for k, v in enumerate(row)], [*enumerate(a[i])], [row[j] for row in b], zeros, rule)
        for i, row in enumerate(left)
        for j in range(columns)
    ]


def _sum(
    pick: Pick, terms: list[int], raw: list[tuple[int, int]], column: list[int], zeros: tuple[int, int], rule: str
) -> int:
    if rule == "uncorrected":
        terms = [v * column[k] - zeros[0] * column[k] - v * zeros[1] for k, v in raw]
    exact, partial, seen = sum(terms), 0, []
    for term in terms:
        partial += term
        seen.append(partial)
    if all(abs(v) < 1 << 15 for v in seen) and all(abs(v) < 1 << 15 for v in terms):
        if all(abs(terms[k] + terms[k + 1]) < 1 << 15 for k in range(0, len(terms) - 1, 2)):
            return exact
    accumulator = pick("accumulator")
    if accumulator == "int16_wrap":
        return _wrap(exact, 16, True)
    if accumulator == "int16_saturate":
        partial = 0
        for term in terms:
            partial = max(-(1 << 15), min((1 << 15) - 1, partial + term))
        return partial
    if accumulator == "int16_pairs":
        pairs = [sum(terms[k : k + 2]) for k in range(0, len(terms), 2)]
        return sum(max(-(1 << 15), min((1 << 15) - 1, pair)) for pair in pairs)
    if accumulator == "float32":
        number = Fraction(0)
        for term in terms:
            rounded = fl32(number + term)
            number = rounded if isinstance(rounded, Fraction) else number
        return int(number)
    return exact


def _place(order: str, i: int, bits: int, size: int) -> tuple[int, int]:
    """(byte, shift) of element i among `size` bytes."""
    per = 8 // bits
    byte, slot = (i // per, i % per) if order in ("low_first", "high_first") else (i % size, i // size)
    return byte, bits * (slot if order in ("low_first", "split_low") else per - 1 - slot)


def pack(pick: Pick, codes: Sequence[int], bits: int) -> list[int]:
    """Return the bytes of unsigned codes.

    Shapes      takes lists
    Source      the sentences of INTEGER_AXES["pack"]

    >>> from tinycompress.verify.axes import default_point
    >>> pack(default_point("pack").__getitem__, [1, 2, 3], 4)
    [33, 3]
    """
    size = -(-len(codes) * bits // 8)
    order = "low_first" if bits == 8 or not codes else pick("order")
    buffer, used = [0] * size, [0] * size
    for i, q in enumerate(codes):
        byte, shift = _place(order, i, bits, size)
        buffer[byte] |= q << shift
        used[byte] |= ((1 << bits) - 1) << shift
    if any(u != 255 for u in used) and pick("padding") == "ones":
        buffer = [v | 255 - u for v, u in zip(buffer, used, strict=True)]
    return buffer


def unpack(pick: Pick, buffer: Sequence[int], bits: int, count: int) -> list[int]:
    """Return the first `count` codes.

    Shapes      takes lists
    Source      the sentences of INTEGER_AXES["unpack"]

    >>> from tinycompress.verify.axes import default_point
    >>> unpack(default_point("unpack").__getitem__, [33, 3], 4, 3)
    [1, 2, 3]
    """
    order = "low_first" if bits == 8 or not count else pick("order")
    places = [_place(order, i, bits, -(-count * bits // 8)) for i in range(count)]
    codes = [buffer[byte] >> shift & (1 << bits) - 1 for byte, shift in places]
    if any(q >> bits - 1 for q in codes) and pick("sign") == "signed":
        codes = [_wrap(q, bits, True) for q in codes]
    return codes


def _count(pick: Pick, n: int, sparsity: float) -> int:
    fl = fl64 if pick("product") == "float64" else fl32
    base = n if pick("base") == "n" else n - 1
    share = fl(Fraction(sparsity))
    kept = pick("of") == "kept"
    if kept and isinstance(share, Fraction):
        share = fl(1 - share)
    product = fl(share * base)
    if not isinstance(product, Fraction):
        raise Undefined
    rounded = int(product) if product.denominator == 1 else ROUND[pick("rounding")](product)
    k = (base - rounded if kept else rounded) + int(pick("offset"))
    return max(0, min(k, n))


def magnitude_mask(pick: Pick, w: Sequence[float], sparsity: float, single: bool) -> list[bool]:
    """Return which entries are kept, in C order; `single` says that w is float32.

    Shapes      takes lists
    Source      the sentences of INTEGER_AXES["magnitude_mask"]

    >>> from tinycompress.verify.axes import default_point
    >>> magnitude_mask(default_point("magnitude_mask").__getitem__, [1.0, -1.0, 2.0], 0.5, True)
    [False, False, True]
    """
    n = len(w)
    if n == 0:
        return []
    k = _count(pick, n, sparsity)
    if k == n and pick("minimum") == "one":
        k = n - 1
    exact = [Fraction(v) for v in w]
    rule = pick("score")
    fl = fl32 if single else fl64
    scores = [fl(v * v) if rule == "square" else v if rule == "signed" else abs(v) for v in exact]
    order = sorted(range(n), key=lambda i: (scores[i], i))
    if 0 < k < n and scores[order[k - 1]] == scores[order[k]]:
        edge, threshold = scores[order[k]], pick("threshold")
        if threshold == "keep_all":
            return [s >= edge for s in scores]
        if threshold == "prune_all":
            return [s > edge for s in scores]
        if pick("ties") == "high_first":
            order = sorted(range(n), key=lambda i: (scores[i], -i))
    pruned = set(order[:k])
    return [i not in pruned for i in range(n)]


def n_m_mask(pick: Pick, w: Sequence[float], shape: tuple[int, ...], keep: int, group: int) -> list[bool]:
    """Return which entries are kept, in C order.

    Shapes      takes lists; shape of w
    Raises      Refused where the point refuses a short last group
    Source      the sentences of INTEGER_AXES["n_m_mask"]

    >>> from tinycompress.verify.axes import default_point
    >>> n_m_mask(default_point("n_m_mask").__getitem__, [1.0, 1.0, 3.0, 2.0, 5.0], (5,), 2, 4)
    [False, False, True, True, True]
    """
    axis = pick("axis") if len(shape) > 1 else "last"
    size, mask = len(w), [False] * len(w)
    columns = shape[-1] if shape else 1
    if axis == "first":
        lines = [list(range(start, size, size // shape[0])) for start in range(size // shape[0])]
    elif axis == "flat" or not columns:
        lines = [list(range(size))]
    else:
        lines = [list(range(start, start + columns)) for start in range(0, size, columns)]
    for line in lines:
        for start in range(0, len(line), group):
            for i in _group(pick, line[start : start + group], w, keep, group):
                mask[i] = True
    return mask


def _group(pick: Pick, members: list[int], w: Sequence[float], keep: int, group: int) -> list[int]:
    wanted = keep if 2 * keep == group or pick("of") == "kept" else group - keep
    missing = group - len(members)
    if missing:
        ragged = pick("ragged")
        if ragged == "error":
            raise Refused
        if ragged in ("keep_all", "prune_all"):
            return members if ragged == "keep_all" else []
        missing = missing if ragged == "zero_pad" else 0
    signed = any(w[i] < 0 for i in members) and pick("score") == "signed"
    scored = [(w[i] if signed else abs(w[i]), i) for i in members] + [(0.0, -1)] * missing
    ranks = {len(scored) - 1 - p: s for p, s in enumerate(sorted(range(len(scored)), key=lambda j: scored[j][0]))}
    cut = [scored[ranks[j]][0] for j in (wanted - 1, wanted) if j in ranks]
    tied = len(cut) == 2 and cut[0] == cut[1] and wanted > 0
    high = tied and pick("ties") == "high_kept"
    order = sorted(range(len(scored)), key=lambda j: (-scored[j][0], -j if high else j))
    return [scored[j][1] for j in order[:wanted] if scored[j][1] >= 0]
