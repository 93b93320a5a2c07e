"""Integer operations against the onnxruntime and the onnx reference that are installed: 100,000 values and more per operation."""

import itertools

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")
onnxruntime = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper  # noqa: E402
from onnx.reference import ReferenceEvaluator  # noqa: E402

from tinycompress.dynamic import dynamic_linear, dynamic_quantize  # noqa: E402
from tinycompress.grids import Grid  # noqa: E402
from tinycompress.integer import integer_matmul  # noqa: E402
from tinycompress.integer_layers import quantized_add, quantized_linear, quantized_mul  # noqa: E402
from tinycompress.packing import pack  # noqa: E402

N = 100_000
KINDS = {np.dtype(t): helper.np_dtype_to_tensor_dtype(np.dtype(t)) for t in ("uint8", "int8", "int32", "float32")}
pytestmark = pytest.mark.skipif(
    onnxruntime.__version__ != "1.32.0", reason=f"presets are of 1.32.0, this is {onnxruntime.__version__}"
)


def model(op, arrays, outputs, domain="", **attributes):
    names, answers = [f"i{k}" for k in range(len(arrays))], [f"o{k}" for k in range(len(outputs))]
    given = [n if a is not None else "" for n, a in zip(names, arrays)]
    graph = helper.make_graph(
        [helper.make_node(op, given, answers, domain=domain, **attributes)], "one",
        [helper.make_tensor_value_info(n, KINDS[a.dtype], a.shape) for n, a in zip(names, arrays) if a is not None],
        [helper.make_tensor_value_info(n, KINDS[np.dtype(t)], None) for n, t in zip(answers, outputs)],
    )  # fmt: skip
    sets = [helper.make_opsetid("", 21)] + ([helper.make_opsetid(domain, 1)] if domain else [])
    proto = helper.make_model(graph, opset_imports=sets, ir_version=10)
    return proto, {n: a for n, a in zip(names, arrays) if a is not None}


def runtime(*args, **kwargs):
    proto, feeds = model(*args, **kwargs)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, feeds)


def reference(*args, **kwargs):
    proto, feeds = model(*args, **kwargs)
    return ReferenceEvaluator(proto).run(None, feeds)


def scalar(value, dtype=np.float32):
    return np.asarray(value, dtype)


def matmul_cases(rng, total):
    """Products whose exact results lie at halves of a code: scales are powers of two, or s_y is chosen for it."""
    done, mixes = 0, itertools.cycle([(np.uint8, np.int8), (np.int8, np.int8), (np.uint8, np.uint8)])
    while done < total:
        a_type, b_type = next(mixes)
        rows, inner, columns = int(rng.integers(1, 9)), int(rng.integers(1, 20)), int(rng.integers(1, 300))
        a = rng.integers(np.iinfo(a_type).min, np.iinfo(a_type).max + 1, (rows, inner)).astype(a_type)
        b = rng.integers(np.iinfo(b_type).min, np.iinfo(b_type).max + 1, (inner, columns)).astype(b_type)
        per_column = rng.random() < 0.4
        z_a = int(rng.integers(np.iinfo(a_type).min, np.iinfo(a_type).max + 1))
        z_b = np.zeros(columns, np.int64) if per_column else int(rng.integers(np.iinfo(b_type).min, np.iinfo(b_type).max + 1))
        low, high = np.iinfo(a_type).min, np.iinfo(a_type).max
        z_y = int(rng.integers(low, high + 1))
        if rng.random() < 0.5:
            s_a, s_b, s_y = 1.0, np.full(columns if per_column else (), 0.5), 2.0 ** int(rng.integers(0, 12))
        else:
            s_a, s_b = rng.uniform(0.01, 0.2), rng.uniform(0.01, 0.2, columns if per_column else ())
            s_y = float(np.max(s_a * s_b)) * float(rng.uniform(1, 3000))
        s_a, s_b, s_y = np.float32(s_a), np.asarray(s_b, np.float32), np.float32(s_y)
        yield (
            a,
            Grid(s_a, z_a, low, high),
            b,
            Grid(s_b, z_b, np.iinfo(b_type).min, np.iinfo(b_type).max, 1 if per_column else None),
            Grid(s_y, z_y, low, high),
        )
        done += rows * columns


