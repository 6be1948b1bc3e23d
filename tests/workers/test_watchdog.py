"""Connections to the first watchdog from anybody: it ignores what is no hello of a worker, and goes on."""

import json
import socket
import threading
import time

from glo.workers.cluster import Cluster
from glo.workers.crew import Member
from tests.workers.processes import free_addresses

NOISE = [b"", b"\n", b"GET / HTTP/1.1\r\n\r\n", b"[" * 10_000 + b"\n", b"\xff\n", b"null\n", b"{}\n", b"x" * (1 << 21)]


def hello(addresses, index):
    return json.dumps({"hello": addresses, "index": index}).encode() + b"\n"


def test_strangers_are_ignored_and_messages_reach_all():
    addresses = free_addresses(3)
    host, _, port = addresses[0].rpartition(":")
    first = Member(Cluster(tuple(addresses), 0), 60)
    deadline = time.monotonic() + 20
    for content in [*NOISE, hello(addresses, 0), hello(addresses, 7), hello(addresses, "1"), hello(None, 1)]:
        while True:
            try:
                with socket.create_connection((host, int(port))) as stranger:
                    stranger.sendall(content)
                break
            except ConnectionRefusedError:  # not listening yet
                assert time.monotonic() < deadline
                time.sleep(0.05)
            except (BrokenPipeError, ConnectionResetError):
                break
    crew = [first, *(Member(Cluster(tuple(addresses), index), 60) for index in (1, 2))]
    answers = {}

    def exchange(member):
        for topic in ("a", "b", "a"):
            answers.setdefault(member.index, []).append(member.exchange(topic, [topic, member.index]))

    threads = [threading.Thread(target=exchange, args=[member]) for member in crew]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    expected = [[[topic, index] for index in range(3)] for topic in ("a", "b", "a")]
    assert answers == {0: expected, 1: expected, 2: expected}
    for member in crew:
        member.leave(None)
        assert member._watchdog.poll() == 0
