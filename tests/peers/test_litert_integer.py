"""Integer operations against LiteRT (TensorFlow Lite's runtime), where it is installed: its three sets of kernels."""

import numpy as np
import pytest

flatbuffers = pytest.importorskip("flatbuffers")
schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
interpreter = pytest.importorskip("ai_edge_litert.interpreter")

from tinycompress.grids import Grid  # noqa: E402
from tinycompress.integer import integer_matmul  # noqa: E402
from tinycompress.integer_layers import change_grid, quantized_add, quantized_linear, quantized_mul  # noqa: E402
from tinycompress.requantization import combine_scales  # noqa: E402

N = 100_000
KERNELS = {
    "xnnpack": interpreter.OpResolverType.AUTO,
    "builtin": interpreter.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    "reference": interpreter.OpResolverType.BUILTIN_REF,
}
KINDS = {
    np.dtype(np.int8): schema.TensorType.INT8,
    np.dtype(np.uint8): schema.TensorType.UINT8,
    np.dtype(np.int32): schema.TensorType.INT32,
}


def tensor(name, array, grid, buffers, constant=False):
    t, q = schema.TensorT(), schema.QuantizationParametersT()
    t.name, t.shape, t.type, t.buffer = name.encode(), list(array.shape), KINDS[array.dtype], 0
    q.scale, q.zeroPoint = [float(s) for s in grid.scale.ravel()], [int(z) for z in grid.zero_point.ravel()]
    t.quantization = q
    if constant:
        buffers.append(schema.BufferT())
        buffers[-1].data, t.buffer = np.frombuffer(np.ascontiguousarray(array).tobytes(), np.uint8), len(buffers) - 1
    return t


def run(op, options, kernels, feeds, answer, constants=(), version=2):
    """One operation as a model of its own. feeds, constants: (array, grid); answer: (array of the answer's shape, grid)."""
    model, code, graph, node = schema.ModelT(), schema.OperatorCodeT(), schema.SubGraphT(), schema.OperatorT()
    model.version, model.buffers = 3, [schema.BufferT()]
    code.builtinCode, code.version = getattr(schema.BuiltinOperator, op), version
    code.deprecatedBuiltinCode = min(code.builtinCode, 127)
    operands = [*feeds, *constants]
    graph.tensors = [tensor(f"t{k}", *pair, model.buffers, k >= len(feeds)) for k, pair in enumerate(operands)]
    graph.tensors.append(tensor("y", *answer, model.buffers))
    node.inputs, node.outputs = list(range(len(operands))), [len(operands)]
    node.builtinOptionsType, node.builtinOptions = getattr(schema.BuiltinOptions, options), getattr(schema, options + "T")()
    graph.inputs, graph.outputs, graph.operators = list(range(len(feeds))), node.outputs, [node]
    model.operatorCodes, model.subgraphs = [code], [graph]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    it = interpreter.Interpreter(
        model_content=bytes(builder.Output()), experimental_op_resolver_type=KERNELS[kernels], num_threads=1
    )
    it.allocate_tensors()
    for place, (array, _) in zip(it.get_input_details(), feeds):
        it.set_tensor(place["index"], array)
    it.invoke()
    return it.get_tensor(it.get_output_details()[0]["index"])


def int8(rng, *shape):
    return rng.integers(-128, 128, shape).astype(np.int8)


def grid(scale, zero_point):
    return Grid(np.float32(scale), int(zero_point), -128, 127)


@pytest.mark.parametrize("kernels", KERNELS)
def test_fully_connected(kernels):
    """The bias sets the sums: as near to ties as integers come, and large, where float32 and fixed-point multipliers part."""
    rng, wrong, done = np.random.default_rng(0), 0, 0
    while done < N:
        outputs, per_channel = int(rng.integers(2, 1500)), rng.random() < 0.5
        s_x, s_w = (
            np.float32(rng.uniform(0.01, 0.2)),
            np.asarray(rng.uniform(0.05, 0.1, outputs if per_channel else ()), np.float32),
        )
        s_y = np.float32(np.max(s_x * s_w) * 10 ** rng.uniform(0, 7)) if rng.random() < 0.7 else np.float32(s_x * s_w.max() * 2)
        x, w, z_x, z_y = int8(rng, 2, 3), int8(rng, outputs, 3), int(rng.integers(-128, 128)), int(rng.integers(-128, 128))
        w = np.maximum(w, -127)
        grids = grid(s_x, z_x), Grid(s_w, np.zeros(s_w.shape, np.int64), -127, 127, 1 if per_channel else None), grid(s_y, z_y)
        halfway = (rng.integers(-140, 141, outputs) + 0.5) / combine_scales(s_x, s_w, s_y).astype(np.float64)
        limit = 2**31 - 10**6
        bias = np.clip(np.rint(halfway - integer_matmul(x, w.T, z_x)[0]) + rng.integers(-1, 2, outputs), -limit, limit).astype(
            np.int32
        )
        bias_grid = Grid(s_x * s_w, np.zeros(s_w.shape, np.int64), -limit, limit, 0 if per_channel else None)
        answer = np.empty((2, outputs), np.int8), grids[2]
        theirs = run(
            "FULLY_CONNECTED", "FullyConnectedOptions", kernels, [(x, grids[0])], answer, [(w, grids[1]), (bias, bias_grid)], 4
        )
        ours = quantized_linear(x, grids[0], w.T, grids[1], bias, grids[2], f"litert.{kernels}.FULLY_CONNECTED")
        wrong, done = wrong + (ours != theirs).sum(), done + theirs.size
    assert wrong == 0


@pytest.mark.parametrize("kernels", KERNELS)
def test_requantize(kernels):
    rng, wrong, done = np.random.default_rng(1), 0, 0
    while done < N:
        q = int8(rng, int(rng.integers(1, 1000)))
        s_in, ratio = rng.uniform(0.01, 1), [0.5, 2, 4, 8, 3, 1 / 3, 1, rng.uniform(0.1, 10)][int(rng.integers(0, 8))]
        grids = grid(s_in, rng.integers(-128, 128)), grid(s_in * ratio, rng.integers(-128, 128))
        theirs = run("QUANTIZE", "QuantizeOptions", kernels, [(q, grids[0])], (q, grids[1]))
        wrong, done = wrong + (change_grid(q, *grids, f"litert.{kernels}.REQUANTIZE") != theirs).sum(), done + q.size
    assert wrong == 0


@pytest.mark.parametrize("kernels", KERNELS)
@pytest.mark.parametrize("op, ours", [("ADD", quantized_add), ("MUL", quantized_mul)])
def test_elementwise(kernels, op, ours):
    rng, wrong, done = np.random.default_rng(2), 0, 0
    while done < N:
        a, b = int8(rng, 2000), int8(rng, 2000)
        scales = [(1.0, 1.0, 2.0), (0.5, 0.25, 1.0), tuple(rng.uniform(0.01, 0.2, 3))][int(rng.integers(0, 3))]
        grids = [grid(s, rng.integers(-128, 128)) for s in scales]
        theirs = run(op, op.capitalize() + "Options", kernels, [(a, grids[0]), (b, grids[1])], (a, grids[2]))
        wrong, done = wrong + (ours(a, grids[0], b, grids[1], grids[2], f"litert.{kernels}.{op}") != theirs).sum(), done + a.size
    assert wrong == 0
