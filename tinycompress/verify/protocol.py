"""The lines of the subprocess protocol: a request to a line, a line to a reply. PROTOCOL.md beside the vectors is the norm.

Not here: values as text (wire), the process (children). Read next: children.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from tinycompress.verify import wire
from tinycompress.verify.adapters import Reply, Request
from tinycompress.verify.operations import OPERATIONS, read_answer

# One word without a blank: a plain child may read it with scanf("%s") and throw it away, a JSON child may parse it.
HELLO = '{"hello":"tinycompress","protocol":1}\n'


def asked_name(operation: str, axis: int | None) -> str:
    """Return the name under which an operation is offered and asked.

    Shapes      takes no arrays
    Source      PROTOCOL.md

    >>> asked_name("quantize", None), asked_name("quantize", 0)
    ('quantize', 'quantize:axis=0')
    """
    return operation if axis is None else f"{operation}:axis={axis}"


def read_hello(line: str) -> tuple[Literal["json", "plain"], frozenset[str] | None]:
    """Read a child's first answer: the form that it speaks, and what it offers (None: it does not say).

    Shapes      takes no arrays
    Raises      ValueError if it is no hello
    Source      PROTOCOL.md

    >>> read_hello("hello pack")
    ('plain', frozenset({'pack'}))
    """
    form: Literal["json", "plain"] = "json" if line.lstrip().startswith("{") else "plain"
    if form == "json":
        said = json.loads(line)
        names = said.get("operations")
        if "hello" not in said or not (names is None or isinstance(names, list)):
            raise ValueError(f'its first answer is {line[:80]!r}; {{"hello": ..., "operations": [...]}} was expected')
    else:
        word, *names = line.split() or [""]
        if word != "hello":
            raise ValueError(f"its first answer is {line[:80]!r}; a line that begins with hello was expected")
        names = names or None
    return form, None if names is None else frozenset(str(name) for name in names)


def write_request(number: str, request: Request, form: str) -> str:
    """Write one request as a line.

    Shapes      any
    Source      this package

    >>> request = Request("symmetric_qparams", (wire.build("f32", (1,), ["3f000000"]), 8))
    >>> print(write_request("7", request, "plain"), end="")
    run 7 symmetric_qparams 2 f32 1 1 3f000000 i64 0 8
    """
    name = asked_name(request.operation, request.axis)
    if form == "json":
        arguments = [wire.to_json(a) for a in request.arguments]
        return json.dumps({"run": name, "id": number, "args": arguments}, separators=(",", ":")) + "\n"
    return " ".join(["run", number, name, str(len(request.arguments)), *map(wire.to_words, request.arguments)]) + "\n"


def read_reply(line: str, operation: str, form: str) -> tuple[str | None, Reply]:
    """Read one answer: its id (None where the line has none that can be read) and what it says.

    Shapes      any
    Source      this package

    >>> read_reply("ok 7 i8 1 2 5 -6", "quantize", "plain")[1].answer
    array([ 5, -6], dtype=int8)
    >>> read_reply("Segmentation fault", "quantize", "plain")[1].message
    "'Segmentation fault' is not an answer; one of ok, refuse, unsupported, error, and the id, were expected"
    """
    found: str | None = None
    try:
        found, word, rest = _split_json(line) if form == "json" else _split_plain(line)
        if word == "ok":
            return found, Reply("answered", _values(rest, operation, form))
        message = " ".join(map(str, rest))[:300]
        statuses: dict[str, Any] = {"refuse": "refused", "unsupported": "unsupported", "error": "error"}
        return found, Reply(statuses[word], None, message)
    except _NoAnswerError as error:
        return error.number, Reply("invalid-answer", None, str(error))
    except (ValueError, TypeError, RecursionError) as error:
        return found, Reply("invalid-answer", None, f"{error}")


class _NoAnswerError(Exception):
    def __init__(self, text: str, number: str | None = None) -> None:
        super().__init__(text)
        self.number = number


_WORDS = ("ok", "refuse", "unsupported", "error")


def _split_plain(line: str) -> tuple[str, str, list[str]]:
    words = line.split()
    if len(words) < 2 or words[0] not in _WORDS:
        raise _NoAnswerError(f"{line[:60]!r} is not an answer; one of {', '.join(_WORDS)}, and the id, were expected")
    return words[1], words[0], words[2:]


def _split_json(line: str) -> tuple[str, str, list[Any]]:
    try:
        said = json.loads(line)
    except (ValueError, RecursionError):
        raise _NoAnswerError(f"{line[:60]!r} is not JSON") from None
    if not isinstance(said, dict) or type(said.get("id")) not in (int, str):
        raise _NoAnswerError(f"{line[:60]!r} is not an answer; an object with id and one of {', '.join(_WORDS)} was expected")
    number = str(said["id"])
    for word in _WORDS:
        if word in said:
            return number, word, said[word] if isinstance(said[word], list) else [said[word]]
    raise _NoAnswerError(f"{line[:60]!r} has none of {', '.join(_WORDS)}", number)


def _values(rest: list[Any], operation: str, form: str) -> Any:
    values: list[Any] = []
    if form == "json":
        values = [wire.from_json(value) for value in rest]
    else:
        at = 0
        while at < len(rest):
            value, at = wire.from_words(rest, at)
            values.append(value)
    wanted = len(OPERATIONS[operation].answers)
    if len(values) != wanted:
        raise ValueError(f"{len(values)} values; {wanted} were asked for")
    parts = read_answer(operation, values[0] if wanted == 1 else values)
    return parts[0] if wanted == 1 else parts
