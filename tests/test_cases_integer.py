"""Answers that other libraries gave for integer operations, against the conventions that claim to reproduce them: bits equal.

A carried selection runs always; the whole file runs where it lies beside the project. Floats are float32 unless an operation
keeps float64; scales of LiteRT were given in decimals and stored as float32.
"""

import json
import pathlib

import numpy as np
import pytest

from tinycompress.conventions import DynamicLinear
from tinycompress.dynamic import dynamic_linear, dynamic_quantize
from tinycompress.fixed_point import (
    FixedPoint,
    choose_requantization_multiplier,
    multiply_fixed_point,
    quantize_multiplier,
    rounding_divide_by_pot,
    saturating_rounding_doubling_high_mul,
    saturating_rounding_mul_with_shift,
)  # fmt: skip
from tinycompress.grids import Grid
from tinycompress.integer import integer_matmul, requantize
from tinycompress.integer_layers import change_grid, quantized_add, quantized_linear, quantized_mul
from tinycompress.packing import interleave_rows, pack, wrap_bits
from tinycompress.tables import greedy_range, look_up, pack_rows

CARRIED = pathlib.Path(__file__).parent / "cases" / "integer.json"
GROUPS = ("fixedpoint", "requant", "qlinear", "qadd", "dynamic", "embedding", "int4_packing", "fbgemm_cpp")
ELSEWHERE = ("ChooseQuantizationParams", "Quantize")  # operations of fbgemm_cpp that belong to grids and to rounding values
RANGES = {"UINT8": (0, 255), "INT8": (-128, 127)}
# Known differences, each with its reason; everything else must agree.
MISSES: dict[str, str] = {}


def numbers(values, dtype=np.float32):
    """JSON numbers, with the non-finite ones written as strings."""
    with np.errstate(under="ignore", over="ignore"):
        return np.vectorize(lambda v: dtype(float(v)), otypes=[dtype])(np.asarray(values, object))


def integers(values):
    return np.asarray(values, np.int64)


def grid_of(scale, zero_point, low, high, axis=None):
    scale = np.asarray(scale)
    if scale.ndim:
        return Grid(scale, np.broadcast_to(integers(zero_point), scale.shape), low, high, axis)
    return Grid(scale, zero_point, low, high)


def litert(peer):
    return "litert." + peer[peer.index("(") + 1 : -1]


def onnx_name(peer):
    return "onnxruntime" if peer.startswith("onnxruntime") else "onnx.reference"


# ---- one function per group: what the package answers, in the form of the case's output ----


def fixedpoint(op, x, params, peer):
    if op == "QuantizeMultiplier":
        q, shift = quantize_multiplier(x["m"])
        return {"q": q, "shift": shift}
    if op == "SaturatingRoundingDoublingHighMul":
        return {"r": int(saturating_rounding_doubling_high_mul(x["a"], x["b"]))}
    if op == "RoundingDivideByPOT":
        return {"r": int(rounding_divide_by_pot(x["x"], x["exponent"]))}
    if op == "MultiplyByQuantizedMultiplier":
        ends = (-(2**31), 2**31 - 1)
        double = requantize(x["x"], x["real_multiplier"], 0, *ends, "gemmlowp")
        single = requantize(x["x"], x["real_multiplier"], 0, *ends, "gemmlowp.single_rounding")
        assert int(double) == int(multiply_fixed_point(x["x"], FixedPoint(params["q"], params["shift"])))
        return {"double_rounding": int(double), "single_rounding": int(single)}
    raise KeyError(op)


def requant(op, x, params, peer):
    q = integers(x["q"])
    unsigned = q.max() > 127
    low, high = RANGES["UINT8" if unsigned else "INT8"]
    s_in, s_out = (numbers(params[k]) for k in ("in_scale", "out_scale"))
    q = q.astype(np.uint8 if unsigned else np.int8)
    name = litert(peer) + ".REQUANTIZE"
    y = change_grid(q, Grid(s_in, params["in_zp"], low, high), Grid(s_out, params["out_zp"], -128, 127), name)
    alone = requantize(
        q.astype(np.int64) - params["in_zp"], np.float64(s_in) / np.float64(s_out), params["out_zp"], -128, 127, name
    )
    assert np.array_equal(y, alone)  # the two ways to the same codes
    return {"y": y.tolist()}


