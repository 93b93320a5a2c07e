"""The vectors: from the oracle byte for byte, each option killed three times, profiles apart, canaries wrong, all small."""

import itertools
import json
import pathlib

import numpy as np
import pytest

import tinycompress.verify.vectors as vectors
from tinycompress.verify import generate
from tinycompress.verify.axes import AXES, default_point, legal, option_names
from tinycompress.verify.cases import SAME_AS_DEFAULT, THREE, differ, identify, parts
from tinycompress.verify.cases_integers import Case
from tinycompress.verify.operations import OPERATIONS
from tinycompress.verify.profiles import load_profiles
from tinycompress.verify.questions import check_canaries, read_canaries, read_tests

FOLDER = pathlib.Path(generate.__file__).parent / "vectors"


def test_regenerated_byte_for_byte(tmp_path):
    for name in generate.write(tmp_path):
        assert (tmp_path / name).read_bytes() == (FOLDER / name).read_bytes(), name


def test_small_and_complete():
    names = {path.name for path in FOLDER.iterdir()}
    assert {f"{op}.{end}" for op in OPERATIONS for end in ("json", "txt")} | {"schema.json", "INTERPRETING.md"} <= names
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 1_000_000


@pytest.mark.parametrize("operation", AXES)
def test_kill_matrix(operation):
    """Each option of each axis, alone against the default, differs by more than any tolerance on at least three vectors."""
    origin = default_point(operation)
    names, good = option_names(operation), legal(operation)
    pairs = [(origin, {**origin, axis: option}) for axis, options in names.items() for option in options[1:]]
    pairs = [p for p in pairs if good[tuple(options.index(p[1][axis]) for axis, options in names.items())]]
    killed = sum(parts(operation, test.table, pairs).astype(int) for test in read_tests(operation))
    for (_, point), count in zip(pairs, killed, strict=True):
        axis = next(a for a in point if point[a] != origin[a])
        if (operation, axis, point[axis]) in SAME_AS_DEFAULT:
            assert count == 0 and SAME_AS_DEFAULT[operation, axis, point[axis]]
        else:
            assert count >= THREE, (axis, point[axis], int(count))


@pytest.mark.parametrize("operation", AXES)
def test_every_option_is_killed_somewhere(operation):
    """Also those that only other points can show: no option is a mere name."""
    for i, (axis, options) in enumerate(option_names(operation).items()):
        for option in range(1, len(options)):
            shown = 0
            for test in read_tests(operation):
                if axis in test.table.axes:
                    lead = np.moveaxis(test.table.which, test.table.axes.index(axis), 0)
                    shown += bool(((lead[option] != lead[0]) & (lead[option] >= 0) & (lead[0] >= 0)).any())
            assert shown >= THREE or (operation, axis, options[option]) in SAME_AS_DEFAULT, (axis, options[option], shown)


@pytest.mark.parametrize("operation", AXES)
def test_profiles_are_apart_or_share_a_point(operation):
    profiles = {name: p for name, p in load_profiles().items() if operation in p.operations}
    for a, b in itertools.combinations(profiles, 2):
        if (profiles[a].points(operation) & profiles[b].points(operation)).any():
            continue  # equivalent: one rule fits both
        apart = 0
        for test in read_tests(operation):
            pairs = itertools.product(test.expect[a], test.expect[b])
            apart += all(differ(test.table.answers[i], test.table.answers[j]) for i, j in pairs)
        assert apart >= THREE, (a, b, apart)


def test_ids_are_digests_of_the_input():
    seen = set()
    for operation in OPERATIONS:
        for test in read_tests(operation):
            assert test.id == identify(Case(operation, test.arguments, "", (), test.axis)) and test.id not in seen
            seen.add(test.id)


def test_canaries():
    assert len(read_canaries()) == len(OPERATIONS)
    check_canaries()


def test_a_runner_that_passes_everything_is_caught(monkeypatch):
    from tinycompress.verify import questions
    from tinycompress.verify.results import Outcome

    monkeypatch.setattr(questions, "judge", lambda *a: (Outcome("pack", "x", "pass"), None))
    with pytest.raises(RuntimeError, match="compares nothing"):
        check_canaries()


@pytest.mark.parametrize("operation", OPERATIONS)
def test_words_say_what_json_says(operation):
    tests = read_tests(operation)
    lines = (FOLDER / f"{operation}.txt").read_text(encoding="ascii").splitlines()
    assert lines == [vectors.to_line(test) for test in tests]
    again = [vectors.from_object(operation, json.loads(json.dumps(vectors.to_object(test)))) for test in tests]
    assert [vectors.to_line(test) for test in again] == lines


def _check(value, schema, root):
    """As much of JSON Schema as the schema uses."""
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].split("/")[-1]]
    if "oneOf" in schema:
        assert sum(_fits(value, option, root) for option in schema["oneOf"]) == 1, value
        return
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "null": type(None)}
    if "type" in schema:
        assert isinstance(value, kinds[schema["type"]]), value
    if "enum" in schema or "const" in schema:
        assert value in schema.get("enum", [schema.get("const")]), value
    if "pattern" in schema:
        import re

        assert re.search(schema["pattern"], value), value
    if isinstance(value, dict):
        assert set(schema.get("required", ())) <= set(value)
        known = schema.get("properties", {})
        assert schema.get("additionalProperties") is not False or set(value) <= set(known)
        for key, item in value.items():
            more = schema.get("additionalProperties")
            _check(item, known.get(key) or (more if isinstance(more, dict) else {}), root)
    if isinstance(value, list):
        for item in value:
            _check(item, schema.get("items", {}), root)


def _fits(value, schema, root):
    try:
        _check(value, schema, root)
        return True
    except AssertionError:
        return False


def test_schema():
    schema = json.loads((FOLDER / "schema.json").read_text(encoding="ascii"))
    for operation in ("quantize", "adam_step", "pack"):
        item = json.loads((FOLDER / f"{operation}.json").read_text(encoding="ascii"))
        _check(item, schema, schema)
        item["tests"][0]["args"][0]["type"] = "f31"
        assert not _fits(item, schema, schema)
