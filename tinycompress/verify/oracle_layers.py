"""The exact oracle for the linear layer and the optimizer, each number with the bound that any correct float program keeps.

A term is (exact value, bound). The bound is first order in the unit roundoff u of the input's dtype, times 2: however the sum is
ordered, fused or widened, |answer - value| <= bound.

Letters     x (B, I), w (I, O), b (O,), dy (B, O); p parameter, g gradient, m and v moments, u unit roundoff
Not here: losses (oracle_losses). Read next: oracle_losses.
"""
from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

from tinycompress.verify.exact import decimals
from tinycompress.verify.oracle_grids import Pick, Refused, Undefined

Bounded = tuple[Fraction | Decimal, float]
Matrix = Sequence[Sequence[float]]
SMALLEST = {2.0**-24: 2.0**-126, 2.0**-53: 2.0**-1022}  # by unit roundoff: below it, rounding errors are no longer relative


def dot(a: Sequence[float], b: Sequence[float], u: float, extra: float = 0.0, share: int = 1) -> Bounded:
    """Return (sum a b + extra) / share and its bound gamma_(n+2) (sum |a b| + |extra|) / share.

    Shapes      a, b lists of one length
    Source      Higham, Accuracy and Stability of Numerical Algorithms, 3.1

    >>> float(dot([1.0, 2.0], [3.0, 4.0], 2.0**-53)[0])
    11.0
    """
    terms = [Fraction(x) * Fraction(y) for x, y in zip(a, b, strict=True)] + [Fraction(extra)]
    bound = 2 * (len(terms) + 2) * u * float(sum(map(abs, terms)) / share)
    return sum(terms, Fraction(0)) / share, bound + len(terms) * SMALLEST[u]


def linear(pick: Pick, x: Matrix, w: Matrix, b: Sequence[float], u: float) -> list[Bounded]:
    """Return y = x w + b in C order.

    Shapes      x (B, I), w (I, O), b (O,) -> B O terms
    Raises      Refused where a transposed layout does not fit
    Source      the sentences of FLOAT_AXES["linear"]

    >>> from tinycompress.verify.axes import default_point
    >>> float(linear(default_point("linear").__getitem__, [[1.0, 2.0]], [[1.0], [3.0]], [0.5], 2.0**-53)[0][0])
    7.5
    """
    columns = _columns(w, pick("layout") == "outputs_inputs", len(b))
    sign = {"added": 1, "missing": 0, "subtracted": -1}[pick("bias")] if any(b) else 1
    if any(len(row) != len(column) for row in x for column in columns):
        raise Refused
    return [dot(row, column, u, sign * bias) for row in x for column, bias in zip(columns, b, strict=True)]


def _columns(w: Matrix, transposed: bool, outputs: int) -> list[list[float]]:
    if transposed:
        if len(w) != outputs:
            raise Refused
        return [list(row) for row in w]
    return [[row[j] for row in w] for j in range(outputs)]


def linear_backward(pick: Pick, dy: Matrix, x: Matrix, w: Matrix, outputs: int, u: float) -> tuple[list[Bounded], ...]:
    """Return dx, dw, db in C order.

    Shapes      dy (B, O), x (B, I), w (I, O) -> B I, I O, O terms
    Raises      Refused where a transposed layout does not fit
    Source      the sentences of FLOAT_AXES["linear_backward"]

    >>> from tinycompress.verify.axes import default_point
    >>> pick = default_point("linear_backward").__getitem__
    >>> [float(part[0][0]) for part in linear_backward(pick, [[2.0]], [[3.0]], [[5.0]], 1, 2.0**-53)]
    [10.0, 6.0, 2.0]
    """
    inputs = len(w)
    if pick("layout") == "outputs_inputs":
        if inputs != outputs:
            raise Refused
        rows = [[row[i] for row in w] for i in range(outputs)]
    else:
        rows = [list(row) for row in w]
    dx = [dot(d, row, u) for d in dy for row in rows]
    n, one = max(len(x), 1), [1.0] * len(dy)
    dw_rule = pick("dw")
    pairs = [(i, j) for i in range(inputs) for j in range(outputs)]
    if dw_rule == "transposed":
        if inputs != outputs:
            raise Undefined
        pairs = [(j, i) for i, j in pairs]
    share = n if n > 1 and dw_rule == "mean" else 1
    dw = [dot([r[i] for r in x], [d[j] for d in dy], u, share=share) for i, j in pairs]
    share = n if n > 1 and pick("db") == "mean" else 1
    db = [dot(one, [d[j] for d in dy], u, share=share) for j in range(outputs)]
    return dx, dw, db


