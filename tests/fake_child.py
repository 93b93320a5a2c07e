"""Implementations of `quantize` behind a pipe, each with one defect: DEFECT [plain|json]. No NumPy: it starts fast."""

import json
import os
import random
import struct
import sys
import time

DEFECT = sys.argv[1] if len(sys.argv) > 1 else "none"  # pytest imports every file here, without arguments
FORM = sys.argv[2] if len(sys.argv) > 2 else "plain"


def say(text, end="\n"):
    sys.stdout.write(text + end)
    sys.stdout.flush()


def single(x):
    """Rounded to float32, beyond the largest to infinity."""
    try:
        return struct.unpack("f", struct.pack("f", x))[0]
    except OverflowError:
        return float("inf") if x > 0 else float("-inf")


def quantize(xs, scale, zero, qmin, qmax):
    scale = single(scale)
    steps = [single(x / scale) if scale else 0.0 for x in xs]
    codes = [qmin if s != s else min(max((round(s) if abs(s) < 1e9 else (s > 0 or -1) * 2e9) + zero, qmin), qmax) for s in steps]
    if DEFECT == "tail" and len(codes) % 8:
        codes = [*codes[: len(codes) // 8 * 8], *[min(c + 1, qmax) for c in codes[len(codes) // 8 * 8 :]]]
    if DEFECT == "constant":
        codes = [0] * len(codes)
    if DEFECT == "nondeterministic":
        codes = [min(max(c + (random.random() < 0.5), qmin), qmax) for c in codes]
    return [int(c) for c in codes]


def floats(words):
    kinds = {8: ">f", 16: ">d"}
    return [struct.unpack(kinds[len(w)], bytes.fromhex(w))[0] for w in words]


def read_plain(line):
    """id, name, shape of x, arguments."""
    words = line.split()
    at, values = 4, []
    for _ in range(int(words[3])):
        rank = int(words[at + 1])
        shape = [int(w) for w in words[at + 2 : at + 2 + rank]]
        size = 1
        for n in shape:
            size *= n
        data = words[at + 2 + rank : at + 2 + rank + size]
        values.append((shape, floats(data) if words[at][0] == "f" else [int(w) for w in data]))
        at += 2 + rank + size
    return words[1], words[2], values


def read_json(line):
    said = json.loads(line)
    values = [(a["shape"], floats(a["data"]) if a["type"][0] == "f" else a["data"]) for a in said["args"]]
    return said["id"], said["run"], values


def answer(number, shape, codes):
    if DEFECT == "swapped" and len(shape) == 2:
        shape = shape[::-1]
    if FORM == "json":
        return json.dumps({"id": number, "ok": [{"type": "i32", "shape": shape, "data": codes}]})
    return " ".join(map(str, ["ok", number, "i32", len(shape), *shape, *codes]))


def main():
    if DEFECT == "mute":
        time.sleep(1000)
    if DEFECT == "dead":
        sys.exit("cannot start today")
    if DEFECT == "slow_start":
        time.sleep(0.5)
    sys.stdin.readline()
    say('{"hello":1,"operations":["quantize"]}' if FORM == "json" else "hello quantize")
    served = 0
    for line in sys.stdin:
        if line.startswith(("bye", '{"bye"')):
            break
        number, _, ((shape, xs), (_, [scale]), (_, [zero]), (_, [qmin]), (_, [qmax])) = (
            read_json if FORM == "json" else read_plain
        )(line)
        hurt = any(x == 2.5 or x != x for x in xs)
        reply = answer(number, shape, quantize(xs, scale, zero, qmin, qmax))
        if DEFECT == "crash" and hurt:
            os.abort()
        if DEFECT == "crash_always":
            os._exit(3)
        if DEFECT == "hang" and hurt:
            time.sleep(1000)
        if DEFECT == "skips" and hurt:
            continue
        if DEFECT == "slow":
            time.sleep(0.02)
        if DEFECT == "split":
            half = len(reply) // 2
            say(reply[:half], "")
            time.sleep(0.005)
            reply = reply[half:]
        if DEFECT == "wrong_id":
            reply = reply.replace(number, str(int(number) + 1), 1)
        if DEFECT == "constant_id":
            reply = answer("1", shape, quantize(xs, scale, zero, qmin, qmax))
        if DEFECT == "null":
            reply = json.dumps({"id": number, "ok": None}) if FORM == "json" else f"ok {number}"
        if DEFECT == "garbage":
            reply = "\x00\xff what? {{["
        if DEFECT == "chatty":
            say("debug: thinking")
        if DEFECT == "flood" and hurt:
            while True:
                sys.stdout.write("7 " * 4096)
        if DEFECT == "truncated":
            reply = reply[: len(reply) // 2]
        if DEFECT == "unflushed":  # writes all answers at once, and dies with what it has not written
            served += 1
            sys.stdout.write(reply + "\n")
            if hurt:
                os._exit(0)
            if served % 4 == 0 or len(xs) == 1:
                sys.stdout.flush()
            continue
        say(reply)


if __name__ == "__main__":
    main()
