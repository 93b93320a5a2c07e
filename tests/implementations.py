"""Implementations written elsewhere: wrong ones with the axis that names the mistake (None: no axis has it), and right ones.

None shares a line with the package. A wrong one is what people really write; a right one has another formula, a loop, float64
inside.
"""

import itertools
import math

import numpy as np

F = np.float32


def softmax(z, axis=-1):
    e = np.exp(z - z.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def logp(z):
    m = z.max(axis=-1, keepdims=True)
    return z - m - np.log(np.exp(z - m).sum(axis=-1, keepdims=True))


def half_away(v):
    return np.sign(v) * np.floor(np.abs(v) + np.asarray(0.5, v.dtype)) if v.size else v


def quantizer(rounding=np.rint, scaled=lambda x, s: x / s, before=False, nan="qmin", wrap=False, cast=None, offset=0,
    after_clamp=False):
    def quantize(x, scale, zero_point, qmin, qmax):
        s = F(scale)
        if np.isnan(x).any():
            if nan == "error":
                raise ValueError("NaN")
        v = np.asarray(scaled(x, s))
        v = rounding(v + v.dtype.type(zero_point)) if before else rounding(v)
        z = 0 if before else zero_point
        if wrap:
            whole = np.where(np.isfinite(v) & (np.abs(v) < 2**31), v, -(2**31)).astype(np.int64) + z
            return (whole - qmin) % (qmax - qmin + 1) + qmin
        if cast is not None:
            v = np.where((v >= -(2**31)) & (v < 2**31), v, -(2**31)).astype(np.int64)
            return np.clip((v + z + 2**31) % 2**32 - 2**31, qmin, qmax)
        v = v.astype(np.float64)
        if after_clamp:
            q = np.clip(v, qmin, qmax) + z
        else:
            q = np.clip(v + z, qmin + offset, qmax)
        q = np.where(np.isnan(q), {"qmin": qmin, "qmax": qmax, "zero": 0, "error": 0}[nan], q)
        return q.astype(np.int32)

    return quantize


def tail(quantize):
    """The last n mod 8 entries are rounded half away."""
    def wrong(x, scale, zero_point, qmin, qmax):
        q = np.array(quantize(x, scale, zero_point, qmin, qmax))
        if x.ndim == 1 and x.size % 8:
            k = x.size % 8
            q[-k:] = quantizer(half_away)(x[-k:], scale, zero_point, qmin, qmax)
        return q

    return wrong


def stateful(function):
    calls = itertools.count()
    return lambda *a: function(*a) + (1 if next(calls) % 5 == 4 else 0)


def in_place(function):
    def wrong(x, *rest):
        x *= 1
        x += 1
        return function(x, *rest)

    return wrong


def fake(mask=None, **how):
    quantize = quantizer(**how)
    return lambda x, s, z, a, b: F((quantize(x, s, z, a, b) - z) * F(s))


def straight_through(mask):
    return lambda dy, x, s, z, a, b: np.where(mask(x, F(s), z, a, b), dy, F(0))


def requantizer(dtype=F, rounding=np.rint, before=False):
    def requantize(acc, multiplier, zero_point, qmin, qmax):
        v = acc.astype(dtype) * dtype(multiplier)
        v = rounding(v + dtype(zero_point)) if before else rounding(v).astype(np.float64) + zero_point
        return np.clip(v.astype(np.float64), qmin, qmax).astype(np.int64)

    return requantize


def double_rounding(acc, multiplier, zero_point, qmin, qmax):
    if multiplier <= 0:
        raise NotImplementedError
    fraction, shift = math.frexp(multiplier)
    mantissa = int(math.floor(fraction * 2**31 + 0.5))
    if mantissa == 2**31:
        mantissa, shift = mantissa // 2, shift + 1
    out = []
    for a in acc.ravel().tolist():
        high = ((a << max(shift, 0)) * mantissa + (1 << 30)) >> 31
        right = max(-shift, 0)
        if right:
            rest, threshold = high & ((1 << right) - 1), ((1 << right) - 1 >> 1) + (high < 0)
            high = (high >> right) + (rest > threshold)
        out.append(min(max(high + zero_point, qmin), qmax))
    return np.array(out).reshape(acc.shape)


def matmul(a, b, za, zb):
    return (a.astype(np.int64) - za) @ (b.astype(np.int64) - zb)


def pack_with(order):
    def pack(codes, bits):
        per, out = 8 // bits, []
        for i in range(0, len(codes), per):
            group = [int(c) for c in codes[i : i + per]] + [0] * (per - len(codes[i : i + per]))
            out.append(sum(c << bits * (j if order == "low" else per - 1 - j) for j, c in enumerate(group)))
        return bytes(out)

    return pack


def unpack_with(order):
    def unpack(buffer, bits, count):
        per = 8 // bits
        slots = [i % per if order == "low" else per - 1 - i % per for i in range(count)]
        return [buffer[i // per] >> bits * slot & (1 << bits) - 1 for i, slot in enumerate(slots)]

    return unpack


def pruner(count=lambda n, s: round(s * n), high=False, threshold=None, score=np.abs):
    def magnitude_mask(w, sparsity):
        a = score(w).ravel()
        n = a.size
        k = min(max(int(count(n, float(sparsity))), 0), n)
        order = np.argsort(a, kind="stable") if not high else n - 1 - np.argsort(a[::-1], kind="stable")
        mask = np.ones(n, bool)
        mask[order[:k]] = False
        if threshold == "percentile" and n:
            mask = a > (np.sort(a)[k - 1] if k else -1)
        if threshold == "keep" and 0 < k < n:
            mask = a >= np.sort(a)[k]
        return mask.reshape(w.shape)

    return magnitude_mask


def n_m(high=False, pruned=False, ragged=None, score=np.abs):
    def n_m_mask(w, keep, group):
        flat, columns = w.reshape(-1, w.shape[-1]) if w.ndim > 1 else w.reshape(1, -1), w.shape[-1]
        mask = np.zeros(flat.shape, bool)
        for r in range(flat.shape[0]):
            for g in range(0, columns, group):
                part = score(flat[r, g : g + group])
                if ragged == "all" and part.size < group:
                    mask[r, g : g + group] = True
                    continue
                wanted = group - keep if pruned else keep
                order = sorted(range(part.size), key=lambda i: (-part[i], -i if high else i))
                for i in order[:wanted]:
                    mask[r, g + i] = True
        return mask.reshape(w.shape)

    return n_m_mask


def kd(scale=lambda t: t * t, share=lambda z: len(z), reverse=False, entropy=True, student_t=True):
    def kd_loss(z_s, z_t, t):
        a, b = logp(z_s / t if student_t else z_s), logp(z_t / t)
        if reverse:
            a, b = b, a
        terms = np.exp(b) * ((b if entropy else 0) - a)
        return scale(t) * terms.sum() / share(z_s)

    return kd_loss


def kd_gradient(scale=lambda t: t, share=lambda z: len(z), sign=1):
    return lambda z_s, z_t, t: sign * scale(t) * (softmax(z_s / t) - softmax(z_t / t)) / share(z_s)


def two(z, symmetric=False):
    return np.stack([-z if symmetric else np.zeros_like(z), z], axis=1)


def binary(symmetric=False, **how):
    loss = kd(**how)
    return lambda z_s, z_t, t: loss(two(z_s, symmetric), two(z_t, symmetric), t)


def binary_gradient(scale=lambda t: t, symmetric=False):
    def backward(z_s, z_t, t):
        f = 2 if symmetric else 1
        return f * scale(t) * (1 / (1 + np.exp(-f * z_s / t)) - 1 / (1 + np.exp(-f * z_t / t))) / len(z_s)

    return backward


def adam(inside=False, correct=True, next_step=False, before=False):
    def adam_step(p, g, m, v, t, lr, b1, b2, eps):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g * g
        t = t + 1 if next_step else t
        mh, vh = (m / (1 - b1**t), v / (1 - b2**t)) if correct else (m, v)
        if before:
            return p - lr * np.sqrt(1 - b2**t) / (1 - b1**t) * m / (np.sqrt(v) + eps), m, v
        return p - lr * mh / (np.sqrt(vh + eps) if inside else np.sqrt(vh) + eps), m, v

    return adam_step


def rates(y, p, labels="union"):
    classes = sorted(set(y.tolist()) | (set(p.tolist()) if labels == "union" else set()))
    return [(sum((y == c) & (p == c)), sum(p == c), sum(y == c)) for c in classes]


def averaged(measure, labels="union", of_averages=False, weight=2, undefined=0.0):
    def one(tp, chosen, support, what):
        below = {"precision": chosen, "recall": support, "f1": (chosen + support) / 2}[what]
        return tp / below if below else undefined

    def metric(y_true, y_pred, average):
        rows = rates(y_true, y_pred, labels)
        if average == "micro":
            return one(*[sum(r[i] for r in rows) for i in range(3)], measure)
        w = [r[weight] if average == "weighted" else 1 for r in rows]
        mean = lambda what: sum(one(*r, what) * k for r, k in zip(rows, w)) / sum(w) if sum(w) else 0.0  # noqa: E731
        if of_averages and measure == "f1":
            a, b = mean("precision"), mean("recall")
            return 2 * a * b / (a + b) if a + b else 0.0
        return mean(measure)

    return metric


def auc_with(tie=0.5, empty=float("nan")):
    def auc(y_true, scores):
        pos, neg = scores[y_true == 1], scores[y_true == 0]
        if not len(pos) or not len(neg):
            return empty
        return float(np.mean([(a > b) + tie * (a == b) for a in pos for b in neg]))

    return auc


def ranker(measure, gain=lambda r: r, discount=lambda i: 1 / math.log2(i + 2), ties="expected", skip=False, ideal="k",
    below=None):
    def metric(scores, relevance, k):
        values = []
        for s, r in zip(np.asarray(scores, float), np.asarray(relevance, float)):
            n = min(k, len(s))
            if not (r > 0).any():
                values += [] if skip else [0.0]
                continue
            orders = [np.argsort(-s, kind="stable")]
            if ties == "expected":
                groups = [np.flatnonzero(s == v) for v in sorted(set(s.tolist()), reverse=True)]
                orders = [np.concatenate(c) for c in itertools.product(*[list(itertools.permutations(g)) for g in groups])]
            got = []
            for order in orders:
                top = r[list(order)][:n]
                if measure == "hit":
                    got.append(float((top > 0).any()) if below is None else (top > 0).sum() / below(n, r))
                else:
                    best = sorted(r, reverse=True)[: n if ideal == "k" else len(r)]
                    dcg = sum(gain(v) * discount(i) for i, v in enumerate(top))
                    got.append(dcg / sum(gain(v) * discount(i) for i, v in enumerate(best)))
            values.append(float(np.mean(got)))
        return float(np.mean(values)) if values else 0.0

    return metric


def inside(x, s, z, a, b):
    q = np.rint(x / s) + z
    return (q >= a) & (q <= b)


def qparams(widen=True, steps=lambda b: 2**b - 1, zero=None, degenerate=(1.0, 0), rounding=np.rint):
    def asymmetric_qparams(x, bits):
        lo, hi = (F(x.min()), F(x.max())) if x.size else (F(0), F(0))
        if widen:
            lo, hi = min(lo, F(0)), max(hi, F(0))
        if lo == hi:
            return degenerate
        s = F(F(hi - lo) / F(steps(bits)))
        qmin, qmax = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
        return s, int(np.clip(rounding(F(F(qmin) - F(lo / s))), qmin, qmax))

    return asymmetric_qparams


def absmax(divisor, empty=1.0, peak=np.abs):
    return lambda x, bits: F(peak(x).max() / F(divisor(bits))) if x.size and x.any() else empty


def exactly_away(v):
    wide = v.astype(np.float64)
    return np.sign(wide) * np.floor(np.abs(wide) + 0.5)


WRONG = [
    ("quantize", quantizer(exactly_away), {"rounding": "half_away"}),
    ("quantize", quantizer(half_away), {"rounding": "half_away_added"}),
    ("quantize", quantizer(np.trunc), {"rounding": "toward_zero"}),
    ("quantize", quantizer(np.floor), {"rounding": "floor"}),
    ("quantize", quantizer(np.ceil), {"rounding": "ceil"}),
    ("quantize", quantizer(lambda v: np.floor(v + v.dtype.type(0.5))), {"rounding": "half_up_added"}),
    ("quantize", quantizer(scaled=lambda x, s: x * (F(1) / s)), {"scaling": "reciprocal"}),
    ("quantize", quantizer(scaled=lambda x, s: x.astype(float) / float(s)), {"scaling": "divide64"}),
    ("quantize", quantizer(before=True), {"zero_point": "inside"}),
    ("quantize", quantizer(nan="qmax"), {"nan": "qmax"}),
    ("quantize", quantizer(nan="zero"), {"nan": "zero"}),
    ("quantize", quantizer(wrap=True), {"saturation": "wrap"}),
    ("quantize", quantizer(cast="int32"), {"saturation": "int32_first"}),
    ("quantize", quantizer(after_clamp=True), None),
    ("quantize", quantizer(offset=1), None),
    ("quantize", tail(quantizer()), None),
    ("quantize", stateful(quantizer()), None),
    ("quantize", in_place(quantizer()), None),
    ("quantize", lambda x, s, z, a, b: np.zeros(x.shape, int), None),
    ("quantize", lambda *a: None, None),
    ("dequantize", lambda q, s, z: F(F(q * F(s)) - F(z * F(s))), {"order": "products"}),
    ("dequantize", lambda q, s, z: F((q.astype(float) - z) * s), {"scale": "float64"}),
    ("dequantize", lambda q, s, z: F(q + z) * F(s), None),
    ("dequantize", lambda q, s, z: (q - q.dtype.type(z)).astype(q.dtype).astype(F) * F(s), {"difference": "wraps"}),
    ("fake_quantize", fake(rounding=half_away), {"rounding": "half_away_added"}),
    ("fake_quantize", fake(before=True), {"zero_point": "inside"}),
    ("fake_quantize_backward", straight_through(lambda x, s, z, a, b: np.ones(x.shape, bool)), {"mask": "everywhere"}),
    ("fake_quantize_backward", straight_through(lambda x, s, z, a, b: (x / s + z >= a) & (x / s + z <= b)),
    {"mask": "unrounded"}),
    ("fake_quantize_backward", lambda dy, x, s, z, a, b: dy * F(s) * inside(x, F(s), z, a, b), None),
    ("symmetric_qparams", absmax(lambda b: 2 ** (b - 1)), {"divisor": "minus_qmin"}),
    ("symmetric_qparams", absmax(lambda b: (2**b - 1) / 2), {"divisor": "half_range"}),
    ("symmetric_qparams", absmax(lambda b: 2 ** (b - 1) - 1, empty=0.0), {"degenerate": "zero"}),
    ("symmetric_qparams", absmax(lambda b: 2 ** (b - 1) - 1, peak=lambda x: x), {"peak": "largest"}),
    ("asymmetric_qparams", qparams(widen=False), {"widen": "no"}),
    ("asymmetric_qparams", qparams(steps=lambda b: 2**b), {"steps": "codes"}),
    ("asymmetric_qparams", qparams(rounding=half_away), {"rounding": "half_away"}),
    ("requantize", requantizer(np.float64), {"arithmetic": "float64"}),
    ("requantize", requantizer(rounding=half_away), {"rounding": "half_away_added"}),
    ("requantize", requantizer(before=True), {"zero_point": "before"}),
    ("requantize", double_rounding, {"arithmetic": "fixed_double", "rounding": "half_away"}),
    ("integer_matmul", lambda a, b, za, zb: a.astype(int) @ b.astype(int), {"zeros": "none"}),
    ("integer_matmul", lambda a, b, za, zb: (matmul(a, b, za, zb) + 2**15) % 2**16 - 2**15, {"accumulator": "int16_wrap"}),
    ("integer_matmul", lambda a, b, za, zb: matmul(a, b, za, 0), {"zeros": "a_only"}),
    ("pack", pack_with("high"), {"order": "high_first"}),
    ("unpack", unpack_with("high"), {"order": "high_first"}),
    ("magnitude_mask", pruner(lambda n, s: s * n), {"rounding": "floor"}),
    ("magnitude_mask", pruner(lambda n, s: math.ceil(s * n)), {"rounding": "ceil"}),
    ("magnitude_mask", pruner(lambda n, s: n - round((1 - s) * n)), {"of": "kept"}),
    ("magnitude_mask", pruner(lambda n, s: round(s * n) + 1), {"offset": "+1"}),
    ("magnitude_mask", pruner(threshold="percentile"), {"threshold": "prune_all"}),
    ("magnitude_mask", pruner(high=True), {"ties": "high_first"}),
    ("magnitude_mask", pruner(score=lambda w: w), {"score": "signed"}),
    ("magnitude_mask", lambda w, s: ~pruner()(w, s), None),
    ("n_m_mask", n_m(high=True), {"ties": "high_kept"}),
    ("n_m_mask", n_m(pruned=True), {"of": "pruned"}),
    ("n_m_mask", n_m(ragged="all"), {"ragged": "keep_all"}),
    ("linear", lambda x, w, b: x @ w, {"bias": "missing"}),
    ("linear_backward", lambda dy, x, w: (dy @ w.T, x.T @ dy, dy.mean(axis=0)), {"db": "mean"}),
    ("softmax", lambda z, t: softmax(z * t), {"temperature": "multiply"}),
    ("softmax", lambda z, t: softmax(z / t, 0), {"axis": "first"}),
    ("softmax", lambda z, t: np.exp(z / t) / np.exp(z / t).sum(axis=-1, keepdims=True), None),  # overflows
    ("cross_entropy", lambda z, y: -logp(z)[range(len(y)), y].sum(), {"reduction": "sum"}),
    ("cross_entropy_backward", lambda z, y: softmax(z) - np.eye(z.shape[1])[y], {"reduction": "sum"}),
    ("kd_loss", kd(scale=lambda t: 1), {"factor": "none"}),
    ("kd_loss", kd(share=lambda z: z.size), {"reduction": "mean"}),
    ("kd_loss", kd(reverse=True), {"direction": "reverse"}),
    ("kd_loss", kd(entropy=False), {"direction": "cross_entropy"}),
    ("kd_loss", kd(student_t=False), {"temperature": "teacher_only"}),
    ("kd_loss", lambda z_s, z_t, t: kd()(z_s, z_s, t), None),
    ("kd_loss", lambda z_s, z_t, t: float(((z_s - z_t) ** 2).mean()), None),
    ("kd_loss_backward", kd_gradient(lambda t: 1 / t), {"factor": "none"}),
    ("kd_loss_backward", kd_gradient(lambda t: t * t), {"factor": "inner_forgotten"}),
    ("kd_loss_backward", kd_gradient(sign=-1), None),
    ("binary_kd_loss", binary(symmetric=True), {"logits": "symmetric"}),
    ("binary_kd_loss", binary(scale=lambda t: 1), {"factor": "none"}),
    ("binary_kd_loss_backward", binary_gradient(lambda t: 1 / t), {"factor": "none"}),
    ("adam_step", adam(inside=True), {"epsilon": "inside"}),
    ("adam_step", adam(correct=False), {"correction": "none"}),
    ("adam_step", adam(before=True), {"epsilon": "before_correction"}),
    ("adam_step", adam(next_step=True), {"count": "next"}),
    ("accuracy", lambda y, p: 100 * float((y == p).mean()), {"unit": "percent"}),
    ("precision", averaged("precision", labels="true"), {"labels": "true_only"}),
    ("precision", averaged("recall"), {"swapped": "yes", "weights": "predicted"}),
    ("recall", averaged("recall", undefined=1.0), {"zero_division": "one"}),
    ("f1", averaged("f1", of_averages=True), {"form": "of_averages"}),
    ("auc", auc_with(tie=0.0), {"ties": "lost"}),
    ("auc", auc_with(empty=0.5), {"one_class": "half"}),
    ("hit_rate", ranker("hit", ties="stable"), {"ties": "low_first"}),
    ("hit_rate", ranker("hit", below=lambda n, r: (r > 0).sum()), {"measure": "recall"}),
    ("hit_rate", ranker("hit", skip=True), {"empty": "skip"}),
    ("ndcg", ranker("ndcg", gain=lambda v: 2**v - 1), {"gain": "exponential"}),
    ("ndcg", ranker("ndcg", ties="stable"), {"ties": "low_first"}),
    ("ndcg", ranker("ndcg", ideal="all"), {"ideal": "whole_row"}),
    ("ndcg", ranker("ndcg", discount=lambda i: 1 / (i + 1)), {"discount": "reciprocal"}),
]  # fmt: skip


def quantize_by_loop(x, scale, zero_point, qmin, qmax):
    out = []
    for v in np.asarray(x, F).ravel().tolist():
        if math.isnan(v):
            raise ValueError("NaN")
        y = float(F(v / float(F(scale)))) if math.isfinite(v) else v  # a quotient of two float32 rounds twice without harm
        out.append(qmax if y > 1e9 else qmin if y < -1e9 else min(max(round(y) + zero_point, qmin), qmax))
    return np.array(out, np.int64).reshape(np.shape(x)).tolist()


def kd_by_bce(z_s, z_t, t):
    """softplus form minus the teacher's entropy."""
    x, y = z_s.astype(float) / t, z_t.astype(float) / t
    q = np.where(y > 0, 1 / (1 + np.exp(-np.abs(y))), np.exp(-np.abs(y)) / (1 + np.exp(-np.abs(y))))
    soft = lambda v: np.maximum(v, 0) - v * q + np.log1p(np.exp(-np.abs(v)))  # noqa: E731
    return t * t * float(np.mean(soft(x) - soft(y)))


def auc_by_ranks(y_true, scores):
    order = np.argsort(scores, kind="stable")
    ranks, s = np.empty(len(scores)), np.asarray(scores)
    for v in set(s.tolist()):
        place = np.flatnonzero(s[order] == v)
        ranks[s == v] = place.mean() + 1
    p, n = int((y_true == 1).sum()), int((y_true == 0).sum())
    return (ranks[y_true == 1].sum() - p * (p + 1) / 2) / (p * n) if p and n else math.nan


def adam_wide(p, g, m, v, t, lr, b1, b2, eps):
    m, v = m + (1 - b1) * (g.astype(float) - m), v + (1 - b2) * (g.astype(float) ** 2 - v)
    return [p - lr * (m / (1 - b1**t)) / ((v / (1 - b2**t)) ** 0.5 + eps), m, v]


RIGHT = [
    ("quantize", quantize_by_loop),
    ("quantize", quantizer()),
    ("quantize", quantizer(scaled=lambda x, s: F(x.astype(float) / float(s)))),
    ("dequantize", lambda q, s, z: ((q.astype(float) - z) * float(F(s))).tolist()),
    ("dequantize", lambda q, s, z: F(q.astype(int) - z) * F(s)),
    ("symmetric_qparams", absmax(lambda b: 2 ** (b - 1) - 1)),
    ("asymmetric_qparams", qparams()),
    ("fake_quantize_backward", straight_through(inside)),
    ("requantize", requantizer()),
    ("integer_matmul", matmul),
    ("integer_matmul", lambda a, b, za, zb: a.astype(float) @ b - za * b.astype(float).sum(0) - zb * a.astype(float).sum(1)[:,
        None]
     + a.shape[1] * za * zb),
    ("pack", pack_with("low")),
    ("unpack", unpack_with("low")),
    ("magnitude_mask", pruner()),
    ("n_m_mask", n_m()),
    ("linear", lambda x, w, b: [[math.fsum([*(x[i].astype(float) * w[:, j]),
    b[j]]) for j in range(len(b))] for i in range(len(x))]),
    ("linear_backward", lambda dy, x, w: (np.einsum("bo,io->bi", dy, w), np.einsum("bi,bo->io", x, dy), np.ones(len(dy)) @ dy)),
    ("softmax", lambda z, t: 1 / np.exp((z[:, None, :].astype(float) - z[:, :, None]) / t).sum(axis=2)),
    ("cross_entropy", lambda z, y: float(np.mean(np.logaddexp.reduce(z.astype(float), axis=1) - z[range(len(y)), y]))),
    ("cross_entropy_backward", lambda z, y: (softmax(z) - np.eye(z.shape[1], dtype=z.dtype)[y]) / len(y)),
    ("kd_loss", kd()),
    ("kd_loss", lambda s, t, T: T * T / len(s) * float((softmax(t / T) * (logp(t / T) - logp(s / T))).sum())),
    ("kd_loss_backward", lambda s, t, T: (softmax(s.astype(float) / T) - softmax(t.astype(float) / T)) * (T / len(s))),
    ("binary_kd_loss", kd_by_bce),
    ("binary_kd_loss_backward", binary_gradient()),
    ("adam_step", adam()),
    ("adam_step", adam_wide),
    ("accuracy", lambda y, p: sum(a == b for a, b in zip(y, p)) / len(y)),
    ("precision", averaged("precision")),
    ("recall", averaged("recall")),
    ("f1", averaged("f1")),
    ("auc", auc_with()),
    ("auc", auc_by_ranks),
    ("hit_rate", ranker("hit")),
    ("ndcg", ranker("ndcg")),
]  # fmt: skip
