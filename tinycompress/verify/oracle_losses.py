"""The exact oracle for softmax and the losses, in decimals of 60 digits, each number with the bound that correct programs keep.

Bound       with a = z / T, A = max |a| of a row and C classes, a computed log p_c is off by at most
            e = u (8 A + 2 C + 16): two roundings of a, the shift, exp, the sum, log, the difference           (1)
            and p_c by the factor 1 + e. Everything below carries (1) through its formula, to first order, times 2.

Letters     z logits, T temperature, p probabilities, l log p, N rows, C classes, u unit roundoff
Not here: layers (oracle_layers), metrics (oracle_metrics). Read next: oracle_metrics.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from tinycompress.verify.exact import decimals, exp, log, total
from tinycompress.verify.oracle_grids import Pick
from tinycompress.verify.oracle_layers import SMALLEST, Bounded, Matrix

Row = list[Decimal]


def log_softmax(row: Sequence[float | Decimal], factor: Decimal, u: float) -> tuple[Row, float]:
    """Return log softmax(z factor) of one row, and the bound (1) of each.

    Shapes      row (C,) -> (C,)
    Source      the definition

    >>> [round(float(l), 6) for l in log_softmax([0.0, 0.0], Decimal(1), 2.0**-53)[0]]
    [-0.693147, -0.693147]
    """
    c = decimals()
    a = [c.multiply(Decimal(z), factor) for z in row]
    top = max(a)
    norm = c.add(top, log(total([exp(c.subtract(v, top)) for v in a])))
    return [c.subtract(v, norm) for v in a], u * (8 * float(max(map(abs, a))) + 2 * len(a) + 16)


def _lines(matrix: Matrix, factor: Decimal, u: float, across: bool) -> tuple[list[Row], list[float]]:
    """log softmax of each row; across: over the rows of each column, handed back row by row."""
    if across:
        columns, errors = _lines(list(zip(*matrix, strict=True)), factor, u, False)
        return [list(row) for row in zip(*columns, strict=True)], [max(errors, default=0.0)] * len(matrix)
    pairs = [log_softmax(row, factor, u) for row in matrix]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def softmax(pick: Pick, z: Matrix, temperature: float, u: float) -> list[Bounded]:
    """Return softmax(z / T) in C order.

    Shapes      z (N, C) -> N C terms
    Source      the sentences of FLOAT_AXES["softmax"]

    >>> from tinycompress.verify.axes import default_point
    >>> [float(p) for p, _ in softmax(default_point("softmax").__getitem__, [[1.0, 1.0]], 2.0, 2.0**-53)]
    [0.5, 0.5]
    """
    t = Decimal(temperature)
    rule = pick("temperature") if t != 1 else "ignored"
    factor = {"divide": decimals().divide(Decimal(1), t), "multiply": t, "ignored": Decimal(1)}[rule]
    axis = pick("axis")
    rows = [[v for row in z for v in row]] if axis == "all" else z
    logs, errors = _lines(rows, factor, u, axis == "first")
    return [(exp(v), 2 * float(exp(v)) * e + SMALLEST[u]) for row, e in zip(logs, errors, strict=True) for v in row]


def cross_entropy(pick: Pick, z: Matrix, labels: Sequence[int], u: float) -> Bounded:
    """Return the mean over rows of -log p_y.

    Shapes      z (N, C), labels (N,)
    Source      the sentences of FLOAT_AXES["cross_entropy"]

    >>> from tinycompress.verify.axes import default_point
    >>> round(float(cross_entropy(default_point("cross_entropy").__getitem__, [[0.0, 0.0]], [1], 2.0**-53)[0]), 6)
    0.693147
    """
    logs, errors = _lines(z, Decimal(1), u, pick("axis") == "rows")
    share = _share(pick, len(z), len(z[0]))
    if pick("base") == "two":
        share *= log(Decimal(2))
    picked = [row[y] for row, y in zip(logs, labels, strict=True)]
    bound = sum(e + float(-v) * u * (len(z) + 8) for v, e in zip(picked, errors, strict=True))
    sign = -1 if pick("sign") == "positive" else 1
    return decimals().divide(sign * total(picked), share), 2 * bound / float(share)


def _share(pick: Pick, rows: int, columns: int) -> Decimal:
    """What a sum over everything is divided by."""
    return Decimal({"batchmean": rows, "mean": rows * columns, "sum": 1, "two_classes": 2 * rows}[
        "batchmean" if (rule := pick("reduction")) == "mean" and columns == 0 else rule])  # fmt: skip


def cross_entropy_backward(pick: Pick, z: Matrix, labels: Sequence[int], u: float) -> list[Bounded]:
    """Return (p - onehot) / N in C order.

    Shapes      z (N, C), labels (N,) -> N C terms
    Source      the sentences of FLOAT_AXES["cross_entropy_backward"]

    >>> from tinycompress.verify.axes import default_point
    >>> pick = default_point("cross_entropy_backward").__getitem__
    >>> [float(d) for d, _ in cross_entropy_backward(pick, [[0.0, 0.0]], [1], 2.0**-53)]
    [0.5, -0.5]
    """
    logs, errors = _lines(z, Decimal(1), u, pick("axis") == "rows")
    share, target = _share(pick, len(z), len(z[0])), pick("target")
    sign = -1 if target == "negated" else 1
    answers: list[Bounded] = []
    for row, y, e in zip(logs, labels, errors, strict=True):
        for j, v in enumerate(row):
            p, one = exp(v), int(j == y and target != "missing")
            bound = (float(p) * (e + 8 * u) + 8 * u * one) * 2 / float(share) + SMALLEST[u]
            answers.append((decimals().divide(sign * (p - one), share), bound))
    return answers


def _two(pick: Pick, z: Sequence[float]) -> list[list[float]]:
    return [[0.0, v] for v in z] if pick("logits") == "zero_z" else [[-v, v] for v in z]


def _tempered(pick: Pick, temperature: float) -> tuple[Decimal, Decimal, Decimal]:
    """(what student logits are multiplied by, teacher logits, the factor of the loss)."""
    t, one = Decimal(temperature), Decimal(1)
    if t == 1:
        return one, one, one
    rule, inverse = pick("temperature"), decimals().divide(one, t)
    # inner_forgotten, of a gradient only: T^3 over the inner T that is applied below
    factor = {"squared": t * t, "linear": t, "none": one, "inner_forgotten": t * t * t}[pick("factor")]
    return one if rule == "teacher_only" else inverse, one if rule == "student_only" else inverse, factor


def kd_loss(pick: Pick, z_s: Matrix | Sequence[float], z_t: Matrix | Sequence[float], temperature: float, u: float,
            binary: bool = False) -> Bounded:  # fmt: skip
    """Return T^2 KL(teacher, student), a sum over classes and a mean over rows.

    Shapes      z_s, z_t (N, C); binary: (N,)
    Source      the sentences of FLOAT_AXES["kd_loss"] and ["binary_kd_loss"]

    >>> from tinycompress.verify.axes import default_point
    >>> float(kd_loss(default_point("kd_loss").__getitem__, [[1.0, 0.0]], [[1.0, 0.0]], 2.0, 2.0**-53)[0])
    0.0
    """
    c = decimals()
    f_s, f_t, factor = _tempered(pick, temperature)
    student, teacher, across = _prepare(pick, z_s, z_t, binary)
    (l_s, e_s), (l_t, e_t) = _lines(student, f_s, u, across), _lines(teacher, f_t, u, across)
    direction, terms, bound = pick("direction"), [], 0.0
    for s, t, ds, dt in zip(l_s, l_t, e_s, e_t, strict=True):
        for a, b in zip(s, t, strict=True):
            weight = exp(a if direction == "reverse" else b)
            difference = c.subtract(a, b) if direction == "reverse" else -a if direction == "cross_entropy" else c.subtract(b, a)
            terms.append(c.multiply(weight, difference))
            size = float(-a) + float(-b)
            bound += float(weight) * (ds + dt + size * (ds + dt + u * (len(z_s) + len(s) + 8)))
    scale = c.divide(factor, _share(pick, len(z_s), 0 if binary else len(l_s[0])))
    value = c.multiply(scale, total(terms))
    return value, 2 * float(scale) * bound + 8 * u * abs(float(value)) + SMALLEST[u]


def _prepare(pick: Pick, z_s: object, z_t: object, binary: bool) -> tuple[Matrix, Matrix, bool]:
    if binary:
        return _two(pick, z_s), _two(pick, z_t), False  # type: ignore[arg-type]
    across = pick("axis") == "rows"
    return z_s, z_t, across  # type: ignore[return-value]


def kd_loss_backward(pick: Pick, z_s: Matrix | Sequence[float], z_t: Matrix | Sequence[float], temperature: float, u: float,
                     binary: bool = False) -> list[Bounded]:  # fmt: skip
    """Return T (p_s - p_t) / N in C order.

    Shapes      z_s, z_t (N, C) -> N C terms; binary: (N,) -> N terms
    Source      the sentences of FLOAT_AXES["kd_loss_backward"] and ["binary_kd_loss_backward"]

    >>> from tinycompress.verify.axes import default_point
    >>> pick = default_point("binary_kd_loss_backward").__getitem__
    >>> float(kd_loss_backward(pick, [0.0], [0.0], 2.0, 2.0**-53, binary=True)[0][0])
    0.0
    """
    c = decimals()
    f_s, f_t, factor = _tempered(pick, temperature)
    student, teacher = (_two(pick, z_s), _two(pick, z_t)) if binary else (z_s, z_t)  # type: ignore[arg-type]
    (l_s, e_s), (l_t, e_t) = _lines(student, f_s, u, False), _lines(teacher, f_t, u, False)  # type: ignore[arg-type]
    scale = c.divide(c.multiply(factor, f_s), _share(pick, len(z_s), 0 if binary else len(l_s[0])))
    reverse, answers = pick("direction") == "reverse", list[Bounded]()
    for s, t, ds, dt in zip(l_s, l_t, e_s, e_t, strict=True):
        p, q = [exp(a) for a in s], [exp(b) for b in t]
        kl = total([c.multiply(x, c.subtract(a, b)) for x, a, b in zip(p, s, t, strict=True)])
        row = []
        for x, y, a, b in zip(p, q, s, t, strict=True):
            if reverse:
                r = c.subtract(a, b)
                size = float(abs(a)) + float(abs(b)) + abs(float(kl))
                row.append((c.multiply(x, c.subtract(r, kl)), float(x) * (2 * (ds + dt) + size * (ds + dt + 16 * u))))
            else:
                # A program may form z_s - z_t first, so each error can meet both probabilities; one that shifts a whole block by
                # its maximum loses what is below 2^-500 of it, which hides no convention.
                row.append((c.subtract(x, y), (float(x) + float(y)) * (ds + dt + 16 * u) + 2.0**-500))
        if binary:
            low = row[0] if pick("logits") == "symmetric" else (Decimal(0), 0.0)
            row = [(c.subtract(row[1][0], low[0]), row[1][1] + low[1])]
        answers += [(c.multiply(scale, v), 2 * float(scale) * bound + SMALLEST[u]) for v, bound in row]
    return answers