@pytest.mark.parametrize("peer, name", [(runtime, "onnxruntime.QLinearMatMul"), (reference, "onnx.reference.QLinearMatMul")])
def test_qlinear_matmul(peer, name):
    wrong = 0
    for a, a_grid, b, b_grid, y_grid in matmul_cases(np.random.default_rng(0), N):
        arrays = [a, a_grid.scale, scalar(a_grid.zero_point, a.dtype), b, b_grid.scale, scalar(b_grid.zero_point, b.dtype)]
        theirs = peer("QLinearMatMul", [*arrays, y_grid.scale, scalar(y_grid.zero_point, a.dtype)], [a.dtype])[0]
        wrong += (quantized_linear(a, a_grid, b, b_grid, None, y_grid, name) != theirs).sum()
    assert wrong == 0


def test_qgemm_with_a_bias_that_makes_ties():
    rng, wrong, done = np.random.default_rng(1), 0, 0
    while done < N:
        columns = int(rng.integers(1, 1500))
        per_column = rng.random() < 0.5
        s_a, s_b = (
            np.float32(rng.uniform(0.001, 0.2)),
            np.asarray(rng.uniform(0.05, 0.1, columns if per_column else ()), np.float32),
        )
        s_y = np.float32(np.max(s_a * s_b) * 10 ** rng.uniform(0, 7))
        a, b = rng.integers(0, 256, (1, 3)).astype(np.uint8), rng.integers(-128, 128, (3, columns)).astype(np.int8)
        z_a, z_y = int(rng.integers(0, 256)), int(rng.integers(0, 256))
        acc = integer_matmul(a, b, z_a)[0]
        halfway = (rng.integers(-140, 141, columns) + 0.5) * s_y / (s_a.astype(np.float64) * s_b)
        c = np.clip(np.rint(halfway - acc) + rng.integers(-1, 2, columns), -(2**31) + 10**6, 2**31 - 10**6).astype(np.int32)
        zeros = np.zeros(s_b.shape, np.int64)
        arrays = [a, scalar(s_a), scalar(z_a, np.uint8), b, s_b, zeros.astype(np.int8), c, scalar(s_y), scalar(z_y, np.uint8)]
        theirs = runtime("QGemm", arrays, [np.uint8], "com.microsoft", alpha=1.0, transA=0, transB=0)[0]
        grids = Grid(s_a, z_a, 0, 255), Grid(s_b, zeros, -128, 127, 1 if per_column else None), Grid(s_y, z_y, 0, 255)
        wrong += (quantized_linear(a, grids[0], b, grids[1], c, grids[2], "onnxruntime.QLinearMatMul") != theirs).sum()
        done += columns
    assert wrong == 0


def test_results_beyond_int32_saturate():
    a, b = np.uint8([[255, 255]]), np.int8([[127, -127, 1], [127, -127, -1]])
    for s_y in (1e-7, 1e-37):
        arrays = [a, scalar(1), scalar(0, np.uint8), b, scalar(1), scalar(0, np.int8), scalar(s_y), scalar(7, np.uint8)]
        grids = Grid(1.0, 0, 0, 255), Grid(1.0, 0, -128, 127), Grid(np.float32(s_y), 7, 0, 255)
        for peer, name in ((runtime, "onnxruntime.QLinearMatMul"), (reference, "onnx.reference.QLinearMatMul")):
            assert np.array_equal(
                quantized_linear(a, grids[0], b, grids[1], None, grids[2], name), peer("QLinearMatMul", arrays, [np.uint8])[0]
            )


def test_matmul_integer():
    rng = np.random.default_rng(4)
    for a_type, b_type in itertools.product((np.uint8, np.int8), repeat=2):
        a = rng.integers(np.iinfo(a_type).min, np.iinfo(a_type).max + 1, (100, 700)).astype(a_type)
        b = rng.integers(np.iinfo(b_type).min, np.iinfo(b_type).max + 1, (700, 300)).astype(b_type)
        z_a, z_b = a[0, 0], b[0, 0]
        theirs = reference("MatMulInteger", [a, b, scalar(z_a, a_type), scalar(z_b, b_type)], [np.int32])[0]
        assert np.array_equal(integer_matmul(a, b, z_a, z_b), theirs)
        if (a_type, b_type) != (np.int8, np.uint8):  # has no kernel
            theirs = runtime("MatMulInteger", [a, b, scalar(z_a, a_type), scalar(z_b, b_type)], [np.int32])[0]
            assert np.array_equal(integer_matmul(a, b, z_a, z_b), theirs)


