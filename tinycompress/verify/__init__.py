"""Is yours the same? Give it an implementation; it says whether it keeps the convention it claims, or which rule it follows
instead.

A convention is a point in a small product space (rounding x scaling x zero point x ...). An exact oracle answers for every
point; an implementation's answers leave a set of points standing. `run` asks whether the claimed point is in that set,
`diagnose` which points are.

    run(adapter, claim=None) -> Report          held to a claim, or to the default profile; report.ok, report.exit_status
    diagnose(adapter) -> Diagnosis              diagnosis["quantize"].point, .witnesses, .matches, .signature

An adapter is a module, an object or a dictionary with functions named like the operations. On the command line:
`python -m tinycompress verify MODULE`, `verify --command "./mine"`, `verify --answers FILE`, `diagnose MODULE`, `vectors DIR`.

The files in reading order: operations, axes_integers, axes_floats, axes (the space); exact, oracle_*, oracle, tables (the exact
answers); cases_*, cases, profiles, vectors, questions, generate (what is asked); wire, guards, adapters, pipes, protocol,
children, isolation (who is asked); claims, results, judging, reproducing, hard_inputs, live*, running, reporting (is it the
same?); evidence, diagnosis, witnesses, diagnosing (which rule is it?); differing, explaining, files, answers, testing, commands
(for whoever asks); laws*, mutants*, harm, killing, kill_matrix (does the kit find what it should?); own (this package as one).

Not here: other libraries' rules as records that this package follows (conventions). Read next: operations, cli.
"""
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinycompress.verify.diagnosis import Diagnosis, Finding, diagnose
    from tinycompress.verify.results import Report
    from tinycompress.verify.running import run

__all__ = ["Diagnosis", "Finding", "Report", "diagnose", "run"]
_HOMES = {"Diagnosis": "diagnosis", "Finding": "diagnosis", "Report": "results", "diagnose": "diagnosis", "run": "running"}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for: the command line starts without any of this."""
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(f"tinycompress.verify.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'tinycompress.verify' has no attribute {name!r}; it has {', '.join(__all__)}")
