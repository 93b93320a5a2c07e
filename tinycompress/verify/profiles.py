"""Named profiles: the points that an outside build was measured to follow, per operation, with source, version, hardware, date.

A profile says for each of its operations which option of which axis it takes. An axis that it does not mention has the default
option; "*" means that any option fits, because it was not measured or has no meaning there. A profile is a claim about a build.

Not here: the axes (axes), the measuring. Read next: vectors.
"""
from __future__ import annotations

import functools
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

import numpy as np

from tinycompress.verify.axes import AXES, Claim, Points, claimed, legal, option_names

OWN = "tinycompress"


@dataclass(frozen=True)
class Profile:
    """What a build does, operation by operation, and where that is known from."""

    name: str
    operations: Mapping[str, Claim]
    source: str
    version: str
    hardware: str
    date: str
    note: str = ""

    def points(self, operation: str) -> Points:
        """Return the points that fit; none if the profile says nothing about the operation."""
        if operation not in self.operations:
            return np.zeros_like(legal(operation))
        names = option_names(operation)
        claim = {a: names[a] if o == "*" and a in names else o for a, o in self.operations[operation].items()}
        return claimed(operation, claim)


@functools.cache
def load_profiles() -> dict[str, Profile]:
    """Return all profiles by name, the default first.

    Shapes      takes no arrays
    Source      profiles.toml, where each entry has its own

    >>> next(iter(load_profiles()))
    'tinycompress'
    """
    text = resources.files(__package__).joinpath("profiles.toml").read_text(encoding="utf-8")
    found = {OWN: Profile(OWN, {name: {} for name in AXES}, "the default of this package", "0.1", "any", "2026-11")}
    for name, entry in tomllib.loads(text).items():
        found[name] = Profile(
            name, {k: v for k, v in entry.items() if k in AXES}, **{k: v for k, v in entry.items() if isinstance(v, str)}
        )
    return found


def get_profile(name: str) -> Profile:
    """Return one profile.

    Shapes      takes no arrays
    Raises      ValueError if there is no such profile; the nearest names are given
    Source      profiles.toml

    >>> dict(get_profile("torch.quantize_per_tensor").operations["quantize"])["zero_point"]
    'inside_fma'
    """
    found = load_profiles()
    if name not in found:
        import difflib

        near = difflib.get_close_matches(name, found, n=3, cutoff=0.3)
        raise ValueError(f"no profile is called {name!r}; nearest: {', '.join(near) or 'none'}")
    return found[name]


def allowed_points(operation: str, claim: str | Mapping[str, Claim] | None = None) -> Points:
    """Return the points of an operation that a claim allows: a profile's name, {operation: {axis: option}}, or None.

    Shapes      -> as axes.legal(operation)
    Convention  an operation that the claim does not mention is held to the default
    Raises      ValueError if the claim names what does not exist
    Source      this package

    >>> int(allowed_points("accuracy").sum())
    1
    """
    if isinstance(claim, str):
        profile = get_profile(claim)
        return profile.points(operation) if operation in profile.operations else claimed(operation)
    return claimed(operation, (claim or {}).get(operation))
