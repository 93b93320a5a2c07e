"""What a newcomer meets first: help that reads, three commands to contribute, one version, a wheel that is small."""
import importlib
import inspect
import io
import pydoc
import re
import tomllib
import zipfile

import pytest
from running import ROOT

import tinycompress

PACKAGE = ROOT / "tinycompress"


@pytest.mark.parametrize("name", tinycompress.READING_ORDER)
def test_pydoc_reads(name):
    """The module's first line, and for every public function its first line and its slots, as `python -m pydoc` shows them."""
    module = importlib.import_module(f"tinycompress.{name}")
    text = pydoc.plaintext.document(module)
    assert module.__doc__.strip().splitlines()[0] in text
    assert max(map(len, module.__doc__.splitlines())) <= 130
    for attribute, value in vars(module).items():
        if inspect.isfunction(value) and not attribute.startswith("_") and value.__module__ == module.__name__:
            assert f"{attribute}(" in text and inspect.getdoc(value).splitlines()[0] in text


def test_contributing_takes_three_commands():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert re.findall(r"^\$ (.*)$", text, re.MULTILINE) == [
        "pip install -e '.[test,dev]'", "pytest", "mypy --strict -p tinycompress && ruff check .",
    ]  # fmt: skip
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert all("==" in pinned for pinned in project["optional-dependencies"]["dev"])
    assert {need.split(">=")[0] for need in project["dependencies"]} == {"numpy", "scipy"}


def test_one_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    changes = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert project["version"] == tinycompress.__version__ == changes[0]


def test_the_package_is_small():
    """A wheel is a zip of the package: below 2 MB, of which the vectors are most."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in PACKAGE.rglob("*"):
            if path.is_file() and path.suffix != ".pyc":
                archive.write(path, path.relative_to(ROOT))
    assert packed.tell() < 2_000_000


def test_files_hold_one_idea():
    lines = {p: len(p.read_text(encoding="utf-8").splitlines()) for p in PACKAGE.rglob("*.py")}
    assert not [p.name for p, n in lines.items() if n > 260 or (n < 60 and not p.stem.startswith("__"))]
    assert not [p for folder in ("tinycompress", "tests", "examples") for p in (ROOT / folder).rglob("*utils*.py")]
