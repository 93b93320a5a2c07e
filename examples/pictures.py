"""The drawing that all lessons share: a picture is a row of panels, each made by a function below. Without matplotlib there is no
picture, and nothing else changes.

    draw("bits", lines({"SQNR": ([2, 4, 8], [5, 22, 47])}, xlabel="bits", ylabel="dB"))   writes bits.png, here
"""


def draw(name, *panels, width=5.2, height=4.0):
    """Write NAME.png in the current directory, its panels side by side."""
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(1, len(panels), figsize=(width * len(panels), height), squeeze=False, layout="constrained")
    for axis, panel in zip(axes[0], panels):
        panel(axis)
    figure.savefig(f"{name}.png", dpi=120)


def lines(curves, style="o-", styles=(), levels=(), legend="best", **labels):
    """Curves {name: (x, y) or (x, y, error of y)}, some in `styles` of their own, {name: format, or a dict with "fmt" in it};
    `levels` {name: y} are level lines."""

    def panel(axis):
        for name, (x, y, *error) in curves.items():
            given = dict(styles).get(name, style)
            given = given if isinstance(given, dict) else {"fmt": given}
            axis.errorbar(x, y, *error, **{"label": name, "ms": 5, "lw": 1.5, "capsize": 3} | given)
        for shade, (name, y) in zip(("black", "gray", "silver"), dict(levels).items()):
            axis.axhline(y, color=shade, ls="--", lw=1, label=name)
        dress(axis, legend, labels)

    return panel


def front(rows, pareto, **labels):
    """Rows of files, bytes against NDCG: a family "name, price" is a curve with its prices, others are named; no bytes: a level.

    Circles mark what pareto says is beaten by none; bars, the 95 % interval of the difference to the first row, list by list. A
    level far below all files is off the picture, and in the legend.
    """

    def panel(axis):
        from matplotlib import ticker

        axis.set_xscale("log")
        files, levels = [row for row in rows if row.bytes], [row for row in rows if not row.bytes]
        curves = {}
        for row in files:
            family, _, price = row.name.partition(", ")
            spread = row.difference - row.low, row.high - row.difference
            curves.setdefault(family, []).append((row.bytes, row.ndcg, *spread, price))
        for number, (family, points) in enumerate(curves.items()):
            x, y, below, above, prices = zip(*points)
            style, named = ("o-", {"label": family}) if any(prices) else ("s", {"color": "black"})
            drawn = axis.errorbar(x, y, (below, above), fmt=style, ms=5, lw=1.2, elinewidth=0.4, **named)
            colour = drawn.lines[0].get_color()
            for where, price in zip(zip(x, y), prices):
                place = {"xytext": (5, -3), "va": "top"} if price else {"xytext": (0, -14 if number % 2 else 7), "ha": "center"}
                axis.annotate(price or family, where, textcoords="offset points", fontsize=7, color=colour, **place)
        best = [files[i] for i in pareto([(row.bytes, row.ndcg) for row in files])]
        axis.plot([r.bytes for r in best], [r.ndcg for r in best], "o", ms=11, mfc="none", mec="black", label="beaten by none")
        for style, row in zip(("--", "-.", ":", (0, (1, 4))), levels):
            axis.axhline(row.ndcg, color="black", ls=style, lw=1, label=f"{row.name}, {row.ndcg:.3f}")
        ends = [row.ndcg + side - row.difference for row in files for side in (row.low, row.high)]
        low, high = min(ends), max(ends + [row.ndcg for row in levels])
        low = min([low] + [row.ndcg for row in levels if row.ndcg > 2 * low - high])
        axis.set_ylim(low - (high - low) / 20, high + (high - low) / 20)
        axis.margins(x=0.08)
        axis.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        axis.xaxis.set_major_formatter("{x:,.0f}")
        dress(axis, "outside", labels)

    return panel


def bars(series, names, level=None, legend="best", dots=False, missing="", **labels):
    """Groups of horizontal bars, from the top: {name of a series: per name a value, or (low, value, high)}; a line marks `level`.

    Where the axis does not begin at 0, `dots` instead. `missing` is written where a value is NaN.
    """

    def panel(axis):
        thick = 0.8 / len(series)
        for place, (name, values) in enumerate(series.items()):
            at = [i + (place + 0.5) * thick - 0.4 for i in range(len(names))]
            ends = [value if isinstance(value, tuple) else (value, value, value) for value in values]
            low, middle, high = (list(side) for side in zip(*ends))
            spread = [[abs(a - b) for a, b in zip(middle, side)] for side in (low, high)]
            whiskers = spread if any(isinstance(value, tuple) for value in values) else None
            if dots:
                axis.errorbar(middle, at, xerr=whiskers, fmt="o", ms=5, lw=1.2, capsize=2, label=name)
            else:
                axis.barh(at, middle, thick, xerr=whiskers, error_kw={"lw": 1, "capsize": 2}, label=name)
            for y in (y for y, value in zip(at, middle) if value != value):
                axis.text(0.01, y, missing, fontsize=8, va="center", transform=axis.get_yaxis_transform())
        if level is not None:
            axis.axvline(level, color="black", ls="--", lw=1)
        axis.set_yticks(range(len(names)), names)
        axis.set_ylim(len(names) - 0.5, -0.5)
        dress(axis, legend, labels)

    return panel


def histogram(samples, bins=60, marks=(), **labels):
    """Outlines of how often values occur, {name: values}, in bins that hold all; `marks` {name: (low, high)} are ranges."""

    def panel(axis):
        ends = [end(values) for values in samples.values() for end in (min, max)]
        for name, values in samples.items():
            axis.hist(values, bins, (min(ends), max(ends)), histtype="step", lw=1.5, label=name, color="gray" if marks else None)
        for number, (name, (low, high)) in enumerate(dict(marks).items()):
            place = {"transform": axis.get_xaxis_transform(), "color": f"C{number}"}
            axis.plot((low, high), (0.5 - 0.09 * number,) * 2, "|-", ms=9, lw=1.2, **place)
            axis.text((low + high) / 2, 0.51 - 0.09 * number, name, ha="center", fontsize=8, **place)
        dress(axis, "best", {"ylabel": "how many", **labels})

    return panel


def matrix(counts, names, **labels):
    """A matrix of counts: the shade is the share of the row, the number the count."""

    def panel(axis):
        axis.imshow(counts / counts.sum(axis=1, keepdims=True), cmap="Blues", vmin=0, vmax=1.4)
        for i, row in enumerate(counts):
            for j, count in enumerate(row):
                axis.text(j, i, f"{count:,}\n{count / max(row.sum(), 1):.0%}", ha="center", va="center")
        axis.set_xticks(range(len(names)), names)
        axis.set_yticks(range(len(names)), names)
        axis.set(**labels)

    return panel


def dress(axis, legend, labels):
    axis.set(**labels)
    axis.minorticks_off()
    axis.grid(alpha=0.25)
    place = {"loc": "center left", "bbox_to_anchor": (1, 0.5)} if legend == "outside" else {"loc": legend}
    if len(axis.get_legend_handles_labels()[1]) > 1:
        axis.legend(**place, frameon=False, fontsize=8)
