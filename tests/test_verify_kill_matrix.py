"""The kit finds every option of every axis and every named mistake; the command does the same for ten seeds."""

import pytest

from tinycompress.verify import kill_matrix
from tinycompress.verify.kill_matrix import EQUIVALENT, kill_mutants, kill_options, lines
from tinycompress.verify.killing import live_kills_option, options
from tinycompress.verify.mutants import MUTANTS
from tinycompress.verify.operations import OPERATIONS


@pytest.mark.parametrize("operation", OPERATIONS)
def test_every_option_is_killed_by_three_vectors_and_live(operation):
    assert [line for line in lines(kill_options(operation, 1)) if "NOT FOUND" in line] == []


@pytest.mark.parametrize("operation", sorted({m.operation for m in MUTANTS}))
def test_every_mistake_is_killed_by_a_law_and_live(operation):
    assert [line for line in lines(kill_mutants(operation, 1)) if "NOT FOUND" in line] == []


def test_what_counts_as_equivalent_exists_and_is_not_found_by_the_live_tests():
    """An entry that some live input tells apart is no equivalence and must go."""
    for operation, axis, option in EQUIVALENT:
        assert (axis, option) in list(options(operation))
        assert not live_kills_option(operation, axis, option, 1), (operation, axis, option)


def test_a_mistake_that_nothing_finds_is_said(monkeypatch, capsys):
    """The command itself is under test here: with laws that hold for everything it must not say that all is found."""
    monkeypatch.setattr(kill_matrix, "killers", lambda mutant: [])
    assert kill_matrix.main(["1", "accuracy"]) == 1
    assert "NOT FOUND" in capsys.readouterr().out
