"""Classes against the definitions in rational numbers, every average and every 0 / 0; probabilities against exact sums."""
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinycompress.classification import accuracy, confusion_matrix, f1, precision, recall
from tinycompress.probabilities import auc, calibration_error, log_loss

U = 2.0**-53
METRICS = {"precision": precision, "recall": recall, "f1": f1}
AVERAGES = ["micro", "macro", "weighted", None]
UNDEFINED = [0, 1, float("nan")]


def oracle(name, true, pred, average, zero_division, labels):
    """From the definitions: one class at a time, counted by looking at each row."""
    pairs = list(zip(true, pred, strict=True))
    counts = []
    for c in labels:
        tp = sum(t == c and p == c for t, p in pairs)
        fp = sum(t != c and p == c for t, p in pairs)
        fn = sum(t == c and p != c for t, p in pairs)
        counts.append({"precision": (tp, tp + fp), "recall": (tp, tp + fn), "f1": (2 * tp, 2 * tp + fp + fn)}[name])
    if average in ("micro", "binary"):
        counts = [(sum(a for a, _ in counts), sum(b for _, b in counts))]
    values = [Fraction(a, b) if b else zero_division for a, b in counts]
    if average is None:
        return [float(v) for v in values]
    weights = [true.count(c) for c in labels] if average == "weighted" else [1] * len(values)
    kept = [(v, w) for v, w in zip(values, weights, strict=True) if not (isinstance(v, float) and math.isnan(v))]
    total = sum(w for _, w in kept)
    return float(sum(Fraction(v) * w for v, w in kept) / total) if total else float(zero_division)


LABELS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=9)


@pytest.mark.parametrize("name", METRICS)
@given(pairs=LABELS, rule=st.sampled_from(["union", "true", (0, 1, 2, 3, 9), (3, 1)]), zero_division=st.sampled_from(UNDEFINED))
def test_every_average_from_the_definition(name, pairs, rule, zero_division):
    true, pred = [t for t, _ in pairs], [p for _, p in pairs]
    labels = {"union": sorted({*true, *pred}), "true": sorted(set(true))}.get(rule, rule)
    for average in AVERAGES:
        received = METRICS[name](true, pred, average, zero_division=zero_division, labels=rule)
        expected = oracle(name, true, pred, average, zero_division, labels)
        # one quotient per class, one product with its weight, C additions, one division: C + 3 roundings, values up to 1
        np.testing.assert_allclose(received, expected, rtol=0, atol=(len(labels) + 3) * U)


@pytest.mark.parametrize("name", METRICS)
@given(pairs=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), max_size=6), zero_division=st.sampled_from(UNDEFINED))
def test_binary_is_the_positive_class_alone(name, pairs, zero_division):
    true, pred = [t for t, _ in pairs], [p for _, p in pairs]
    for positive in (0, 1):
        if {*true, *pred} in ({0}, {1}, {0, 1}, set()):
            received = METRICS[name](true, pred, "binary", zero_division=zero_division, positive=positive)
            np.testing.assert_equal(received, oracle(name, true, pred, "binary", zero_division, [positive]))
    words = np.array(["no", "yes"])
    true_words, pred_words = words[np.array(true, int)], words[np.array(pred, int)]
    received = METRICS[name](true_words, pred_words, "binary", zero_division=zero_division, positive="yes")
    np.testing.assert_equal(received, METRICS[name](true, pred, "binary", zero_division=zero_division))


@given(pairs=LABELS.filter(len))
def test_weighted_recall_is_accuracy_and_so_is_micro_everything(pairs):
    true, pred = [t for t, _ in pairs], [p for _, p in pairs]
    share = accuracy(true, pred)
    assert share == float(Fraction(sum(t == p for t, p in pairs), len(pairs)))
    assert abs(recall(true, pred, "weighted") - share) <= 7 * U  # up to 4 classes: 4 + 3 roundings
    assert precision(true, pred, "micro") == recall(true, pred, "micro") == f1(true, pred, "micro") == share


