"""The imports inside the package are arrows: none points backward in the reading order, and none leaves NumPy and SciPy."""

import ast
import pathlib
import sys

import tinycompress

PACKAGE = pathlib.Path(tinycompress.__file__).parent
ORDER = list(tinycompress.READING_ORDER)
ABOVE = tuple(ORDER[ORDER.index("evaluation") :])  # "all of it together": what is made of everything below may lie deeper


def imports(path):
    """(module of ours or None, outside top-level name or None) for each import statement, wherever it stands."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                parts = alias.name.split(".")
                yield (parts[1], None) if parts[0] == "tinycompress" and len(parts) > 1 else (None, parts[0])
        elif isinstance(node, ast.ImportFrom):
            parts = (node.module or "").split(".")
            if parts[0] != "tinycompress":
                yield None, parts[0]
            elif len(parts) > 1:
                yield parts[1], None
            else:
                yield from ((alias.name, None) for alias in node.names)


def arrows():
    found = {name: set() for name in ORDER}
    for path in PACKAGE.rglob("*.py"):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        if parts[0] in ("__init__", "__main__"):
            continue
        found[parts[0]] |= {ours for ours, _ in imports(path) if ours in ORDER and ours != parts[0]}
    return found


def test_every_module_stands_in_the_map():
    modules = {p.stem for p in PACKAGE.glob("*.py")} | {p.parent.name for p in PACKAGE.glob("*/__init__.py")}
    assert modules - {"__init__", "__main__"} == set(ORDER)
    assert all(f"{name} " in tinycompress.__doc__ for name in ORDER)


def test_no_arrow_points_backward():
    place = {name: i for i, name in enumerate(ORDER)}
    wrong = [f"{a} imports {b}" for a, targets in arrows().items() for b in targets if place[b] > place[a] and a != "cli"]
    assert not wrong


def test_training_is_told_what_to_train():
    assert not arrows()["training"] & {"pruning", "quantization", "distillation"}
    assert all(name == "rule" or name.endswith("_rules") for name in arrows()["conventions"]), "records only, no arithmetic"
    assert not [a for a, targets in arrows().items() if "verify" in targets and a != "cli"]


def test_depth_is_at_most_five():
    """Facts (the rules and their table) do not count: reading code through them needs no more than their field names."""
    found = arrows()
    for name in ("rule", "pruning_rules", "quantization_rules", "integer_rules", "distillation_rules", "conventions"):
        found[name] = set()

    def depth(name):
        return 1 + max((depth(b) for b in found[name]), default=-1)

    deep = {name: depth(name) for name in ORDER if name not in ABOVE and depth(name) > 5}
    assert not deep


def test_nothing_but_the_standard_library_numpy_and_scipy():
    allowed = set(sys.stdlib_module_names) | {"numpy", "scipy"}
    foreign = [f"{p.name}: {out}" for p in PACKAGE.rglob("*.py") for _, out in imports(p) if out and out not in allowed]
    assert set(foreign) <= {"testing.py: pytest"}, "the one helper for other people's test suites, imported when it is used"
