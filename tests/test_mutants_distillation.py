"""Every mistake breaks its law, and the right functions keep all of them."""

import numpy as np
import pytest

from tinycompress.verify.mutants_distillation import RIGHT, TWINS, laws

LAWS = laws()


@pytest.mark.parametrize("law", LAWS)
def test_the_right_function_keeps_the_law(law):
    operation, holds = LAWS[law]
    assert holds(RIGHT[operation])


@pytest.mark.parametrize("twin", TWINS, ids=lambda t: t.name)
def test_the_twin_is_killed_by_its_law(twin):
    operation, holds = LAWS[twin.law]
    assert operation == twin.operation
    with np.errstate(all="ignore"):
        assert not holds(twin.function)


def test_every_law_kills_something():
    assert {t.law for t in TWINS} == set(LAWS)
    assert len({t.name for t in TWINS}) == len(TWINS)