@given(pairs=LABELS)
def test_confusion_matrix_counts_each_pair(pairs):
    true, pred = [t for t, _ in pairs], [p for _, p in pairs]
    union = sorted({*true, *pred})
    assert confusion_matrix(true, pred).tolist() == [[pairs.count((a, b)) for b in union] for a in union]
    order = [3, 0, 7, 1, 2]
    assert confusion_matrix(true, pred, labels=order).tolist() == [[pairs.count((a, b)) for b in order] for a in order]


def test_f1_lies_where_precision_or_recall_does_not():
    true, pred = [0, 0, 1], [0, 0, 2]  # class 1: recall 0, precision 0 / 0; class 2: the reverse
    nan = float("nan")
    np.testing.assert_equal(precision(true, pred, None, zero_division=nan), [1, nan, 0])
    np.testing.assert_equal(recall(true, pred, None, zero_division=nan), [1, 0, nan])
    np.testing.assert_equal(f1(true, pred, None, zero_division=nan), [1, 0, 0])
    assert f1(true, pred, "macro", labels="true") == 1 / 2 and f1(true, pred, "macro") == 1 / 3
    assert f1([0, 0], [0, 0], None, labels=[0, 5], zero_division=nan)[0] == 1


def test_no_rows():
    assert math.isnan(accuracy([], [])) and confusion_matrix([], []).shape == (0, 0)
    for metric in METRICS.values():
        assert metric([], [], None).shape == (0,)
        for average in ("micro", "macro", "weighted", "binary"):
            assert metric([], [], average) == 0 and metric([], [], average, zero_division=1) == 1


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: accuracy([1], [1, 2]), r"y_true is \(1,\), y_pred is \(2,\)"),
        (lambda: accuracy([[1]], [[1]]), r"\(1, 1\)"),
        (lambda: accuracy(["1"], [1]), "1 is not '1'"),
        (lambda: accuracy([1.0, np.nan], [1, 1]), "a label is NaN"),
        (lambda: accuracy([None], [None]), "object"),
        (lambda: confusion_matrix([1, 2], [1, 1], labels=[1]), r"miss \[2\]"),
        (lambda: confusion_matrix([1], [1], labels=[1, 1]), "repeat one"),
        (lambda: f1([0, 1], [0, 1], "samples"), "average is 'samples'"),
        (lambda: f1([0, 1], [0, 1], "macro", zero_division="warn"), "warn"),
        (lambda: f1([0, 1], [0, 1], "macro", zero_division=0.5), "zero_division is 0.5; use 0, 1 or nan"),
        (lambda: f1([0, 1], [0, 1], "macro", labels="pred"), "labels is 'pred'"),
        (lambda: f1([0, 1], [0, 1], "macro", labels=[0, 0]), r"labels \[0, 0\] repeat"),
        (lambda: f1([0, 1], [0, 2], "binary"), r"\[0, 1, 2\]"),
        (lambda: f1([3, 4], [3, 4], "binary"), "positive=1"),
        (lambda: accuracy([1j], [1j]), "complex128"),
        (lambda: auc([1, 0], [1.0]), r"y_true is int64 \(2,\)"),
        (lambda: auc([1, 0], ["a", "b"]), "one number per row"),
        (lambda: auc([2, 0], [1, 0]), r"\[0, 2\]; use 0 and 1"),
        (lambda: auc([-1, 0, 1], [1, 0, 1]), "two classes"),
        (lambda: auc([1, 0], [np.nan, 0]), "1 scores are NaN"),
        (lambda: auc([1, 1], [1, 0], one_class="error"), r"only \[1\]"),
        (lambda: auc([1, 0], [1, 0], one_class="zero"), "one_class is 'zero'"),
        (lambda: auc([1, 0], [1, 0], ties="index"), "ties is 'index'"),
        (lambda: log_loss([0], [1.5]), "p holds 1.5"),
        (lambda: log_loss([0], [np.nan]), "p holds nan"),
        (lambda: log_loss([0], [-0.5]), "p holds -0.5"),
        (lambda: log_loss([0], [[0.5, 0.25]]), "misses the sum 1 by 0.25"),
        (lambda: log_loss([2], [[0.5, 0.5]]), r"such as \[2\]; pass whole numbers from 0 to 1"),
        (lambda: log_loss([-1], [0.5]), "whole numbers from 0 to 1"),
        (lambda: log_loss([0.5], [0.5]), r"float64 such as \[0.5\]"),
        (lambda: log_loss([np.nan], [0.5]), r"such as \[nan\]"),
        (lambda: log_loss(["0"], [0.5]), r"such as \['0'\]"),
        (lambda: log_loss([0, 1], [0.5]), r"y_true is \(2,\)"),
        (lambda: log_loss([0], ["a"]), "pass probabilities"),
        (lambda: log_loss([0], [0.5], clip=0.5), "clip is 0.5"),
        (lambda: log_loss([0], [0.5], clip=-1), "clip is -1"),
        (lambda: calibration_error([0], [0.5], count=0), "count is 0"),
        (lambda: calibration_error([0], [0.5], bins="uniform"), "bins is 'uniform'"),
        (lambda: calibration_error([0], [0.5], norm="l1"), "norm is 'l1'"),
    ],
)
def test_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()


