"""How few bits does a table need, and who spends them best?

Above: by how many decibels each way errs more than Shannon's limit at its own rate, on laplacian values (6.02 dB are one bit).
Codes of equal length lose more with every bit, entropy-coded ones stay near 1.53 dB, even on a plain grid. Below: two tables of a
model, 16 bits for each level included: codes chosen by the loss, H full, keep more of the top 10 at a larger error.

    python examples/codebooks.py        (with matplotlib: also codebooks.png)

It prints:

    uniform                 3.64 dB, 1.00 bits     5.59 dB, 2.00 bits     7.23 dB, 3.00 bits     8.71 dB, 4.00 bits
    k-means                 3.64 dB, 1.00 bits     5.12 dB, 2.00 bits     6.03 dB, 3.00 bits     6.53 dB, 4.00 bits
    entropy-coded uniform   1.72 dB, 1.13 bits     1.71 dB, 2.01 bits     1.61 dB, 2.97 bits     1.55 dB, 3.95 bits
    entropy-constrained     0.64 dB, 0.71 bits     1.25 dB, 1.86 bits     1.46 dB, 2.93 bits     1.51 dB, 3.95 bits
    float32                32.00 bits a value, NDCG@10 0.7080
    k-means, 4 levels       2.01 bits a value,  9.03 dB, NDCG@10 0.7037, 0.9538 of the top 10 kept
    8 parts, 16 centres     2.57 bits a value, 11.18 dB, NDCG@10 0.7050, 0.9658 of the top 10 kept
    entropy-constrained     1.48 bits a value,  7.42 dB, NDCG@10 0.7003, 0.9338 of the top 10 kept
    by loss, H diagonal     1.26 bits a value,  5.18 dB, NDCG@10 0.7020, 0.9296 of the top 10 kept
    by loss, H full         1.50 bits a value,  5.07 dB, NDCG@10 0.7031, 0.9754 of the top 10 kept
"""
import numpy as np
from pictures import draw, lines

from tinycompress import codebooks, evaluation, priced_levels, problems, product_quantization, rate_distortion, recipes, shop
from tinycompress.loss_weighted import choose_codes
from tinycompress.metrics import top_k_overlap
from tinycompress.row_curvature import floored, table_curvature


def ways(w, h):  # name, values, bits: of the codes and of 16 for each level
    book, parts = codebooks.k_means(w, 4), product_quantization.product_quantize(w, 8, 16, np.random.default_rng(0))
    yield "k-means, 4 levels", book.levels[book.codes], 2 * w.size + 16 * 4
    yield "8 parts, 16 centres", product_quantization.reconstruct(parts), product_quantization.product_bits(parts, 16)
    priced = priced_levels.entropy_constrained(w, 0.25 * w.var())
    c, price = priced.levels, 0.25 * w.var() * priced_levels.code_lengths(priced.codes, len(priced.levels))
    diagonal, full = choose_codes(w, c, np.einsum("vii->vi", h), price).codes, choose_codes(w, c, h, price).codes
    for name, q in (("entropy-constrained", priced.codes), ("by loss, H diagonal", diagonal), ("by loss, H full", full)):
        yield name, c[q], rate_distortion.code_entropy(q) * w.size + 16 * len(c)


points, curves, kept = rate_distortion.operational_points(rate_distortion.source_values("laplacian", 20_000)), {}, {}
for some in (points[method::4] for method in range(4)):
    curve = [(p.rate, 10 * np.log10(p.error / rate_distortion.shannon_error(p.rate, "laplacian"))) for p in some]
    print(f"{some[0].method:<22}", *(f"{gap:5.2f} dB, {rate:.2f} bits   " for rate, gap in curve))
    curves[some[0].method] = tuple(zip(*curve))
problem, rng = problems.shop_problem(shop.make_shop(np.random.default_rng(0), n_impressions=60_000)), np.random.default_rng(0)
model = recipes.train(problem, recipes.architecture_for(problem, 16, (32, 16)), recipes.Schedule(8, lr=4e-3), rng)
(inputs, _), whole, found = next(problem.batches(20_000)(rng)), evaluation.judge(model.params, model.architecture, problem), []
for field in (0, 2):
    h = floored(table_curvature(model.params, inputs, model.architecture, field), 0.1)
    found.append(list(ways(model.params[f"table{field}"], 2 * h / np.einsum("vii->vi", h).mean())))
print(f"float32                32.00 bits a value, NDCG@10 {whole.ndcg:.4f}")
for (name, users, bits), (_, products, more) in zip(*found):
    quality = evaluation.judge(model.params | {"table0": users, "table2": products}, model.architecture, problem)
    rate, share = (bits + more) / (users.size + products.size), top_k_overlap(whole.scores, quality.scores, 10)
    noise = rate_distortion.sqnr(np.vstack([model.params["table0"], model.params["table2"]]), np.vstack([users, products]))
    print(f"{name:<22} {rate:5.2f} bits a value, {noise:5.2f} dB, NDCG@10 {quality.ndcg:.4f}, {share:.4f} of the top 10 kept")
    kept[name] = [rate], [share]
draw("codebooks", *(lines(c, xlabel="bits a value", ylabel=y) for c, y in ((curves, "dB above limit"), (kept, "top 10 kept"))))