def qlinear(op, x, params, peer):
    if op == "quantized.linear" and x["x_q"] == "64 x 255":
        grids = Grid(1.0, 0, 0, 255), Grid(1.0, 0, -128, 127), Grid(params["y_scale"], params["y_zp"], 0, 255)
        sums = np.full((1, 64), 255, np.uint8), np.full((64, 2), 127, np.int8)
        y = quantized_linear(sums[0], grids[0], sums[1], grids[1], None, grids[2], params["engine"] + ".linear")
        return {"y_q": y.tolist(), "exact": 200}
    if op == "quantized.linear":
        x_grid = grid_of(params["x_scale"], params["x_zp"], 0, 255)
        w_grid = grid_of(params["w_scale"], params["w_zp"], -128, 127, axis=1)
        bias = None if x.get("bias") is None else numbers(x["bias"])
        y_grid = grid_of(params["y_scale"], params["y_zp"], 0, 255)
        w = np.int8(x["w_q"]).T
        return {
            "y_q": quantized_linear(np.uint8(x["x_q"]), x_grid, w, w_grid, bias, y_grid, params["engine"] + ".linear").tolist()
        }
    if op == "FULLY_CONNECTED":
        x_grid = grid_of(numbers(params["x_scale"]), params["x_zp"], -128, 127)
        w_grid = grid_of(numbers(params["w_scale"]), 0, -128, 127, axis=1)
        y_grid = grid_of(numbers(params["y_scale"]), params["y_zp"], -128, 127)
        bias = integers(x["bias_q"])
        y = quantized_linear(np.int8(x["x_q"]), x_grid, np.int8(x["w_q"]).T, w_grid, bias, y_grid, f"{litert(peer)}.{op}")
        return {"y": y.tolist()}
    types = params["types"]
    a, b = (np.asarray(x[k]).astype(types[k].lower()) for k in "ab")
    if op == "MatMulInteger":
        return {"y": integer_matmul(a, b, x.get("az", 0), x.get("bz", 0)).tolist()}
    low, high = RANGES[types.get("zy", types["a"])]
    grids = [
        grid_of(numbers(x["sa"]), x["za"], *RANGES[types["a"]]), grid_of(numbers(x["sb"]), x["zb"], *RANGES[types["b"]], axis=1),
        grid_of(numbers(x["sy"]), x["zy"], low, high),
    ]  # fmt: skip
    bias = integers(x["c"]) if "c" in x else None
    return {"y": quantized_linear(a, grids[0], b, grids[1], bias, grids[2], onnx_name(peer) + ".QLinearMatMul").tolist()}


def qadd(op, x, params, peer):
    if "types" in params:
        grids = [grid_of(numbers(x["s" + k]), x["z" + k], *RANGES[params["types"]["z" + k]]) for k in "aby"]
        name = f"{onnx_name(peer)}.{op}"
    elif op.startswith("quantized."):
        low, high = (0, 255) if min(x["a"] + x["b"]) >= 0 else (-128, 127)
        grids = [grid_of(params[k + "_scale"], params[k + "_zp"], low, high) for k in "aby"]
        name = "torch." + op
    else:
        grids = [grid_of(numbers(params[k + "_scale"]), params[k + "_zp"], -128, 127) for k in "aby"]
        name = f"{litert(peer)}.{op}"
    function = quantized_add if "add" in op.lower() else quantized_mul
    return {"y": function(integers(x["a"]), grids[0], integers(x["b"]), grids[1], grids[2], name).tolist()}


def dynamic(op, x, params, peer):
    if op == "quantized.linear_dynamic":
        grid = grid_of(params["w_scale"], params["w_zp"], -128, 127, axis=1)
        bias = None if x.get("bias") is None else numbers(x["bias"])
        name = params["engine"] + ".linear_dynamic"
        y = dynamic_linear(numbers(x["x"]), np.int8(x["w_q"]).T, grid, bias, name, params["reduce_range"])
        return {"y": y.tolist()}
    if op == "DynamicQuantizeLinear":
        rule = DynamicLinear(grid=f"{onnx_name(peer)}.DynamicQuantizeLinear", elementwise=f"{onnx_name(peer)}.QuantizeLinear")
        q, grid = dynamic_quantize(numbers(x["x"]), rule)
        return {"y": q.tolist(), "y_scale": float(grid.scale), "y_zp": int(grid.zero_point)}
    if op == "DynamicQuantizeMatMul":
        low, high = RANGES[params["types"]["b"]]
        grid = grid_of(numbers(x["sb"]), x["zb"], low, high, axis=1)
        b = np.asarray(x["b"]).astype(params["types"]["b"].lower())
        bias = numbers(x["bias"]) if "bias" in x else None
        return {
            "y": dynamic_linear(numbers(x[next(k for k in ("a", "x") if k in x)]), b, grid, bias, f"onnxruntime.{op}").tolist()
        }
    raise KeyError(op)


