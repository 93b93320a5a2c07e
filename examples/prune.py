"""How much can be pruned, where should the threshold be drawn, and why is the pruned file not smaller?

NDCG@10: as pruned / after 3 more epochs, masks held. Against "layer 0%", trained on as long, half of each layer costs nothing,
80 % .007, 90 % .05 (.004 says nothing: 5 % costs that); with one threshold for all layers .024 and .13: it compares units of
measure, and at 90 % empties the table of smallest weights. Of units and columns, taken away for real, 80 % cost .0006. A stored
zero costs as much as any number: dense, a file stays as long, a model as slow (x: multiplications). "best" leaves zeros out, but
where they were is a bitmap, 1 bit of 32: up to 3 % zeros (1/32) nothing is gained, beyond the file shrinks. Deflating helps, too.

    python examples/prune.py        (with matplotlib: also prune.png)
It prints:

    zeros          NDCG@10           x  bytes: dense  deflated    best  deflated  break_even: bits (bitmap: d < 0.969)
    original   0%  0.6705 / 0.6705  7,264        93,791    82,878  93,791    82,878        dense  32.00
    layer      0%  0.6705 / 0.6671  7,264        93,791    82,963  93,791    82,963        dense  32.00
    layer      3%  0.6701 / 0.6643  7,264        93,791    82,557  93,791    81,290        dense  32.00
    layer      5%  0.6717 / 0.6628  7,264        93,791    82,040  92,133    79,853       bitmap  31.41
    layer     50%  0.6697 / 0.6673  7,264        93,791    51,368  50,202    44,248       bitmap  17.07
    layer     80%  0.6237 / 0.6604  7,264        93,791    23,575  22,268    19,250       bitmap   7.51
    layer     90%  0.5538 / 0.6142  7,264        93,791    12,998  11,939    10,636         gap5   3.96
    global    80%  0.6114 / 0.6428  7,264        93,791    22,597  21,479    18,722       bitmap   7.51
    global    90%  0.5116 / 0.5368  7,264        93,791    12,376  11,338    10,167         gap5   3.96
    units     50%  0.6092 / 0.6749  1,840        39,868    36,262  39,868    36,262        dense  32.00
    units     80%  0.4955 / 0.6665    291        13,526    12,523  13,526    12,523        dense  32.00
"""
import tempfile

import numpy as np
from pictures import draw, histogram, lines

from tinycompress import break_even, cost, evaluation, masking, problems, pruning, recipes, shop, storage, structured, training
from tinycompress.optimizers import adam

problem = problems.shop_problem(shop.make_shop(np.random.default_rng(0), n_impressions=40_000))
shape, batches = recipes.architecture_for(problem, 16, (64, 32)), problem.batches(1024)
params = recipes.train(problem, shape, recipes.Schedule(8, lr=4e-3), np.random.default_rng(0)).params
weights, loss, rows = {n: w for n, w in params.items() if w.ndim == 2}, training.supervised(shape, problem.loss), {}
SCOPES = {"original": ((0,), lambda s: {}),
          "layer": ((0, 0.03, 0.05, 0.5, 0.8, 0.9), lambda s: {n: pruning.magnitude_mask(w, s) for n, w in weights.items()}),
          "global": ((0.8, 0.9), lambda s: pruning.global_magnitude_masks(weights, s)),
          "units": ((0.5, 0.8), lambda s: {n: pruning.neuron_mask(w, s) for n, w in weights.items() if n != "w2"})}  # fmt: skip
print("zeros          NDCG@10           x  bytes: dense  deflated    best  deflated  break_even: bits",
      f"(bitmap: d < {break_even.break_even_density('bitmap', 32):.3f})")  # fmt: skip
for scope, s, masks in ((scope, s, masks_at(s)) for scope, (shares, masks_at) in SCOPES.items() for s in shares):
    start, view, hold = pruning.apply_masks(params, masks), masking.mask_view(masks), masking.hold_masks(masks)
    fitted = training.fit(start, batches, loss, adam(4e-3), 3, np.random.default_rng(1), view, hold).params if masks else start
    small, small_shape = structured.compact(fitted, shape) if scope == "units" else (fitted, shape)
    before, after = (evaluation.judge(p, a, problem).ndcg for p, a in ((start, shape), (small, small_shape)))
    with tempfile.TemporaryDirectory() as folder:
        files = [storage.save(f"{folder}/m", small, encoding=e, codec=c) for e in ("dense", "auto") for c in ("none", "zlib")]
    law = break_even.winner(cost.nonzero(small) / cost.parameters(small), 32)
    print(f"{scope:<8} {s:>4.0%}  {before:.4f} / {after:.4f} {cost.multiply_adds(small):>6,.0f}",
          "{:>13,} {:>9,} {:>7,} {:>9,} {:>12} {:>6.2f}".format(*files, *law))  # fmt: skip
    rows.setdefault(scope, []).append((s, before, after, *files, fitted["table2"]))
curves = {scope: list(zip(*some)) for scope, some in rows.items()}
zeros, _, _, *sizes, tables = curves["layer"]
ways = dict(zip(("dense", "dense, deflated", "best encoding", "best, deflated"), ((zeros, size) for size in sizes)))
draw("prune", histogram({"before": params["table2"].ravel(), "80 % pruned, trained on": tables[4][tables[4] != 0]},
                        xlabel="weights of the products that are not 0"),
     lines(ways, xlabel="share of zeros in each layer", ylabel="file, bytes"),
     lines({k: (c[6], c[2]) for k, c in curves.items()}, styles={"original": "k*"}, xlabel="best file, bytes", ylabel="NDCG@10"))
