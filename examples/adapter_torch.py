"""torch's own quantizers as an adapter: tinycompress diagnose examples/adapter_torch.py, or verify it with the claim below."""

import numpy as np
import torch
from torch.nn import functional as F

INTEGER = {(-128, 127): torch.qint8, (0, 255): torch.quint8}


def _floats(x):
    return torch.from_numpy(np.array(x, np.float32))


def quantize(x, scale, zero_point, qmin, qmax):
    if (qmin, qmax) not in INTEGER:
        raise NotImplementedError("torch quantizes to 8 bits, full range")
    return torch.quantize_per_tensor(_floats(x), scale, int(zero_point), INTEGER[qmin, qmax]).int_repr().numpy()


def fake_quantize(x, scale, zero_point, qmin, qmax):
    return torch.fake_quantize_per_tensor_affine(_floats(x), scale, int(zero_point), qmin, qmax).numpy()


def linear(x, w, b):
    return (torch.from_numpy(np.array(x)) @ torch.from_numpy(np.array(w)) + torch.from_numpy(np.array(b))).numpy()


def softmax(z, temperature):
    return F.softmax(torch.from_numpy(np.array(z)) / temperature, dim=-1).numpy()


def cross_entropy(logits, labels):
    return F.cross_entropy(torch.from_numpy(np.array(logits)), torch.from_numpy(np.array(labels, np.int64))).item()


def kd_loss(student_logits, teacher_logits, temperature):
    """As often seen: without reduction="batchmean" the mean is over all elements."""
    s, t = (torch.from_numpy(np.array(z, np.float64)) / temperature for z in (student_logits, teacher_logits))
    with_mean = F.kl_div(F.log_softmax(s, dim=1), F.softmax(t, dim=1), reduction="mean")
    return (with_mean * temperature * temperature).item()