def embedding(op, x, params, peer):
    if op == "choose_qparams_optimized":
        lo, hi = greedy_range(
            numbers([x[k] for k in ("x", "w") if k in x][0])[None], params["bit_width"], params["n_bins"], params["ratio"]
        )
        return {"xmax": float(hi[0]), "xmin": float(lo[0])}
    width = {"byte": 8, "4bit": 4, "2bit": 2}[op.split("_")[-2]]
    w = numbers(x["w"])
    found = greedy_range(w, width, params["nbins"], params["ratio"]) if params.get("optimized_qparams") else None
    table = pack_rows(w, f"fbgemm.rowwise{width}", found)
    return {"bytes": table.data.tolist(), "unpacked": look_up(table, np.arange(len(w))).tolist()}


def int4_packing(op, x, params, peer):
    q = x.get("q")
    if op.startswith("cast."):
        kind = op.removeprefix("cast.")
        return {"value": wrap_bits(numbers(x["x"]), int(kind[-1]), signed=not kind.startswith("u")).tolist()}
    if op in ("TensorProto.INT4 raw packing", "TensorProto.UINT4 raw packing"):
        return {"int32_data": list(pack(q, 4, signed=not op.startswith("TensorProto.U"))), "raw": []}
    if op == "quant_utils.pack_bytes_to_4bit":
        return {"bytes": list(pack(integers(q) & 15, 4))}
    if op.startswith("BitPack.pack_"):
        bits = int(op[len("BitPack.pack_")])
        columns = np.shape(q)[1]
        if op.endswith("_u8"):
            return {"packed": np.frombuffer(pack(q, bits, "halves"), np.uint8).reshape(-1, columns).tolist()}
        return {"packed": np.frombuffer(pack(q, bits, "words_32_dealt"), np.int32).reshape(-1, columns).tolist()}
    if op == "pack_to_int32":
        bits = params.get("num_bits", 4)
        words = [np.frombuffer(pack(row + 2 ** (bits - 1), bits, "words_32"), np.int32) for row in np.atleast_2d(integers(q))]
        return {"packed": np.array(words).tolist()}
    if op == "pack_intweight":
        words = np.frombuffer(pack(interleave_rows(np.arange(4 * 64).reshape(4, 64) % 16), 4), np.int16).reshape(1, 64)
        return {"packed_int16": words.tolist(), "shape": list(words.shape)}
    raise KeyError(op)


def fbgemm_cpp(op, x, params, peer):
    if op == "ChooseRequantizationMultiplier":
        multiplier, shift = choose_requantization_multiplier(x["m"], params["precision"])
        return {"multiplier": multiplier, "right_shift": shift}
    if op == "SaturatingRoundingMulWithShift":
        return {"r": int(saturating_rounding_mul_with_shift(x["a"], x["b"], params["right_shift"]))}
    if op == "Requantize(float)":
        return {"q": int(requantize(x["acc"], params["multiplier"], params["zero_point"], 0, 255, "fbgemm.Requantize"))}
    raise KeyError(op)


def is_here(case):
    return case["group"] in GROUPS and not case["op"].startswith(ELSEWHERE)


def agrees(case):
    if case["id"] in MISSES:
        return False
    ours = globals()[case["group"]](case["op"], case["inputs"], case["params"], case["peer"])
    return same(ours, case["output"])


def same(ours, theirs):
    """Equal bits, except the sign of NaN and which NaN; what the peer gives beside its answer is not asked for."""
    if isinstance(theirs, dict):
        return all(same(ours[k], v) for k, v in theirs.items())
    return np.array_equal(numbers(ours, np.float64), numbers(theirs, np.float64), equal_nan=True)


CASES = json.loads(CARRIED.read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize("case", CASES, ids=[c["id"] for c in CASES])
def test_carried(case):
    assert agrees(case)


def test_whole_file(peers_dir):
    cases = [c for c in json.loads((peers_dir / "quantization_cases.json").read_text(encoding="utf-8")) if is_here(c)]
    wrong = {c["id"]: c["op"] for c in cases if not agrees(c)}
    assert set(wrong) == set(MISSES) & {c["id"] for c in cases}, wrong
    assert len(cases) >= 100 and len(wrong) <= 0.02 * len(cases)
