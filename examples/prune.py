"""How much can be pruned, where should the threshold be drawn, and why is the pruned file not smaller?

The smallest weights go: of each layer, of each row of a table, of all weights, or of all once each matrix is divided by its rms.
One threshold for all compares units of measure, and empties what is small throughout. Zeros leave an array as long and a model as
slow as it was: only an encoding saves bytes, at the price of a bitmap. Whole columns and hidden units are taken away for real,
multiplications (x) with them (nine in ten would be too coarse). After "/": trained on for three epochs, the masks held.

    python examples/prune.py        (with matplotlib: also prune.png)

It prints:

    original: NDCG@10 0.6705, 93,516 bytes of numbers, 7,264 multiplications
    pruned                    50%   bytes     x              80%   bytes     x              90%   bytes     x
    layer         0.6697 / 0.6673 43,734 6,929  0.6237 / 0.6604 18,184 5,457  0.5538 / 0.6142  9,116 2,964
    row           0.6649 / 0.6642 43,883 6,929  0.6242 / 0.6617 17,760 5,457  0.5362 / 0.6260 10,896 3,174
    global        0.6706 / 0.6657 44,201 7,072  0.6114 / 0.6428 16,897 5,789  0.5116 / 0.5368  8,313 4,878
    global / rms  0.6732 / 0.6689 43,926 7,063  0.6316 / 0.6623 18,247 5,523  0.5525 / 0.6042  9,109 3,006
    units         0.6092 / 0.6749 36,355 1,840  0.4955 / 0.6665 12,614   291
"""
import tempfile

import numpy as np
from pictures import draw, histogram, lines

from tinycompress import comparison, cost, masking, problems, pruning, recipes, shop, structured, training
from tinycompress.evaluation import judge
from tinycompress.optimizers import adam

problem = problems.shop_problem(shop.make_shop(np.random.default_rng(0), n_impressions=40_000))
shape, batches = recipes.architecture_for(problem, 16, (64, 32)), problem.batches(1024)
params = recipes.train(problem, shape, recipes.Schedule(8, lr=4e-3), np.random.default_rng(0)).params
weights, objective = {name: w for name, w in params.items() if w.ndim == 2}, training.supervised(shape, problem.loss)
scopes = {
    "layer": lambda s: {name: pruning.magnitude_mask(w, s) for name, w in weights.items()},
    "row": lambda s: {name: pruning.magnitude_mask(w, s, axis=-1 if name[0] == "t" else None) for name, w in weights.items()},
    "global": lambda s: pruning.global_magnitude_masks(weights, s),
    "global / rms": lambda s: pruning.global_magnitude_masks(weights, s, scale="rms"),
    "units": lambda s: {name: pruning.neuron_mask(w, s) for name, w in weights.items() if name != "w2"},
}
original, numbers, curves, tables = judge(params, shape, problem).ndcg, 4 * cost.parameters(params), {}, {}
print(f"original: NDCG@10 {original:.4f}, {numbers:,} bytes of numbers, {cost.multiply_adds(params):,.0f} multiplications")
print("pruned      ", *(f"{s:>16.0%}   bytes     x" for s in (0.5, 0.8, 0.9)))
for scope, masks_at in scopes.items():
    print(f"{scope:<12}", end="")
    for sparsity in (0.5, 0.8, 0.9)[: 2 if scope == "units" else 3]:
        masks = masks_at(sparsity)
        start, view, hold = pruning.apply_masks(params, masks), masking.mask_view(masks), masking.hold_masks(masks)
        fitted = training.fit(start, batches, objective, adam(4e-3), 3, np.random.default_rng(1), view, hold).params
        small, small_shape = structured.compact(fitted, shape)  # units that are constant now are taken away, folded into a bias
        before, after = judge(start, shape, problem).ndcg, judge(small, small_shape, problem).ndcg
        with tempfile.TemporaryDirectory() as folder:
            size = comparison.save_model(f"{folder}/model.tcz", recipes.Model(small, small_shape))
        curves.setdefault(scope, []).append((size, after))
        tables[scope, sparsity] = fitted["table2"]
        print(f"  {before:.4f} / {after:.4f} {size:>6,} {cost.multiply_adds(small):>5,.0f}", end="")
    print()
shown = {"before": params["table2"].ravel(), "80 % of each row pruned": tables["row", 0.8][tables["row", 0.8] != 0]}
draw("prune", histogram(shown, xlabel="weights of the products that are not 0", ylabel="how many"),
     lines({scope: tuple(zip(*points)) for scope, points in curves.items()}, levels={f"original, {numbers:,} bytes": original},
           xlabel="bytes on disk", ylabel="NDCG@10"))  # fmt: skip
