"""Where do the scale and the zero point of a grid come from, and which range should it have?

A range [lo, hi] with 0 in it gives s = (hi - lo) / (2^b - 1), and z = -lo / s, rounded: z is the code of 0.0, so that zero comes
back exactly. Not rounded, it moves every zero by up to s / 2: padding of a bag, what relu and pruning made. The price: the codes'
span moves as much. A wide range has coarse steps, a narrow one clips. Below, the inputs of a model's first layer, ranges from
training lists, error on test lists. At 8 bits extremes do. At 4, clipping one value in 200 gains 4.7 dB: least error finds that
balance. KL compares how often values occur before and after, however far they moved: at 8 bits it clips, and loses 14 dB.

    python examples/calibrate.py        (with matplotlib: also calibrate.png)

It prints:

    bits    lo    hi        s   -lo/s    z  span of the codes   0.0 gives:  with z  with -lo/s  16 times
    4     -1.0   3.0   0.2667    3.75    4  -1.0667 ... 2.9333                0.0     0.0667     1.0667
    8     -1.0   3.0   0.0157   63.75   64  -1.0039 ... 2.9961                0.0     0.0039     0.0627
    8      0.0   3.0   0.0118    0.00    0   0.0000 ... 3.0000                0.0     0.0000     0.0000
    range by      bits       range            s    z  clipped  SQNR dB   bits       range            s    z  clipped  SQNR dB
    extremes          8  -0.507 ... 0.545   0.0041  123    0.00%     38.1      4  -0.491 ... 0.561   0.0701    7    0.00%     13.3
    99.9 %            8  -0.373 ... 0.400   0.0030  123    0.05%     32.3      4  -0.360 ... 0.412   0.0515    7    0.04%     16.0
    KL                8  -0.282 ... 0.284   0.0022  127    0.60%     24.4      4  -0.396 ... 0.346   0.0495    8    0.09%     16.5
    least error       8  -0.500 ... 0.536   0.0041  123    0.02%     38.1      4  -0.286 ... 0.250   0.0358    8    0.52%     18.0
"""
import numpy as np
from pictures import draw, histogram, lines

from tinycompress import calibration, fields, histograms, least_squares, problems, recipes, recommender, shop
from tinycompress.quantization import asymmetric_grid, fake_quantize

print("bits    lo    hi        s   -lo/s    z  span of the codes   0.0 gives:  with z  with -lo/s  16 times")
for bits, lo, hi in ((4, -1.0, 3.0), (8, -1.0, 3.0), (8, 0.0, 3.0)):
    grid = asymmetric_grid((lo, hi), bits, signed=False)
    s, z, exact = grid.scale, grid.zero_point, 0 - lo / grid.scale
    zero, off = ((np.rint(0.0 / s + at) - at) * s for at in (z, exact))  # a code is whole, whatever is added to x / s
    span = f"{grid.low:>9.4f} ... {grid.high:.4f}"
    print(f"{bits:<4} {lo:>5} {hi:>5} {s:>8.4f} {exact:>7.2f} {z:>4}{span} {zero:>18} {off:>10.4f} {16 * off:>10.4f}")
problem = problems.shop_problem(shop.make_shop(np.random.default_rng(0), n_impressions=40_000))
shape, rows, marks, points = recipes.architecture_for(problem, 16, (64, 32)), {}, {8: {}, 4: {}}, {}
params = recipes.train(problem, shape, recipes.Schedule(6, lr=4e-3), np.random.default_rng(0)).params
inputs = (fields.batch_inputs(problem.fields, lists.rows) for lists in (problem.train, problem.test))
seen, x = (recommender.forward(params, some, shape)[1][0].ravel() for some in inputs)
for bits in (8, 4):
    observers = {"extremes": calibration.MinMax(), "99.9 %": histograms.Histogram(percent=99.9),
                 "KL": histograms.Histogram(cut="divergence", levels=2**bits)}  # fmt: skip
    found = {name: asymmetric_grid(observer.observe(seen).range(), bits, signed=False) for name, observer in observers.items()}
    found["least error"] = least_squares.least_squares_grid(seen, bits, signed=False, symmetric=False)
    shrunk = {part: asymmetric_grid(part * seen, bits, signed=False) for part in np.linspace(0.4, 1, 25)}
    for name, grid in (found | shrunk).items():
        db = 10 * np.log10((x**2).sum() / ((fake_quantize(x, grid) - x) ** 2).sum())
        points.setdefault(name if name in found else f"{bits} bits", []).append((grid.high - grid.low, db))
        if name in found:
            clipped = np.mean((x < grid.low - grid.scale / 2) | (x > grid.high + grid.scale / 2))
            cells = f"{bits:>6} {grid.low:>7.3f} ... {grid.high:.3f} {grid.scale:>8.4f} {grid.zero_point:>4}"
            rows.setdefault(name, []).append(f"{cells} {clipped:>8.2%} {db:>8.1f}")
            marks[bits][name] = grid.low, grid.high
print("range by   ", *2 * ("  bits       range            s    z  clipped  SQNR dB",))
print(*(" ".join((f"{name:<12}", *cells)) for name, cells in rows.items()), sep="\n")
draw("calibrate",
     *(histogram({"": seen}, 80, some, yscale="log", xlabel=f"inputs; ranges at {bits} bits") for bits, some in marks.items()),
     lines({name: tuple(zip(*some)) for name, some in points.items()}, "o", {"8 bits": "k-", "4 bits": "k--"},
           xlabel="width of the range (lines: extremes, shrunk)", ylabel="SQNR on test lists, dB"))  # fmt: skip
