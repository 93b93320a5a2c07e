"""The checker of gradients is itself checked: right gradients pass, small and large mistakes do not."""
import re

import numpy as np
import pytest
from gradients import check_gradient

X = np.random.default_rng(0).standard_normal((4, 3))
W = np.random.default_rng(1).standard_normal((3, 2))


def loss(x):
    return float(np.sum(np.tanh(x @ W) ** 2))


def gradient(x):
    t = np.tanh(x @ W)
    return (2 * t * (1 - t**2)) @ W.T


@pytest.mark.parametrize("seed", range(10))
def test_a_right_gradient_passes_at_every_size(seed):
    check_gradient(loss, gradient(X), X, np.random.default_rng(seed))
    check_gradient(lambda x: 1e6 * loss(x), 1e6 * gradient(X), X, np.random.default_rng(seed))
    check_gradient(lambda x: 1e-6 * loss(x), 1e-6 * gradient(X), X, np.random.default_rng(seed), tolerance=1e-6)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize(
    "mistake",
    [
        lambda g: 1.01 * g,
        lambda g: -g,
        lambda g: g + 0.01,
        lambda g: 0 * g,
        lambda g: g / len(g),
        lambda g: g[::-1],
        lambda g: np.where(np.arange(g.size).reshape(g.shape) == 5, 1.01 * g, g),
    ],
    ids=["one percent", "sign", "shifted", "nothing", "mean for sum", "rows swapped", "one percent of one element"],
)
def test_a_wrong_gradient_is_caught(mistake, seed):
    with pytest.raises(AssertionError):
        check_gradient(loss, mistake(gradient(X)), X, np.random.default_rng(seed))


def test_arguments_by_name_are_checked_together():
    def product(p):
        return float(np.sum((p["x"] @ p["w"]) ** 2))

    dy = 2 * X @ W
    right = {"x": dy @ W.T, "w": X.T @ dy}
    check_gradient(product, right, {"x": X, "w": W}, np.random.default_rng(0))
    with pytest.raises(AssertionError, match="w"):
        check_gradient(product, right | {"w": -right["w"]}, {"x": X, "w": W}, np.random.default_rng(0))


def test_the_message_has_both_numbers():
    with pytest.raises(AssertionError) as caught:
        check_gradient(lambda x: float(np.sum(3 * x)), np.full(4, 6.0), np.ones(4), np.random.default_rng(0))
    directions = np.random.default_rng(0).standard_normal(4).sum()
    numbers = [float(text) for text in re.findall(r"-?\d+\.\d+", str(caught.value))]
    assert any(abs(n - 6 * directions) < 1e-12 for n in numbers), "what was received"
    assert any(abs(n - 3 * directions) < 1e-9 for n in numbers), "what was expected"


@pytest.mark.parametrize(
    "wrong, x, says",
    [
        (np.ones(4, np.float32), np.ones(4, np.float32), "float64"),
        (np.ones(3), np.ones(4), r"\(3,\)"),
        ({"x": np.ones(4)}, {"x": np.ones(4), "w": np.ones(2)}, "gradients of"),
    ],
)
def test_what_cannot_be_checked_is_refused(wrong, x, says):
    with pytest.raises(AssertionError, match=says):
        check_gradient(lambda _: 0.0, wrong, x, np.random.default_rng(0))
