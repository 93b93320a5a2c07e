"""Scales, zero points and ranges that other libraries answered with, from the public functions by their conventions' names.

The measured cases beside the project are run where that folder exists; those the project needs are in tests/cases/grids.json,
with their builds, and run always. A case that no rule reproduces is listed in MISSES with its reason; there is none so far.
"""

import json
import pathlib
from dataclasses import replace

import numpy as np
import pytest

from tinycompress.calibration import MinMax, MovingAverage, observe_batches
from tinycompress.collectors import Collector
from tinycompress.conventions import GridRule, HistogramRule, get, names
from tinycompress.grid_rules import choose_grid, grid_for
from tinycompress.ranges import fit_range

OURS = json.loads((pathlib.Path(__file__).parent / "cases" / "grids.json").read_text(encoding="utf-8"))
MISSES: dict[str, str] = {}  # id -> why no rule reproduces it


def numbers(value):
    """JSON's numbers, lists of them, and the three that JSON spells as strings."""
    if isinstance(value, list):
        return [numbers(v) for v in value]
    return float(value) if isinstance(value, (str, int, float)) else value


def equal(ours, theirs):
    return np.array_equal(np.asarray(ours, float).ravel(), np.asarray(numbers(theirs), float).ravel(), equal_nan=True)


def scale_and_zero(grid, output, scale="scale", zero_point="zero_point"):
    return equal(grid.scale, output[scale]) and equal(grid.zero_point, output[zero_point])


def minmax_observer(inputs, params, output, peer):
    codes = {"qmin": params["quant_min"], "qmax": params["quant_max"]} if "quant_min" in params else {}
    observer = MinMax(nan="propagate", infinite="propagate")
    return torch_grid(observer, inputs, params, output, "torch.MinMaxObserver", **codes)


def moving_average(inputs, params, output, peer):
    observer = MovingAverage(params.get("averaging_constant", 0.01))
    return torch_grid(observer, inputs, params, output, "torch.MovingAverageMinMaxObserver")


def torch_grid(observer, inputs, params, output, name, **codes):
    lo, hi = observe_batches(observer, [np.array(x, np.float32) for x in numbers(inputs["xs"])]).range()
    symmetric = params["qscheme"].endswith("symmetric")
    grid = choose_grid(lo, hi, 8, "quint" not in params["dtype"], name, symmetric=symmetric, **codes)
    seen = equal(lo, output["min_val"]) and equal(hi, output["max_val"])
    return seen and scale_and_zero(grid, output) and (grid.qmin, grid.qmax) == (output["quant_min"], output["quant_max"])


def histogram_observer(inputs, params, output, peer):
    rule = replace(get("torch.HistogramObserver"), bins=params.get("bins", 2048))
    lo, hi = observe_batches(Collector(rule), [np.array(x, np.float32) for x in numbers(inputs["xs"])]).range()
    symmetric = params["qscheme"].endswith("symmetric")
    return scale_and_zero(
        choose_grid(lo, hi, 8, "quint" not in params["dtype"], "torch.MinMaxObserver", symmetric=symmetric), output
    )


def choose_qparams_per_tensor(inputs, params, output, peer):
    name = "torch._choose_qparams_per_tensor"
    grid = grid_for(np.array(numbers(inputs["x"]), np.float32), 8, False, name, reduce_range=params["reduce_range"])
    return scale_and_zero(grid, output) and (grid.qmin, grid.qmax) == (params["qmin"], params["qmax"])


def quantized_decomposed(inputs, params, output, peer):
    name = "torch.quantized_decomposed.choose_qparams" + ("_symmetric" if params["qmin"] < 0 and peer == "symmetric" else "")
    return scale_and_zero(grid_for(np.array(inputs["x"], np.float32), 8, params["dtype"] == "int8", name), output)


def quantized_decomposed_symmetric(inputs, params, output, peer):
    return quantized_decomposed(inputs, params, output, "symmetric")