def adam_step(
    pick: Pick, p: float, g: float, m: float, v: float, t: int, hyper: tuple[float, float, float, float], u: float
) -> tuple[Bounded, Bounded, Bounded]:
    """Return p, m, v of one entry after a step; hyper = (lr, beta1, beta2, eps).

    Shapes      takes numbers
    Raises      Undefined where the point says nothing about such an input
    Source      Kingma and Ba 2015, algorithm 1; the sentences of FLOAT_AXES["adam_step"]

    >>> from tinycompress.verify.axes import default_point
    >>> pick = default_point("adam_step").__getitem__
    >>> [float(part[0]) for part in adam_step(pick, 1.0, 4.0, 0.0, 0.0, 1, (0.5, 0.5, 0.75, 0.0), 2.0**-53)]
    [0.5, 2.0, 4.0]
    """
    c = decimals()
    lr, beta1, beta2, eps = map(Decimal, hyper)
    one = Decimal(1)
    power = t + 1 if pick("count") == "next" else t
    parts, errors = [], []
    slope = Decimal(g)
    for old, gradient, beta in ((m, slope, beta1), (v, c.multiply(slope, slope), beta2)):
        a, b = c.multiply(beta, Decimal(old)), c.multiply(one - beta, gradient)
        parts.append(c.add(a, b))
        # subtle: 1 - beta loses bits where beta is itself rounded to the working format: u / (1 - beta), not u
        errors.append(u * (6 * float(abs(a)) + (6 + float(one / (one - beta))) * float(abs(b))) + SMALLEST[u])
    m1, v1 = parts
    rule = pick("correction")
    c1 = one - c.power(beta1, power) if rule in ("both", "first_only") else one
    c2 = one - c.power(beta2, power) if rule in ("both", "second_only") else one
    m_hat, v_hat = c.divide(m1, c1), c.divide(v1, c2)
    place = pick("epsilon")
    if pick("root") == "missing":
        below = c.add(v_hat, eps)
    elif place == "inside":
        below = c.sqrt(c.add(v_hat, eps))
    elif place == "before_correction":
        below = c.divide(c.add(c.sqrt(v1), eps), c.sqrt(c2))
    else:
        below = c.add(c.sqrt(v_hat), eps if place == "outside" else Decimal(0))
    if below == 0:
        raise Undefined
    step = c.divide(c.multiply(lr, m_hat), below)
    p1 = c.subtract(Decimal(p), step) if pick("direction") == "down" else c.add(Decimal(p), step)
    relative = (errors[1] / float(v1) if v1 else 0.0) + u * (20 + 4 * power / min(float(c1), float(c2)))
    relative += u / float(one - beta1) + u / float(one - beta2)
    spread = float(lr) * errors[0] / float(c1) / float(below) + abs(float(step)) * relative
    p_error = 2 * spread + 4 * u * (abs(p) + abs(float(step)))
    if pick("returned") == "corrected":
        return (p1, p_error), (m_hat, 2 * (errors[0] + abs(float(m1)) * relative) / float(c1)), (
            v_hat, 2 * (errors[1] + float(v1) * relative) / float(c2))  # fmt: skip
    return (p1, p_error), (m1, 2 * errors[0]), (v1, 2 * errors[1])
