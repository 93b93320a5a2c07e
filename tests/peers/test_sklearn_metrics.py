"""The metrics against scikit-learn, where it is installed; each difference of convention is stated as a test of its own."""
import warnings

import numpy as np
import pytest

from tinycompress import metrics

sklearn_metrics = pytest.importorskip("sklearn.metrics")
U = 2.0**-53


@pytest.fixture(autouse=True)
def _as_it_runs_elsewhere():
    with np.errstate(all="warn"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def columns(seed):
    """Labels of up to 5 classes, some of them missing from one column or from both."""
    rng = np.random.default_rng(seed)
    n, c = int(rng.integers(1, 40)), int(rng.integers(1, 6))
    return rng.integers(0, c, n), rng.integers(0, c, n), rng


NAMES = {"precision": "precision_score", "recall": "recall_score", "f1": "f1_score"}


@pytest.mark.parametrize("ours, theirs", NAMES.items())
@pytest.mark.parametrize("zero_division", [0, 1, np.nan])
def test_precision_recall_f1(ours, theirs, zero_division):
    one, other = getattr(metrics, ours), getattr(sklearn_metrics, theirs)
    for seed in range(60):
        true, pred, rng = columns(seed)
        labels = None if seed % 2 else rng.permutation(6)[: rng.integers(1, 7)]
        classes = one(true, pred, None, zero_division=zero_division, labels="union" if labels is None else labels)
        support = metrics.confusion_matrix(true, pred, np.union1d(np.union1d(true, pred), np.arange(6))).sum(axis=1)
        support = support[labels] if labels is not None else support[np.union1d(true, pred)]
        for average in ("micro", "macro", "weighted", None):
            if average == "weighted" and not support[~np.isnan(classes)].any():
                continue  # nothing to weight by: the next test
            received = one(true, pred, average, zero_division=zero_division, labels="union" if labels is None else labels)
            expected = other(true, pred, average=average, zero_division=zero_division, labels=labels)
            # both: one quotient per class, then at most C products and additions and a division
            np.testing.assert_allclose(received, expected, rtol=0, atol=2 * 9 * U)
        if max(true.max(), pred.max()) <= 1:
            expected = other(true, pred, average="binary", zero_division=zero_division)
            np.testing.assert_equal(one(true, pred, "binary", zero_division=zero_division), expected)


def test_no_true_row_to_weight_by_is_undefined_here_and_the_unweighted_mean_there():
    # class 1 was never predicted (NaN, left out), class 2 has precision 0 and no true row
    assert np.isnan(metrics.precision([1], [2], "weighted", zero_division=np.nan))
    assert sklearn_metrics.precision_score([1], [2], average="weighted", zero_division=np.nan) == 0


def test_confusion_matrix_and_accuracy():
    for seed in range(60):
        true, pred, rng = columns(seed)
        np.testing.assert_array_equal(metrics.confusion_matrix(true, pred), sklearn_metrics.confusion_matrix(true, pred))
        labels = rng.permutation(6)
        expected = sklearn_metrics.confusion_matrix(true, pred, labels=labels)
        np.testing.assert_array_equal(metrics.confusion_matrix(true, pred, labels=labels), expected)
        assert metrics.accuracy(true, pred) == sklearn_metrics.accuracy_score(true, pred)
        words = np.array(["ant", "bee", "cat", "dog", "eel"])
        assert metrics.f1(words[true], words[pred]) == metrics.f1(true, pred)


def test_a_label_outside_the_list_is_dropped_there_and_refused_here():
    expected = sklearn_metrics.confusion_matrix([0, 1, 2], [0, 1, 1], labels=[0, 1])
    assert expected.tolist() == [[1, 0], [0, 1]]  # the third row is gone
    with pytest.raises(ValueError, match="miss"):
        metrics.confusion_matrix([0, 1, 2], [0, 1, 1], labels=[0, 1])


def test_auc():
    for seed in range(100):
        rng = np.random.default_rng(seed)
        n = int(rng.integers(2, 60))
        y, scores = rng.integers(0, 2, n), rng.integers(0, int(rng.integers(1, 20)), n) / 4
        received, expected = metrics.auc(y, scores), sklearn_metrics.roc_auc_score(y, scores)
        # theirs is a trapezoidal sum over at most N thresholds; ours is one quotient. One class: NaN in both
        np.testing.assert_allclose(received, expected, rtol=0, atol=2 * n * U)


def test_log_loss():
    for seed in range(60):
        rng = np.random.default_rng(seed)
        n, c = int(rng.integers(1, 40)), int(rng.integers(2, 5))
        logits = rng.normal(size=(n, c)) * rng.choice([1, 10, 100])
        e = np.exp(logits - logits.max(axis=1, keepdims=True))
        for dtype in (np.float32, np.float64):
            p = (e / e.sum(axis=1, keepdims=True)).astype(dtype)
            y = rng.integers(0, c, n)
            received, expected = metrics.log_loss(y, p), sklearn_metrics.log_loss(y, p, labels=np.arange(c))
            # theirs takes logarithms in the dtype that came in: log to 1 ulp of a value up to 37, or 16 in float32, then a mean
            assert abs(received - expected) <= (n + 4) * np.finfo(dtype).eps * max(1, expected)
        received, expected = metrics.log_loss(y > 0, p[:, 0]), sklearn_metrics.log_loss(y > 0, p[:, 0], labels=[False, True])
        assert abs(received - expected) <= (n + 4) * np.finfo(np.float64).eps * max(1, expected)


def rows(seed, grades):
    rng = np.random.default_rng(seed)
    n, length = int(rng.integers(1, 8)), int(rng.integers(2, 20))
    scores = rng.integers(0, int(rng.integers(1, 12)), (n, length)) / 2
    return scores, rng.choice(grades, (n, length)), int(rng.integers(1, length + 3))


def test_ndcg_ties_by_expectation_are_its_averaged_ties():
    for seed in range(150):
        scores, relevance, k = rows(seed, [0, 0, 0, 1, 2, 3, 0.5])
        # both: sums of at most L terms >= 0, relative error below (4 L + 10) u (see test_metrics.py)
        atol = 2 * (4 * scores.shape[1] + 10) * U
        for gain, gains in (("linear", relevance), ("exponential", 2.0**relevance - 1)):
            expected = sklearn_metrics.ndcg_score(gains, scores, k=k)
            np.testing.assert_allclose(metrics.ndcg(scores, relevance, k, gain=gain), expected, rtol=0, atol=atol)


def test_average_precision_agrees_without_ties_and_differs_with_them():
    for seed in range(100):
        rng = np.random.default_rng(seed)
        length = int(rng.integers(1, 30))
        y, scores = rng.integers(0, 2, length), rng.permutation(length)[None].astype(float)
        if y.any():
            expected = sklearn_metrics.average_precision_score(y, scores[0])
            received = metrics.average_precision(scores, y[None], None)
            np.testing.assert_allclose(received, expected, rtol=0, atol=2 * (4 * length + 10) * U)
    # all tied, one of two relevant: it stands first or second, (1 + 1/2) / 2; there the whole group has the precision at its end
    assert metrics.average_precision([[0, 0]], [[1, 0]], None) == 0.75
    assert sklearn_metrics.average_precision_score([1, 0], [0, 0]) == 0.5


def test_top_k_accuracy_is_hit_rate_where_nothing_ties():
    for seed in range(60):
        rng = np.random.default_rng(seed)
        n, c = int(rng.integers(1, 30)), int(rng.integers(2, 9))
        scores, y, k = rng.normal(size=(n, max(c, 3))), rng.integers(0, max(c, 3), n), int(rng.integers(1, 5))
        expected = sklearn_metrics.top_k_accuracy_score(y, scores, k=k, labels=np.arange(max(c, 3)))
        received = metrics.hit_rate(scores, np.eye(max(c, 3))[y], k)
        assert abs(received - expected) <= 2 * U


def test_calibration_curve_has_the_same_gaps():
    from sklearn.calibration import calibration_curve

    for seed in range(60):
        rng = np.random.default_rng(seed)
        n, count = int(rng.integers(5, 80)), int(rng.integers(1, 12))
        p = rng.random(n)
        y = (rng.random(n) < p).astype(int)
        y[:2] = 0, 1  # it asks for both classes
        frequency, stated = calibration_curve(y, p, n_bins=count)
        worst = metrics.calibration_error(y, p, count=count, norm="max")
        # a difference of two sums of up to N terms, over a row or more
        assert abs(worst - np.abs(frequency - stated).max()) <= (n * n + 8) * U
