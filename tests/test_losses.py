"""Each loss against its definition in exact decimal arithmetic, each backward against a random projection."""

from decimal import Decimal, getcontext

import numpy as np
import pytest
from gradients import check_gradient
from hypothesis import given
from hypothesis import strategies as st

from tinycompress import losses

SEEDS = st.integers(0, 2**32 - 1)
getcontext().prec = 60


def decimal_cross_entropy(logits, target):
    """sum over rows of -sum_c t_c log softmax(z)_c, at 60 digits."""
    total = Decimal(0)
    for z, t in zip(logits, target):
        z = [Decimal(float(v)) for v in z]
        top = max(z)
        log_sum = top + sum((v - top).exp() for v in z).ln()
        total -= sum(Decimal(float(p)) * (v - log_sum) for v, p in zip(z, t))
    return total


@given(SEEDS, st.sampled_from(["mean", "sum"]), st.sampled_from([0.1, 3.0, 300.0]))
def test_cross_entropy_equals_sixty_digits(seed, reduction, size):
    rng = np.random.default_rng(seed)
    logits, labels = size * rng.standard_normal((3, 4)), rng.integers(0, 4, 3)
    exact = float(decimal_cross_entropy(logits, np.eye(4)[labels])) / (3 if reduction == "mean" else 1)
    # each row: |z - max| <= 10 size, rounded once, plus a log of a sum of 4 terms: 8 eps of the largest term
    assert abs(losses.cross_entropy(logits, labels, reduction) - exact) <= 8 * np.finfo(float).eps * (10 * size + 2) * 3
    check_gradient(
        lambda z: losses.cross_entropy(z, labels, reduction),
        losses.cross_entropy_backward(logits, labels, reduction),
        logits, rng, tolerance=1e-7 if size < 100 else 1,  # at 300 the loss is piecewise linear: a step can cross an edge
    )  # fmt: skip


@given(SEEDS, st.sampled_from(["mean", "sum"]))
def test_bce_is_the_two_class_cross_entropy_of_0_and_z(seed, reduction):
    rng = np.random.default_rng(seed)
    z, y = 5 * rng.standard_normal(6), rng.random(6)
    exact = float(decimal_cross_entropy(np.stack([0 * z, z], axis=1), np.stack([1 - y, y], axis=1))) / (
        6 if reduction == "mean" else 1
    )
    assert abs(losses.bce(z, y, reduction) - exact) <= 6 * 8 * np.finfo(float).eps * 25
    check_gradient(lambda v: losses.bce(v, y, reduction), losses.bce_backward(z, y, reduction), z, rng)


@given(SEEDS, st.sampled_from(["mean", "sum"]))
def test_listwise_backward_and_definition(seed, reduction):
    rng = np.random.default_rng(seed)
    z, relevance = rng.standard_normal((4, 5)), rng.integers(0, 3, (4, 5))
    relevance[0] = 0  # a list that teaches nothing
    target = relevance / np.maximum(relevance.sum(axis=1, keepdims=True), 1)
    exact = float(decimal_cross_entropy(z, target)) / (4 if reduction == "mean" else 1)
    assert abs(losses.listwise(z, relevance, reduction) - exact) <= 20 * 8 * np.finfo(float).eps * 10
    d = losses.listwise_backward(z, relevance, reduction)
    assert not d[0].any() and np.abs(d.sum(axis=1)).max() <= 8 * np.finfo(float).eps
    check_gradient(lambda v: losses.listwise(v, relevance, reduction), d, z, rng)


def test_listwise_padding_has_no_probability_and_no_gradient():
    z, relevance = np.array([[0.0, 0.0, -np.inf]]), np.array([[1, 0, 0]])
    assert abs(losses.listwise(z, relevance) - np.log(2)) <= 2e-16
    assert losses.listwise_backward(z, relevance).tolist() == [[-0.5, 0.5, 0.0]]


@pytest.mark.parametrize("name", ["cross_entropy", "listwise"])
@pytest.mark.parametrize("row", [[-np.inf, -np.inf], [np.inf, 0.0], [np.inf, -np.inf]])
def test_a_row_without_a_softmax_is_refused(name, row):
    """Only padding, or inf: inf - inf is no number. By value and by gradient, whatever the labels; the message has both values."""
    z = np.array([[0.0, 1.0], row])
    for labels in ([0, 1], [1, 0]):
        for function in losses.LOSSES[name]:
            with pytest.raises(ValueError, match=f"logit of row 1 is {max(row)}, and must be finite; leave out rows"):
                function(z, np.array(labels) if name == "cross_entropy" else np.eye(2)[labels])
    for function in losses.LOSSES["listwise"]:
        with pytest.raises(ValueError, match="logit of row 0 is -inf"):
            function(np.zeros((2, 0)), np.zeros((2, 0)))


def test_padding_among_others_changes_nothing_and_nan_is_told():
    z, padded = np.array([[0.5, 2.0]]), np.array([[-np.inf, 0.5, -np.inf, 2.0]])
    for y, wide in (([[1, 0]], [[0, 1, 0, 0]]), ([[1, 2]], [[0, 1, 0, 2]]), ([[0, 0]], [[0, 0, 0, 0]])):
        assert losses.listwise(padded, np.array(wide)) == losses.listwise(z, np.array(y))
        d = losses.listwise_backward(padded, np.array(wide))
        assert (d[:, 1::2] == losses.listwise_backward(z, np.array(y))).all() and (d[:, ::2] == 0).all()
    assert losses.cross_entropy(padded, np.array([3])) == losses.cross_entropy(z, np.array([1]))
    assert losses.cross_entropy_backward(padded, np.array([3]))[:, ::2].tolist() == [[0, 0]]
    assert losses.cross_entropy(padded, np.array([0])) == losses.listwise(padded, np.array([[1, 0, 0, 0]])) == np.inf
    assert np.isnan(losses.cross_entropy(np.array([[np.nan, 0]]), np.array([1])))
    assert np.isnan(losses.listwise(np.array([[np.nan, 0]]), np.array([[0, 1]])))


