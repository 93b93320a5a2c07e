"""How few bits does a table need, and who spends them best?

Above: values of a source, and by how many decibels each way errs more than Shannon's limit at its own rate (6.02 dB are one bit).
Codes of equal length lose more with every bit; entropy-coded ones stay near 1.53 dB, on the plainest of grids.
Below: the two large tables of a trained recommender, 16 bits for each level included. SQNR is not what ranking asks for: codes
chosen by the loss with H full keep more of the top 10 than nearest ones do at the same bits, though their squared error is
larger. With H diagonal they do not: it is by making up for each other that they win.

    python examples/codebooks.py        (with matplotlib: also codebooks.png)

It prints:

    source       method                  dB above Shannon's limit (bits a value)
    gaussian     uniform                  1.62 (1.00)   2.79 (2.00)   3.79 (3.00)   4.69 (4.00)
    gaussian     k-means                  1.62 (1.00)   2.74 (2.00)   3.44 (3.00)   3.85 (4.00)
    gaussian     entropy-coded uniform    2.66 (1.24)   1.88 (2.10)   1.62 (3.06)   1.55 (4.05)
    gaussian     entropy-constrained      1.41 (0.95)   1.53 (2.05)   1.53 (3.06)   1.53 (4.05)
    laplacian    uniform                  3.64 (1.00)   5.59 (2.00)   7.23 (3.00)   8.71 (4.00)
    laplacian    k-means                  3.64 (1.00)   5.12 (2.00)   6.03 (3.00)   6.53 (4.00)
    laplacian    entropy-coded uniform    1.72 (1.13)   1.71 (2.01)   1.61 (2.97)   1.55 (3.95)
    laplacian    entropy-constrained      0.64 (0.71)   1.25 (1.86)   1.46 (2.93)   1.51 (3.95)

    tables               bits a value   SQNR dB   NDCG@10   top-10 kept
    float32                     32.00              0.7066        1.0000
    2-bit grid                   2.00      8.04    0.7022        0.9458
    k-means, 4 levels            2.01      9.00    0.7060        0.9500
    8 parts, 16 centres          2.57     11.15    0.7026        0.9621
    entropy-constrained          1.50      7.53    0.7065        0.9304
    by loss, H diagonal          1.29      5.30    0.6972        0.9246
    by loss, H full              1.53      5.21    0.7038        0.9733
"""
from dataclasses import replace

import numpy as np

from tinycompress.codebooks import k_means
from tinycompress.evaluation import judge
from tinycompress.least_squares import least_squares_grid
from tinycompress.loss_weighted import choose_codes, row_gauss_newton
from tinycompress.metrics import top_k_overlap
from tinycompress.ops import softmax
from tinycompress.priced_levels import code_lengths, entropy_constrained
from tinycompress.problems import shop_problem
from tinycompress.product_quantization import product_bits, product_quantize, reconstruct
from tinycompress.quantization import fake_quantize
from tinycompress.rate_distortion import code_entropy, operational_points, shannon_error, source_values, sqnr
from tinycompress.recipes import Schedule, architecture_for, train
from tinycompress.recommender import backward, forward
from tinycompress.shop import make_shop


def curvature(model, inputs, f):
    """H of each row of table f. With a row of its own for every example, the gradient of that table is one row per example."""
    architecture, params, codes = model.architecture, model.params, inputs[f]
    own = replace(architecture, rows=architecture.rows[:f] + (len(codes),) + architecture.rows[f + 1 :])
    params, inputs = {**params, f"table{f}": params[f"table{f}"][codes]}, [*inputs[:f], np.arange(len(codes)), *inputs[f + 1 :]]
    logits, layers = forward(params, inputs, own)
    p, each = softmax(logits).T, np.eye(own.outputs, dtype=np.float32)[:, None].repeat(len(codes), axis=1)
    j = np.stack([backward(d, layers, params, inputs, own)[f"table{f}"].values for d in each])
    j -= (p[:, :, None] * j).sum(axis=0)
    h = row_gauss_newton(np.tile(codes, len(j)), j.reshape(p.size, -1), p.ravel(), architecture.rows[f])
    mean = np.einsum("vii->i", h).mean() / len(h)
    return 2 / mean * (h + 0.1 * mean * np.eye(h.shape[1]))  # so that 1/2 d^T H d is a squared error on average


