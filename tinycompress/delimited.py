"""From a file to a rectangular table of text, in which every complaint can name the file and the line.

Bytes become text (gzip is opened, a byte order mark dropped, NUL refused), text becomes lines, lines become rows of equally
many cells. No cell is interpreted here, except by `parse_column`, which takes the interpretation as an argument and reports the
line where it fails.

Letters     M lines that are not blank, C columns
Not here: which column means what (interactions). Read next: interactions.
"""
from __future__ import annotations

import csv
import gzip
import io
import reprlib
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")

DELIMITERS = ("::", "\t", ";", ",", " ")
SAMPLE = 20  # lines that are looked at to find the delimiter


@dataclass(frozen=True, eq=False)
class Table:
    """Columns of text cells, and the line of the file that each row began on."""

    path: str
    columns: Sequence[Sequence[str]]  # C of M cells each, without outer spaces
    lines: Sequence[int]  # (M,) from 1; more than one apart where a blank line or a quoted line break stood between

    def malformed(self, row: int, found: str, expected: str) -> ValueError:
        """The error to raise about a row."""
        return malformed(self.path, self.lines[row], found, expected)

    def below(self) -> Table:
        """The table without its first row, which was a header."""
        if len(self.lines) < 2:
            raise self.malformed(0, "nothing follows the header", "one interaction per line after it")
        return Table(self.path, [column[1:] for column in self.columns], self.lines[1:])


def malformed(path: str | Path, line: int, found: str, expected: str) -> ValueError:
    """Return the error about one line of a file; it fits on one line itself.

    Shapes      takes no arrays
    Source      this package

    >>> str(malformed("a.csv", 3, "the value 'x' is not a number", "a number from 0 up"))
    "a.csv, line 3: the value 'x' is not a number; expected a number from 0 up"
    """
    return ValueError(f"{path}, line {line}: {found}; expected {expected}")


def read_table(path: str | Path, delimiter: str | None = None, encoding: str = "utf-8") -> Table:
    """Return the table in a delimited text file, gzipped or not.

    Shapes      a file of M lines that are not blank -> C columns of M cells
    Convention  CR LF and CR end a line as LF does; lines of nothing but spaces are skipped, and counted. The delimiter,
                unless given, is the one of DELIMITERS that cuts most of the first 20 lines into the same number (at least
                2) of cells, the earlier one on equality. A space stands for any run of white space. If the delimiter is one
                character other than a space, a cell that begins with a double quote is quoted as in csv.
    Raises      ValueError if there is no such file, it is not text in this encoding, it is empty, or a line has another
                number of cells than the first
    Source      RFC 4180 for quotes

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "clicks.csv")
    ...     _ = path.write_text('ann,"desk, oak"\\n\\nbob,lamp\\n')
    ...     table = read_table(path)
    >>> table.columns, table.lines
    ([['ann', 'bob'], ['desk, oak', 'lamp']], [1, 3])
    """
    if delimiter is not None and (not delimiter or set(delimiter) & set('\r\n"')):
        raise ValueError(f"delimiter is {delimiter!r}; use one of {' '.join(map(repr, DELIMITERS))}, or None to find it")
    text = _read_text(Path(path), encoding)
    every = text.split("\n")
    numbers = [number for number, line in enumerate(every, 1) if line.strip(" ")]
    if not numbers:
        raise malformed(path, 1, "the file is empty", "one interaction per line")
    lines = [every[number - 1] for number in numbers]
    delimiter = delimiter or _find_delimiter(lines[:SAMPLE])
    if '"' in text and len(delimiter) == 1 and delimiter != " ":
        cells, widths, numbers = _split_quoted(path, text, delimiter)
    else:
        cells, widths = _split_plain(lines, delimiter)
    width = widths[0]
    if width < 2:
        cuts = " ".join(map(repr, DELIMITERS))
        raise malformed(path, numbers[0], f"one column, {reprlib.repr(cells[0])}", f"at least two, cut by one of {cuts}")
    if set(widths) != {width}:
        odd = next(row for row, w in enumerate(widths) if w != width)
        raise malformed(path, numbers[odd], f"columns cut by {delimiter!r}: {widths[odd]}", f"{width}, as in line {numbers[0]}")
    return Table(str(path), [[cell.strip() for cell in cells[place::width]] for place in range(width)], numbers)


