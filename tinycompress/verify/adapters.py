"""An implementation under test, seen as something that takes requests and gives replies, and never raises in our face.

Any module, object or dictionary with functions named like the operations is an adapter; what it lacks is unsupported. It is
called under NumPy's default error state with warnings ignored, by position, and only `axis` goes by keyword. Its answer is
copied at once (an implementation may hand out the same buffer twice), its arguments are compared with what they were and put
back if they changed.

A call that runs too long is broken off by an alarm where there is one (the main thread of a POSIX process). The alarm cannot
reach into compiled code that never returns, nor can anything here outlive a crash: running puts each operation into a process
of its own.

Not here: implementations behind a pipe (children). Read next: pipes, children.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import os
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any, Literal, Protocol

import numpy as np

from tinycompress.verify.guards import TooLong, is_same, restore, snapshot, within
from tinycompress.verify.operations import OPERATIONS, read_answer

ReplyStatus = Literal[
    "answered", "refused", "changed", "error", "crash", "timeout", "unsupported", "invalid-answer", "not-run"
]  # fmt: skip
Claim = Mapping[str, Any]  # operation -> {axis: option}


@dataclass(frozen=True)
class Request:
    """One question: an operation, its arguments in order, and axis=0 or nothing."""

    operation: str
    arguments: tuple[Any, ...]
    axis: int | None = None

    def __str__(self) -> str:
        return OPERATIONS[self.operation].call(self.arguments, self.axis)


@dataclass(frozen=True)
class Reply:
    """`refused` is a ValueError, `changed` that the arguments were; `answer` as operations.compare takes it."""

    status: ReplyStatus
    answer: Any = None
    message: str = ""


class Adapter(Protocol):
    """What running asks of every implementation, in whatever language it is written."""

    @property
    def name(self) -> str:
        """What the report calls it."""

    @property
    def claim(self) -> Claim | str | None:
        """What it says of itself."""

    def offers(self, operation: str, axis: int | None = None) -> bool:
        """Whether it can be asked this."""

    def call(self, request: Request) -> Reply:
        """Ask once."""

    def call_many(self, requests: Sequence[Request]) -> list[Reply]:
        """Ask all, one reply for each, in order."""

    def close(self) -> None:
        """Release what it holds."""


@dataclass(frozen=True)
class PythonAdapter:
    """Functions by name, called in this process."""

    name: str
    functions: Mapping[str, Callable[..., Any]]
    claim: Claim | str | None = None
    limit: float = 5.0  # seconds for one request
    _takes_axis: dict[str, bool] = field(default_factory=dict, repr=False)

    def offers(self, operation: str, axis: int | None = None) -> bool:
        """Whether there is such a function, and whether it knows the keyword axis."""
        if operation not in self.functions:
            return False
        if axis is None:
            return True
        if operation not in self._takes_axis:
            self._takes_axis[operation] = _knows_axis(self.functions[operation])
        return self._takes_axis[operation]

    def call(self, request: Request) -> Reply:
        """Ask once."""
        if not self.offers(request.operation, request.axis):
            what = "axis" if request.operation in self.functions else request.operation
            return Reply("unsupported", None, f"{self.name} does not offer {what}")
        function = self.functions[request.operation]
        keywords = {} if request.axis is None else {"axis": request.axis}
        before = [snapshot(a) for a in request.arguments]
        try:
            with np.errstate(all="warn", under="ignore"), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                reply = within(self.limit, lambda: _read(request.operation, function(*request.arguments, **keywords)))
        except TooLong:
            reply = Reply("timeout", None, f"no answer within {self.limit:g} s")
        except ValueError as error:
            reply = Reply("refused", None, _one_line(error))
        except NotImplementedError as error:
            reply = Reply("unsupported", None, _one_line(error))  # Python's own word for: not offered
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - SystemExit and whatever else an implementation may throw
            reply = Reply("error", None, _one_line(error))
        changed = [
            i for i, (a, b) in enumerate(zip(request.arguments, before, strict=True)) if b is not None and not is_same(a, b)
        ]
        for i in changed:
            restore(request.arguments[i], before[i])
        if changed and reply.status == "answered":
            names = ", ".join(OPERATIONS[request.operation].arguments[i][0] for i in changed)
            return Reply("changed", reply.answer, f"it changed its argument {names}")
        return reply

    def call_many(self, requests: Sequence[Request]) -> list[Reply]:
        """Ask one after the other."""
        return [self.call(request) for request in requests]

    def close(self) -> None:
        """Nothing to close."""


def as_adapter(thing: Any, limit: float = 5.0) -> Adapter:
    """Make an adapter of a module, an object, a dictionary of functions, the text "module[:object]", or leave one as it is.

    Shapes      takes no arrays
    Raises      ValueError if nothing can be loaded under that name
    Source      this package

    >>> as_adapter({"pack": lambda codes, bits: bytes(codes)}).call(Request("pack", (np.uint8([1, 2]), 8))).answer
    array([1, 2], dtype=uint8)
    """
    if isinstance(thing, str):
        return load(thing, limit)
    if not isinstance(thing, (Mapping, ModuleType)) and all(
        callable(getattr(thing, n, None)) for n in ("offers", "call", "call_many")
    ):
        ready: Adapter = thing
        return ready
    if isinstance(thing, type):
        thing = thing()
    if isinstance(thing, Mapping):
        found = {n: thing[n] for n in OPERATIONS if callable(thing.get(n))}
        claim = thing.get("CLAIM")
    else:
        found = {n: getattr(thing, n) for n in OPERATIONS if callable(getattr(thing, n, None))}
        claim = getattr(thing, "CLAIM", None)
    name = getattr(thing, "__name__", type(thing).__name__)
    return PythonAdapter(name, found, claim, limit)


def load(name: str, limit: float = 5.0) -> Adapter:
    """Import "module", "path/to/file.py", or either with ":object" behind it, and make an adapter of it.

    Shapes      takes no arrays
    Raises      ValueError if there is no such module or object, or if importing it fails
    Source      this package

    >>> load("operator").offers("quantize")
    False
    """
    module_name, _, attribute = name.rpartition(":") if _has_object(name) else (name, "", "")
    module = _import(module_name)
    thing: Any = module
    for part in attribute.split(".") if attribute else ():
        if not hasattr(thing, part):
            raise ValueError(f"{module_name} has no {part!r}; it has {', '.join(n for n in dir(thing) if n[0] != '_')[:300]}")
        thing = getattr(thing, part)
    adapter = as_adapter(thing, limit)
    if isinstance(adapter, PythonAdapter):
        claim = adapter.claim if adapter.claim is not None else getattr(module, "CLAIM", None)
        return PythonAdapter(name, adapter.functions, claim, limit)
    return adapter


def _has_object(name: str) -> bool:
    left, _, right = name.rpartition(":")
    # subtle: C:\mine.py is a path, not the object \mine.py of a module C
    return bool(left) and all(part.isidentifier() for part in right.split("."))


def _import(name: str) -> ModuleType:
    path = os.path.abspath(name)
    try:
        if os.path.isfile(path):
            folder = os.path.dirname(path)
            if folder not in sys.path:
                sys.path.insert(0, folder)  # a file may import its neighbours, as when Python runs it
            spec = importlib.util.spec_from_file_location(os.path.splitext(os.path.basename(path))[0], path)
            if spec is None or spec.loader is None:
                raise ValueError(f"{name} is a file, but not one of Python; for another language use --command")
            module = importlib.util.module_from_spec(spec)
            sys.modules.setdefault(spec.name, module)
            spec.loader.exec_module(module)
            return module
        if os.getcwd() not in sys.path:
            sys.path.insert(0, os.getcwd())
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ValueError(f"no module or file is called {name!r}, or it needs one that is missing: {error}") from None
    except ValueError:
        raise
    except Exception as error:
        raise ValueError(f"importing {name} failed: {_one_line(error)}") from error


def _knows_axis(function: Callable[..., Any]) -> bool:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False  # compiled, without a signature: it has none that anyone could know of
    kinds = {p.kind for p in parameters.values()}
    named = parameters.get("axis")
    return inspect.Parameter.VAR_KEYWORD in kinds or (named is not None and named.kind is not inspect.Parameter.POSITIONAL_ONLY)


def _read(operation: str, raw: Any) -> Reply:
    try:
        parts = tuple(np.array(part, copy=True) for part in read_answer(operation, raw))
    except (ValueError, TypeError) as error:
        return Reply("invalid-answer", None, _one_line(error, name=False))
    return Reply("answered", parts[0] if len(parts) == 1 else parts)


def _one_line(error: BaseException, name: bool = True) -> str:
    text = " ".join(str(error).split())[:300]
    return f"{type(error).__name__}: {text}" if name else text
