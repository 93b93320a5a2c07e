"""Inputs that hurt: ties, ties one ulp away, range ends, signed zeros, subnormals, huge values, and the shapes nobody tries."""


# ---- ranked rows: tied scores, infinities, signed zeros, graded relevance, padding ----


def ranked_rows(max_length=5, grades=(0, 0, 1, 2, 0.5)):
    """(scores, relevance, mask, k) of one row, (1, L) each: few distinct scores, so that most rows tie at the cut."""
    import numpy as np
    from hypothesis import strategies as st

    score = st.sampled_from([0.0, -0.0, 1.0, 1.0, float("inf"), -float("inf"), float(np.nextafter(np.float32(1), 2))])
    candidate = st.tuples(score, st.sampled_from(grades), st.sampled_from([True, True, True, False]))

    def assemble(candidates, k):
        scores, relevance, mask = zip(*candidates, strict=True)
        return np.array([scores]), np.array([relevance], float), np.array([mask]), k

    return st.builds(assemble, st.lists(candidate, min_size=1, max_size=max_length), st.integers(1, max_length + 2))


# ---- weights to prune: ties everywhere, signed zeros, subnormals, infinities, no entries ----


def weights(min_size=0, max_size=24, dtypes=("float32", "float64"), infinities=True, distinct=False):
    """An array (n,) of weights. Most draws are from few magnitudes, so that the threshold is usually tied."""
    import numpy as np
    from hypothesis import strategies as st

    tied = [0.0, -0.0, 1.0, -1.0, 1.0, 2.0, -2.0, 0.5, 1e-45, 1e-40, -1e-45, 3e38, float(np.nextafter(np.float32(1), 2))]
    few = st.sampled_from(tied + ([float("inf"), -float("inf")] if infinities else []))
    free = st.floats(-1e6, 1e6, width=32)

    def assemble(values, dtype):
        with np.errstate(under="ignore"):
            return np.array(values, np.float64).astype(dtype)

    if distinct:
        values = st.lists(st.integers(1, 10**6), min_size=min_size, max_size=max_size, unique=True)
    else:
        values = st.lists(st.one_of(few, few, few, free), min_size=min_size, max_size=max_size)
    return st.builds(assemble, values, st.sampled_from(dtypes))


def sparsities():
    """Fractions that make s n a half, an integer, or an ulp beside one; 0 and 1."""
    from hypothesis import strategies as st

    common = st.sampled_from([0.0, 0.1, 0.2, 0.25, 0.3, 0.5, 0.6, 0.7, 0.75, 0.8, 0.9, 0.95, 1.0, 1 - 2.0**-53, 2.0**-60])
    halves = st.builds(lambda k, n: (k + 0.5) / n if k < n else 1.0, st.integers(0, 23), st.integers(1, 24))
    return st.one_of(common, halves, st.floats(0, 1))


# ---- values to lay a grid over: subnormal, huge, one-sided, constant, all zero, one outlier, empty ----


def tensors(min_size=0, max_size=12, huge=3e38):
    """An array (n,) of float32 from which grids break: most draws mix few hard magnitudes with signs of one kind or both."""
    import numpy as np
    from hypothesis import strategies as st

    huge = float(np.float32(huge))
    hard = [0.0, 1e-45, 3e-45, 1e-43, 1e-40, 1.17549435e-38, 2e-38, 1e-30, 6.1e-5, 1e-3, 0.5, 1.0, 127.0, 127.5, 254.5, 255.0, 1e30, huge]
    size = st.one_of(st.sampled_from(hard), st.floats(0, huge, width=32), st.floats(0, 4, width=32))
    sign = st.sampled_from([(1,), (-1,), (1, -1)])

    def assemble(sizes, signs, outlier, same):
        x = np.array(sizes, np.float64) * np.resize(signs, len(sizes))
        x = x[:1].repeat(len(x)) if same else np.append(x, [1e4 * np.abs(x).max()] if outlier and len(x) else [])
        with np.errstate(under="ignore"):
            return np.clip(x, -huge, huge).astype(np.float32)

    kinds = st.sampled_from([(False, False)] * 4 + [(True, False), (False, True)])
    values = st.lists(size, min_size=min_size, max_size=max_size)
    return st.builds(lambda v, s, k: assemble(v, s, *k), values, sign, kinds)


# ---- values on a grid and beside it: half steps, ties an ulp away, the ends, signed zeros, subnormal, huge, one outlier ----


def scalar_grids(bits=range(2, 17), scales=None):
    """A Grid with one scale: any width, signed or unsigned, full or narrow, a zero point anywhere, ends included."""
    from hypothesis import strategies as st

    from tinycompress.grids import Grid, code_range

    few = [1.0, 0.5, 0.1, 0.0625, 3.0, 0.3, 1.0 / 3, 1e-3, 7.5e-39, 1e-30, 2.0**100]
    free = st.floats(2.0**-20, 1e3, width=32)
    scale = st.one_of(st.sampled_from(few), free) if scales is None else st.sampled_from(scales)

    def assemble(width, signed, narrow, s, fraction):
        qmin, qmax = code_range(width, signed, narrow)
        return Grid(s, qmin + round(fraction * (qmax - qmin)), qmin, qmax)

    place = st.one_of(st.sampled_from([0.0, 1.0, 0.5]), st.floats(0, 1))
    return st.builds(assemble, st.sampled_from(list(bits)), st.booleans(), st.booleans(), scale, place)


