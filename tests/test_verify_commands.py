"""The three commands as typed: output, exit status, and what is said when they are used wrongly."""

import json
import subprocess
import sys

import pytest
from running import run

from tinycompress.cli import main
from tinycompress.verify import vectors as vector_text
from tinycompress.verify.answers import judge_answers
from tinycompress.verify.operations import OPERATIONS
from tinycompress.verify.protocol import write_request
from tinycompress.verify.questions import read_questions

RIGHT = """
import numpy as np
def unpack(buffer, bits, count):
    flat = np.unpackbits(np.frombuffer(buffer, np.uint8), bitorder="little")[: count * bits].reshape(-1, bits)
    return (flat << np.arange(bits, dtype=np.uint8)).sum(axis=1)
"""
WRONG = RIGHT.replace('bitorder="little"', 'bitorder="big"').replace("np.arange(bits, dtype=np.uint8)", "np.arange(bits)[::-1]")


@pytest.fixture
def mine(tmp_path, monkeypatch):
    def write(text):
        (tmp_path / "mine.py").write_text(text)
        return str(tmp_path / "mine.py")

    monkeypatch.setattr(sys, "path", list(sys.path))
    return write


def test_verify_says_yes_and_no(mine, capsys):
    assert main(["verify", mine(RIGHT), "--operations", "unpack"]) == 0
    assert "yes: 1 of 1 claimed operations pass" in capsys.readouterr().out
    assert main(["verify", mine(WRONG), "--operations", "unpack", "--no-live"]) == 1
    out = capsys.readouterr().out
    assert "other-convention" in out and "no: 0 of 1" in out and "unpack(" in out
    assert main(["verify", mine(WRONG), "--operations", "unpack", "--no-live", "--json"]) == 1
    kinds = [json.loads(line)["kind"] for line in capsys.readouterr().out.splitlines()]
    assert kinds[0] == "run" and "outcome" in kinds


def test_diagnose_names_the_rule(mine, capsys):
    assert main(["diagnose", mine(WRONG), "--operations", "unpack"]) == 0
    assert "high" in capsys.readouterr().out


def test_a_process_of_its_own(mine, tmp_path):
    """As a newcomer types it: the module by its name, from the folder it is in; progress is not written where no one watches."""
    mine(RIGHT)
    done = run("verify", "mine:unpack_only", cwd=tmp_path)
    assert done.returncode == 2 and "has no 'unpack_only'" in done.stderr and len(done.stderr.splitlines()) == 1
    done = run("verify", "mine", "--operations", "unpack", "--no-live", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert not done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "nothing to verify"),
        (["a", "b"], "2 implementations"),
        (["no.such.module"], "no module or file"),
        (["operator", "--command", "./mine"], "name one implementation"),
        (["operator", "--answers", "file"], "stands alone"),
        (["--answers", "no/such/file"], "No such file"),
        (["operator", "--claim", "no.such"], "no profile"),
        (["operator", "--operations", "quantise"], "no operation"),
        (["--command", "'"], "quotation"),
        (["diff", "tinycompress", "no.such"], "no profile"),
        (["explain", "no-such-id"], "no vector"),
    ],
)
def test_wrong_use_is_one_line_and_exit_2(arguments, words, capsys):
    assert main(["verify", *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error and len(error.splitlines()) == 1


def test_nothing_offered_is_exit_1(capsys):
    assert main(["verify", "operator"]) == 1
    assert "none of the operations is offered" in capsys.readouterr().out


def test_help_loads_no_numpy():
    code = "import sys, contextlib\nfrom tinycompress.cli import main\n"
    code += "with contextlib.suppress(SystemExit): main(['verify', '--help'])\nsys.exit('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and "--answers" in done.stdout


def reply_to(question, form, operation):
    """What a program that is right would print: the answer that the default profile expects."""
    index = next(t for t in _tests(operation) if t.id == question.test).expect["tinycompress"][0]
    answer = question.table.answers[index]
    if answer.refused:
        return f"refuse {question.test} so" if form == "plain" else json.dumps({"id": question.test, "refuse": "so"})
    if form == "plain":
        return " ".join(["ok", question.test, *(vector_text.wire.to_words(v) for v in answer.values)])
    return json.dumps({"id": question.test, "ok": [vector_text.wire.to_json(v) for v in answer.values]})


def _tests(operation):
    from tinycompress.verify.questions import read_tests

    return read_tests(operation)


def test_vectors_and_answers(tmp_path, capsys):
    folder = tmp_path / "vectors"
    assert main(["vectors", str(folder)]) == 0
    assert "PROTOCOL.md" in capsys.readouterr().out
    prompts = (folder / "prompts" / "quantize.txt").read_text().splitlines()
    plain = [q for q in read_questions("quantize") if q.request.axis is None]
    assert prompts[0].startswith('{"hello"') and prompts[-1] == "bye" and len(prompts) == len(plain) + 2
    assert prompts[1] + "\n" == write_request(plain[0].test, plain[0].request, "plain")
    lines = ["hello everything", '{"hello": 1}']
    for operation in OPERATIONS:
        lines += [reply_to(q, "plain" if i % 2 else "json", operation) for i, q in enumerate(read_questions(operation))]
    (tmp_path / "answers.txt").write_text("\r\n".join(reversed(lines)))
    assert main(["verify", "--answers", str(tmp_path / "answers.txt")]) == 0, capsys.readouterr().out
    assert f"{len(OPERATIONS)} of {len(OPERATIONS)} claimed operations pass" in capsys.readouterr().out
    (tmp_path / "file").write_text("")
    assert main(["vectors", str(tmp_path / "file")]) == 2


def test_answers_that_are_missing_double_or_to_nothing(tmp_path):
    plain = [q for q in read_questions("quantize") if q.request.axis is None]
    lines = [reply_to(q, "plain", "quantize") for q in plain]

    def judged(text):
        (tmp_path / "answers.txt").write_text(text)
        report = judge_answers(tmp_path / "answers.txt")
        return report.ok, report.status("quantize")

    assert judged("\n".join(lines)) == (True, "pass")
    assert judged("\n".join(lines[1:])) == (False, "not-run")
    assert judged("\n".join([*lines, lines[0]])) == (False, "invalid-answer")
    assert judged("\n".join([*lines, "ok no-such-id i8 0 1"])) == (False, "pass")
    assert judged("\n".join([*lines[1:], f"ok {plain[0].test} i8 0 1"])) == (False, "invalid-answer")
    assert judged("\n".join([*lines[1:], f"ok {plain[0].test} what"])) == (False, "invalid-answer")
    with pytest.raises(ValueError, match="holds no answers"):
        judged("hello\n")
