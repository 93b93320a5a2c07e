"""QuantizeLinear and DequantizeLinear against the onnxruntime and the onnx reference that are installed, mostly on ties."""
import numpy as np
import pytest

from tinycompress.grids import Grid
from tinycompress.quantization import dequantize, quantize

onnx = pytest.importorskip("onnx")
COUNT, GRIDS = 3_000, 40  # 120,000 values per operation and type
HARD = np.float32([np.nan, np.inf, -np.inf, 1e30, -1e30, 3e9, -3e9, 2147483648, -2147483648, 1e-45, 0.0, -0.0])
TYPES = {
    "UINT8": (0, 255), "INT8": (-128, 127), "UINT16": (0, 65535), "INT16": (-32768, 32767), "INT4": (-8, 7), "UINT4": (0, 15),
}  # fmt: skip
IN_NUMPY = {"UINT8": np.uint8, "INT8": np.int8, "UINT16": np.uint16, "INT16": np.int16}


@pytest.fixture(autouse=True)
def _quiet():
    with np.errstate(all="ignore"):
        yield


def model(op, kind, shape, axis=None):
    """One node between two casts, so that 4-bit codes come and go as int32."""
    from onnx import TensorProto, helper

    codes, attributes = getattr(TensorProto, kind), {} if axis is None else {"axis": axis}
    value = helper.make_tensor_value_info
    if op == "QuantizeLinear":
        cast = helper.make_node("Cast", ["q"], ["y"], to=TensorProto.INT32)
        nodes = [helper.make_node(op, ["x", "s", "zc"], ["q"], **attributes), cast]
        ends = value("x", TensorProto.FLOAT, None), value("y", TensorProto.INT32, None)
    else:
        nodes = [helper.make_node("Cast", ["x"], ["q"], to=codes), helper.make_node(op, ["q", "s", "zc"], ["y"], **attributes)]
        ends = value("x", TensorProto.INT32, None), value("y", TensorProto.FLOAT, None)
    zero = helper.make_node("Cast", ["z"], ["zc"], to=codes)
    inputs = [ends[0], value("s", TensorProto.FLOAT, shape), value("z", TensorProto.INT32, shape)]
    graph = helper.make_graph([zero, *nodes], "one", inputs, [ends[1]])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def session(op, kind, shape, axis=None):
    runtime = pytest.importorskip("onnxruntime")
    options = runtime.SessionOptions()
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    run = runtime.InferenceSession(model(op, kind, shape, axis).SerializeToString(), options, providers=["CPUExecutionProvider"])
    return lambda x, s, z: run.run(None, {"x": x, "s": np.array(s, np.float32), "z": np.array(z, np.int32)})[0]


def ties(rng, scale, zero_point, qmin, qmax):
    k = rng.integers(qmin - 3, qmax + 4, COUNT) + rng.choice([0.5, 0.5, 0.5, 0.0], COUNT) - zero_point
    x = (k * np.float64(scale)).astype(np.float32)
    x = np.where(rng.integers(0, 3, COUNT) == 0, x, np.nextafter(x, rng.choice([-np.inf, np.inf], COUNT).astype(np.float32)))
    x[: len(HARD)] = HARD
    return x.astype(np.float32)


def drawn(seed, qmin, qmax):
    rng = np.random.default_rng(seed)
    for i in range(GRIDS):
        scale = np.float32(rng.uniform(0.01, 1) if i % 5 else 10 ** rng.uniform(-30, 5))
        yield rng, scale, int(rng.choice([rng.integers(qmin, qmax + 1), qmin, qmax, 0 if qmin < 0 else qmin]))


@pytest.mark.parametrize("kind", TYPES)
def test_quantize_linear(kind):
    qmin, qmax = TYPES[kind]
    run = session("QuantizeLinear", kind, ())
    for rng, s, z in drawn(0, qmin, qmax):
        x = ties(rng, s, z, qmin, qmax)
        np.testing.assert_array_equal(quantize(x, Grid(s, z, qmin, qmax), "onnxruntime.QuantizeLinear"), run(x, s, z))


@pytest.mark.parametrize("axis", [0, 1])
def test_quantize_linear_per_axis(axis):
    run = session("QuantizeLinear", "INT8", (4,), axis)
    for rng, s, z in drawn(1, -128, 127):
        x = ties(rng, s, z, -128, 127).reshape(4, -1)
        x = x if axis == 0 else np.ascontiguousarray(x.T)
        scales, zeros = np.float32([s, s * 3, s / 7, s]), np.array([z, 0, -128, 127])
        grid = Grid(scales, zeros, -128, 127, axis)
        np.testing.assert_array_equal(quantize(x, grid, "onnxruntime.QuantizeLinear"), run(x, scales, zeros))


@pytest.mark.parametrize("kind", TYPES)
def test_dequantize_linear(kind):
    qmin, qmax = TYPES[kind]
    run = session("DequantizeLinear", kind, ())
    for rng, s, z in drawn(2, qmin, qmax):
        q = rng.integers(qmin, qmax + 1, COUNT).astype(np.int32)
        np.testing.assert_array_equal(dequantize(q, Grid(s, z, qmin, qmax), "onnxruntime.DequantizeLinear"), run(q, s, z))


def test_a_scale_of_zero_and_of_infinity():
    run = session("QuantizeLinear", "UINT8", ())
    for s in (0.0, np.inf, 1e-45, 1e38):
        ours = quantize(HARD, Grid(np.float32(s), 5, 0, 255, unchecked=True), "onnxruntime.QuantizeLinear")
        np.testing.assert_array_equal(ours, run(HARD, s, 5))


@pytest.mark.parametrize("kind", IN_NUMPY)
def test_the_reference_evaluator(kind):
    """Its cast comes before its clip: what int32 cannot hold is the smallest int32, to which z is added."""
    from onnx.reference import ReferenceEvaluator

    qmin, qmax = TYPES[kind]
    there, back = (ReferenceEvaluator(model(op, kind, ())) for op in ("QuantizeLinear", "DequantizeLinear"))
    for rng, s, z in drawn(3, qmin, qmax):
        x, grid = ties(rng, s, z, qmin, qmax), Grid(s, z, qmin, qmax)
        q = there.run(None, {"x": x, "s": s, "z": np.array(z, np.int32)})[0]
        np.testing.assert_array_equal(quantize(x, grid, "onnx.reference.QuantizeLinear"), q)
        y = back.run(None, {"x": q.astype(np.int32), "s": s, "z": np.array(z, np.int32)})[0]
        np.testing.assert_array_equal(dequantize(q, grid, "onnx.reference.DequantizeLinear"), y)