def values_on(grid, dtype="float32", max_size=24, finite=False, nan=False):
    """An array of `dtype` that meets the grid where rules differ; shapes (), (0,), (n,), (1, n) and (n, 1)."""
    import numpy as np
    from hypothesis import strategies as st

    s, z = float(grid.scale), float(grid.zero_point)
    top = float(np.finfo(dtype).max)
    tiny = float(np.finfo(dtype).smallest_subnormal)
    hard = [0.0, -0.0, tiny, -tiny, 1e-40, -1e-40, float(np.finfo(dtype).tiny), 1e30, -1e30, 3e9, -3e9, top, -top]
    hard += ([] if finite else [np.inf, -np.inf]) + ([np.nan] if nan else [])
    halves = st.sampled_from([0.5, 0.5, 0.5, 0.0, 0.25, 0.75, 0.49999997, 0.50000006])
    ends = st.sampled_from([grid.qmin - 1, grid.qmin, grid.qmax, grid.qmax + 1])
    code = st.one_of(st.integers(grid.qmin - 3, grid.qmax + 3), ends)
    on_grid = st.tuples(code, halves, st.sampled_from([-1, 0, 0, 1]))
    outlier = st.builds(lambda v: (v, None, 0), st.sampled_from(hard))

    def number(item):
        k, half, step = item
        if half is None:
            return np.dtype(dtype).type(k)
        with np.errstate(all="ignore"):
            x = np.dtype(dtype).type((k + half - z) * s)
            return np.nextafter(x, np.dtype(dtype).type(step * np.inf)) if step else x

    def assemble(items, layout, sign):
        with np.errstate(all="ignore"):
            x = np.array([number(i) for i in items], dtype)
            x = {"as is": x, "negative": -np.abs(x), "constant": np.repeat(x[:1], len(x))}[sign]
            x = np.clip(x, -top, top) if finite else x
        shapes = {"flat": x.shape, "row": (1, -1), "column": (len(x), 1)}
        return x.reshape(()) if layout == "flat" and len(x) == 1 else x.reshape(shapes[layout])

    items = st.lists(st.one_of(on_grid, on_grid, on_grid, outlier), min_size=0, max_size=max_size)
    layouts = st.sampled_from(["flat", "flat", "flat", "row", "column"])
    return st.builds(assemble, items, layouts, st.sampled_from(["as is"] * 4 + ["negative", "constant"]))


def grids_with_values(dtype="float32", finite=False, nan=False, **kinds):
    """(grid, x): a grid with one scale, and values that meet it where rules differ."""
    from hypothesis import strategies as st

    return scalar_grids(**kinds).flatmap(lambda g: st.tuples(st.just(g), values_on(g, dtype, finite=finite, nan=nan)))


# ---- logits of student and teacher: equal, shifted, close, one sure, far apart; temperatures from .01 to 1e4 ----


def logit_pairs(limit=100.0, dtypes=("float32",), max_rows=2, max_classes=5):
    """(student, teacher), each (N, C): most pairs are nearly equal or nearly sure, where a divergence is small and cancels."""
    import numpy as np
    from hypothesis import strategies as st

    def assemble(n, c, seed, spread, kind, gap, shift, dtype):
        rng = np.random.default_rng(seed)
        teacher = 10.0**spread * rng.uniform(-1, 1, (n, c))
        student = 10.0**spread * rng.uniform(-1, 1, (n, c))
        if kind == "close":
            student = teacher + 10.0**gap * rng.standard_normal((n, c))
        elif kind == "shifted":
            student = teacher + shift + 10.0**gap * rng.standard_normal((n, c))
        elif kind == "sure":
            teacher[:, 0] += limit
            student[:, rng.integers(c)] += limit
        elif kind == "grid":
            student, teacher = np.round(student), np.round(teacher)
        with np.errstate(under="ignore"):
            return tuple(np.clip(z, -limit, limit).astype(dtype) for z in (student, teacher))

    return st.builds(
        assemble, st.integers(1, max_rows), st.integers(1, max_classes), st.integers(0, 2**32), st.floats(-6, np.log10(limit)),
        st.sampled_from(["free", "close", "shifted", "sure", "grid"]), st.floats(-8, 0), st.floats(-limit, limit),
        st.sampled_from(dtypes),
    )  # fmt: skip


def temperatures():
    """Temperatures from .01 to 1e4, the ends and the usual ones often."""
    from hypothesis import strategies as st

    return st.one_of(st.sampled_from([0.01, 1.0, 2.0, 4.0, 100.0, 1e4]), st.floats(-2, 4).map(lambda e: 10.0**e))
