"""What does quantization do to a model? For 2 to 8 bits: SQNR, ranking, and the gap between training and test.

q = half_even(x / s) + z, decoded x' = s (q - z). A symmetric grid has z = 0, s = max|x| / (2^(b-1) - 1). An asymmetric one spends
no code beyond min and max: s = (max - min) / (2^b - 1). Steps of s leave an error of power s^2 / 12, the law: 6 dB a bit, until s
exceeds most values (SQNR: of table0). In rows of 16 numbers s and z add 2 bits to each: 4 bits with one scale beat 2 per row. All
are means of 5 shops: the share of the top 10 that stays, and, below float32, changes +- their standard error. At 8 bits no change
is above .0006. At 2 the gap narrows, as training loses more than test: with one scale by 3.6 errors, asymmetric by 2.1, symmetric
per row by 1.2, which may be chance; at 3, asymmetric, it widens, by 3.7. Test scores gain nothing: no regulariser.

    python examples/quantize.py        (with matplotlib: also quantize.png)
It prints:

    bits  grid                  with s, z  SQNR dB  law dB  top 10   NDCG@10             train - test
    32    float32                   32.00      inf     inf   1.0000   +0.7075 +- 0.0060   +0.0414 +- 0.0092
    2     symmetric, one scale       2.01      0.7    -1.7   0.4749   -0.2691 +- 0.0218   -0.0342 +- 0.0095
    3     symmetric, one scale       3.01      8.1     7.8   0.8834   -0.0150 +- 0.0029   -0.0096 +- 0.0047
    4     symmetric, one scale       4.01     15.2    15.2   0.9432   -0.0039 +- 0.0014   +0.0002 +- 0.0026
    8     symmetric, one scale       8.01     40.4    40.4   0.9965   -0.0002 +- 0.0002   +0.0005 +- 0.0003
    2     symmetric, per row         3.76      4.8     4.6   0.7670   -0.0724 +- 0.0089   -0.0146 +- 0.0117
    3     symmetric, per row         4.76     14.4    14.2   0.9297   -0.0061 +- 0.0024   -0.0009 +- 0.0031
    4     symmetric, per row         5.76     21.8    21.6   0.9667   -0.0015 +- 0.0014   +0.0025 +- 0.0009
    8     symmetric, per row         9.76     47.0    46.7   0.9976   -0.0004 +- 0.0001   +0.0006 +- 0.0002
    2     asymmetric, per row        3.87      9.4     9.5   0.8823   -0.0185 +- 0.0038   -0.0100 +- 0.0047
    3     asymmetric, per row        4.92     16.8    16.8   0.9473   -0.0070 +- 0.0015   +0.0056 +- 0.0015
    4     asymmetric, per row        5.98     23.5    23.4   0.9729   -0.0014 +- 0.0009   +0.0017 +- 0.0016
    8     asymmetric, per row       10.20     48.0    48.0   0.9983   +0.0003 +- 0.0003   +0.0001 +- 0.0003
"""
import numpy as np
from pictures import draw, lines

from tinycompress import evaluation, metrics, problems, recipes, shop
from tinycompress.quantization import asymmetric_grid, fake_quantize, symmetric_grid

WAYS = {"symmetric, one scale": symmetric_grid, "symmetric, per row": symmetric_grid, "asymmetric, per row": asymmetric_grid}
found, curves = {}, {}
for seed in range(5):
    problem = problems.shop_problem(shop.make_shop(np.random.default_rng(seed), n_impressions=60_000))
    shape = recipes.architecture_for(problem, 16, (32, 16))
    params = recipes.train(problem, shape, recipes.Schedule(8, lr=4e-3), np.random.default_rng(seed)).params
    before, matrices = evaluation.judge(params, shape, problem), {name: w for name, w in params.items() if w.ndim == 2}
    found.setdefault(("float32", 32), []).append((32, np.inf, np.inf, 1, before.ndcg, before.gap))
    for kind, bits in ((kind, bits) for kind in WAYS for bits in (2, 3, 4, 8)):  # rows of a table, outputs of a layer
        grids = {name: WAYS[kind](w, bits, None if "one" in kind else int(name[0] == "w")) for name, w in matrices.items()}
        small = params | {name: fake_quantize(w, grids[name]) for name, w in matrices.items()}
        after, w, steps = evaluation.judge(small, shape, problem), params["table0"], np.reshape(grids["table0"].scale, (-1, 1))
        sqnr, law = (10 * np.log10((w**2).sum() / (w.size * np.mean(e))) for e in ((small["table0"] - w) ** 2, steps**2 / 12))
        extra = sum(grid.scale.size for grid in grids.values()) / sum(w.size for w in matrices.values())
        cost, kept = bits + extra * (32 + bits * (kind[0] == "a")), metrics.top_k_overlap(before.scores, after.scores, 10)
        found.setdefault((kind, bits), []).append((cost, sqnr, law, kept, after.ndcg - before.ndcg, after.gap - before.gap))
print("bits  grid                  with s, z  SQNR dB  law dB  top 10   NDCG@10             train - test")
for (kind, bits), rows in found.items():
    (cost, sqnr, law, kept, n, g), (a, b) = np.mean(rows, axis=0), np.std(np.transpose(rows)[4:], axis=1, ddof=1) / 5**0.5
    print(f"{bits:<5} {kind:<22} {cost:>8.2f} {sqnr:>8.1f} {law:>7.1f} {kept:>8.4f}   {n:+.4f} +- {a:.4f}   {g:+.4f} +- {b:.4f}")
    curves.setdefault(kind, []).append((bits, cost, sqnr, kept, g, b))
x, curves = np.linspace(-1, 3, 1000), {kind: np.transpose(curves[kind]) for kind in WAYS}
stairs = {kind.split(",")[0]: (x, fake_quantize(x, make(x, 3))) for kind, make in WAYS.items()}
draw("quantize", lines(stairs | {"x": (x, x)}, "-", {"x": "k--"}, xlabel="x", ylabel="decoded x, 3 bits"),
     lines({k: c[[0, 2]] for k, c in curves.items()}, xlabel="bits: 6 dB each", ylabel="SQNR of table0, dB"),
     lines({k: c[[1, 3]] for k, c in curves.items()}, xlabel="bits a number, s and z counted", ylabel="top 10 kept, share"),
     lines({k: c[[0, 4, 5]] for k, c in curves.items()}, levels={"float32": 0}, xlabel="bits", ylabel="change of train - test"))
