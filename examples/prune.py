"""How much can be pruned, and where should the threshold be drawn: per layer, per row, over all, or over all after normalising?

A global threshold compares layers by their units of measure: where the dense layers' weights are smaller than the embeddings', it
deletes them all. Whole units, removed for real, are what makes the model faster.

    python examples/prune.py [PATH [--history]]      on the synthetic shop, or on a file as `tinycompress compress` takes it
                                                     (with matplotlib: also prune.png)
It prints:

    original: HR@10 0.9938 (standard error 0.0062)  NDCG@10 0.6609
    NDCG@10 of                   50%             70%             80%             90%             95%
                       pruned  tuned   pruned  tuned   pruned  tuned   pruned  tuned   pruned  tuned
    layer              0.6536 0.6573   0.6469 0.6500   0.6286 0.6347   0.5957 0.4795   0.4201 0.4505
    row                0.6573 0.6609   0.6442 0.6599   0.6010 0.6254   0.5451 0.4999   0.4824 0.4696
    global             0.6535 0.6625   0.6414 0.6462   0.6265 0.6330   0.4711 0.4928   0.3708 0.3720
    global / rms       0.6499 0.6592   0.6410 0.6527   0.6335 0.6339   0.5859 0.4804   0.4624 0.4444
    80 % global: HR@10 1.0000 pruned, 0.9931 tuned; layers deleted: none
    half of the units removed: columns (8, 8, 8, 8, 8), hidden (32, 16), HR@10 0.9938, NDCG@10 0.6606
"""
import sys

import numpy as np

from tinycompress import problems
from tinycompress.cost import compare_latency
from tinycompress.evaluation import judge
from tinycompress.fields import batch_inputs
from tinycompress.masking import hold_masks, mask_view
from tinycompress.optimizers import adam
from tinycompress.pruning import apply_masks, global_magnitude_masks, magnitude_mask, neuron_mask
from tinycompress.recipes import Schedule, architecture_for, train
from tinycompress.scoring import predictor
from tinycompress.shop import make_shop
from tinycompress.structured import compact
from tinycompress.training import fit, supervised

SPARSITIES = (0.5, 0.7, 0.8, 0.9, 0.95)


def masks_by_scope(params, sparsity):
    weights = {name: w for name, w in params.items() if w.ndim == 2}
    return {
        "layer": {name: magnitude_mask(w, sparsity) for name, w in weights.items()},
        "row": {name: magnitude_mask(w, sparsity, axis=-1 if name[0] == "t" else None) for name, w in weights.items()},
        "global": global_magnitude_masks(weights, sparsity),
        "global / rms": global_magnitude_masks(weights, sparsity, scale="rms"),
    }


def tuned(params, masks, problem, shape, epochs=2):
    """The same masks, held while the other weights are trained on."""
    batches, objective = problem.batches(1024, whole=True), supervised(shape, problem.loss)
    rng, view, hold = np.random.default_rng(1), mask_view(masks), hold_masks(masks)
    return fit(apply_masks(params, masks), batches, objective, adam(1e-3), epochs, rng, view=view, after_step=hold).params


def without_units(params, problem, shape, sparsity):
    """Half of the columns and hidden units gone: masked by norm, trained on, then taken away for real."""
    masks = {name: neuron_mask(w, sparsity) for name, w in params.items() if w.ndim == 2 and w.shape[1] > problem.outputs}
    masks |= {f"b{name[1:]}": masks[name][0] for name in list(masks) if name[0] == "w"}
    return compact(tuned(params, masks, problem, shape), shape)


def main(path=None, history=None):
    rng = np.random.default_rng(0)
    if path is None:
        problem, schedule, columns, hidden = problems.shop_problem(make_shop(rng, n_impressions=40_000)), Schedule(8, lr=4e-3), 16, (64, 32)
    else:
        problem = problems.implicit(path, *problems.read_split(path, rng), rng, history=bool(history))
        schedule, columns, hidden = (Schedule(6, lr=1e-3), 128, (128, 64)) if history else (Schedule(20), 32, (64, 32))
    shape = architecture_for(problem, columns, hidden)
    params = train(problem, shape, schedule, rng).params
    original = judge(params, shape, problem)
    error = np.sqrt(original.hit_rate * (1 - original.hit_rate) / len(problem.test.relevance))
    print(f"original: HR@10 {original.hit_rate:.4f} (standard error {error:.4f})  NDCG@10 {original.ndcg:.4f}")
    print("NDCG@10 of      " + "".join(f"{s:>16.0%}" for s in SPARSITIES) + "\n                " + "   pruned  tuned" * len(SPARSITIES))
    curves = {}
    for s in SPARSITIES:
        for scope, masks in masks_by_scope(params, s).items():
            pair = [judge(p, shape, problem) for p in (apply_masks(params, masks), tuned(params, masks, problem, shape))]
            curves.setdefault(scope, []).append([quality.ndcg for quality in pair])
            if (s, scope) == (0.8, "global"):
                gone = [name for name, m in masks.items() if not m.any()]
                note = f"80 % global: HR@10 {pair[0].hit_rate:.4f} pruned, {pair[1].hit_rate:.4f} tuned; layers deleted: {gone or 'none'}"
    for scope, pairs in curves.items():
        print(f"{scope:<16}" + "".join(f"   {a:.4f} {b:.4f}" for a, b in pairs))
    print(note)
    small, small_shape = without_units(params, problem, shape, 0.5)
    inputs = batch_inputs(problem.fields, {k: np.resize(r, 10_000) for k, r in problem.test.rows.items()})
    timed = compare_latency(*(lambda f=predictor(p, a, expected=0): f(inputs) for p, a in ((params, shape), (small, small_shape))))
    quality = judge(small, small_shape, problem)
    print(f"half of the units removed: columns {small_shape.columns}, hidden {small_shape.hidden}, HR@10 {quality.hit_rate:.4f}, "
          f"NDCG@10 {quality.ndcg:.4f}")  # fmt: skip
    print(f"speed: {timed.ratio:.2f} times that of the original", file=sys.stderr)  # apart: no two runs agree to the digit
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        return
    figure, axes = plt.subplots(figsize=(6, 4), constrained_layout=True)
    for (scope, pairs), color in zip(curves.items(), ("C0", "C1", "C2", "C3")):
        axes.plot(SPARSITIES, [a for a, _ in pairs], "--", color=color), axes.plot(SPARSITIES, [b for _, b in pairs], color=color, label=scope)
    axes.axhline(original.ndcg, color="gray", lw=0.8)
    axes.set(xlabel="share of weights that is zero", ylabel="NDCG@10", title="dashed: pruned; solid: trained on with the mask held")
    axes.legend(frameon=False)
    figure.savefig("prune.png", dpi=120)


if __name__ == "__main__":
    main(*sys.argv[1:])
