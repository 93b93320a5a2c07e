"""Every mistake of the museum breaks the law beside it; every law holds for the right function and kills something."""

from collections import Counter

import pytest

from tinycompress.verify.adapters import PythonAdapter
from tinycompress.verify.axes import claimed, option_names
from tinycompress.verify.harm import measured
from tinycompress.verify.judging import judge
from tinycompress.verify.laws import keeps
from tinycompress.verify.mutants import FAMOUS, LAWS, MUTANTS, RIGHT, killers, point_of
from tinycompress.verify.operations import OPERATIONS
from tinycompress.verify.questions import read_questions

POINTS = [m for m in MUTANTS if point_of(m)]


@pytest.mark.parametrize("law", LAWS)
def test_the_right_function_keeps_the_law(law):
    assert keeps(LAWS[law], RIGHT[LAWS[law].operation])


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda m: f"{m.operation}-{m.name}")
def test_a_mistake_breaks_its_law(mutant):
    assert LAWS[mutant.law].operation == mutant.operation
    assert mutant.law in killers(mutant)
    assert mutant.harm


def test_names_are_unique_and_every_law_kills_something():
    assert [name for name, n in Counter(m.name for m in MUTANTS).items() if n > 1] == []
    assert {m.law for m in MUTANTS} == set(LAWS)
    assert {m.operation for m in MUTANTS} >= set(OPERATIONS) - {"binary_kd_loss"}


@pytest.mark.parametrize("mutant", POINTS, ids=lambda m: f"{m.operation}-{m.name}")
def test_a_mistake_that_is_a_point_of_the_space_is_named_by_the_vectors(mutant):
    """Claiming what it is, it passes: so the report can name it. What becomes of NaN is another axis."""
    adapter = PythonAdapter(mutant.name, {mutant.operation: mutant.function})
    point = point_of(mutant)
    anything = {"nan": option_names(mutant.operation)["nan"]} if "nan" in point else {}
    held = claimed(mutant.operation, {**point, **anything})
    outcomes = [judge(q, adapter.call(q.request), held)[0] for q in read_questions(mutant.operation)]
    assert [(o.test, o.status, o.message) for o in outcomes if o.status not in ("pass", "unsupported")] == []
    assert any(o.comparisons for o in outcomes)


def test_harm_is_measured_on_ordinary_and_on_hard_data():
    """Ties are rare in the one and common in the other: the reason for live tests."""
    found = measured(next(m for m in MUTANTS if m.name == "half_away"))
    assert found.ordinary == "0 % differ" and int(found.hard.split()[0]) > 20
    assert {m.name for m in MUTANTS} >= set(FAMOUS)
