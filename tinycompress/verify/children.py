"""An implementation in any language, as a child process that reads requests on its standard input and answers on its output.

The child says `hello` and what it offers; we send `run` with an id, it answers under that id; at the end we say `bye`. Its first
answer decides whether both speak plain lines or JSON. Several requests may be on their way at once, which is what makes a request
cost microseconds instead of two process switches; answers come in the order of the requests. PROTOCOL.md beside the vectors says
all of it, for people who never see this file.

Whatever the child does becomes the status of a request: it may crash, hang, print garbage, answer to another id or with another
shape, split its lines or flood us. A child that dies or hangs is started again and goes on behind the request that it died of.

Not here: the lines (protocol), the pipes (pipes), how answers are judged (running). Read next: isolation.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

from tinycompress.verify.adapters import Claim, Reply, Request
from tinycompress.verify.pipes import Pipes, Trouble
from tinycompress.verify.protocol import HELLO, asked_name, read_hello, read_reply, write_request


@dataclass(frozen=True)
class Limits:
    """How patient we are. Units: seconds; requests on their way at once; bytes of one answer."""

    start: float = 20.0
    request: float = 5.0
    window: int = 32
    line: int = 1 << 22
    deaths: int = 2  # in a row, in one operation, before the rest of that operation is not run


class ChildAdapter:
    """A command, started when it is first asked. Not a record: it owns a process."""

    def __init__(self, command: str | Sequence[str], claim: Claim | str | None = None, limits: Limits = Limits()) -> None:
        self.command = tuple(shlex.split(command)) if isinstance(command, str) else tuple(command)
        if not self.command:
            raise ValueError("the command is empty; name a program, such as --command ./mine")
        self.name = shlex.join(self.command)
        self.claim = claim
        self.limits = limits
        self._pipes: Pipes | None = None
        self._form: Literal["json", "plain"] = "plain"
        self._offered: frozenset[str] | None = None  # None: it did not say, so everything is asked
        self._id = 0
        self._spoilt: set[str] = set()  # ids judged by a line that was not theirs: their own answer may still come
        self._refusal = ""  # why it could not be started, once that is certain

    def offers(self, operation: str, axis: int | None = None) -> bool:
        """Whether its hello named the operation; with axis=0 under the name `operation:axis=0`."""
        self._start()
        return self._offered is None or asked_name(operation, axis) in self._offered

    def call(self, request: Request) -> Reply:
        """Ask once."""
        return self.call_many([request])[0]

    def call_many(self, requests: Sequence[Request]) -> list[Reply]:
        """Ask all, several on their way at once; one reply for each, in order."""
        replies: list[Reply] = []
        deaths = dict.fromkeys((r.operation for r in requests), 0)  # in a row
        window = self.limits.window
        while len(replies) < len(requests):
            rest = requests[len(replies) :]
            hindrance = self._hindrance(rest[0], deaths)
            if hindrance is not None:
                replies.append(hindrance)
                continue
            batch = list(takewhile(lambda r: self._hindrance(r, deaths) is None, rest[:window]))
            answered, trouble = self._exchange(batch)
            replies += answered
            deaths.update((r.operation, 0) for r in batch[: len(answered)])
            if trouble is None:
                # Careful again, and faster with every answer: a wrong one keeps the pace at one request at a time.
                window = min(2 * window, self.limits.window) if all(r.status != "invalid-answer" for r in answered) else window
                continue
            self._stop()
            if len(batch) == 1:
                replies.append(Reply(trouble.status, None, trouble.message))
                deaths[batch[0].operation] += 1
            # subtle: answers that the child wrote but did not flush die with it, so the first one missing may be innocent:
            # ask one at a time until the guilty one is found
            window = 1
        return replies

    def _hindrance(self, request: Request, deaths: dict[str, int]) -> Reply | None:
        """Why this is not even asked, if so."""
        if not self._start():
            return Reply("not-run", None, self._refusal)
        if not self.offers(request.operation, request.axis):
            return Reply("unsupported", None, f"its hello does not name {asked_name(request.operation, request.axis)}")
        if deaths[request.operation] >= self.limits.deaths:
            return Reply("not-run", None, f"{request.operation} took the process down {self.limits.deaths} times in a row")
        return None

    def close(self) -> None:
        """Say bye; end it if it stays."""
        if self._pipes is not None:
            bye = '{"bye":true}\n' if self._form == "json" else "bye\n"
            self._pipes.say_goodbye(bye.encode(), 1.0)
            self._pipes = None

    def _stop(self) -> None:
        if self._pipes is not None:
            self._pipes.kill()
            self._pipes = None

    def _start(self) -> bool:
        """Whether it runs; starts it if not. What hinders the first start hinders all."""
        if self._pipes is not None or self._refusal:
            return not self._refusal
        try:
            self._pipes = Pipes(self.command, self.limits.line)
            self._pipes.send(HELLO.encode())
            line = self._pipes.read_line(self.limits.start)
            self._form, self._offered = read_hello(line)
            self._spoilt.clear()
        except (Trouble, ValueError, OSError, RecursionError) as error:
            self._stop()
            self._refusal = f"it could not be started: {error}"
            return False
        return True

    def _exchange(self, requests: Sequence[Request]) -> tuple[list[Reply], Trouble | None]:
        """Send all, read the answers in order; what was answered before trouble came, and the trouble."""
        assert self._pipes is not None
        first = self._id + 1
        self._id += len(requests)
        written = [write_request(str(first + k), request, self._form) for k, request in enumerate(requests)]
        replies: list[Reply] = []
        try:
            self._pipes.send("".join(written).encode())
            while len(replies) < len(requests):
                line = self._pipes.read_line(self.limits.request)
                expected = str(first + len(replies))
                found, reply = read_reply(line, requests[len(replies)].operation, self._form)
                if found is not None and found in self._spoilt:
                    self._spoilt.discard(found)
                    continue
                if found != expected:
                    if found is not None:
                        reply = Reply("invalid-answer", None, f"it answered to id {found}; {expected} was asked")
                    if found is not None and len(requests) > 1:
                        raise Trouble("invalid-answer", reply.message)  # whose answer it is can only be told one at a time
                    self._spoilt.add(expected)
                replies.append(reply)
        except Trouble as trouble:
            return replies, trouble
        return replies, None
