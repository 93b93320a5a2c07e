"""Right implementations written another way: float64 inside, loops, big integers, other formulas. All of them must pass."""

import math

import numpy as np

from tinycompress.verify.own import OWN


def _grid(x, scale, zero_point, axis):
    shape = np.shape(x)
    tall = (-1, *[1] * (len(shape) - 1))
    columns = [np.reshape(v, tall) if axis is not None and np.ndim(v) else v for v in (scale, zero_point)]
    return np.broadcast_to(np.float32(columns[0]), shape), np.broadcast_to(columns[1], shape)


def quantize_loop(x, scale, zero_point, qmin, qmax, axis=None):
    s, z = _grid(x, scale, zero_point, axis)
    codes = []
    for v, step, zero in zip(np.ravel(x).tolist(), s.ravel().tolist(), z.ravel().tolist()):
        ratio = float(np.float32(v) / np.float32(step))
        bounded = -1e9 if ratio != ratio else max(-1e9, min(1e9, ratio))
        codes.append(max(qmin, min(qmax, round(bounded) + zero)))
    return np.reshape(np.array(codes, np.int32), np.shape(x))


def quantize_magic(x, scale, zero_point, qmin, qmax, axis=None):
    s, z = _grid(x, scale, zero_point, axis)
    v = np.divide(x, s, dtype=np.float32)
    magic = np.float32(12582912)  # 1.5 2^23: adding it leaves no bits behind the point
    v = np.where(np.abs(v) < 2**21, (v + magic) - magic, np.rint(v)).astype(np.float64) + z
    return (
        np.fmax(np.fmin(v, qmax), qmin).astype(np.int64)
        if not np.isnan(v).any()
        else np.where(np.isnan(v), qmin, np.clip(np.nan_to_num(v), qmin, qmax)).astype(np.int16 if qmax < 2**15 else np.int32)
    )


def quantize_refusing(x, scale, zero_point, qmin, qmax, axis=None):
    if np.isnan(x).any():
        raise ValueError("NaN")
    s, z = _grid(x, scale, zero_point, axis)
    v = (np.asarray(x, np.float64) / s).astype(np.float32)  # a quotient of float32 survives the way through float64
    return np.clip(np.round(v).astype(np.float64) + z, qmin, qmax).astype(int).tolist()


def dequantize_float64(q, scale, zero_point, axis=None):
    s, z = _grid(q, scale, zero_point, axis)
    return ((np.asarray(q, np.float64) - z) * s.astype(np.float64)).astype(np.float32)


def dequantize_table(q, scale, zero_point, axis=None):
    s, z = _grid(q, scale, zero_point, axis)
    one = np.vectorize(lambda a, b, c: np.float32(int(a) - int(c)) * np.float32(b), otypes=[np.float32])
    return one(q, s, z)


def fake_quantize_composed(x, scale, zero_point, qmin, qmax, axis=None):
    return dequantize_float64(quantize_loop(x, scale, zero_point, qmin, qmax, axis), scale, zero_point, axis)


def fake_quantize_wide(x, scale, zero_point, qmin, qmax, axis=None):
    s, z = _grid(x, scale, zero_point, axis)
    v = np.nan_to_num(np.rint(np.divide(x, s, dtype=np.float32)).astype(np.float64), nan=-np.inf, posinf=np.inf, neginf=-np.inf)
    return (np.minimum(np.maximum(v, qmin - z), qmax - z) * s).astype(np.float32).astype(np.float64)


def straight_through(dy, x, scale, zero_point, qmin, qmax, axis=None):
    s, z = _grid(x, scale, zero_point, axis)
    q = np.rint(np.divide(x, s, dtype=np.float32)).astype(np.float64)
    return dy * ((q >= qmin - z) & (q <= qmax - z)).astype(np.float32)


def symmetric_by_ends(x, bits):
    top = max(float(np.max(x, initial=0)), -float(np.min(x, initial=0)))
    return np.float32(top) / np.float32(2 ** (bits - 1) - 1) or 1.0


def asymmetric_by_ends(x, bits):
    lo, hi = np.min(x, initial=0).astype(np.float32), np.max(x, initial=0).astype(np.float32)
    if lo == hi:
        return 1.0, 0
    s = np.subtract(hi, lo) / np.float32(2**bits - 1)
    z = round(float(np.float32(-(2 ** (bits - 1))) - lo / s))
    return float(s), min(max(z, -(2 ** (bits - 1))), 2 ** (bits - 1) - 1)