def parse_column(table: Table, texts: Sequence[str], parse: Callable[[str], T], expected: str) -> list[T]:
    """Return what `parse` makes of each text of a column.

    Shapes      M texts, one per row of the table -> M values
    Convention  `parse` is called once per distinct text, and refuses one by a ValueError, whose message says what was wrong
    Raises      ValueError that names the first line with a refused text
    Source      this package

    >>> parse_column(Table("f", [["1", "2", "1"]], [1, 2, 3]), ["1", "2", "1"], int, "a whole number")
    [1, 2, 1]
    """
    known: dict[str, T] = {}
    for text in dict.fromkeys(texts):  # in order of appearance, so that the first failure stands on the first wrong line
        try:
            known[text] = parse(text)
        except ValueError as error:
            raise table.malformed(texts.index(text), str(error), expected) from None
    return [known[text] for text in texts]


def _read_text(path: Path, encoding: str) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise ValueError(f"{path}: there is no such file; expected a file of interactions") from None
    except IsADirectoryError:
        raise ValueError(f"{path}: this is a directory; expected a file of interactions") from None
    except OSError as error:
        raise ValueError(f"{path}: the file cannot be read ({error.strerror}); expected a file of interactions") from None
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(f"{path}: the gzip stream is broken ({error}); expected a whole .gz file") from None
    if data[:4] == b"PK\x03\x04":
        raise malformed(path, 1, "this is a zip or npz archive", "text; an npz is read by prepared.read_npz")
    try:
        text = data.decode(encoding).removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        line, byte = data.count(b"\n", 0, error.start) + 1, data[error.start]
        remedy = "text; save it as utf-8, or name its encoding"
        raise malformed(path, line, f"byte {byte:#04x} is not {encoding}", remedy) from None
    except LookupError:
        raise ValueError(f"no encoding is named {encoding!r}; use one that Python knows, such as 'utf-8' or 'latin-1'") from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise malformed(path, line, "there is a NUL character", "text; if it is utf-16, save it as utf-8, or name its encoding")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _find_delimiter(sample: Sequence[str]) -> str:
    def width(line: str, delimiter: str) -> int:
        if delimiter == " ":
            return len(line.split())
        if '"' not in line or len(delimiter) > 1:
            return line.count(delimiter) + 1
        try:
            return len(next(csv.reader([line], delimiter=delimiter)))
        except csv.Error:
            return 1  # a cell beyond the module's limit of length: the splitting will say where

    def agreement(delimiter: str) -> int:
        widths = Counter(width(line, delimiter) for line in sample)
        return max((count for width, count in widths.items() if width > 1), default=0)

    return max(DELIMITERS, key=agreement)  # the first of the largest


def _split_plain(lines: Sequence[str], delimiter: str) -> tuple[list[str], list[int]]:
    """All cells, line after line, and how many each line has."""
    if delimiter == " ":
        lines = [" ".join(line.split()) for line in lines]
    # One split for the whole file: no list per line, which makes a million lines twice as fast.
    return "\n".join(lines).replace(delimiter, "\n").split("\n"), [line.count(delimiter) + 1 for line in lines]


def _split_quoted(path: str | Path, text: str, delimiter: str) -> tuple[list[str], list[int], list[int]]:
    """All cells, line after line, how many each has, and the line it begins on."""
    cells, widths, starts, start = list[str](), list[int](), list[int](), 1
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if any(cell.strip(" ") for cell in row) or len(row) > 1:
                cells += row
                widths.append(len(row))
                starts.append(start)
            start = reader.line_num + 1  # a quoted cell may hold line breaks: the next row begins after the lines read so far
    except csv.Error as error:
        raise malformed(path, start, f"the quotes are wrong ({error})", "quotes as in csv") from None
    return cells, widths, starts