def compute_scale_zp(inputs, params, output, peer):
    grid = choose_grid(
        inputs["rmin"], inputs["rmax"], 8, params["qtype"] == "INT8", "onnxruntime.compute_scale_zp",
        symmetric=params["symmetric"], reduce_range=params["reduce_range"], min_real_range=params["min_real_range"] or 0.0,
    )  # fmt: skip
    return scale_and_zero(grid, output) and (grid.qmin, grid.qmax) == (params["qmin"], params["qmax"])


def quantize_data(inputs, params, output, peer):
    grid = grid_for(inputs["w"], 8, params["qtype"] == "INT8", "onnxruntime.compute_scale_zp", symmetric=params["symmetric"])
    codes = np.clip(np.rint(np.array(inputs["w"], np.float32) / grid.scale) + grid.zero_point, grid.qmin, grid.qmax)
    return equal(grid.zero_point, output["ret"][0]) and equal(grid.scale, output["ret"][1]) and equal(codes, output["ret"][2])


def calculate_qparams(inputs, params, output, peer):
    codes = {"qmin": -448, "qmax": 448} if params.get("type") == "float" else {}
    name = "compressed_tensors.calculate_qparams"
    return scale_and_zero(
        choose_grid(inputs["min"], inputs["max"], params["num_bits"], True, name, symmetric=params["symmetric"], **codes), output
    )


def tensor_zp_scale(inputs, params, output, peer):
    name, bits = "ai_edge_quantizer", params["num_bits"]
    return scale_and_zero(choose_grid(inputs["min"], inputs["max"], bits, True, name, symmetric=params["symmetric"]), output)


def min_max_encoding(inputs, params, output, peer):
    bits = (params["num_steps"] + 1).bit_length() - 1
    lo, hi = fit_range(
        min(inputs["x"]), max(inputs["x"]), bits, True, "aimet.MinMaxEncodingAnalyzer", symmetric=params["symmetric"]
    )
    return equal(lo, output["min"]) and equal(hi, output["max"])


def choose_qparams_affine(inputs, params, output, peer):
    x = np.array(inputs["x"], np.float32)
    blocks = x.reshape(len(x), -1, params["block_size"][1])
    rule = {"symmetric": params["mapping"] != "ASYMMETRIC"}
    if params["mapping"] == "SYMMETRIC_NO_CLIPPING_ERR":
        rule["symmetric_scale"] = "no_clipping"
    if params["eps"] is not None:
        rule["floor"] = params["eps"]
    grid = choose_grid(
        blocks.min(-1),
        blocks.max(-1),
        convention="torchao.choose_qparams_affine",
        qmin=params["quant_min"],
        qmax=params["quant_max"],
        **rule,
    )
    return scale_and_zero(grid, output)


def dynamic_quantize_linear(inputs, params, output, peer):
    name = "onnx.reference.DynamicQuantizeLinear" if peer.startswith("onnx-") else "onnxruntime.DynamicQuantizeLinear"
    return scale_and_zero(grid_for(np.array(numbers(inputs["x"]), np.float32), 8, False, name), output, "y_scale", "y_zp")


def fbgemm(inputs, params, output, peer):
    grid = choose_grid(
        inputs["min"], inputs["max"], qmin=params["qmin"], qmax=params["qmax"], convention="fbgemm.ChooseQuantizationParams",
        symmetric=bool(params["preserve_sparsity"]), power_of_two=bool(params["force_scale_power_of_two"]),
    )  # fmt: skip
    return scale_and_zero(grid, output)


def generated(inputs):
    size = int(inputs["rng"].split("size=")[1].split(")")[0])
    return np.round(np.random.default_rng(0).normal(size=size), 3).astype(np.float32)


