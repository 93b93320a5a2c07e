"""The grid rules against the libraries themselves, where they are installed: every range below gives the same bits.

The ranges are those that tell rules apart: both signs, one sign, flat, subnormal, up to the largest float32, and ends whose
zero point is a tie or one ulp beside it.
"""

import ctypes
import glob
import os
import warnings
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from tinycompress.calibration import MinMax, MovingAverage, observe_batches
from tinycompress.collectors import Collector
from tinycompress.conventions import get
from tinycompress.grid_rules import choose_grid, grid_for

RANGES = 20_000


def hard_ranges(count, n, seed, largest=3.4e38):
    """`count` ranges (lo, hi) in float32 for grids of n steps; a third have a zero point that is a tie, or beside one."""
    rng = np.random.default_rng(seed)
    with np.errstate(over="ignore", under="ignore"):
        size = np.exp(rng.uniform(np.log(1e-46), np.log(largest), (count, 2)))
        near = size[:, :1] ** 0.5 * np.abs(rng.standard_normal((count, 2)))  # both ends of one size
        ends = np.where(rng.random((count, 1)) < 0.3, size, near) * [-1.0, 1.0]
        ends = np.clip(ends, -largest, largest).astype(np.float32)
        kind = rng.integers(0, 12, count)
        scale = (2.0 ** rng.integers(-20, 20, count)).astype(np.float32)
        tie = (rng.integers(0, n, count) + 0.5).astype(np.float32)
        ties = np.stack([-tie * scale, (np.float32(n) - tie) * scale], axis=1)
        ties += rng.integers(-1, 2, ties.shape).astype(np.float32) * np.spacing(ties)
        ends[kind < 4] = ties[kind < 4]
        ends[kind == 4] = np.abs(ends[kind == 4])
        ends[kind == 5] = -np.abs(ends[kind == 5])
        ends[kind == 6, 0] = 0
        ends[kind == 7, 1] = 0
        ends[kind == 8, 0] = ends[kind == 8, 1]
        ends[:4] = [[0, 0], [-3e38, 3e38], [-1e-45, 1e-45], [-1e-10, 1e-10]]
    ends.sort(axis=1)
    return ends[:, 0].copy(), ends[:, 1].copy()


def assert_same(grid, scale, zero_point, lo, hi):
    wrong = (grid.scale != scale) | (grid.zero_point != zero_point)
    first = int(np.argmax(wrong))
    assert not wrong.any(), (
        f"{wrong.sum()} of {wrong.size} differ, first [{lo[first]!r}, {hi[first]!r}]: ours {grid.scale[first]!r}, "
        f"{grid.zero_point[first]}; "
        f"theirs {scale[first]!r}, {zero_point[first]}"
    )


OBSERVERS = [
    (dtype, scheme, reduced, codes)
    for dtype in ("qint8", "quint8", "int16", "uint16")
    for scheme in ("affine", "symmetric")
    for reduced in (False, True)
    for codes in (None, (-7, 7) if "u" not in dtype else (0, 15))
    if not (reduced and (scheme == "symmetric" and dtype == "quint8" or "16" in dtype or codes))  # torch refuses these
    if not (dtype == "uint16" and scheme == "symmetric" and codes)  # torch answers 32768, outside the codes: no rule here
]


@pytest.mark.parametrize("dtype, scheme, reduced, codes", OBSERVERS)
def test_min_max_observer(dtype, scheme, reduced, codes):
    torch = pytest.importorskip("torch")
    from torch.ao.quantization.observer import PerChannelMinMaxObserver

    signed, bits = "u" not in dtype, 16 if "16" in dtype else 8
    limits = dict(zip(("quant_min", "quant_max"), codes)) if codes else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        observer = PerChannelMinMaxObserver(
            dtype=getattr(torch, dtype), qscheme=getattr(torch, f"per_channel_{scheme}"), reduce_range=reduced, **limits
        )
    lo, hi = hard_ranges(RANGES, observer.quant_max - observer.quant_min, 1)
    with np.errstate(all="ignore"):
        observer(torch.from_numpy(np.stack([lo, hi], axis=1)))
        scale, zero_point = (t.numpy() for t in observer.calculate_qparams())
    qmin, qmax = codes or (None, None)
    grid = choose_grid(
        lo, hi, bits, signed, "torch.MinMaxObserver", symmetric=scheme == "symmetric", reduce_range=reduced, qmin=qmin, qmax=qmax
    )
    assert (grid.qmin, grid.qmax) == (observer.quant_min, observer.quant_max)
    assert_same(grid, scale, zero_point, lo, hi)


