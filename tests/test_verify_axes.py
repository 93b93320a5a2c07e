"""The space of conventions is closed: every option has a sentence, every profile and claim names what exists."""

import numpy as np
import pytest

from tinycompress.verify.axes import (
    ALSO_DEFAULT,
    AXES,
    claimed,
    default_point,
    is_product,
    legal,
    option_names,
    options_left,
    points,
)
from tinycompress.verify.operations import OPERATIONS
from tinycompress.verify.profiles import allowed_points, get_profile, load_profiles


@pytest.mark.parametrize("operation", OPERATIONS)
def test_axes_and_options(operation):
    assert list(AXES) == list(OPERATIONS)
    for axis, options in AXES[operation].items():
        assert len(options) >= 2 and axis.isidentifier()
        assert all(len(sentence) > 0 for sentence in options.values())
    shape = tuple(len(o) for o in option_names(operation).values())
    assert legal(operation).shape == shape
    assert legal(operation)[(0,) * len(shape)], "the default is legal"
    assert next(points(operation)) == default_point(operation)


def test_all_points_of_a_small_operation():
    found = list(points("symmetric_qparams"))
    assert len(found) == int(legal("symmetric_qparams").sum()) == len({tuple(p.items()) for p in found})
    assert {"divisor": "no_clipping", "peak": "largest", "degenerate": "one"} not in found


def test_the_default_allows_what_is_said():
    assert options_left("quantize", claimed("quantize"))["nan"] == ("qmin", "error")
    assert all(set(options) <= set(AXES[op][axis]) for op, axes in ALSO_DEFAULT.items() for axis, options in axes.items())


def test_claims():
    assert options_left("kd_loss", claimed("kd_loss", {"factor": ["none", "linear"]}))["factor"] == ("linear", "none")
    for wrong in ({"factors": "none"}, {"factor": "cubed"}):
        with pytest.raises(ValueError, match="use one of"):
            claimed("kd_loss", wrong)
    with pytest.raises(ValueError, match="no legal point"):
        claimed("quantize", {"zero_point": "inside_fma", "scaling": "divide"})
    assert (allowed_points("kd_loss", "torch.kl_div.mean") == claimed("kd_loss", {"reduction": "mean"})).all()
    assert (allowed_points("pack", "torch.kl_div.mean") == claimed("pack")).all()


def test_products():
    half = np.zeros_like(legal("pack"))
    half[0, 0] = half[1, 1] = True
    assert not is_product("pack", half) and is_product("pack", claimed("pack"))


@pytest.mark.parametrize("name", load_profiles())
def test_profiles(name):
    profile = get_profile(name)
    assert all((profile.source, profile.version, profile.hardware, profile.date)) and profile.operations
    for operation in profile.operations:
        assert profile.points(operation).any()


def test_unknown_profile_names_the_nearest():
    with pytest.raises(ValueError, match="torch.quantize_per_tensor"):
        get_profile("torch.quantize_per_tensors")
