"""Every law of distillation kills something; that each mistake breaks its law stands in test_verify_mutants."""

import pytest

from tinycompress.verify.laws import keeps
from tinycompress.verify.mutants_distillation import RIGHT, TWINS, laws

LAWS = laws()


@pytest.mark.parametrize("law", LAWS)
def test_the_right_function_keeps_the_law(law):
    assert keeps(LAWS[law], RIGHT[LAWS[law].operation])


@pytest.mark.parametrize("twin", TWINS, ids=lambda t: t.name)
def test_the_twin_is_killed_by_its_law(twin):
    assert LAWS[twin.law].operation == twin.operation
    assert not keeps(LAWS[twin.law], twin.function)


def test_every_law_kills_something():
    assert {t.law for t in TWINS} == set(LAWS)
    assert len({t.name for t in TWINS}) == len(TWINS)
