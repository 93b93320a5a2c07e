"""Run a measured case of an elementwise operation through the public functions, by the convention's name.

A case is what one build answered: `peer`, `op`, `inputs`, `params`, `output`. `answers` returns pairs (ours, theirs) to be equal
to the bit, or None where the case holds something else (an error message, a calibration). Nothing here knows a peer's arithmetic.
"""
import numpy as np

from tinycompress.learned_scale import learned_fake_quantize, learned_fake_quantize_backward, learned_range_backward, range_grid
from tinycompress.quantization import Grid, dequantize, fake_quantize, fake_quantize_backward, quantize

RANGES = {
    "quint8": (0, 255), "qint8": (-128, 127), "qint32": (-(2**31), 2**31 - 1), "uint8": (0, 255), "int8": (-128, 127),
    "UINT8": (0, 255), "INT8": (-128, 127), "UINT16": (0, 65535), "INT16": (-32768, 32767), "INT4": (-8, 7), "UINT4": (0, 15),
    "int16": (-32768, 32767), "uint16": (0, 65535), "int32": (-(2**31), 2**31 - 1), "int4": (-8, 7), "uint4": (0, 15),
}  # fmt: skip

LITERT = {f"ai-edge-litert-2.3.0({r})": f"litert.{r}." for r in ("xnnpack", "builtin", "reference")}
NAMES = {
    "quantize_per_tensor": "torch.quantize_per_tensor", "dequantize_per_tensor": "torch.quantize_per_tensor",
    "quantize_per_channel": "torch.quantize_per_channel", "dequantize_per_channel": "torch.quantize_per_channel",
    "fake_quantize_per_tensor_affine": "torch.fake_quantize_per_tensor_affine",
    "fake_quantize_per_channel_affine": "torch.fake_quantize_per_channel_affine",
    "quantized_decomposed.quantize_per_tensor": "torch.quantized_decomposed",
    "quantized_decomposed.dequantize_per_tensor": "torch.quantized_decomposed",
    "quantize_affine": "torchao.quantize_affine", "quant_utils.quantize_nparray": "onnxruntime.quantize_nparray",
    "fake_quant_with_min_max_args": "tf.fake_quant_with_min_max_args",
    "fake_quant_with_min_max_vars": "tf.fake_quant_with_min_max_vars",
    "affine.quantize": "aimet", "affine.quantize_dequantize": "aimet", "affine.quantize_dequantize.grad": "aimet",
    "IntQuant": "brevitas.IntQuant", "fake_tensor_quant": "modelopt.fake_tensor_quant",
    "fake_tensor_quant.grad": "modelopt.fake_tensor_quant",
    "int8_vectorwise_quant": "bitsandbytes.int8_vectorwise_quant", "quantize_activation": "optimum_quanto",
    "Quantize<uint8,LEGACY>": "fbgemm.Quantize", "Quantize<int8,LEGACY>": "fbgemm.Quantize",
    "Quantize<uint8,NONLEGACY>": "fbgemm.Quantize.nonlegacy", "Quantize<int8,NONLEGACY>": "fbgemm.Quantize.nonlegacy",
    "Quantize scalar<uint8,LEGACY>": "fbgemm.Quantize.scalar", "Quantize scalar<int8,LEGACY>": "fbgemm.Quantize.scalar",
    "Quantize scalar<uint8,NONLEGACY>": "fbgemm.Quantize.scalar.nonlegacy",
    "Quantize scalar<int8,NONLEGACY>": "fbgemm.Quantize.scalar.nonlegacy",
    "_fake_quantize_learnable_per_tensor_affine": "torch.learnable", "LsqQuan": "lsq",
    "_fake_quantize_learnable_per_channel_affine": "torch.learnable.per_channel",
    "Quantizer": "gptq", "pseudo_quantize_tensor": "awq", "quantize_weight_per_tensor_absmax": "smoothquant",
    "quantize_activation_per_token_absmax": "smoothquant", "quantize_weight": "optimum_quanto",
    "weight_only.quant_tensor": "neural_compressor",
}  # fmt: skip


def name_of(case):
    """The convention's name for the operation that a case measured."""
    op, peer, params = case["op"], case["peer"], case["params"]
    if op in ("QUANTIZE", "DEQUANTIZE"):
        return LITERT[peer] + op
    if op in ("QuantizeLinear", "DequantizeLinear"):
        return ("onnxruntime." if peer.startswith("onnxruntime") else "onnx.reference.") + op
    if peer.startswith("tensorflow") and op == "quantize":
        mode = {"MIN_COMBINED": "", "MIN_FIRST": ".MIN_FIRST", "SCALED": ".SCALED"}[params["mode"]]
        to_even = mode == ".SCALED" and params["round_mode"] == "HALF_TO_EVEN"
        return "tf.quantization.quantize" + mode + (".half_to_even" if to_even else "")
    if op == "quantize_and_dequantize_v2":
        return "tf.quantize_and_dequantize_v2" + (".half_up" if params["round_mode"] == "HALF_UP" else "")
    if op == "IntQuant" and params.get("rounding", "Round") not in ("Round", "ROUND"):
        return f"brevitas.IntQuant.{params['rounding']}"
    return NAMES.get(op)


