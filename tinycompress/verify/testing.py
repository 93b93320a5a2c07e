"""The kit inside your own test suite: one pytest test per vector and one for the live tests of each operation.

    from tinycompress.verify import testing

    @testing.parametrize("my_package.quantizers", claim="onnxruntime.QuantizeLinear")
    def test_same_as_onnxruntime(check):
        check()

Nothing is loaded by pytest on its own, and this module imports without pytest.

Not here: the questions (questions, live). Read next: commands.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tinycompress.verify.adapters import Adapter, as_adapter
from tinycompress.verify.axes import Points
from tinycompress.verify.claims import resolve_claim
from tinycompress.verify.judging import Question, judge
from tinycompress.verify.operations import OPERATIONS
from tinycompress.verify.questions import check_canaries, read_questions
from tinycompress.verify.reporting import outcome_text
from tinycompress.verify.results import Outcome
from tinycompress.verify.running import ask_live


@dataclass(frozen=True)
class Check:
    """One question (or, without one, the live tests of an operation); call it to ask."""

    adapter: Adapter
    operation: str
    question: Question | None
    claimed: Points
    seed: int = 0

    @property
    def name(self) -> str:
        """The vector's id, or OPERATION-live."""
        return f"{self.operation}-live" if self.question is None else self.question.test

    def outcomes(self) -> list[Outcome]:
        """Ask, and judge."""
        if self.question is None:
            return ask_live(self.adapter, self.operation, self.claimed, self.seed, isolate=False)
        return [judge(self.question, self.adapter.call(self.question.request), self.claimed)[0]]

    def __call__(self) -> None:
        """Ask; fail as pytest does, skip with the reason where it is unsupported."""
        outcomes = self.outcomes()
        bad = [outcome for outcome in outcomes if outcome.status not in ("pass", "unsupported")]
        if bad:
            raise AssertionError("\n".join(outcome_text(outcome) for outcome in bad[:3]))
        if outcomes and all(outcome.status == "unsupported" for outcome in outcomes):
            import pytest

            pytest.skip(outcomes[0].message)


def checks(
    adapter: Any, claim: Any = None, *, operations: Sequence[str] | None = None, live: bool = True, seed: int = 0
) -> list[Check]:
    """List the checks of an adapter: those of the operations that it offers and the claim speaks of.

    Shapes      takes no arrays
    Raises      ValueError if there is nothing to check: a suite that compares nothing must not be green
    Source      this package

    >>> checks({"pack": lambda codes, bits: b""}, live=False)[0].operation
    'pack'
    """
    asked = as_adapter(adapter)
    claims = resolve_claim(asked.claim if claim is None else claim)
    check_canaries()
    found: list[Check] = []
    for name in OPERATIONS if operations is None else operations:
        wanted = name in claims.required or (operations is not None and name in operations)
        if not asked.offers(name):
            if wanted:
                raise ValueError(f"{asked.name} does not offer {name}, of which {claims.name} speaks")
            continue
        if claims.judges(name):
            found += [Check(asked, name, question, claims.points(name), seed) for question in read_questions(name)]
            found += [Check(asked, name, None, claims.points(name), seed)] if live else []
    if not found:
        raise ValueError(f"{asked.name} offers none of {', '.join(OPERATIONS)}; nothing would be compared")
    return found


def parametrize(adapter: Any, claim: Any = None, **options: Any) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return the pytest decorator that runs a test once for each check, passed as `check`.

    Shapes      takes no arrays
    Raises      ValueError as `checks`
    Source      this package

    >>> callable(parametrize({"pack": lambda codes, bits: b""}))
    True
    """
    import pytest

    found = checks(adapter, claim, **options)
    decorator: Callable[[Callable[..., Any]], Callable[..., Any]] = pytest.mark.parametrize(
        "check", [pytest.param(check, id=check.name) for check in found]
    )
    return decorator
