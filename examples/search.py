"""Search: a ranker learned from judged lists of any length, beside a random order and BM25, and the same ranker made smaller.

In the synthetic shop a list is what a search showed: 0 skip, 1 click, 2 buy; taste and quality decide, and words say little.
A file like the Chorus query sets is cross-validated by query, 5 folds, 3 times: a hundred queries teach less than BM25 knows.
Means of 3 seeds; bytes of the file that was read back to be judged; differences list by list, with 95 % bootstrap intervals.

    python examples/search.py [JUDGMENTS.csv [PRODUCTS.jsonl.gz]]        (with matplotlib: also search.png)
It prints:

    119 lists                            bytes  NDCG@10  against BM25
    random order                                 0.3676  -0.030 [-0.053, -0.007]
    BM25                                         0.3979  +0.000 [+0.000, +0.000]
    best possible                                0.7349  +0.337 [+0.306, +0.370]
    ranker alone, whole                 68,444   0.6604  +0.263 [+0.229, +0.295]
    ranker alone, half pruned           36,432   0.6678  +0.270 [+0.237, +0.302]
    ranker alone, small                 15,612   0.6614  +0.264 [+0.228, +0.299]
    ranker alone, small, taught         15,608   0.6644  +0.267 [+0.232, +0.301]
    ranker alone, whole, int8           23,075   0.6602  +0.262 [+0.229, +0.295]
    ranker alone, whole, int4           13,471   0.6600  +0.262 [+0.229, +0.295]
    ranker alone, small, taught, int4    6,053   0.6595  +0.262 [+0.226, +0.297]
    BM25 + ranker, whole                68,422   0.5958  +0.198 [+0.171, +0.228]
"""
import sys
import tempfile

import numpy as np
from pictures import bars, draw

from tinycompress import comparison, judgments, metrics, ragged, recipes, search, search_problems, shop

ndcg, size, best, rng = {}, {}, {}, np.random.default_rng
if sys.argv[1:]:
    judged = judgments.read_judgments(sys.argv[1], texts=judgments.read_product_texts(sys.argv[2]) if sys.argv[2:] else None)
    better, epochs, shapes, n = "BM25 + ranker", 20, ((64,), (16,)), len(judged.queries)
    parts = [part for seed in range(3) for part in search_problems.judged_parts(judged, judgments.folds(rng(seed), n, 5))]
else:
    made = shop.make_shop(rng(0), n_impressions=30_000)
    better, epochs, shapes, n = "ranker alone", 5, ((16, (32, 16), "concat"), (4, (8,), "concat")), len(made.test.users)
    parts, best = 3 * [search_problems.shop_part(made)], {"best possible": made.test.probabilities @ np.arange(3.0)}
for seed, (fields, *lists, numbers) in enumerate(parts):
    scores = {"random order": np.zeros(lists[1].mask.shape), "BM25": ragged.pad(lists[1].prior, lists[1].mask)} | best
    for kind in ("ranker alone", "BM25 + ranker"):
        train, test = lists if "BM25" in kind else (ragged.RaggedLists(x.rows, x.relevance, x.lengths) for x in lists)
        models = search.make_rankers(fields, train, rng(seed), *(search.architecture_of(fields, *s) for s in shapes), epochs)
        models = {name: recipes.Model(*model) for name, *model in (models if kind == better else [next(models)])}
        for name, bits in (("whole", 8), ("whole", 4), ("small, taught", 4)) if kind == better else ():
            models[f"{name}, int{bits}"] = recipes.quantize_weights(models[name], bits)
        for name, model in models.items():
            with tempfile.TemporaryDirectory() as folder:
                size.setdefault(f"{kind}, {name}", []).append(comparison.save_model(f"{folder}/m.tcz", model))
                model = comparison.load_model(f"{folder}/m.tcz")
            scores[f"{kind}, {name}"] = search.list_scores(model.params, model.architecture, fields, test)
    for name, ranked in scores.items():
        ndcg.setdefault(name, np.zeros(n))[numbers] += search.list_ndcg(ranked, lists[1]) / 3
ndcg = {name: values[np.isfinite(values)] for name, values in ndcg.items()}  # a list without anything relevant judges nobody
print(f"{len(ndcg['BM25'])} lists".ljust(34), "  bytes  NDCG@10  against BM25")
for name, values in ndcg.items():
    i, b = metrics.paired_bootstrap(rng(0), values - ndcg["BM25"]), f"{np.mean(size[name]):,.0f}" if name in size else ""
    print(f"{name:33}{b:>9}   {values.mean():.4f}  {i.mean:+.3f} [{i.low:+.3f}, {i.high:+.3f}]")
draw("search", bars({"": [v.mean() for v in ndcg.values()]}, list(ndcg), ndcg["BM25"].mean(), xlabel="NDCG@10, BM25 dashed"))
