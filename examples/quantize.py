"""What does quantization do to a model? For 2 to 16 bits: precision, ranking, and the gap between training and test.

SQNR is the power of the weights over the power of their error, in decibels. The error of a uniform grid of step s has the power
s^2 / 12, and s = max|w| / (2^(b-1) - 1), so theory says SQNR = 20 log10(2^(b-1) - 1) + 10.79 - crest, about 6.02 b + 4.77 - crest,
where crest = 20 log10(max|w| / rms w) is the price of one scale for all: it falls when each row has its own.

    python examples/quantize.py        (with matplotlib: also quantize.png)

It prints:

    bits     grid        per     SQNR dB   law dB   NDCG@10   train - test   top-10 kept
    float32                          inf      nan    0.7066        +0.0225        1.0000
    2        symmetric   tensor      0.8     -1.3    0.4508        +0.0247        0.5178
    2        symmetric   row         4.9      4.9    0.6695        +0.0318        0.8617
    2        asymmetric  row         9.5      nan    0.6962        +0.0306        0.9221
    3        symmetric   tensor      8.3      8.3    0.6833        +0.0187        0.8879
    3        symmetric   row        14.8     14.5    0.7009        +0.0261        0.9500
    3        asymmetric  row        17.0      nan    0.7056        +0.0227        0.9679
    4        symmetric   tensor     15.6     15.6    0.7023        +0.0239        0.9608
    4        symmetric   row        22.1     21.8    0.7019        +0.0259        0.9758
    4        asymmetric  row        23.6      nan    0.7054        +0.0235        0.9738
    6        symmetric   tensor     28.5     28.5    0.7049        +0.0224        0.9892
    6        symmetric   row        35.0     34.8    0.7063        +0.0222        0.9942
    6        asymmetric  row        36.0      nan    0.7061        +0.0231        0.9967
    8        symmetric   tensor     40.8     40.8    0.7063        +0.0220        0.9996
    8        symmetric   row        47.2     47.0    0.7065        +0.0221        0.9979
    8        asymmetric  row        48.2      nan    0.7063        +0.0227        0.9992
    12       symmetric   tensor     65.0     64.9    0.7066        +0.0225        1.0000
    12       symmetric   row        71.5     71.2    0.7066        +0.0225        1.0000
    12       asymmetric  row        72.3      nan    0.7066        +0.0225        1.0000
    16       symmetric   tensor     89.1     89.0    0.7066        +0.0225        1.0000
    16       symmetric   row        95.5     95.2    0.7066        +0.0225        1.0000
    16       asymmetric  row        96.4      nan    0.7066        +0.0225        1.0000
"""
import numpy as np

from tinycompress.evaluation import judge
from tinycompress.grids import asymmetric_grid, symmetric_grid
from tinycompress.metrics import top_k_overlap
from tinycompress.problems import shop_problem
from tinycompress.quantization import fake_quantize
from tinycompress.recipes import Schedule, architecture_for, train
from tinycompress.shop import make_shop

GRIDS = {"symmetric": symmetric_grid, "asymmetric": asymmetric_grid}


def quantized(params, bits, kind, per_row):
    """Every table and weight on a grid of its own, or one per row of a table and per output of a layer."""
    axis = {name: (0 if name[0] == "t" else 1) if per_row else None for name in params}
    return {name: fake_quantize(w, GRIDS[kind](w, bits, axis[name])) if w.ndim == 2 else w for name, w in params.items()}


def decibels(w, error):
    return 10 * np.log10((w**2).sum(dtype=float) / (error**2).sum(dtype=float))


def study():
    problem = shop_problem(make_shop(np.random.default_rng(0), n_impressions=60_000))
    model = train(problem, architecture_for(problem, 16, (32, 16)), Schedule(8, lr=4e-3), np.random.default_rng(0))
    params, float_quality = model.params, judge(model.params, model.architecture, problem)
    w = params["table0"]
    yield "float32", "", "", float("inf"), float("nan"), float_quality, 1.0
    for bits in (2, 3, 4, 6, 8, 12, 16):
        for kind, per_row in (("symmetric", False), ("symmetric", True), ("asymmetric", True)):
            small = quantized(params, bits, kind, per_row)
            quality = judge(small, model.architecture, problem)
            largest = np.abs(w).max(axis=1, keepdims=True) if per_row else np.abs(w).max()
            law = decibels(w, np.broadcast_to(largest, w.shape) / (2 ** (bits - 1) - 1) / 12**0.5) if kind == "symmetric" else np.nan
            overlap = float(top_k_overlap(float_quality.scores, quality.scores, 10))
            yield bits, kind, "row" if per_row else "tensor", decibels(w, small["table0"] - w), law, quality, overlap


def main():
    rows = list(study())
    print("bits     grid        per     SQNR dB   law dB   NDCG@10   train - test   top-10 kept")
    for bits, kind, per, sqnr, law, quality, overlap in rows:
        print(f"{bits!s:<8} {kind:<11} {per:<7} {sqnr:>7.1f}  {law:>7.1f}   {quality.ndcg:>7.4f}        {quality.gap:>+7.4f}       {overlap:>7.4f}")
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        return
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.5), constrained_layout=True)
    for kind, per in (("symmetric", "tensor"), ("symmetric", "row"), ("asymmetric", "row")):
        some = [r for r in rows if r[1:3] == (kind, per)]
        left.plot([r[0] for r in some], [r[3] for r in some], "o-", label=f"{kind}, per {per}")
        right.plot([r[0] for r in some], [r[6] for r in some], "o-")
    left.set(xlabel="bits", ylabel="SQNR of a table, dB"), right.set(xlabel="bits", ylabel="top 10 kept", ylim=(0, 1.02))
    left.legend(frameon=False)
    figure.savefig("quantize.png", dpi=120)


if __name__ == "__main__":
    main()