def ort_histogram(cut):
    def run(inputs, params, output, peer):
        rule = replace(
            get(f"onnxruntime.HistogramCollector.{cut}"), bins=params["num_bins"], percent=params.get("percentile", 99.999)
        )
        if params["symmetric"] and cut == "percentile":
            rule = replace(rule, values="absolute", first_edges="min_to_max", growth="bins_at_top")
        lo, hi = Collector(rule).observe(generated(inputs)).range()  # its calibrator joins the batches before it counts
        return equal(lo, output["lowest"]) and equal(hi, output["highest"])

    return run


def modelopt_percentile(inputs, params, output, peer):
    rule = replace(get("modelopt.HistogramCalibrator.percentile"), bins=params["num_bins"], percent=params["percentile"])
    return equal(Collector(rule).observe(generated(inputs)).range()[1], output["amax"])


def brevitas_int8(inputs, params, output, peer):
    narrow = params.get("weight_narrow_range", "True") == "True"
    bits = int(params.get("weight_bit_width", 8))
    return scale_and_zero(grid_for(inputs["w"], bits, True, "brevitas.Int8WeightPerTensorFloat", narrow=narrow), output)


def brevitas_shifted(inputs, params, output, peer):
    return scale_and_zero(grid_for(inputs["w"], 8, False, "brevitas.ShiftedUint8WeightPerTensorFloat"), output)


def gptq(inputs, params, output, peer):
    grid = grid_for(
        inputs["w"], params["bits"], False, "gptq.Quantizer", axis=0 if params["perchannel"] else None, symmetric=params["sym"]
    )
    return scale_and_zero(grid, output, zero_point="zero")


def awq(inputs, params, output, peer):
    w = np.array(inputs["w"], np.float32)
    groups = w.reshape(-1, params["q_group_size"] if params["q_group_size"] > 0 else w.shape[1])
    return scale_and_zero(
        grid_for(groups, params["n_bit"], False, "awq.pseudo_quantize_tensor", axis=0), output, zero_point="zero"
    )


def smoothquant(inputs, params, output, peer):
    x = np.array(inputs.get("w", inputs.get("x")), np.float32)
    rows = 0 if "x" in inputs else None
    grid = grid_for(x, params["n_bits"], True, "smoothquant.quantize_weight_per_tensor_absmax", axis=rows)
    scale, _ = grid.along(2)
    return equal(np.rint(x / scale) * scale, output["dequant"])


def neural_compressor(inputs, params, output, peer):
    symmetric = params["scheme"] == "sym"
    peak = {"symmetric_scale": "peak_at_qmin"} if symmetric and params["full_range"] else {}
    name = "neural_compressor.qdq_weight_" + ("sym" if symmetric else "asym")
    grid = grid_for(inputs["w"], params["bits"], symmetric, name, axis=0, **peak)
    return equal(grid.scale, output["scale"]) and (symmetric or equal(grid.zero_point, output["zp"]))


def quanto(inputs, params, output, peer):
    if not params["qtype"].endswith("qint8"):
        return None  # a float shift in x: no rule of this kind
    w = np.array(inputs["w"], np.float32)[: len(output["scale"])]
    return equal(grid_for(w, 8, True, "quanto.AbsmaxOptimizer", axis=params["axis"]).scale, output["scale"])


def tflite_converter(inputs, params, output, peer):
    name = "tf.lite.TFLiteConverter"
    x, w = output["serving_default_x:0"], output["MatMul"]
    values = grid_for(inputs["representative"], 8, True, name)
    weights = grid_for(inputs["w (in,out)"], 8, True, name, axis=1, symmetric=True)
    flat = not np.any(inputs["representative"])
    return (flat or equal(values.scale, x["scales"]) and equal(values.zero_point, x["zero_points"])) and equal(
        weights.scale, w["scales"]
    )


