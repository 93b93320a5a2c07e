"""Is hand-written NumPy slow? The same model here and in eager PyTorch: training steps, and the ten best of a catalogue.

Two id tables of 32 columns, an MLP 64-64-32-1, float32; users and items as many as MovieLens-100K has, or more items. "As
written" looks up, joins and multiplies all for each product; "prepared" has its share of the first layer ready, on both sides.
Medians of the CPU time of one thread; the sides take turns, and a ratio is that within a round. What makes it faster: faster.py.

    python examples/benchmark.py [PRODUCTS [ROUNDS]]        (with torch its times too; with matplotlib benchmark.png)

Measured (AMD EPYC 9004, one thread; numpy 2.4.6, torch 2.13.0, 2026-11-25):
                                      ours, ms eager torch, ms   torch / ours (quartiles)
training step, 256 pairs                  0.63            1.14    1.86 (1.59 to 2.12)
training step, 4,096 pairs                3.44            3.71    1.12 (1.02 to 1.19)
ten best of 100,000, as written           21.00           25.90    1.23 (1.21 to 1.83)
ten best of 100,000, prepared             8.48           14.08    1.44 (1.34 to 2.38)
"""
import os
import sys
import time

os.environ["OPENBLAS_NUM_THREADS"] = os.environ["OMP_NUM_THREADS"] = "1"
import eager
import numpy as np
from pictures import bars, draw

from tinycompress import catalogue, cost, optimizers, recommender, scoring, training


def step(params, architecture, pairs, labels):
    params, adam = {n: p.copy() for n, p in params.items()}, optimizers.adam(2e-3)
    objective, state = training.supervised(architecture, "bce"), adam.init(params)
    return lambda: adam.update(params, objective(params, (pairs, labels))[1], state)
def best(params, architecture, user, k, prepared):
    user, items = np.array([user]), np.arange(architecture.rows[1])
    score, rank = scoring.predictor(params, architecture, expected=0), catalogue.ranker(params, architecture, [None, items])
    return (lambda: rank([user], k)[0]) if prepared else (lambda: scoring.top_k(score([user.repeat(len(items)), items]), k))
def asked(*defaults):
    given = [*sys.argv[1:], *map(str, defaults[len(sys.argv) - 1 :])]
    if len(given) > 2 or not all(map(str.isdecimal, given)) or int(given[0]) < 10 or int(given[1]) < 1:
        sys.exit(f"usage: python {sys.argv[0]} [PRODUCTS [ROUNDS]], from 10 and 1 up, not {' '.join(given)}")
    return map(int, given)
def main(count, rounds):
    rng, tasks, table = np.random.default_rng(0), {}, []
    users, items, labels = rng.integers(0, 943, 4096), rng.integers(0, 1682, 4096), (rng.random(4096) < 0.2).astype(np.float32)
    small, large = (recommender.Architecture((943, n), (32, 32), (64, 32)) for n in (1682, count))
    for n in (256, 4096):
        tasks[f"training step, {n:,} pairs"] = "step", recommender.init(rng, small), small, (users[:n], items[:n]), labels[:n]
    for way in ("as written", "prepared"):
        tasks[f"ten best of {count:,}, {way}"] = "best", recommender.init(rng, large), large, 0, 10, way == "prepared"
    sides = {"ours": sys.modules[__name__]} | ({"eager torch": eager} if eager.torch else {})
    print(" " * 30, *(f"{side + ', ms':>15}" for side in sides), "  torch / ours (quartiles)" * (len(sides) - 1))
    for name, (task, *rest) in tasks.items():
        seconds = cost.measure_in_turn([getattr(s, task)(*rest) for s in sides.values()], rounds, clock=time.thread_time_ns).T
        table.append([tuple(q) for q in np.quantile([*1e3 * seconds, seconds[-1] / seconds[0]], (0.25, 0.5, 0.75), axis=1).T])
        *ms, (low, ratio, high) = table[-1]
        print(f"{name:<30}", *(f"{m:15.2f}" for _, m, _ in ms), f"  {ratio:5.2f} ({low:.2f} to {high:.2f})" * (len(sides) - 1))
    *ms, ratios = zip(*table)
    draw("benchmark", *[bars(dict(zip(sides, ms)), list(tasks), xlabel="ms, with quartiles"),
                        bars({"": ratios}, len(tasks) * [""], 1, dots=True, xlabel="torch / ours, with quartiles")][: len(sides)])
if __name__ == "__main__":
    main(*asked(100_000, 21))