def test_what_teaches_nothing_costs_nothing_whatever_its_logits():
    """By value and by gradient, among others too; and a loss of 0 is +0, as is that of a list of one candidate."""
    z, relevance = np.array([[np.nan, 0.0], [0.5, 2.0]]), np.array([[0, 0], [1, 0]])
    alone = losses.listwise_backward(z[1:], relevance[1:], "sum")
    assert losses.listwise_backward(z, relevance, "sum").tolist() == [[0, 0], *alone.tolist()]
    assert losses.listwise_backward(np.float32(z), relevance).dtype == np.float32
    assert losses.listwise(z, relevance, "sum") == losses.listwise(z[1:], relevance[1:], "sum")
    for nothing in (losses.listwise(z[:1], relevance[:1]), losses.listwise(np.ones((1, 1)), np.ones((1, 1)))):
        assert (nothing, np.signbit(nothing)) == (0, False)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bce_at_infinity_is_the_limit(dtype):
    """What the loss tends to as |x| grows, which the largest finite logit shows: 0, or without end."""
    big = np.finfo(dtype).max
    for sign in (-1, 1):
        for y in (0, 1, False, True, 0.25):
            near, far = (losses.bce(np.array([sign * x], dtype), np.array([y])) for x in (big, np.inf))
            assert far == (0 if near == 0 else np.inf) and (near == 0) == (y == (sign > 0))
            assert losses.bce_backward(np.array([sign * np.inf], dtype), np.array([y]))[0] == (sign > 0) - y
    assert np.isnan(losses.bce(np.array([np.nan, np.inf], dtype), np.ones(2)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_losses_are_finite_and_right_at_huge_logits(dtype):
    z = np.array([1e4, -1e4], dtype)
    assert losses.bce(z, np.array([0, 1])) == 1e4 and losses.bce(z, np.array([1, 0])) == 0
    assert losses.cross_entropy(z[None], np.array([1])) == 2e4
    assert losses.cross_entropy_backward(z[None], np.array([1])).tolist() == [[1, -1]]
    assert losses.cross_entropy_backward(z[None], np.array([1])).dtype == dtype


def test_rows_of_the_gradient_sum_to_zero_and_doubling_the_batch_keeps_the_mean():
    rng = np.random.default_rng(3)
    z, y = rng.standard_normal((5, 3)), rng.integers(0, 3, 5)
    assert np.abs(losses.cross_entropy_backward(z, y).sum(axis=1)).max() <= 4 * np.finfo(float).eps
    twice = losses.cross_entropy(np.vstack([z, z]), np.append(y, y))
    assert abs(twice - losses.cross_entropy(z, y)) <= 8 * np.finfo(float).eps * twice


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: losses.bce(np.zeros((2, 1)), np.zeros(2)), "logits have shape"),
        (lambda: losses.bce_backward(np.zeros((2, 1)), np.zeros(2)), "logits have shape"),
        (lambda: losses.bce(np.zeros(2), np.zeros(2), "batchmean"), "reduction is 'batchmean'"),
        (lambda: losses.cross_entropy(np.zeros((1, 2)), np.array([2])), "the classes are 0 to 1"),
        (lambda: losses.cross_entropy(np.zeros((2, 2)), np.array([-1, 1])), "the classes are 0 to 1"),
        (lambda: losses.cross_entropy(np.zeros((2, 2)), np.array([0, 2])), "the classes are 0 to 1"),
        (lambda: losses.cross_entropy(np.zeros(2), np.array([0, 1])), "they need"),
        (lambda: losses.cross_entropy_backward(np.zeros((2, 2)), np.array([-1, 1])), "the classes are 0 to 1"),
        (lambda: losses.listwise(np.zeros((1, 2)), np.array([[1, -1]])), "runs from -1 to 1; give finite numbers, none negative"),
        (lambda: losses.listwise(np.zeros((1, 2)), np.array([[1, np.nan]])), "runs from nan"),
        (lambda: losses.listwise_backward(np.zeros((1, 2)), np.array([[1, np.inf]])), "from 1.0 to inf"),
        (lambda: losses.listwise(np.zeros((1, 2)), np.array([[1]])), "labels"),
    ],
)
def test_bad_arguments_are_refused(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_no_rows_have_no_loss():
    assert losses.bce(np.zeros(0), np.zeros(0)) == 0
    for width in (0, 2):
        none = np.zeros((0, width))
        assert losses.cross_entropy(none, np.zeros(0, int)) == 0 and losses.listwise(none, none) == 0


def test_rows_far_apart_do_not_meet():
    z = np.array([[0.0, 0.0], [-4e3, -4e3], [4e3, 4e3]])  # one maximum for all rows would leave exp(-4e3) = 0 of the second
    assert losses.cross_entropy(z, np.array([0, 1, 0]), "sum") == 3 * np.log(2)
    assert losses.listwise(z, np.array([[1, 0], [0, 1], [0, 0]]), "sum") == 2 * np.log(2)


def test_each_loss_has_its_own_name():
    assert list(losses.LOSSES) == ["bce", "cross_entropy", "listwise"]
    for name, (value, backward) in losses.LOSSES.items():
        assert (value, backward) == (getattr(losses, name), getattr(losses, f"{name}_backward"))
