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
    """Curves {name: (x, y) or (x, y, error of y)}, some in `styles` of their own; `levels` {name: y} are level lines."""

    def panel(axis):
        for name, (x, y, *error) in curves.items():
            axis.errorbar(x, y, *error, fmt=dict(styles).get(name, style), label=name, ms=5, lw=1.5, capsize=3)
        for shade, (name, y) in zip(("black", "gray", "silver"), dict(levels).items()):
            axis.axhline(y, color=shade, ls="--", lw=1, label=name)
        dress(axis, legend, labels)

    return panel


def bars(series, names, level=None, legend="best", **labels):
    """Groups of horizontal bars, from the top: {name of a series: one value per name}; `level` is marked by a line."""

    def panel(axis):
        thick = 0.8 / len(series)
        for place, (name, values) in enumerate(series.items()):
            axis.barh([i + (place + 0.5) * thick - 0.4 for i in range(len(names))], values, thick, label=name)
        if level is not None:
            axis.axvline(level, color="black", ls="--", lw=1)
        axis.invert_yaxis()
        axis.set_yticks(range(len(names)), names)
        dress(axis, legend, labels)

    return panel


def histogram(samples, bins=60, **labels):
    """Outlines of how often values occur: {name: values}."""

    def panel(axis):
        edges = None
        for name, values in samples.items():
            _, edges, _ = axis.hist(values, bins if edges is None else edges, histtype="step", lw=1.5, label=name)
        dress(axis, "best", labels)

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
