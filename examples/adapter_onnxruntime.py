"""onnxruntime's QuantizeLinear and DequantizeLinear as an adapter: tinycompress verify examples/adapter_onnxruntime.py"""

from functools import lru_cache

import numpy as np
import onnxruntime
from onnx import TensorProto, helper

KINDS = {(-128, 127): (np.int8, TensorProto.INT8), (0, 255): (np.uint8, TensorProto.UINT8)}


@lru_cache
def session(operation, code):
    """One node; x, scale and zero point are its inputs."""
    takes, gives = (TensorProto.FLOAT, code) if operation == "QuantizeLinear" else (code, TensorProto.FLOAT)
    inputs = [("x", takes), ("s", TensorProto.FLOAT), ("z", code)]
    graph = helper.make_graph(
        [helper.make_node(operation, ["x", "s", "z"], ["y"])],
        "one",
        [helper.make_tensor_value_info(name, kind, [] if name != "x" else None) for name, kind in inputs],
        [helper.make_tensor_value_info("y", gives, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(operation, x, scale, zero_point, dtype, code):
    feed = {"x": np.ascontiguousarray(x).reshape(np.shape(x)), "s": np.float32(scale), "z": dtype(zero_point)}
    return session(operation, code).run(None, {k: np.asarray(v) for k, v in feed.items()})[0]


def quantize(x, scale, zero_point, qmin, qmax):
    if (qmin, qmax) not in KINDS:
        raise NotImplementedError("QuantizeLinear has 8 bits, full range")
    return run("QuantizeLinear", x, scale, zero_point, *KINDS[qmin, qmax])


def dequantize(q, scale, zero_point):
    if q.dtype not in (np.int8, np.uint8):
        raise NotImplementedError("DequantizeLinear is asked for 8 bits here")
    return run("DequantizeLinear", q, scale, zero_point, *next(k for k in KINDS.values() if k[0] == q.dtype))