def numbers(value, dtype=np.float32):
    """Nested lists, in which "NaN" and "Infinity" are strings, as an array."""
    return np.array(value if not isinstance(value, list) else _parsed(value), dtype)


def _parsed(value):
    return [_parsed(v) for v in value] if isinstance(value, list) else float(value)


def answers(case):
    """Pairs (ours, theirs) that have to be equal to the bit; None if the case is not an elementwise answer."""
    name, inputs, params, output = name_of(case), case["inputs"], case["params"], case["output"]
    if name is None or "error" in output:
        return None
    if case["op"] in ("QuantizeLinear", "DequantizeLinear"):
        return _onnx(case, name)
    if case["op"].startswith(("Quantize<", "Quantize scalar<")):
        low_high = RANGES["int8" if "<int8" in case["op"] else "uint8"]
        grid = Grid(np.float32(params["scale"]), int(params["zero_point"]), *low_high)
        return [(quantize(numbers(inputs["x"]), grid, name), output["q"])]
    if "_learnable" in case["op"] or case["op"] == "LsqQuan":
        return _learned(case, name)
    if case["peer"].startswith("tensorflow"):
        return _tensorflow(case, name)
    if name in ("gptq", "awq", "smoothquant", "optimum_quanto", "neural_compressor") and "scale" not in params:
        return _weights(case, name)
    if case["op"] == "int8_vectorwise_quant":
        x = numbers(inputs["x"], np.float16)
        absmax = np.abs(x).max(axis=1).astype(np.float32)
        grid = Grid(absmax.astype(np.float64) / 127, [0] * len(absmax), -128, 127, axis=0, unchecked=True)
        return [(absmax, output["row_absmax"]), (quantize(x, grid, name), output["q"])]
    return _affine(case, name)


def _affine(case, name):
    """One grid, given by scale and zero point."""
    inputs, params, output = case["inputs"], case["params"], case["output"]
    x = numbers(inputs["x"]) if "x" in inputs else None
    if "quant_min" in params:
        qmin, qmax = params["quant_min"], params["quant_max"]
    elif "qmin" in params:
        qmin, qmax = params["qmin"], params["qmax"]
    elif "bits" in params:
        signed = params.get("signed", True)
        qmin = -(2 ** (params["bits"] - 1)) if signed else 0
        qmax = qmin + 2 ** params["bits"] - 1
    elif "num_bits" in params:
        qmax = 2 ** (params["num_bits"] - (0 if params.get("unsigned") else 1)) - 1
        qmin = -qmax if params.get("narrow_range", True) else -qmax - 1
    else:
        qmin, qmax = RANGES[str(params.get("dtype", params.get("type", params.get("qtype", "INT8")))).removeprefix("torch.")]
    if "amax" in params:
        qmin, qmax = (qmin, qmax) if "num_bits" in params else (-127, 127)
        grid = Grid(params["amax"] / qmax, 0, qmin, qmax)
    else:
        in_float64 = name in ("torch.quantize_per_channel", "torch.quantized_decomposed")
        scale = params["scale"] if in_float64 else np.float32(params["scale"])
        zero_point = params.get("zero_point", -params["offset"] if "offset" in params else 0)
        if params.get("zp_dtype") == "torch.float32":
            zero_point = np.float32(zero_point)
        grid = Grid(scale, np.zeros(np.shape(scale), int) + zero_point, qmin, qmax, params.get("axis"))
    pairs = []
    if "q" in inputs:
        return [(dequantize(np.array(inputs["q"], np.int64), grid, name), output["y"])]
    if "q" in output or case["op"] == "QUANTIZE":
        q = quantize(x, grid, name)
        pairs.append((q, output["q" if "q" in output else "y"]))
        if "dequant" in output:
            pairs.append((dequantize(q, grid, name), output["dequant"]))
        return pairs
    pairs.append((fake_quantize(x, grid, name), output["y"]))
    dx = fake_quantize_backward(np.ones_like(x), x, grid, name)
    pairs += [(dx, output[k]) for k in ("grad_mask", "grad", "dx") if k in output]
    if "dscale" in output:
        _, ds, dz = learned_fake_quantize_backward(np.ones_like(x), x, grid, "aimet.learned")
        pairs += [(ds, output["dscale"]), (-dz, output["doffset"])]
    if "q_implied" in output:
        pairs.append((np.rint(fake_quantize(x, grid, name) / grid.scale + grid.zero_point), output["q_implied"]))
    return pairs


