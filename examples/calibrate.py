"""Where do the scale and the zero point of a grid come from, and which range should it have?

A range [lo, hi] with 0 in it gives s = (hi - lo) / (2^b - 1), and z = -lo / s, rounded: z is the code of 0.0, so that zero comes
back exactly. Not rounded, it moves every zero by up to s / 2: what relu and pruning made, padding of bags ("16 times": how far
a sum over 16 zeros of padding is off). The price: the codes' span moves as much. A wide range has coarse steps, a narrow one
clips. Below, values with tails as heavy as activations have them (Laplace): ranges from 100,000 of them, error on 100,000 others.
At 8 bits extremes do. At 4, clipping one value in 170 gains 5.7 dB: least error finds that balance. KL, which compares how often
values occur before and after, comes near.

    python examples/calibrate.py        (with matplotlib: also calibrate.png)

It prints:

    bits    lo    hi        s   -lo/s    z  span of the codes   0.0 gives:  with z  with -lo/s  16 times
    4     -1.0   3.0   0.2667    3.75    4  -1.0667 ... 2.9333                0.0     0.0667     1.0667
    8     -1.0   3.0   0.0157   63.75   64  -1.0039 ... 2.9961                0.0     0.0039     0.0627
    8      0.0   3.0   0.0118    0.00    0   0.0000 ... 3.0000                0.0     0.0000     0.0000
    range by      bits       range            s    z  clipped  SQNR dB   bits       range            s    z  clipped  SQNR dB
    extremes          8  -11.86 ... 11.96   0.0934  127    0.00%     34.2      4  -11.12 ... 12.70   1.5881    7    0.00%     10.1
    99.9 %            8   -7.14 ...  6.97   0.0553  129    0.10%     29.0      4   -7.53 ...  6.58   0.9406    8    0.07%     14.3
    KL                8   -8.72 ...  8.78   0.0686  127    0.02%     33.5      4   -5.93 ...  5.19   0.7417    8    0.30%     15.7
    least error       8  -10.22 ... 10.14   0.0798  128    0.01%     34.8      4   -4.59 ...  5.25   0.6563    7    0.60%     15.8
"""
import numpy as np
from pictures import draw, histogram, lines

from tinycompress import calibration, histograms, least_squares
from tinycompress.quantization import asymmetric_grid, fake_quantize

print("bits    lo    hi        s   -lo/s    z  span of the codes   0.0 gives:  with z  with -lo/s  16 times")
for bits, lo, hi in ((4, -1.0, 3.0), (8, -1.0, 3.0), (8, 0.0, 3.0)):
    grid = asymmetric_grid((lo, hi), bits, signed=False)
    s, z, exact = grid.scale, grid.zero_point, 0 - lo / grid.scale
    zero, off = ((np.rint(0.0 / s + at) - at) * s for at in (z, exact))  # a code is whole, whatever is added to x / s
    span = f"{grid.low:>9.4f} ... {grid.high:.4f}"
    print(f"{bits:<4} {lo:>5} {hi:>5} {s:>8.4f} {exact:>7.2f} {z:>4}{span} {zero:>18} {off:>10.4f} {16 * off:>10.4f}")
rows, marks, points, rng = {}, {8: {}, 4: {}}, {}, np.random.default_rng(0)
seen, x = (rng.laplace(size=100_000).astype(np.float32) for _ in range(2))
for bits in (8, 4):
    observers = {"extremes": calibration.MinMax(), "99.9 %": histograms.Histogram(percent=99.9),
                 "KL": histograms.Histogram(cut="divergence", levels=2**bits)}  # fmt: skip
    found = {name: asymmetric_grid(observer.observe(seen).range(), bits, signed=False) for name, observer in observers.items()}
    found["least error"] = least_squares.least_squares_grid(seen, bits, signed=False, symmetric=False)
    shrunk = {part: asymmetric_grid(part * seen, bits, signed=False) for part in np.linspace(0.3, 1, 29)}
    for name, grid in (found | shrunk).items():
        db = 10 * np.log10((x**2).sum() / ((fake_quantize(x, grid) - x) ** 2).sum())
        points.setdefault(name if name in found else f"{bits} bits", []).append((grid.high - grid.low, db))
        if name in found:
            clipped = np.mean((x < grid.low - grid.scale / 2) | (x > grid.high + grid.scale / 2))
            cells = f"{bits:>6} {grid.low:>7.2f} ... {grid.high:>5.2f} {grid.scale:>8.4f} {grid.zero_point:>4}"
            rows.setdefault(name, []).append(f"{cells} {clipped:>8.2%} {db:>8.1f}")
            marks[bits][name] = grid.low, grid.high
print("range by   ", *2 * ("  bits       range            s    z  clipped  SQNR dB",))
print(*(" ".join((f"{name:<12}", *cells)) for name, cells in rows.items()), sep="\n")
draw("calibrate",
     *(histogram({"": seen}, 80, some, yscale="log", xlabel=f"values; ranges at {bits} bits") for bits, some in marks.items()),
     lines({name: tuple(zip(*some)) for name, some in points.items()}, "o", {"8 bits": "k-", "4 bits": "k--"},
           xlabel="width of the range (lines: extremes, shrunk)", ylabel="SQNR on other values, dB"))  # fmt: skip
