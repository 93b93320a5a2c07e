"""How small can a recommender honestly get? Bytes of files that were loaded and scored, against quality, recipe by recipe.

A recipe is a curve over the price of a bit. "same": the model folded, turned, coded; "quarter": with a quarter of the columns;
for ids "retrained", three quarters, and "product", u . i. `tinycompress compress --smallest` chooses, by validation. Your data:
    python examples/frontier.py [PATH --history --seeds 3 --columns 32 --hidden 64 32 --lr .002 --epochs 20 --prices .1 --json F]
It prints:
                     bytes    times  kept out  hit rate    NDCG   NDCG less     95 %
    model          on disk  smaller   of file       @10     @10  original's     from       to
    float32         77,110     1.00     texts    0.9917  0.6640     +0.0000  +0.0000  +0.0000
    int8 per row    23,047     3.35     texts    0.9917  0.6648     +0.0007  -0.0003  +0.0021
    int4 per row    13,445     5.74     texts    0.9917  0.6656     +0.0015  -0.0033  +0.0063
    same, 0.02       4,318    17.86     texts    0.9917  0.6652     +0.0011  -0.0053  +0.0073
    same, 0.4        3,221    23.94     texts    0.9917  0.6523     -0.0117  -0.0287  +0.0055
    quarter, 0.02    2,916    26.44     texts    0.9917  0.6667     +0.0027  -0.0036  +0.0093
    quarter, 0.4     1,933    39.89     texts    0.9917  0.6511     -0.0130  -0.0308  +0.0053
    random order         -        -   nothing    0.9677  0.3645     -0.2995  -0.3292  -0.2679
    best possible        -        -         -    0.9917  0.7288     +0.0648  +0.0427  +0.0863
"""
import argparse
import os
import tempfile
from dataclasses import replace

import numpy as np
from pictures import draw, front

from tinycompress import comparison, evaluation, frontier, problems, recipes, report, shop, small_models, smallest

parser = argparse.ArgumentParser()
parser.add_argument("path", nargs="?")
parser.add_argument("--history", action="store_true")
for key, value in {"seeds": 1, "columns": 16, "lr": 4e-3, "epochs": 6, "json": os.devnull}.items():
    parser.add_argument(f"--{key}", type=type(value), default=value)
for key, values in {"hidden": [32, 16], "prices": [0.02, 0.4]}.items():
    parser.add_argument(f"--{key}", type=type(values[0]), default=values, nargs="+")
a, files, rng, folder = parser.parse_args(), {}, np.random.default_rng(0), tempfile.TemporaryDirectory()
plan = recipes.Schedule(a.epochs, lr=a.lr)
if a.path:
    split, negatives = problems.read_split(a.path, rng)
    problem = problems.implicit(a.path, split, negatives, rng, a.history)
else:
    split, problem = None, problems.shop_problem(shop.make_shop(rng, n_impressions=30_000))
def models(rng):
    shape, decayed = recipes.architecture_for(problem, a.columns, tuple(a.hidden)), replace(plan, weight_decay=smallest.DECAY)
    original = recipes.train(problem, shape, plan, rng)
    yield "float32", original, "none"
    yield from ((f"int{bits} per row", recipes.quantize_weights(original, bits), "zlib") for bits in (8, 4))
    for family, some in smallest.families(problem, original).items():
        start = recipes.train(problem, shape, decayed, rng) if family == "retrained" else original
        for price in a.prices:
            yield f"{family}, {price:g}", small_models.make_small(replace(some[0], price=price), start, problem, rng), "smallest"
for seed in range(max(a.seeds, 1)):  # of the models; all of them are judged on the same lists
    for name, model, codec in models(np.random.default_rng(seed)):
        size, back = comparison.save_model(f"{folder.name}/m", model, codec), comparison.load_model(f"{folder.name}/m")
        files.setdefault(name, []).append((size, evaluation.list_scores(back.params, back.architecture, problem, problem.test)))
made = {n: (round(np.mean([b for b, _ in f])), frontier.outside(problem), [s for _, s in f]) for n, f in files.items()}
rows = frontier.size_rows(made | frontier.references(problem, split), problem, frontier.seen_lists(problem, split))
print(report.to_text(rows))
report.write(a.json, report.to_json(rows))
draw("frontier", front(rows, frontier.pareto, xlabel="bytes (at points: price of a bit)", ylabel="NDCG@10"), width=8, height=5)