RUN = {
    "observer.MinMaxObserver": minmax_observer,
    "observer.MovingAverageMinMaxObserver": moving_average,
    "observer.HistogramObserver": histogram_observer,
    "_choose_qparams_per_tensor": choose_qparams_per_tensor,
    "quantized_decomposed.choose_qparams": quantized_decomposed,
    "quantized_decomposed.choose_qparams_symmetric": quantized_decomposed_symmetric,
    "quant_utils.compute_scale_zp": compute_scale_zp,
    "quant_utils.quantize_data": quantize_data,
    "calculate_qparams": calculate_qparams,
    "tensor_zp_scale_from_min_max": tensor_zp_scale,
    "MinMaxEncodingAnalyzer": min_max_encoding,
    "choose_qparams_affine+quantize_affine": choose_qparams_affine,
    "DynamicQuantizeLinear": dynamic_quantize_linear,
    "ChooseQuantizationParams": fbgemm,
    "calibrate.HistogramCollector.entropy": ort_histogram("entropy"),
    "calibrate.HistogramCollector.percentile": ort_histogram("percentile"),
    "HistogramCalibrator.percentile": modelopt_percentile,
    "weight_quant.Int8WeightPerTensorFloat": brevitas_int8,
    "weight_quant.ShiftedUint8WeightPerTensorFloat": brevitas_shifted,
    "Quantizer": gptq,
    "pseudo_quantize_tensor": awq,
    "quantize_weight_per_tensor_absmax": smoothquant,
    "quantize_activation_per_token_absmax": smoothquant,
    "weight_only.quant_tensor": neural_compressor,
    "quantize_weight": quanto,
    "TFLiteConverter.int8": tflite_converter,
}
ELSEWHERE = ("quantized.linear_dynamic", "IntQuant")  # a whole layer, and values rather than a grid


def outcome(case):
    """True if bit-equal, False if not, None if the case is not about scale, zero point or range."""
    runner = RUN.get(case["op"])
    if runner is None or "error" in case["output"] or case["params"].get("mse"):  # a crash; a search over x^2.4
        return None
    return bool(runner(case["inputs"], case["params"], case["output"], case["peer"]))


@pytest.mark.parametrize("case", OURS["cases"], ids=lambda case: case["id"])
def test_our_cases(case):
    assert outcome(case) is True


def test_every_named_rule_is_run_by_a_case():
    not_measured = {
        "torch.PerChannelMinMaxObserver",
        "torch.per_channel_affine_float_qparams",
        "tf.fake_quant.Nudge",
    }  # in test_grids
    source = pathlib.Path(__file__).read_text(encoding="utf-8")
    rules = {name for name in names() if isinstance(get(name), (GridRule, HistogramRule))}
    prefixes = ("onnxruntime.HistogramCollector.", "neural_compressor.qdq_weight_", "torch.quantized_decomposed.choose_qparams")
    assert {name for name in rules - not_measured if name not in source and not name.startswith(prefixes)} == set()


def test_measured_cases(peers_dir):
    cases = json.loads((peers_dir / "quantization_cases.json").read_text(encoding="utf-8"))
    counts = {}
    groups = ("choose_qparams", "observer", "dynamic", "fbgemm_cpp", "calibration", "brevitas", "llm", "tflite_converter")
    for case in cases:
        if case["group"] not in groups or case["op"] in ELSEWHERE:
            continue
        result = outcome(case)
        if case["group"] == "fbgemm_cpp" and result is None:
            continue  # codes and multipliers, judged elsewhere
        tally = counts.setdefault(case["group"], [0, 0, []])
        if result is None:
            tally[2].append(case["id"])
            continue
        tally[0] += result
        tally[1] += 1
        assert result or case["id"] in MISSES, case
    for group in ("choose_qparams", "observer", "dynamic", "fbgemm_cpp"):
        equal_bits, judged, unjudged = counts[group]
        assert equal_bits >= 0.98 * judged and not unjudged, (group, counts[group])
    print({group: f"{a} of {b}, not judged {c}" for group, (a, b, c) in counts.items()})