def _weights(case, name):
    """Rows of weights (or groups of a row) on grids that the case states; smoothquant's are absmax / 127."""
    inputs, params, output = case["inputs"], case["params"], case["output"]
    w = numbers(inputs.get("w", inputs.get("x")))
    group = params.get("q_group_size", -1)
    rows = w.reshape(-1, group) if group > 0 else w
    bits = params.get("bits", params.get("n_bit", params.get("n_bits", 8)))
    if name == "smoothquant":
        per_row = case["op"] == "quantize_activation_per_token_absmax"
        absmax = np.abs(rows).max(axis=1) if per_row else np.abs(rows).max(keepdims=True).repeat(len(rows), 0).ravel()
        scale, zero = np.maximum(absmax, np.float32(1e-5)) / np.float32(2 ** (bits - 1) - 1), np.zeros(len(rows), int)
    else:
        scale = numbers(output["scale"]).ravel()
        zero = numbers(output.get("zero", output.get("zp")) or np.zeros(scale.shape)).ravel().astype(int)
    signed = not zero.any() and name not in ("gptq", "awq")
    qmin, qmax = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    grid = Grid(scale, zero, qmin, qmax, axis=0, unchecked=True)
    pairs = [(fake_quantize(rows, grid, name).reshape(w.shape), output["dequant"])] if "dequant" in output else []
    return pairs + [(quantize(rows, grid, name).reshape(w.shape), output[k]) for k in ("q", "data") if k in output]


def _onnx(case, name):
    inputs, params = case["inputs"], case["params"]
    kind = params["types"].get("z", params["types"].get("q", "UINT8"))
    scale, z = numbers(inputs["s"]), np.array(inputs.get("z", np.zeros(np.shape(inputs["s"])))).astype(int)
    axis = params.get("axis", 1) if scale.ndim == 1 and scale.size > 1 else None
    data = np.array(inputs["q"]) if "q" in inputs else numbers(inputs["x"])
    shape, block = data.shape, params.get("block_size")
    if block:  # groups along an axis: one scale for each
        axis = params["axis"] % data.ndim
        scale, z = np.expand_dims(scale, axis + 1), np.expand_dims(z, axis + 1)
        data, axis = data.reshape(*shape[:axis], -1, block, *shape[axis + 1 :]), None
    elif scale.ndim == 1:
        axis = 0 if data.ndim == 1 else axis
        if scale.size == 1:
            scale, z, axis = scale[0], z.reshape(-1)[0], None
    grid = Grid(scale, z, *RANGES[kind], axis, unchecked=True)
    ours = dequantize(data, grid, name) if "q" in inputs else quantize(data, grid, name)
    return [(ours.reshape(shape), case["output"]["y"])]


def _tensorflow(case, name):
    params, output, x = case["params"], case["output"], numbers(case["inputs"]["x"])
    lo, hi = np.float32(params["min"]), np.float32(params["max"])
    if "T" in params:
        qmin, qmax = RANGES[params["T"]]
    else:
        qmin = -(2 ** (params["num_bits"] - 1)) if params.get("signed") else 0
        qmax = qmin + 2 ** params["num_bits"] - 1
    qmin += bool(params.get("narrow_range"))
    if params.get("mode") == "SCALED" or "signed" in params:
        ends = [float(v) / q for v, q in ((lo, qmin), (hi, qmax)) if v * q > 0]
        grid = Grid(max(ends), 0, qmin, qmax) if qmin <= 0 else Grid(max(ends), 0.0, qmin, qmax)
    else:
        if "T" in params:
            lo, hi = min(lo, np.float32(0)), hi
        grid = range_grid(lo, hi, qmin, qmax)
    if "q" in output:
        q = quantize(x, grid, name)
        return [(q, output["q"]), (dequantize(q, grid, name), output["dequant"])]
    pairs = [(fake_quantize(x, grid, name), output["y"])]
    if "grad_x" in output:
        dx, dlo, dhi = learned_range_backward(np.ones_like(x), x, grid, name)
        pairs += [(dx, output["grad_x"])] + [(d, output[k]) for d, k in ((dlo, "grad_min"), (dhi, "grad_max")) if k in output]
    return pairs


def _learned(case, name):
    params, output, x = case["params"], case["output"], numbers(case["inputs"]["x"])
    dy = numbers(case["inputs"]["dy"]) if "dy" in case["inputs"] else np.ones_like(x)
    if name == "lsq":
        qmax = 2 ** (params["bit"] - 1) - 1
        grid, g = Grid(np.float32(params["s"]), 0, -qmax - 1, qmax), 1 / (x.size * qmax) ** 0.5
    else:
        channel = isinstance(params["scale"], list)
        given = numbers(params["scale"]), numbers(params["zero_point"]), params["quant_min"], params["quant_max"]
        grid = Grid(*given, 0 if channel else None)
        g = params["grad_factor"]
    dx, ds, dz = learned_fake_quantize_backward(dy, x, grid, name, g)
    ours = {"y": learned_fake_quantize(x, grid, name, g), "dx": dx, "dscale": ds, "ds": ds, "dzero_point": dz, "dzp": dz}
    return [(ours[k].reshape(np.shape(output[k])), output[k]) for k in output if k in ours]


def equal(ours, theirs):
    """Equal numbers of equal shape; NaN equals NaN, and +0 equals -0."""
    theirs = numbers(theirs, np.float64)
    return np.shape(ours) == theirs.shape and np.array_equal(np.asarray(ours, np.float64), theirs, equal_nan=True)
