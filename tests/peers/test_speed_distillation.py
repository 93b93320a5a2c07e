"""Loss and gradient in one pass against torch's forward and backward, one thread each, interleaved: ratios only.

CPU time of this thread, so that what else the machine does is not measured; each ratio is the median over rounds of pairs run
back to back. Both start from float32 logits of both networks and end with the gradient of the student's.
"""

import statistics
import time

import numpy as np
import pytest

from tinycompress.distillation import kd_loss_and_gradient

torch = pytest.importorskip("torch")
F = torch.nn.functional

SHAPES = {(4096, 1000): (1.0, 9), (256, 1000): (1.0, 41), (65536, 3): (0.85, 15)}  # at least this fast, rounds


def pairs(shape):
    rng = np.random.default_rng(0)
    return tuple((2 * rng.standard_normal(shape)).astype(np.float32) for _ in range(2))


def ratio(shape, rounds, temperature=4.0):
    """Time of torch over time of ours, and both answers."""
    student, teacher = pairs(shape)
    leaf, constant = torch.tensor(student, requires_grad=True), torch.tensor(teacher)

    def theirs():
        leaf.grad = None
        target = F.softmax(constant / temperature, dim=1)
        loss = F.kl_div(F.log_softmax(leaf / temperature, dim=1), target, reduction="batchmean") * temperature**2
        loss.backward()
        return loss.item(), leaf.grad.numpy()

    def ours():
        return kd_loss_and_gradient(student, teacher, temperature)

    def seconds(f):
        start = time.thread_time()
        f()
        return time.thread_time() - start

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        ours(), theirs()
        measured = [seconds(theirs) / seconds(ours) for _ in range(rounds)]
        return statistics.median(measured), ours(), theirs()
    finally:
        torch.set_num_threads(threads)


@pytest.mark.parametrize("shape", SHAPES)
def test_at_least_as_fast_as_torch(shape):
    least, rounds = SHAPES[shape]
    times, (loss, gradient), (their_loss, their_gradient) = ratio(shape, rounds)
    print(f"{shape}: {times:.2f} times as fast as torch")
    assert abs(loss - their_loss) <= 1e-5 * loss  # torch's float32 error; ours is 1e-7
    assert abs(gradient - their_gradient).max() <= 1e-5 * abs(gradient).max()
    assert times >= least
