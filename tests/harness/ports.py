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
