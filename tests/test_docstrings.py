"""Every public function says its shapes, its source, what it raises, and shows an example; every module opens with prose."""

import ast
import dataclasses
import importlib
import inspect
import pathlib
import pydoc
import re

import pytest

import tinycompress
from tinycompress import conventions

PACKAGE = pathlib.Path(__file__).resolve().parent.parent / "tinycompress"
MODULES = sorted(p for p in PACKAGE.rglob("*.py") if p.name not in ("__init__.py", "__main__.py"))
KIT = PACKAGE / "verify" / "__init__.py"  # a module of the map, and the first of its own folder
DOCS = {p: ast.get_docstring(ast.parse(p.read_text(encoding="utf-8"))) or "" for p in [*MODULES, KIT]}
SLOTS = "Equation Why Derivation Shapes Gradient Units Bound Limits Convention Raises Source".split()
NAME = r"[a-z_0-9]+(?:\.[a-z_]+)?"  # of a module, or of something in it


def _public_functions():
    for path in MODULES:
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
                yield pytest.param(node, id=f"{path.relative_to(PACKAGE).with_suffix('')}.{node.name}")


@pytest.mark.parametrize("node", list(_public_functions()))
def test_slots(node):
    doc = ast.get_docstring(node) or ""
    for slot in ("Shapes", "Source", ">>>"):
        assert slot in doc, f"{node.name}: no {slot}"
    found = [slot for slot in re.findall(r"^([A-Z][a-z]+) {2,}\S", doc, re.M) if slot in SLOTS]
    assert found == sorted(found, key=SLOTS.index), f"{node.name}: slots out of order"
    raises = any(isinstance(n, ast.Raise) for n in ast.walk(node))
    assert not raises or "Raises" in doc, f"{node.name} raises, and its docstring does not say when"


@pytest.mark.parametrize("node", list(_public_functions()))
def test_annotated(node):
    arguments = node.args.posonlyargs + node.args.args + node.args.kwonlyargs
    missing = [a.arg for a in arguments if a.annotation is None]
    assert not missing and node.returns is not None, f"{node.name}: not annotated: {missing or 'the answer'}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: p.stem)
def test_module_opens_with_prose(path):
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    assert len(doc.split()) >= 20, f"{path.name} does not say what it is"
    assert "Read next" in doc and "Not here" in doc, f"{path.name} does not say what is elsewhere, or what to read next"


def test_functions_live_where_they_are_documented():
    for path in MODULES:
        name = ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)
        module = importlib.import_module(name)
        for public in getattr(module, "__all__", ()):
            assert inspect.getdoc(getattr(module, public)) or not callable(getattr(module, public)), f"{name}.{public}"


@pytest.mark.parametrize("path", [*MODULES, KIT], ids=lambda p: f"{p.parent.name}.{p.stem}")
def test_help_is_readable(path):
    """A default that is a function would show its address; one that is a whole record would hide the other arguments."""
    module = importlib.import_module(_import_name(path))
    assert " at 0x" not in pydoc.plain(pydoc.render_doc(module))
    own = [f for f in vars(module).values() if inspect.isfunction(f) and f.__module__ == module.__name__]
    assert all(len(str(inspect.signature(f))) <= 4 * 120 for f in own)


@pytest.mark.parametrize("path", MODULES, ids=lambda p: f"{p.parent.name}.{p.stem}")
def test_a_legend_is_a_slot_before_what_is_not_here(path):
    """`Letters` and eight spaces less than the indented rest of it, then another slot, or `Not here` at once."""
    doc = DOCS[path]
    legend = re.search(r"^Letters {5}\S.*\n(?: {12}\S.*\n)*(?:Where from  .*\n(?: {12}\S.*\n)*)?(?=Not here: )", doc, re.M)
    assert len(re.findall(r"^\W*(?:Letters|Legend)", doc, re.M)) == (legend is not None)
    used = " ".join(re.findall(r"^ +Shapes +(.*\n(?: {12,}.*\n)*)", path.read_text(encoding="utf-8"), re.M))
    letters = set(re.findall(r"\b[A-Z]\b", re.sub(r"\bC order|\^T", "", used)))
    assert not {letter for letter in letters if not legend or not re.search(rf"\b{letter}\b", legend[0])}


def _import_name(path):
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _resolve(name, path):
    """The file that a docstring's (name) or (name.attribute) means: one of the same folder first, then one of the map."""
    stem, _, attribute = name.partition(".")
    beside, above = path.parent / f"{stem}.py", PACKAGE / f"{stem}.py"
    found = next((p for p in (beside, above, PACKAGE / stem / "__init__.py") if p in DOCS), None)
    known = found and (attribute in ("", "toml") or hasattr(importlib.import_module(_import_name(found)), attribute))
    return found if known else None


def _read_next(path):
    listed = rf"{NAME}(?: \([^)]*\))?"
    text = re.search(rf"Read next:\s({listed}(?:,\s+{listed})*)\.\Z", DOCS[path])
    assert text, f"{path.name} does not end with `Read next: name, name (why), ... .`"
    return re.findall(NAME, re.sub(r"\([^)]*\)", "", text[1]))


@pytest.mark.parametrize("path", [*MODULES, KIT], ids=lambda p: f"{p.parent.name}.{p.stem}")
def test_what_is_named_as_elsewhere_exists(path):
    elsewhere = re.search(r"Not here: (.*?)Read next", DOCS[path], re.S)[1]
    groups = [re.split(r",\s+|\s+and\s+|;\s+", inside) for inside in re.findall(r"\(([^)]*)\)", elsewhere)]
    named = [name for group in groups for name in group if re.fullmatch(NAME, name)]
    assert not [name for name in [*named, *_read_next(path)] if _resolve(name, path) is None]


def test_read_next_follows_the_map():
    """Each module names its successor; inside the kit, whose order is told in words, each is named by some other."""
    of = {name: _resolve(name, PACKAGE / "__init__.py") for name in tinycompress.READING_ORDER}
    for name, following in zip(tinycompress.READING_ORDER, tinycompress.READING_ORDER[1:], strict=False):
        assert of[following] in [_resolve(n, of[name]) for n in _read_next(of[name])], f"{name} does not lead to {following}"
    reached = {_resolve(n, path) for path in DOCS for n in _read_next(path)}
    assert not set(DOCS) - reached


def test_a_record_shows_what_differs_from_the_default():
    """What is shown is how the record is made, but for its provenance; so a default shows nothing at all."""
    kinds = {kind.__name__: kind for kind in conventions.RECORDS.values()}
    assert all(repr(kind()) == f"{name}()" for name, kind in kinds.items())
    for name in conventions.names():
        record = conventions.get(name)
        shown = eval(repr(record), dict(kinds))
        assert dataclasses.replace(shown, provenance=record.provenance) == record
