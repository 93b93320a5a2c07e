"""Every public function says its shapes, its source, what it raises, and shows an example; every module opens with prose."""

import ast
import importlib
import inspect
import pathlib

import pytest

PACKAGE = pathlib.Path(__file__).resolve().parent.parent / "tinycompress"
MODULES = sorted(p for p in PACKAGE.rglob("*.py") if p.name not in ("__init__.py", "__main__.py"))


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