def requantize_loop(acc, multiplier, zero_point, qmin, qmax):
    m = np.float32(multiplier)
    codes = [min(max(round(float(np.float32(a) * m)) + zero_point, qmin), qmax) for a in np.ravel(acc).tolist()]
    return np.reshape(np.array(codes, np.int64), np.shape(acc))


def matmul_expanded(a, b, a_zero, b_zero):
    a, b = np.asarray(a, np.int64), np.asarray(b, np.int64)
    return a @ b - a_zero * b.sum(0) - b_zero * a.sum(1, keepdims=True) + a.shape[1] * a_zero * b_zero


def matmul_float64(a, b, a_zero, b_zero):
    return np.einsum("mk,kn->mn", a.astype(float) - a_zero, b.astype(float) - b_zero)


def pack_integer(codes, bits):
    number = sum(int(q) << bits * i for i, q in enumerate(codes))
    return number.to_bytes(-(-len(codes) * bits // 8), "little")


def unpack_integer(buffer, bits, count):
    number = int.from_bytes(buffer, "little")
    return [number >> bits * i & (1 << bits) - 1 for i in range(count)] or np.zeros(0, int)


def mask_sorted(w, sparsity):
    flat = [abs(v) for v in np.ravel(w).tolist()]
    pruned = set(sorted(range(len(flat)), key=flat.__getitem__)[: round(sparsity * len(flat))])
    return np.reshape(np.array([i not in pruned for i in range(len(flat))], bool), np.shape(w))


def mask_ranked(w, sparsity):
    a = np.abs(np.ravel(w))
    before = (a[None] < a[:, None]) | ((a[None] == a[:, None]) & np.tri(a.size, k=-1, dtype=bool))
    return (before.sum(1) >= int(np.rint(np.float64(sparsity) * a.size))).reshape(np.shape(w))


def n_m_counted(w, keep, group):
    a, column = np.abs(w), np.arange(w.shape[-1])
    near = column[:, None] // group == column // group
    ahead = (a[..., None, :] > a[..., :, None]) | ((a[..., None, :] == a[..., :, None]) & (column[None] < column[:, None]))
    return (ahead & near).sum(-1) < keep


def linear_sums(x, w, b):
    sums = [math.fsum([*(row * column).tolist(), c]) for row in x for column, c in zip(w.T, b)]
    return np.array(sums, w.dtype).reshape(len(x), len(b))


def linear_backward_einsum(dy, x, w):
    return np.einsum("bo,io->bi", dy, w), np.einsum("bi,bo->io", x, dy), np.ones(len(dy), dy.dtype) @ dy


def softmax_log(z, temperature):
    z = np.asarray(z, np.float64) / temperature
    return np.exp(z - np.logaddexp.reduce(z, axis=1, keepdims=True)) if z.size else z


def _log_p(z, t=1.0):
    z = np.asarray(z, np.float64) / t
    return z - np.logaddexp.reduce(z, axis=-1, keepdims=True)


def cross_entropy_sum(logits, labels):
    return -sum(row[y] for row, y in zip(_log_p(logits), labels)) / len(labels)


def cross_entropy_backward_onehot(logits, labels):
    return (np.exp(_log_p(logits)) - np.eye(np.shape(logits)[1])[labels]) / len(labels)


def kd_entropies(z_s, z_t, t):
    l_s, l_t = _log_p(z_s, t), _log_p(z_t, t)
    return t * t * np.mean((np.exp(l_t) * l_t).sum(1) - (np.exp(l_t) * l_s).sum(1))


def kd_backward_float64(z_s, z_t, t):
    return (t * (np.exp(_log_p(z_s, t)) - np.exp(_log_p(z_t, t))) / len(z_s)).astype(np.asarray(z_s).dtype)


def binary_softplus(z_s, z_t, t):
    s, r = np.asarray(z_s, float) / t, np.asarray(z_t, float) / t
    rows = np.exp(-np.logaddexp(0, -r)) * (np.logaddexp(0, -s) - np.logaddexp(0, -r)) + np.exp(-np.logaddexp(0, r)) * (
        np.logaddexp(0, s) - np.logaddexp(0, r)
    )
    return t * t * rows.mean()


def binary_backward_softplus(z_s, z_t, t):
    s, r = (np.exp(-np.logaddexp(0, -np.asarray(z, float) / t)) for z in (z_s, z_t))
    return t * (s - r) / len(s)


def adam_loop(p, g, m, v, t, lr, beta1, beta2, eps):
    answers = []
    for a, b, c, d in zip(*(np.ravel(x).astype(float).tolist() for x in (p, g, m, v))):
        c, d = c + (1 - beta1) * (b - c), d + (1 - beta2) * (b * b - d)
        answers.append((a - lr / (1 - beta1**t) * c / (math.sqrt(d / (1 - beta2**t)) + eps), c, d))
    return np.array(answers, float).reshape(-1, 3).T.reshape(3, *np.shape(p))


def accuracy_count(y_true, y_pred):
    return sum(map(int, y_true == y_pred)) / len(y_true)


def _matrix(y, guess):
    labels, both = np.unique(np.r_[y, guess], return_inverse=True)
    return (
        np.bincount(both[: len(y)] * len(labels) + both[len(y) :], minlength=len(labels) ** 2)
        .reshape(len(labels), -1)
        .astype(float)
    )


def _averaged(pick):
    def metric(y_true, y_pred, average):
        matrix = _matrix(y_true, y_pred)
        hits, chosen, support = np.diag(matrix), matrix.sum(0), matrix.sum(1)
        if average == "micro":
            return hits.sum() / len(y_true)  # one label a row: precision, recall and F1 are accuracy
        with np.errstate(invalid="ignore"):
            rates = np.nan_to_num(pick(hits, chosen, support))
        return np.average(rates, weights=support if average == "weighted" else None)

    return metric


def _harmonic(hits, chosen, support):
    p, r = np.nan_to_num(hits / chosen), np.nan_to_num(hits / support)
    return 2 * p * r / (p + r)


def auc_ranks(y_true, scores):
    ranks = (scores[:, None] > scores).sum(1) + ((scores[:, None] == scores).sum(1) + 1) / 2
    positive = y_true == 1
    n = int(positive.sum())
    return (ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(y_true) - n)) if 0 < n < len(y_true) else math.nan


def hit_rate_chances(scores, relevance, k):
    rows = []
    for s, r in zip(scores, relevance):
        missed, left = 1.0, min(k, len(s))
        for value in sorted(set(s.tolist()), reverse=True):
            group = r[s == value] > 0
            take, good = min(left, group.size), int(group.sum())
            for i in range(take):
                missed *= max(group.size - good - i, 0) / (group.size - i)
            left -= take
        rows.append((1 - missed) if (r > 0).any() else 0.0)
    return np.mean(rows)


def ndcg_groups(scores, relevance, k):
    total = 0.0
    for s, r in zip(scores, relevance):
        if not r.any():
            continue
        k_row = min(k, len(s))
        weights = np.where(np.arange(len(s)) < k_row, math.log(2) / np.log(np.arange(2, len(s) + 2)), 0)
        above, same = (s[None] > s[:, None]).sum(1), (s[None] == s[:, None]).sum(1)
        got = sum(float(g) * weights[a : a + n].mean() for g, a, n in zip(r, above, same))
        total += got / float(np.sort(r)[::-1] @ weights)
    return total / len(scores)


OTHER_WAYS = [
    ("quantize", quantize_loop), ("quantize", quantize_magic), ("quantize", quantize_refusing),
    ("dequantize", dequantize_float64), ("dequantize", dequantize_table), ("fake_quantize", fake_quantize_composed),
    ("fake_quantize", fake_quantize_wide), ("fake_quantize_backward", straight_through),
    ("symmetric_qparams", symmetric_by_ends), ("asymmetric_qparams", asymmetric_by_ends), ("requantize", requantize_loop),
    ("integer_matmul", matmul_expanded), ("integer_matmul", matmul_float64), ("pack", pack_integer), ("unpack", unpack_integer),
    ("magnitude_mask", mask_sorted), ("magnitude_mask", mask_ranked), ("n_m_mask", n_m_counted), ("linear", linear_sums),
    ("linear_backward", linear_backward_einsum), ("softmax", softmax_log), ("cross_entropy", cross_entropy_sum),
    ("cross_entropy_backward", cross_entropy_backward_onehot), ("kd_loss", kd_entropies),
    ("kd_loss_backward", kd_backward_float64), ("binary_kd_loss", binary_softplus),
    ("binary_kd_loss_backward", binary_backward_softplus), ("adam_step", adam_loop), ("accuracy", accuracy_count),
    ("precision", _averaged(lambda h, c, s: h / c)), ("recall", _averaged(lambda h, c, s: h / s)), ("f1", _averaged(_harmonic)),
    ("auc", auc_ranks), ("hit_rate", hit_rate_chances), ("ndcg", ndcg_groups),
    *[(name, getattr(OWN, name)) for name in ("quantize", "requantize", "kd_loss", "kd_loss_backward", "ndcg", "magnitude_mask")],
]  # fmt: skip
