"""The command line's last word: which exceptions are one line and a status, and which are a fault that keeps its traceback."""

import argparse

import pytest

from tinycompress import cli


def raising(monkeypatch, error):
    """main() of a command that raises."""

    def run(parsed):
        raise error

    parser = argparse.ArgumentParser()
    parser.set_defaults(run=run)
    monkeypatch.setattr(cli, "_parser", lambda: parser)
    return cli.main([])


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("x is 3;\n  use 2"), "x is 3; use 2"),
        (OSError(28, "No space left on device", "m.tcz"), "[Errno 28] No space left on device: 'm.tcz'"),
        (MemoryError("Unable to allocate 2 PiB"), "out of memory (Unable to allocate 2 PiB); ask for less: fewer ids in the file, "
                                                  "narrower tables or layers"),
        (MemoryError(), "out of memory; ask for less: fewer ids in the file, narrower tables or layers"),
    ],
)  # fmt: skip
def test_what_is_expected_to_go_wrong_is_one_line(monkeypatch, capsys, error, line):
    assert raising(monkeypatch, error) == 2
    assert capsys.readouterr() == ("", f"tinycompress: {line}\n")


def test_an_interruption_is_130_and_a_fault_keeps_its_traceback(monkeypatch, capsys):
    assert raising(monkeypatch, KeyboardInterrupt()) == 130
    assert capsys.readouterr().err == "tinycompress: interrupted\n"
    with pytest.raises(KeyError):
        raising(monkeypatch, KeyError("b0"))


def test_tables_too_large_for_any_machine(tmp_path, capsys):
    """10^15 columns for 20 users: more than 47 bits of addresses, so that no machine grants it, however it counts its memory."""
    path = tmp_path / "clicks.csv"
    path.write_text("".join(f"u{u},i{i},1,{i}\n" for u in range(20) for i in range(u, 200, 20)))
    assert cli.main(["compress", str(path), "--columns", str(10**15)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("tinycompress: out of memory (Unable to allocate ") and err.count("\n") == 1
