"""What a peer's process says and hears; serve.ts has the protocol, which this repeats."""

import json
import math
import os
import sys
import time


class Unsupported(Exception):
    """Raised by `start` for what a peer can't express, as opposed to what it fails at."""


def serve(open_peer):
    """Serves until stdin ends. `open_peer(threads)` gives version, backend, threads and `start(unit)`, which gives a
    function that takes one whole step and returns the loss, or None where there is none."""
    # What a library prints goes to stderr.
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(message):
        out.write(json.dumps(message) + "\n")
        out.flush()

    try:
        peer = open_peer(int(sys.argv[1]))
    except ImportError as error:
        say({"unavailable": f"{sys.executable}: {error}"})
        return
    say({name: peer[name] for name in ("version", "backend", "threads")})

    units = {}
    for line in sys.stdin:
        request = json.loads(line)
        number = request["id"]
        try:
            say({"id": number, **answer(peer, units, request)})
        except Unsupported as error:
            say({"id": number, "unsupported": str(error)})
        except Exception as error:  # The runner reports it, and goes on with the other peers.
            units.pop(number, None)
            say({"id": number, "error": f"{type(error).__name__}: {error}"})


def answer(peer, units, request):
    number = request["id"]
    if request["op"] == "start":
        units[number] = peer["start"](request)
        return {}
    if request["op"] == "stop":
        units.pop(number, None)
        return {}
    if request["op"] == "describe":
        return {}
    step, times, loss = units[number], [], None
    for _ in range(request["steps"]):
        start = time.perf_counter()
        loss = step()
        times.append(1000 * (time.perf_counter() - start))
    if loss is None:
        return {"times": times}
    if not math.isfinite(loss):
        raise ValueError(f"the loss is {loss}")
    return {"times": times, "loss": loss}
