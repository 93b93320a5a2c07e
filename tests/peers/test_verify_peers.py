"""The diagnosis finds by itself what torch, onnxruntime and scikit-learn do, where they are installed."""

import warnings

import numpy as np
import pytest

from tinycompress.verify import diagnose


@pytest.fixture(autouse=True)
def _lenient():
    """Peers warn and divide as they like."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def point(function, operation):
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = diagnose({operation: function}, [operation], isolate=False)[operation]
    return found, found.point


class Torch:
    """One method per way of torch; each is called with NumPy arrays."""

    def __init__(self):
        self.torch = pytest.importorskip("torch")
        self.types = {(-128, 127): self.torch.qint8, (0, 255): self.torch.quint8}

    def per_tensor(self, x, scale, zero_point, qmin, qmax):
        if (qmin, qmax) not in self.types:
            raise NotImplementedError
        t = self.torch.from_numpy(np.array(x))
        return self.torch.quantize_per_tensor(t, scale, zero_point, self.types[qmin, qmax]).int_repr().numpy()

    def per_channel(self, x, scale, zero_point, qmin, qmax):
        if (qmin, qmax) not in self.types:
            raise NotImplementedError
        t = self.torch.from_numpy(np.array(x)).reshape(1, -1)
        if not t.numel():
            raise NotImplementedError
        s, z = self.torch.tensor([scale], dtype=self.torch.float64), self.torch.tensor([zero_point])
        q = self.torch.quantize_per_channel(t, s, z, 0, self.types[qmin, qmax])
        return q.int_repr().numpy().reshape(np.shape(x))

    def fake(self, x, scale, zero_point, qmin, qmax):
        if qmin > 0 or qmax - qmin > 65535:
            raise NotImplementedError
        return self.torch.fake_quantize_per_tensor_affine(
            self.torch.from_numpy(np.array(x)), scale, zero_point, qmin, qmax
        ).numpy()

    def fake_backward(self, dy, x, scale, zero_point, qmin, qmax):
        t = self.torch.from_numpy(np.array(x)).requires_grad_()
        y = self.torch.fake_quantize_per_tensor_affine(t, scale, zero_point, qmin, qmax)
        y.backward(self.torch.from_numpy(np.array(dy)))
        return t.grad.numpy()

    def kl_div(self, student, teacher, temperature):
        f = self.torch.nn.functional
        s, t = (self.torch.from_numpy(np.array(z)) / temperature for z in (student, teacher))
        return (f.kl_div(f.log_softmax(s, dim=1), f.softmax(t, dim=1)) * temperature * temperature).item()

    def adam(self, p, g, m, v, t, lr, beta1, beta2, eps):
        w = self.torch.nn.Parameter(self.torch.from_numpy(np.array(p)))
        optimizer = self.torch.optim.Adam([w], lr=lr, betas=(beta1, beta2), eps=eps)
        optimizer.state[w] = {"step": self.torch.tensor(float(t - 1)), "exp_avg": self.torch.from_numpy(np.array(m)),
                              "exp_avg_sq": self.torch.from_numpy(np.array(v))}  # fmt: skip
        w.grad = self.torch.from_numpy(np.array(g))
        optimizer.step()
        state = optimizer.state[w]
        return w.detach().numpy(), state["exp_avg"].numpy(), state["exp_avg_sq"].numpy()


def test_torch_quantize_per_tensor():
    found, at = point(Torch().per_tensor, "quantize")
    assert (at["rounding"], at["scaling"], at["zero_point"]) == ("half_even", "reciprocal", "inside_fma")
    assert (at["saturation"], at["nan"]) == ("saturate", "qmax") and "torch.quantize_per_tensor" in found.matches


def test_torch_quantize_per_channel():
    found, at = point(Torch().per_channel, "quantize")
    assert (at["rounding"], at["scaling"], at["zero_point"], at["nan"]) == ("half_even", "reciprocal", "inside", "zero")
    assert "torch.quantize_per_channel" in found.matches


def test_torch_fake_quantize():
    found, at = point(Torch().fake, "fake_quantize")
    assert (at["rounding"], at["scaling"], at["zero_point"], at["nan"]) == ("half_even", "reciprocal", "after", "qmin")
    assert "torch.fake_quantize_per_tensor_affine" in found.matches


def test_torch_fake_quantize_backward():
    _, at = point(Torch().fake_backward, "fake_quantize_backward")
    assert (at["mask"], at["scaling"], at["nan"]) == ("rounded", "reciprocal", "blocked")


def test_torch_kl_div_in_its_common_form():
    found, at = point(Torch().kl_div, "kd_loss")
    assert (at["direction"], at["factor"], at["reduction"]) == ("forward", "squared", "mean")
    assert "torch.kl_div.mean" in found.matches


def test_torch_adam():
    found, _ = point(Torch().adam, "adam_step")
    assert "torch.optim.Adam" in found.matches


def test_onnxruntime_quantize_linear():
    ort, onnx = pytest.importorskip("onnxruntime"), pytest.importorskip("onnx")
    sessions = {}

    def quantize(x, scale, zero_point, qmin, qmax):
        kinds = {(-128, 127): np.int8, (0, 255): np.uint8, (-32768, 32767): np.int16, (0, 65535): np.uint16}
        if (qmin, qmax) not in kinds:
            raise NotImplementedError
        kind = kinds[qmin, qmax]
        if kind not in sessions:
            h, t = onnx.helper, onnx.helper.np_dtype_to_tensor_dtype(np.dtype(kind))
            one = onnx.TensorProto.FLOAT
            graph = h.make_graph([h.make_node("QuantizeLinear", ["x", "s", "z"], ["q"])], "g",
                                 [h.make_tensor_value_info("x", one, None), h.make_tensor_value_info("s", one, []),
                                  h.make_tensor_value_info("z", t, [])], [h.make_tensor_value_info("q", t, None)])  # fmt: skip
            model = h.make_model(graph, opset_imports=[h.make_opsetid("", 21)], ir_version=10)
            options = ort.SessionOptions()
            options.graph_optimization_level, options.intra_op_num_threads = ort.GraphOptimizationLevel.ORT_DISABLE_ALL, 1
            sessions[kind] = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        given = {"x": np.array(x), "s": np.array(scale, np.float32), "z": np.array(zero_point, kind)}
        return sessions[kind].run(None, given)[0]

    found, at = point(quantize, "quantize")
    assert found.status == "explained", found.contradictions
    assert (at["rounding"], at["scaling"], at["zero_point"], at["nan"]) == ("half_even", "divide", "after", "qmin")
    assert "onnxruntime.QuantizeLinear" in found.matches


def test_sklearn_ndcg_score():
    metrics = pytest.importorskip("sklearn.metrics")

    def ndcg(scores, relevance, k):
        if np.shape(scores)[1] < 2:
            raise NotImplementedError
        return metrics.ndcg_score(relevance, scores, k=k)

    _, at = point(ndcg, "ndcg")
    assert (at["gain"], at["discount"], at["ties"]) == ("linear", "log2", "expected")


def test_sklearn_classification():
    metrics = pytest.importorskip("sklearn.metrics")
    for name in ("precision", "recall", "f1"):
        score = getattr(metrics, f"{name}_score")
        found, _ = point(lambda y, p, average, score=score: score(y, p, average=average, zero_division=0), name)
        assert "sklearn.metrics" in found.matches
    assert "sklearn.metrics" in point(metrics.roc_auc_score, "auc")[0].matches