# ---- probabilities ----

SCORE = st.sampled_from([0.0, -0.0, 1.0, float(np.nextafter(1, 2)), 2.0, float("inf"), -float("inf")])


@given(rows=st.lists(st.tuples(st.booleans(), SCORE), max_size=10))
def test_auc_is_the_share_of_pairs_won(rows):
    y, scores = [a for a, _ in rows], [b for _, b in rows]
    pairs = [(p, n) for (a, p), (b, n) in itertools.product(rows, rows) if a and not b]
    if not pairs:
        assert math.isnan(auc(y, scores)) and auc(y, scores, one_class="half") == 0.5
        return
    for rule, worth in (("half", Fraction(1, 2)), ("optimistic", 1), ("pessimistic", 0)):
        exact = sum(Fraction(p > n) + (p == n) * worth for p, n in pairs) / len(pairs)
        assert auc(y, scores, ties=rule) == float(exact)  # one correctly rounded quotient
    assert auc(y, scores) + auc([not a for a in y], scores) in (1, 1 - U)
    assert auc(np.where(y, 1, -1), scores) == auc(y, scores)
    assert auc(y, np.array(scores, np.float32)) == auc(y, np.array(scores, np.float32).astype(float))


def test_auc_does_not_overflow_int32_and_reads_integers_exactly():
    n = 100_000
    y = np.arange(2 * n) % 2
    assert auc(y, np.arange(2 * n)) == (n + 1) / (2 * n)  # positive i beats the i + 1 negatives at or below it
    assert auc([1, 0], [2**60 + 1, 2**60]) == 1


@given(
    logits=st.lists(st.lists(st.sampled_from([-30.0, -1.0, 0.0, 0.5, 2.0]), min_size=3, max_size=3), min_size=1, max_size=5),
    seed=st.integers(0, 99),
)
def test_log_loss_from_the_definition(logits, seed):
    e = np.exp(np.array(logits))
    p = e / e.sum(axis=1, keepdims=True)
    y = np.random.default_rng(seed).integers(0, 3, len(p))
    exact = math.fsum(-math.log(row[label]) for row, label in zip(p.tolist(), y, strict=True)) / len(p)
    # libm's log to 1 ulp, N additions and a division, all terms >= 0
    assert abs(log_loss(y, p, clip=0) - exact) <= (len(p) + 6) * U * exact
    two = np.stack([1 - p[:, 0], p[:, 0]], axis=1)
    assert log_loss(y == 0, p[:, 0]) == log_loss((y == 0).astype(int), two)


