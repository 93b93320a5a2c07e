"""What an implementation is held to: for each operation the set of points that are allowed.

Nothing claimed: the default profile, for every operation that is offered. A dictionary {operation: {axis: option}}, which is
what a module's CLAIM is, moves single axes away from the default, and the operations that it names must be offered. A profile's
name speaks of that profile's operations alone: of those that are offered, and of one at least.

Not here: the profiles themselves (profiles). Read next: results, judging.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinycompress.verify.axes import Points, claimed
from tinycompress.verify.operations import OPERATIONS
from tinycompress.verify.profiles import OWN, Profile, get_profile


@dataclass(frozen=True)
class Claims:
    """The claim, by name; the points that it allows where those are not the default's; which operations must be offered."""

    name: str
    allowed: Mapping[str, Points]
    required: frozenset[str] = frozenset()
    only: bool = False  # whether it speaks of these operations alone

    def judges(self, operation: str) -> bool:
        """Whether the claim speaks of an operation at all."""
        return not self.only or operation in self.allowed

    def points(self, operation: str) -> Points:
        """The points that it allows."""
        return self.allowed[operation] if operation in self.allowed else claimed(operation)


def resolve_claim(claim: str | Mapping[str, Any] | None) -> Claims:
    """Read a claim: None, a profile's name, or {operation: {axis: option, or a sequence of options}, or a profile's name}.

    Shapes      takes no arrays
    Raises      ValueError if it names a profile, operation, axis or option that does not exist
    Source      this package

    >>> resolve_claim({"accuracy": {"unit": "percent"}}).points("accuracy").tolist()
    [False, True, False]
    """
    if claim is None or claim == OWN:
        return Claims(OWN, {})
    if isinstance(claim, str):
        profile = get_profile(claim)
        return Claims(claim, {operation: profile.points(operation) for operation in profile.operations}, only=True)
    if not isinstance(claim, Mapping):
        raise ValueError(f"a claim is a profile's name or a dictionary, not {type(claim).__name__}")
    allowed: dict[str, Points] = {}
    words = []
    for operation, said in claim.items():
        if operation not in OPERATIONS:
            raise ValueError(f"the claim names {operation!r}, which is no operation; use some of {', '.join(OPERATIONS)}")
        allowed[operation] = _points(operation, said)
        told = said if isinstance(said, str) else ", ".join(f"{axis} {option}" for axis, option in (said or {}).items())
        words.append(f"{operation}: {told or OWN}")
    return Claims(f"{OWN} but {'; '.join(words)}" if words else OWN, allowed, frozenset(allowed))


def _points(operation: str, said: Any) -> Points:
    if said is None or isinstance(said, Mapping):
        return claimed(operation, said)
    if not isinstance(said, str):
        raise ValueError(f"the claim for {operation} is {said!r}; use {{axis: option}} or a profile's name")
    profile: Profile = get_profile(said)
    points = profile.points(operation)
    if not np.any(points):
        raise ValueError(f"the profile {said} says nothing of {operation}; it speaks of {', '.join(profile.operations)}")
    return points
