"""Divergences of softened rows in 60-digit decimal arithmetic, written from the definitions: slow, obvious, no series."""

import decimal
from decimal import Decimal

CONTEXT = decimal.Context(prec=60, Emin=-(10**9), Emax=10**9)


def log_softmax(logits, temperature):
    with decimal.localcontext(CONTEXT):
        u = [Decimal(float(z)) / Decimal(float(temperature)) for z in logits]
        top = max(u)
        log_sum = top + sum((x - top).exp() for x in u).ln()
        return [x - log_sum for x in u]


def divergence(student, teacher, temperature, kind="forward_kl"):
    """(the divergence of one row, its slope by z_s / T) as Decimals."""
    with decimal.localcontext(CONTEXT):
        s, t = log_softmax(student, temperature), log_softmax(teacher, temperature)
        p_s, p_t = [x.exp() for x in s], [x.exp() for x in t]
        if kind == "forward_kl":
            return sum(p * (b - a) for p, a, b in zip(p_t, s, t, strict=True)), [q - p for p, q in zip(p_t, p_s, strict=True)]
        if kind == "cross_entropy":
            return -sum(p * a for p, a in zip(p_t, s, strict=True)), [q - p for p, q in zip(p_t, p_s, strict=True)]
        if kind == "reverse_kl":
            r = [a - b for a, b in zip(s, t, strict=True)]
            total = sum(q * x for q, x in zip(p_s, r, strict=True))
            return total, [q * (x - total) for q, x in zip(p_s, r, strict=True)]
        assert kind == "jensen_shannon"
        m = [((p + q) / 2).ln() for p, q in zip(p_t, p_s, strict=True)]
        total = sum(p * (b - c) + q * (a - c) for p, q, a, b, c in zip(p_t, p_s, s, t, m, strict=True)) / 2
        h = [a - c for a, c in zip(s, m, strict=True)]
        mean = sum(q * x for q, x in zip(p_s, h, strict=True))
        return total, [q * (x - mean) / 2 for q, x in zip(p_s, h, strict=True)]


def kd_loss(student, teacher, temperature):
    """T^2 KL, a mean over the rows."""
    with decimal.localcontext(CONTEXT):
        t = Decimal(float(temperature))
        return t * t * sum(divergence(a, b, temperature)[0] for a, b in zip(student, teacher, strict=True)) / len(student)