def test_log_loss_of_sure_mistakes():
    assert log_loss([1, 0], [0.0, 1.0], clip=0) == math.inf
    assert log_loss([1, 0], [1.0, 0.0], clip=0) == 0
    assert log_loss([1], [0.0]) == -math.log(2.0**-52)
    assert log_loss([1], np.zeros(1, np.float32)) == -math.log(2.0**-23)
    assert log_loss([1], [0.0], clip=0.25) == -math.log(0.25) and log_loss([1], [1.0], clip=0.25) == -math.log(0.75)
    assert abs(log_loss([1], [1]) - 2.0**-52) <= 2.0**-100  # whole numbers are probabilities too; -log(1 - e) = e + e^2 / 2
    assert log_loss([1.0], [0.5]) == log_loss([True], [0.5]) == -math.log(0.5)
    assert math.isnan(log_loss([], np.zeros((0, 3))))
    assert log_loss([0] * 100, np.full((100, 3), 1 / 3, np.float32)) == pytest.approx(math.log(3), abs=2.0**-23)


def brute_calibration(stated, observed, edges, norm):
    total, worst, square = Fraction(0), Fraction(0), Fraction(0)
    for low, high in itertools.pairwise([-math.inf, *edges, math.inf]):
        inside = [i for i, s in enumerate(stated) if low < s <= high]
        if inside:
            gap = abs(sum(Fraction(stated[i]) for i in inside) - sum(observed[i] for i in inside)) / len(inside)
            share = Fraction(len(inside), len(stated))
            total, worst, square = total + gap * share, max(worst, gap), square + gap**2 * share
    return {"mean": float(total), "max": float(worst), "rms": math.sqrt(square)}[norm]


@given(rows=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 1)), min_size=1, max_size=12), count=st.integers(1, 5))
def test_calibration_error_bin_by_bin(rows, count):
    p, y = [a / 20 for a, _ in rows], [b for _, b in rows]
    n = len(p)
    equal_count = sorted({sorted(p)[-(-i * n // count) - 1] for i in range(1, count)})
    for bins, edges in (("equal_width", [i / count for i in range(1, count)]), ("equal_count", equal_count)):
        for norm in ("mean", "max", "rms"):
            exact = brute_calibration(p, y, edges, norm)
            received = calibration_error(y, p, count=count, bins=bins, norm=norm)
            # a gap is a difference of sums of up to N terms <= 1, over at least one row: N^2 u at most; rms is compared squared
            power = 2 if norm == "rms" else 1
            assert abs(received**power - exact**power) <= power * (n * n + 8) * U
            assert 0 <= received <= 1
    shuffled = np.random.default_rng(n).permutation(n)
    again = calibration_error(np.array(y)[shuffled], np.array(p)[shuffled], count=count, bins="equal_count")
    assert abs(again - calibration_error(y, p, count=count, bins="equal_count")) <= (n * n + 8) * U


def test_calibration_of_the_most_probable_class():
    p = np.array([[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.5, 0.5, 0.0]])
    assert calibration_error([0, 1, 0], p) == 0.5  # always right, half sure; of two equal classes the first is stated
    assert calibration_error([0], [[0.75, 0.25]]) == 0.25 and calibration_error([1], [[0.75, 0.25]]) == 0.75
    assert calibration_error([0, 0, 1], p) == pytest.approx(1 / 6, abs=4 * U)
    assert calibration_error([1, 1], [1.0, 0.0]) == 0.5 and calibration_error([1, 1], [1.0, 0.0], norm="max") == 1
    assert calibration_error([0, 1], [0.0, 0.2], count=5) == 0.4  # 0 and the right end 0.2 share the first bin
    assert math.isnan(calibration_error([], []))
