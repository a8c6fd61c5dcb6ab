"""Ports of loopback for those who must know theirs before they listen."""

import pathlib
import random
import socket

FIRST = 10000


def free_port():
    """One that nobody listens on and that stays so until the test does: the kernel gives it to no
    connection by itself, as it gives those of its own range."""
    try:
        end = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    except (OSError, ValueError):
        end = 32768
    drawn = random.SystemRandom()
    tries = [drawn.randrange(FIRST, end) for _ in range(1000)] if end > FIRST + 1000 else []
    for port in tries + [0]:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return probe.getsockname()[1]
    raise RuntimeError("no free port")


def reserved_port():
    """(socket, port): while the socket is open, nobody else on 127.0.0.1 is given the port, also not
    while the server that is to come and go there is away: connecting is refused then.  The server
    has to set SO_REUSEADDR, as servers do."""
    kept = socket.socket()
    kept.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    kept.bind(("127.0.0.1", 0))
    return kept, kept.getsockname()[1]
