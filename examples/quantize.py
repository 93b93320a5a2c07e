"""What does quantization do to a model? For 2 to 8 bits: precision, ranking, and the gap between training and test.

q = half_even(x / s) + z, decoded x' = s (q - z). A symmetric grid has z = 0, s = max|x| / (2^(b-1) - 1). An asymmetric one spends
no code beyond min and max: s = (max - min) / (2^b - 1), and z is the code of 0, so that zero stays exactly zero. Steps of s leave
an error of power s^2 / 12: the law, 6 dB a bit. One scale for all is as coarse as the largest value is far off; scales per row
cost bytes. It is no regulariser here: with few bits the gap between training and test moves either way.

    python examples/quantize.py        (with matplotlib: also quantize.png)

It prints:

    bits  grid                   SQNR dB  law dB  NDCG@10  train - test  top-10 kept
    32    float32                                0.7080        0.0168
    2     symmetric, one scale       0.9    -1.0   0.4104        0.0053       0.4560
    3     symmetric, one scale       8.6     8.5   0.7015        0.0137       0.9113
    4     symmetric, one scale      15.8    15.9   0.7041        0.0218       0.9579
    8     symmetric, one scale      41.0    41.0   0.7079        0.0176       0.9971
    2     symmetric, per row         5.0     5.0   0.6593        0.0217       0.8167
    3     symmetric, per row        14.8    14.6   0.7064        0.0164       0.9550
    4     symmetric, per row        22.2    21.9   0.7098        0.0195       0.9763
    8     symmetric, per row        47.5    47.1   0.7078        0.0174       0.9979
    2     asymmetric, per row        9.5     9.6   0.6987        0.0134       0.9092
    3     asymmetric, per row       17.2    17.0   0.7044        0.0213       0.9650
    4     asymmetric, per row       23.7    23.6   0.7054        0.0217       0.9763
    8     asymmetric, per row       48.2    48.2   0.7076        0.0176       0.9979
"""
import numpy as np
from pictures import draw, lines

from tinycompress.evaluation import judge
from tinycompress.grids import asymmetric_grid, symmetric_grid
from tinycompress.metrics import top_k_overlap
from tinycompress.problems import shop_problem
from tinycompress.quantization import fake_quantize
from tinycompress.recipes import Schedule, architecture_for, train
from tinycompress.shop import make_shop

ROW = {"table": 0, "w": 1}  # the axis with a scale each: rows of a table, outputs of a layer; biases stay float32
WAYS = {"symmetric, one scale": (symmetric_grid, {}), "symmetric, per row": (symmetric_grid, ROW),
        "asymmetric, per row": (asymmetric_grid, ROW)}  # fmt: skip
problem = shop_problem(make_shop(np.random.default_rng(0), n_impressions=60_000))
model = train(problem, architecture_for(problem, 16, (32, 16)), Schedule(8, lr=4e-3), np.random.default_rng(0))
before, curves = judge(model.params, model.architecture, problem), {}
print("bits  grid                   SQNR dB  law dB  NDCG@10  train - test  top-10 kept")
print(f"32    float32 {before.ndcg:>37.4f} {before.gap:>13.4f}")
for kind, (make, axes) in WAYS.items():
    for bits in (2, 3, 4, 8):
        grids = {name: make(w, bits, axes.get(name.rstrip("01234"))) for name, w in model.params.items() if w.ndim == 2}
        small = {name: fake_quantize(w, grids[name]) if name in grids else w for name, w in model.params.items()}
        quality, w = judge(small, model.architecture, problem), model.params["table0"]
        kept, steps = top_k_overlap(before.scores, quality.scores, 10), np.reshape(grids["table0"].scale, (-1, 1)) + 0 * w
        sqnr, law = (10 * np.log10((w**2).sum() / (error**2).sum()) for error in (small["table0"] - w, steps / 12**0.5))
        curves.setdefault(kind, []).append((bits, kept))
        print(f"{bits:<5} {kind:<22} {sqnr:>7.1f} {law:>7.1f} {quality.ndcg:>8.4f} {quality.gap:>13.4f} {kept:>12.4f}")
x = np.linspace(-1, 3, 1000)
stairs = {name: fake_quantize(x, grid(x, 3)) for name, grid in (("symmetric", symmetric_grid), ("asymmetric", asymmetric_grid))}
draw("quantize",
     lines({**{n: (x, y) for n, y in stairs.items()}, "x": (x, x)}, "-", xlabel="x", ylabel="decoded x, 3 bits"),
     lines({n: (x, y - x) for n, y in stairs.items()}, "-", legend="outside", xlabel="x", ylabel="error: at most s / 2"),
     lines({kind: tuple(zip(*some)) for kind, some in curves.items()}, xlabel="bits", ylabel="top 10 kept, share"))  # fmt: skip