def activations(rng, shape):
    z, unit = int(rng.integers(0, 256)), 2.0 ** -int(rng.integers(0, 8))
    x = (rng.integers(-2 * z, 2 * (255 - z) + 1, shape) / 2 * unit).astype(np.float32)
    x.flat[0], x.flat[-1] = -z * unit, (255 - z) * unit
    return x if rng.random() < 0.7 else rng.normal(size=shape).astype(np.float32)


def test_dynamic_quantize_matmul():
    rng, wrong, done = np.random.default_rng(6), 0, 0
    while done < N:
        rows, inputs, columns = int(rng.integers(1, 6)), int(rng.integers(1, 40)), int(rng.integers(1, 400))
        x, b = activations(rng, (rows, inputs)), rng.integers(-128, 128, (inputs, columns)).astype(np.int8)
        s_b = np.asarray(rng.uniform(0.001, 0.1, columns if rng.random() < 0.5 else ()), np.float32)
        bias = rng.normal(size=columns).astype(np.float32) if rng.random() < 0.5 else None
        zeros = np.zeros(s_b.shape, np.int8)
        theirs = runtime(
            "DynamicQuantizeMatMul", [x, b, s_b, zeros] + ([bias] if bias is not None else []), [np.float32], "com.microsoft"
        )[0]
        grid = Grid(s_b, zeros, -128, 127, 1 if s_b.ndim else None)
        wrong += (dynamic_linear(x, b, grid, bias, "onnxruntime.DynamicQuantizeMatMul") != theirs).sum()
        done += theirs.size
    assert wrong == 0


def test_dynamic_quantize_linear():
    rng, done = np.random.default_rng(8), 0
    while done < N:
        x = activations(rng, int(rng.integers(2, 2000)))
        codes, s, z = runtime("DynamicQuantizeLinear", [x], [np.uint8, np.float32, np.uint8])
        q, grid = dynamic_quantize(x, "onnxruntime.DynamicQuantizeMatMul")
        assert np.array_equal(q, codes) and grid.scale == s and grid.zero_point == z
        done += x.size


@pytest.mark.parametrize("op, ours", [("QLinearAdd", quantized_add), ("QLinearMul", quantized_mul)])
def test_elementwise(op, ours):
    rng, wrong, done = np.random.default_rng(9), 0, 0
    while done < N:
        n, dtype = int(rng.integers(1, 900)), [np.uint8, np.int8][int(rng.integers(0, 2))]
        low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
        a, b = (rng.integers(low, high + 1, n).astype(dtype) for _ in range(2))
        scales = [(1.0, 1.0, 2.0), (0.5, 0.25, 1.0), tuple(rng.uniform(0.01, 0.2, 3)), (0.3, 0.3, 0.6)][int(rng.integers(0, 4))]
        grids = [Grid(np.float32(s), int(rng.integers(low, high + 1)), low, high) for s in scales]
        arrays = [v for q, g in ((a, grids[0]), (b, grids[1])) for v in (q, g.scale, scalar(g.zero_point, dtype))]
        theirs = runtime(op, [*arrays, grids[2].scale, scalar(grids[2].zero_point, dtype)], [dtype], "com.microsoft")[0]
        wrong, done = wrong + (ours(a, grids[0], b, grids[1], grids[2], f"onnxruntime.{op}") != theirs).sum(), done + n
    assert wrong == 0


@pytest.mark.parametrize("kind, signed", [(TensorProto.INT4, True), (TensorProto.UINT4, False)])
def test_packing(kind, signed):
    rng = np.random.default_rng(10)
    for n in (1, 2, 7, 4096):
        q = rng.integers(-8 if signed else 0, 8 if signed else 16, n)
        tensor = helper.make_tensor("t", kind, [n], q)
        stored = tensor.raw_data or np.array(tensor.int32_data, np.uint8).tobytes()
        assert pack(q, 4, signed=signed) == stored
