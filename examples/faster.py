"""What makes a model faster? The ten best of 100,000 products for one user, by the original and by what compression makes of it.

Zeros among the weights save no time, nor do eight bits: decoded they are floats again, and NumPy multiplies no bytes. Fewer
units do, once taken out; a student more; most, one that multiplies two vectors. "As written", "prepared": as in benchmark.py.
Medians of rounds; times faster is the ratio within a round, its quartiles in brackets (half of the rounds lie between them).
Weights are drawn here. What each of these costs in quality, trained: prune.py, evaluate.py, distill.py.

    python examples/faster.py [PRODUCTS [ROUNDS]]        (with matplotlib, also faster.png)
Measured (AMD EPYC 9004, one thread; numpy 2.4.6, 2026-11-25):
                            as written, ms   times faster           prepared, ms   times faster
original                             16.18    1.00 (1.00 to 1.00)           7.06    1.00 (1.00 to 1.00)
half the weights zero                16.21    1.00 (0.99 to 1.00)           7.10    0.99 (0.98 to 1.01)
int8, decoded when loaded            16.20    1.00 (0.99 to 1.00)           7.03    1.00 (0.99 to 1.01)
half the units taken out              8.53    1.89 (1.87 to 1.90)           3.32    2.12 (2.08 to 2.16)
student, one layer of 16              3.27    4.95 (4.89 to 4.98)           1.05    6.73 (6.68 to 6.87)
student, dot product of 8             2.13    7.70 (7.42 to 7.75)           0.34   21.74 (20.44 to 22.39)
int8, computed in integers           61.20    0.26 (0.26 to 0.27)
"""
import time

import numpy as np
from benchmark import asked, best  # which also asks for one thread
from pictures import bars, draw

from tinycompress import cost, integer_network, pruning, quantization, recipes, recommender, scoring, structured

(count, rounds), ways = asked(100_000, 15), ("as written", "prepared")
def drawn(columns, hidden, join="concat"):
    shape = recommender.Architecture((943, count), (columns, columns), hidden, join=join)
    return recommender.init(np.random.default_rng(0), shape), shape
params, shape = drawn(32, (64, 32))
zeros = {name: pruning.magnitude_mask(w, 0.5) for name, w in params.items() if w.ndim == 2}
units = {name: pruning.neuron_mask(params[name], 0.5) for name in ("w0", "w1")}
models = {
    "original": (params, shape),
    "half the weights zero": (pruning.apply_masks(params, zeros), shape),
    "int8, decoded when loaded": (recipes.quantize_weights(recipes.Model(params, shape), 8).params, shape),
    "half the units taken out": structured.compact(pruning.apply_masks(params, units), shape),
    "student, one layer of 16": drawn(8, (16,)),
    "student, dot product of 8": drawn(8, (), "product"),
}
calls = {(name, way): best(*model, 0, 10, way == "prepared") for name, model in models.items() for way in ways}
logits, (x, *h) = recommender.forward(params, [np.zeros(count, int), np.arange(count)], shape)
grids = [quantization.asymmetric_grid(values, signed=False) for values in (x, *h, logits)]
network, codes = integer_network.build_network(params, grids[0], grids[1:]), quantization.quantize(x, grids[0])
calls["int8, computed in integers", "as written"] = lambda: scoring.top_k(np.concatenate(
    [integer_network.run_integers(network, codes[i : i + 1024])[:, 0] for i in range(0, count, 1024)]) * 1.0, 10)  # fmt: skip
seconds = dict(zip(calls, cost.measure_in_turn(list(calls.values()), rounds, clock=time.thread_time_ns).T))
names, faster = list(dict.fromkeys(name for name, _ in calls)), {way: [] for way in ways}
print(" " * 27, *(f"{way + ', ms':>14}   times faster        " for way in ways))
for name in names:
    print(f"{name:<27}", end="")
    for way in ways:
        low, ratio, high = np.quantile(seconds["original", way] / seconds.get((name, way), np.nan), (0.25, 0.5, 0.75))
        faster[way].append((low, ratio, high))
        print(f"{1e3 * np.median(seconds[name, way]):15.2f}{ratio:8.2f} ({low:.2f} to {high:.2f})" if ratio > 0 else "", end="")
    print()
ticks = 0.25, 0.5, 1, 2, 4, 8, 16, 32
draw("faster", bars(faster, names, 1, dots=True, missing="not timed", xlabel="times as fast as the original, with quartiles",
                    xscale="log", xticks=ticks, xticklabels=ticks), width=7)  # fmt: skip