@pytest.mark.parametrize("reduced", [False, True])
def test_choose_qparams_per_tensor(reduced):
    torch = pytest.importorskip("torch")
    lo, hi = hard_ranges(RANGES, 127 if reduced else 255, 2)
    theirs = [torch._choose_qparams_per_tensor(t, reduced) for t in torch.from_numpy(np.stack([lo, hi], axis=1))]
    grid = choose_grid(lo, hi, 8, False, "torch._choose_qparams_per_tensor", reduce_range=reduced)
    assert_same(grid, np.array([s for s, _ in theirs]), np.array([z for _, z in theirs]), lo, hi)


class _Params(ctypes.Structure):
    _fields_ = [("scale", ctypes.c_float), ("zero_point", ctypes.c_int32), ("precision", ctypes.c_int)]


@pytest.mark.parametrize("codes", [(0, 255), (-128, 127), (0, 127), (-127, 127), (-8, 7), (0, 15), (-32768, 32767)])
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("power_of_two", [False, True])
def test_fbgemm(codes, symmetric, power_of_two):
    torch = pytest.importorskip("torch")
    library = glob.glob(os.path.join(os.path.dirname(torch.__file__), "lib", "libtorch_cpu.so"))
    if not library:
        pytest.skip("torch is installed without a libtorch_cpu.so to call FBGEMM in")
    choose = getattr(ctypes.CDLL(library[0]), "_ZN6fbgemm24ChooseQuantizationParamsEffiibb", None)
    if choose is None:
        pytest.skip("this libtorch_cpu.so does not export fbgemm::ChooseQuantizationParams")
    choose.restype, choose.argtypes = (
        _Params,
        [ctypes.c_float, ctypes.c_float, ctypes.c_int, ctypes.c_int, ctypes.c_bool, ctypes.c_bool],
    )
    lo, hi = hard_ranges(RANGES // 4, codes[1] - codes[0], 3)
    theirs = [choose(a, b, *codes, symmetric, power_of_two) for a, b in zip(lo.tolist(), hi.tolist())]
    grid = choose_grid(
        lo,
        hi,
        qmin=codes[0],
        qmax=codes[1],
        convention="fbgemm.ChooseQuantizationParams",
        symmetric=symmetric,
        power_of_two=power_of_two,
    )
    assert_same(grid, np.array([p.scale for p in theirs], np.float32), np.array([p.zero_point for p in theirs]), lo, hi)


@pytest.mark.parametrize("kind", ["UINT8", "INT8", "INT16", "UINT16", "INT4", "UINT4"])
@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("reduced", [False, True])
def test_compute_scale_zp(kind, symmetric, reduced):
    utils = pytest.importorskip("onnxruntime.quantization.quant_utils")
    onnx = pytest.importorskip("onnx")
    codes = utils.get_qmin_qmax_for_qType(getattr(onnx.TensorProto, kind), reduced, symmetric)
    lo, hi = hard_ranges(RANGES // 4, int(codes[1]) - int(codes[0]), 4)
    with np.errstate(all="ignore"):
        theirs = [utils.compute_scale_zp(a, b, *codes, symmetric) for a, b in zip(lo, hi)]
    bits, signed = int("".join(c for c in kind if c.isdigit())), kind[0] != "U"
    grid = choose_grid(lo, hi, bits, signed, "onnxruntime.compute_scale_zp", symmetric=symmetric, reduce_range=reduced)
    assert (grid.qmin, grid.qmax) == (int(codes[0]), int(codes[1]))
    assert_same(grid, np.array([s for _, s in theirs], np.float32), np.array([int(z) for z, _ in theirs]), lo, hi)


def test_compute_scale_zp_with_a_least_width():
    utils = pytest.importorskip("onnxruntime.quantization.quant_utils")
    lo, hi = hard_ranges(RANGES // 4, 255, 9)
    codes = np.array(-128, np.int8), np.array(127, np.int8)
    for symmetric in (False, True):
        with np.errstate(all="ignore"):
            theirs = [utils.compute_scale_zp(a, b, *codes, symmetric, 1e-4) for a, b in zip(lo, hi, strict=True)]
        name = "onnxruntime.compute_scale_zp"
        grid = choose_grid(lo, hi, convention=name, symmetric=symmetric, narrow=False, min_real_range=1e-4)
        assert_same(grid, np.array([s for _, s in theirs], np.float32), np.array([int(z) for z, _ in theirs]), lo, hi)


def dynamic_model(onnx):
    make = onnx.helper
    ends = [make.make_tensor_value_info(n, t, s) for n, t, s in (("x", 1, [None]), ("y", 2, [None]), ("s", 1, []), ("z", 2, []))]
    node = make.make_node("DynamicQuantizeLinear", ["x"], ["y", "s", "z"])
    graph = make.make_graph([node], "dynamic", ends[:1], ends[1:])
    return make.make_model(graph, opset_imports=[make.make_opsetid("", 21)], ir_version=10)


@pytest.mark.parametrize("name", ["onnxruntime.DynamicQuantizeLinear", "onnx.reference.DynamicQuantizeLinear"])
def test_dynamic_quantize_linear(name):
    onnx = pytest.importorskip("onnx")
    model = dynamic_model(onnx)
    if name.startswith("onnxruntime"):
        runtime = pytest.importorskip("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = 1
        session = runtime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    else:
        session = __import__("onnx.reference", fromlist=["x"]).ReferenceEvaluator(model)
    lo, hi = hard_ranges(RANGES, 255, 5)
    with np.errstate(all="ignore"):
        theirs = [session.run(None, {"x": x})[1:] for x in np.stack([lo, hi], axis=1)]
    grid = choose_grid(lo, hi, 8, False, name)
    assert_same(grid, np.array([s for s, _ in theirs], np.float32), np.array([int(z) for _, z in theirs]), lo, hi)
    for x in ([np.nan, 1], [np.nan, -1], [np.nan], [np.inf, 1], [-np.inf, 1], [-np.inf, np.inf]):
        x = np.array(x, np.float32)
        with np.errstate(all="ignore"):
            _, scale, zero_point = session.run(None, {"x": x})
        grid = grid_for(x, 8, False, name)
        assert np.array_equal(grid.scale, scale, equal_nan=True) and grid.zero_point == zero_point, x


INFINITE = [(0.0, np.inf), (1.0, np.inf), (-np.inf, 1.0), (-np.inf, -1.0), (-np.inf, np.inf)]


@pytest.mark.parametrize("ends", INFINITE)
def test_infinite_ends(ends):
    torch = pytest.importorskip("torch")
    from torch.ao.quantization.observer import MinMaxObserver

    lo, hi = ends
    for dtype, symmetric in product(("qint8", "quint8"), (False, True)):
        observer = MinMaxObserver(getattr(torch, dtype), torch.per_tensor_symmetric if symmetric else torch.per_tensor_affine)
        observer(torch.tensor(ends))
        scale, zero_point = observer.calculate_qparams()
        grid = choose_grid(lo, hi, 8, dtype == "qint8", "torch.MinMaxObserver", symmetric=symmetric)
        assert grid.scale == scale.item() and grid.zero_point == zero_point.item(), (dtype, symmetric)
    scale, zero_point = torch._choose_qparams_per_tensor(torch.tensor(ends), False)
    grid = choose_grid(lo, hi, 8, False, "torch._choose_qparams_per_tensor")
    assert (grid.scale, grid.zero_point) == (scale, zero_point)


@pytest.mark.parametrize("dtype, symmetric", list(product(("qint8", "quint8"), (False, True))))
def test_nan_in_min_max_observer(dtype, symmetric):
    torch = pytest.importorskip("torch")
    from torch.ao.quantization.observer import MinMaxObserver

    observer = MinMaxObserver(getattr(torch, dtype), torch.per_tensor_symmetric if symmetric else torch.per_tensor_affine)
    observer(torch.tensor([float("nan"), 1.0]))
    scale, zero_point = observer.calculate_qparams()
    lo, hi = MinMax(nan="propagate").observe([np.nan, 1.0]).range()
    grid = choose_grid(lo, hi, 8, dtype == "qint8", "torch.MinMaxObserver", symmetric=symmetric)
    assert np.isnan(grid.scale) and np.isnan(scale.item()) and grid.zero_point == zero_point.item()


def streams(seed, count):
    """`count` lists of one to three batches of every shape: heavy tails, one sign, ties, constants, a range that grows."""
    rng = np.random.default_rng(seed)
    for i in range(count):
        size, batches = int(rng.integers(1, 2000)), []
        for _ in range(rng.integers(1, 4)):
            x = (
                rng.normal(size=size), rng.standard_t(2, size=size), rng.exponential(size=size), rng.uniform(-1, 3, size=size),
                np.round(rng.normal(size=size), 1), -rng.exponential(size=size), np.zeros(size), np.full(size, 3.0),
            )[i % 8]  # fmt: skip
            batches.append((x * 10.0 ** rng.uniform(-0.2, 0.2)).astype(np.float32))
        yield batches


@pytest.mark.parametrize("bins, symmetric", [(2048, False), (64, True)])
def test_histogram_observer(bins, symmetric):
    torch = pytest.importorskip("torch")
    from torch.ao.quantization.observer import HistogramObserver

    scheme = torch.per_tensor_symmetric if symmetric else torch.per_tensor_affine
    rng = np.random.default_rng(10)
    many = [[rng.laplace(size=60_000).astype(np.float32)], [rng.normal(size=40_000).astype(np.float32) ** 3] * 2]  # many moves
    for batches in [*streams(6, 12), *many]:
        theirs = HistogramObserver(bins=bins, dtype=torch.qint8, qscheme=scheme)
        for x in batches:
            theirs(torch.from_numpy(x))
        scale, zero_point = theirs.calculate_qparams()
        ours = observe_batches(Collector(replace(get("torch.HistogramObserver"), bins=bins)), batches)
        assert np.array_equal(ours.counts, theirs.histogram.numpy())
        grid = choose_grid(*ours.range(), 8, True, "torch.MinMaxObserver", symmetric=symmetric)
        assert (float(grid.scale), int(grid.zero_point)) == (scale.item(), zero_point.item())


@pytest.mark.parametrize("weight", [0.01, 0.5])
def test_moving_average_observer(weight):
    torch = pytest.importorskip("torch")
    from torch.ao.quantization.observer import MovingAverageMinMaxObserver

    for batches in streams(7, 40):
        theirs = MovingAverageMinMaxObserver(averaging_constant=weight)
        for x in batches:
            theirs(torch.from_numpy(x))
        assert observe_batches(MovingAverage(weight), batches).range() == (theirs.min_val.item(), theirs.max_val.item())


@pytest.mark.parametrize("method, symmetric", [("percentile", False), ("percentile", True), ("entropy", False)])
def test_histogram_collector(method, symmetric, capsys):
    calibrate = pytest.importorskip("onnxruntime.quantization.calibrate")
    changes = {"bins": 256, "percent": 99.0}
    if symmetric:
        changes |= {"values": "absolute", "first_edges": "min_to_max", "growth": "bins_at_top"}
    rule = replace(get(f"onnxruntime.HistogramCollector.{method}"), **changes)
    for batches in streams(8, 8):  # its loop over candidates takes seconds
        theirs = calibrate.HistogramCollector(method, symmetric, 256, 128, 99.0, "same")
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for x in batches:
                theirs.collect({"x": x})
            lo, hi = theirs.compute_collection_result()["x"][:2]
        assert observe_batches(Collector(rule), batches).range() == (lo, hi)