def ways(w, h):
    """name, values, bits: of the codes and of 16 for each level."""
    price, book = 0.25 * float(w.var()), k_means(w, 4)
    priced = entropy_constrained(w, price)
    parts, b = product_quantize(w, 8, 16, np.random.default_rng(0)), code_lengths(priced.codes, len(priced.levels))
    yield "2-bit grid", fake_quantize(w, least_squares_grid(w, bits=2)), 2 * w.size + 16
    yield "k-means, 4 levels", book.levels[book.codes], 2 * w.size + 16 * 4
    yield "8 parts, 16 centres", reconstruct(parts), product_bits(parts, 16)
    yield "entropy-constrained", priced.levels[priced.codes], code_entropy(priced.codes) * w.size + 16 * len(b)
    for name, form in ("by loss, H diagonal", np.einsum("vii->vi", h)), ("by loss, H full", h):
        q = choose_codes(w, priced.levels, form, price * b).codes
        yield name, priced.levels[q], code_entropy(q) * w.size + 16 * len(b)


def main():
    curves = {source: operational_points(source_values(source, 20_000), (1, 2, 3, 4)) for source in ("gaussian", "laplacian")}
    print("source       method                  dB above Shannon's limit (bits a value)")
    for source, points in curves.items():
        for method in range(4):
            cells = (f"{10 * np.log10(p.error / shannon_error(p.rate, source)):6.2f} ({p.rate:.2f})" for p in points[method::4])
            print(f"{source:<12} {points[method].method:<22}", *cells)
    problem = shop_problem(make_shop(np.random.default_rng(0), n_impressions=60_000))
    model = train(problem, architecture_for(problem, 16, (32, 16)), Schedule(8, lr=4e-3), np.random.default_rng(0))
    inputs, whole = next(problem.batches(20_000)(np.random.default_rng(0)))[0], judge(model.params, model.architecture, problem)
    w = {f"table{f}": model.params[f"table{f}"] for f in (0, 2)}
    print("\ntables               bits a value   SQNR dB   NDCG@10   top-10 kept")
    print(f"float32 {32:>25.2f} {whole.ndcg:>19.4f} {1:>13.4f}")
    for way in zip(*(ways(w[f"table{f}"], curvature(model, inputs, f)) for f in (0, 2))):
        small = {name: values for name, (_, values, _) in zip(w, way)}
        quality = judge({**model.params, **small}, model.architecture, problem)
        bits, kept = sum(b for *_, b in way) / sum(x.size for x in w.values()), top_k_overlap(whole.scores, quality.scores, 10)
        noise = sqnr(*(np.concatenate([*tables.values()]) for tables in (w, small)))
        print(f"{way[0][0]:<20} {bits:>12.2f} {noise:>9.2f} {quality.ndcg:>9.4f} {kept:>13.4f}")
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        return
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.5), constrained_layout=True, sharey=True)
    for axis, (source, points) in zip(axes, curves.items()):
        ends = np.array([0.5, 4.2])  # a straight line: 6.02 dB a bit
        axis.plot(ends, [-10 * np.log10(shannon_error(r, source)) for r in ends], "k-", lw=1, label="Shannon's limit")
        for some, mark in zip((points[m::4] for m in range(4)), "s^ox"):
            rates, decibels = [p.rate for p in some], [-10 * np.log10(p.error) for p in some]
            axis.plot(rates, decibels, f"{mark}--", label=some[0].method, ms=5, lw=1)
        axis.set(xlabel="bits a value", title=source), axis.legend(frameon=False, fontsize=8)
    axes[0].set(ylabel="SQNR, dB")
    figure.savefig("codebooks.png", dpi=120)


if __name__ == "__main__":
    main()
