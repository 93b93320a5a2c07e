"""Search: a ranker learned from judged lists of any length, beside a random order and BM25, and the same ranker made smaller.

In the synthetic shop a list is what a search showed: 0 skip, 1 click, 2 buy; taste and quality decide, words say little. A judged
file is cross-validated by query, 5 folds; means of 3 seeds of models read back, 95 % bootstrap intervals over lists. With Chorus'
Broad_Query_Set_individual_ratings.csv rated_products_min.jsonl.gz (people's grades; 45 s) a ranker knows less than BM25 and adds:
BM25 .8398, alone .7705, both .8574, +.018 [+.002, +.035]; int4 .8567, 157,165 bytes of 1,014,793; small, taught, int4 .8504.
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
    ranker alone, whole, int4           13,471   0.6600  +0.262 [+0.229, +0.295]
    ranker alone, small, taught, int4    6,053   0.6595  +0.262 [+0.226, +0.297]
    BM25 + ranker, whole                68,422   0.5958  +0.198 [+0.171, +0.228]
"""
import sys
import tempfile

import numpy as np
from pictures import bars, draw

from tinycompress import comparison, judgments, metrics, ragged, recipes, search, search_problems, shop

ndcg, size, best, rng, folder = {}, {}, {}, np.random.default_rng, tempfile.TemporaryDirectory()
if sys.argv[1:]:
    try:
        judged = judgments.read_judgments(sys.argv[1], texts=judgments.read_product_texts(sys.argv[2]) if sys.argv[2:] else None)
    except (OSError, ValueError) as error:
        sys.exit(str(error))
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
        models = {f"{kind}, {m}": recipes.Model(*model) for m, *model in (models if kind == better else [next(models)])}
        again = [f"{kind}, whole", f"{kind}, small, taught"] if kind == better else []
        models |= {f"{m}, int4": recipes.quantize_weights(models[m], 4) for m in again}
        for key, model in models.items():
            size[key] = size.get(key, 0) + comparison.save_model(f"{folder.name}/m", model) / len(parts)
            scores[key] = search.list_scores(comparison.load_model(f"{folder.name}/m").params, model.architecture, fields, test)
    for name, ranked in scores.items():
        ndcg.setdefault(name, np.zeros(n))[numbers] += search.list_ndcg(ranked, lists[1]) / 3  # NaN: nothing relevant
gains = {name: metrics.paired_bootstrap(rng(0), (v - ndcg["BM25"])[~np.isnan(v)]) for name, v in ndcg.items()}
print(f"{np.isfinite(ndcg['BM25']).sum()} lists".ljust(34), "  bytes  NDCG@10  against BM25")
for name, i in gains.items():
    b = f"{size[name]:,.0f}" if name in size else ""
    print(f"{name:33}{b:>9}   {np.nanmean(ndcg[name]):.4f}  {i.mean:+.3f} [{i.low:+.3f}, {i.high:+.3f}]")
draw("search", bars({"": [(i.low, i.mean, i.high) for i in gains.values()]}, [*gains], 0, dots=True, xlabel="NDCG@10 - BM25's"),
     bars({"": [size.get(name, np.nan) for name in gains]}, len(gains) * [""], missing="no file", xlabel="bytes"))
