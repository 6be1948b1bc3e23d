"""The watchdog of a worker: a process of its own, because TensorFlow can block all threads of a worker that waits.

All watchdogs are connected to that of the first worker, the hub. They pass short messages between workers, and they
notice when a worker ends, is stopped, or never starts. Then each watchdog tells its worker who was lost, and kills it
if it does not end by itself. This file imports only the standard library, and is started by its path.

Messages are lines of JSON, objects with one of these keys:
    hello    the addresses of all workers, from a watchdog to the hub, with its `index`
    topic    a `value` of one worker, to the hub; with `values`, those of all workers, from the hub
    verdict  why training ends: from the hub, or from the watchdog that noticed it, to the hub
    leave    a worker ends in order, with its error or null
    ping     a sign of life
"""

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import Any

MAX_LINE = 1 << 20
PING_SECONDS, SILENT_SECONDS = 0.5, 5.0  # TensorFlow's own heartbeat gives up after some 6 seconds
GRACE_SECONDS = 6.0  # for the worker to end by itself after a verdict
HELLO_SECONDS = 10.0


class Watchdog:
    """The watchdog of one worker.

    config: the `addresses` of all workers; the `index` and the `process` number of its own; the `timeout` in seconds
    until all have started; and the process number of the `launcher`, or None.
    """

    def __init__(self, config: dict[str, Any]):
        self.addresses, self.index, self.process = config["addresses"], config["index"], config["process"]
        self.timeout, self.launcher = config["timeout"], config["launcher"]
        self.peers: dict[int, asyncio.StreamWriter] = {}  # of the hub: all others; of all others: the hub
        self.heard: dict[int, float] = {}
        self.topics: dict[str, dict[int, Any]] = {}
        self.unsent: list[dict[str, Any]] = []  # messages of the worker until the hub is connected
        self.left: set[int] = set()  # workers that ended in order
        self.started = asyncio.Event()
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def run(self, parent: socket.socket) -> None:
        """Watch until the worker ends, or until there is a verdict."""
        reader, self.worker = await asyncio.open_connection(sock=parent, limit=MAX_LINE)
        gone = asyncio.create_task(self.serve_worker(reader))
        tasks = [asyncio.create_task(self.connect()), asyncio.create_task(self.watch())]
        await asyncio.wait([gone, asyncio.ensure_future(self.ended)], return_when=asyncio.FIRST_COMPLETED)
        if self.ended.done():
            await self.end_worker(gone, self.ended.result())
        else:  # the worker has ended: what has been sent must reach the others
            if self.index == 0 and 0 not in self.left:
                self.tell(f"{self.name(0)} was lost: its process ended")
            await self.flush()
        for task in tasks:
            task.cancel()

    async def connect(self) -> None:
        """Connect all watchdogs. The hub listens at the address that TensorFlow's server of its worker takes later."""
        host, _, port = self.addresses[0].rpartition(":")
        host = host.strip("[]")
        deadline = time.monotonic() + self.timeout
        if self.index == 0:
            await self.listen(host, int(port))
            return
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError, ValueError, TimeoutError):
                reader, writer = await asyncio.wait_for(
                    asyncio.open_connection(host, int(port), limit=MAX_LINE), HELLO_SECONDS
                )
                send(writer, {"hello": self.addresses, "index": self.index})
                # The hub answers once all others have connected.
                line = await asyncio.wait_for(reader.readline(), deadline - time.monotonic())
                if line:
                    self.peers[0], self.heard[0] = writer, time.monotonic()
                    for message in self.unsent:
                        send(writer, message)
                    self.from_hub(json.loads(line))
                    await self.serve_peer(0, reader)
                    return
            await asyncio.sleep(0.2)
        self.judge(f"{self.name(0)} did not answer within {self.timeout:g} s (--worker_timeout)")

    async def listen(self, host: str, port: int) -> None:
        try:
            server = await self.server(host, port)
        except OSError as error:
            self.judge(f"{self.name(0)} cannot listen at its address: {error.strerror}; give it another one")
            return
        async with server:
            try:
                await asyncio.wait_for(self.started.wait(), self.timeout)
            except TimeoutError:
                missing = [self.name(i) for i in range(1, len(self.addresses)) if i not in self.peers]
                self.judge(f"{', '.join(missing)} did not start within {self.timeout:g} s (--worker_timeout)")

    async def server(self, host: str, port: int) -> asyncio.Server:
        options = {"limit": MAX_LINE, "reuse_address": True}
        try:
            return await asyncio.start_server(self.welcome, host, port, **options)
        except OSError:  # the name of this machine may stand for the address of a gateway
            return await asyncio.start_server(self.welcome, None, port, **options)

    async def welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take a connection to the hub, which may come from anybody."""
        try:
            message = json.loads(await asyncio.wait_for(reader.readline(), HELLO_SECONDS))
            addresses, index = message["hello"], message["index"]
            if type(index) is not int or not isinstance(addresses, list) or not 0 < index < len(addresses):
                raise ValueError
        except (TimeoutError, OSError, ValueError, KeyError, TypeError, RecursionError):
            writer.close()
            return
        if addresses != self.addresses:
            theirs = ", ".join(map(str, addresses))
            reason = (
                f"worker {index} has another list of workers ({theirs}) than worker 0 ({', '.join(self.addresses)})"
            )
            send(writer, {"verdict": reason})
            self.judge(reason)
        elif index in self.peers:
            send(writer, {"verdict": f"another process is {self.name(index)} already"})
            writer.close()
        else:
            self.peers[index], self.heard[index] = writer, time.monotonic()
            if len(self.peers) == len(self.addresses) - 1:
                self.started.set()
                for other, peer in self.peers.items():
                    self.heard[other] = time.monotonic()
                    send(peer, {"ping": 1})
            await self.serve_peer(index, reader)

    async def serve_peer(self, index: int, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError, RecursionError):
            while line := await reader.readline():
                self.heard[index] = time.monotonic()
                message = json.loads(line)
                self.from_hub(message) if index == 0 else self.to_hub(index, message)
        if index not in self.left:
            self.judge(f"{self.name(index)} was lost: its process ended")

    async def serve_worker(self, reader: asyncio.StreamReader) -> None:
        with contextlib.suppress(OSError, ValueError):
            while line := await reader.readline():
                message = json.loads(line)
                if "leave" in message:
                    self.left.add(self.index)
                if self.index == 0:
                    self.to_hub(0, message)
                elif 0 in self.peers:
                    send(self.peers[0], message)
                else:
                    self.unsent.append(message)

    def to_hub(self, index: int, message: dict[str, Any]) -> None:
        """Handle a message of worker `index` in the hub."""
        if "topic" in message:
            values = self.topics.setdefault(message["topic"], {})
            values[index] = message["value"]
            if len(values) == len(self.addresses):
                del self.topics[message["topic"]]
                answer = {"topic": message["topic"], "values": [values[i] for i in range(len(self.addresses))]}
                for writer in (*self.peers.values(), self.worker):
                    send(writer, answer)
        elif "leave" in message:
            self.left.add(index)
            if message["leave"] is not None:
                self.judge(f"{self.name(index)} ended: {message['leave']}")
            elif index == 0:
                for writer in self.peers.values():
                    send(writer, message)
        elif "verdict" in message:
            self.judge(message["verdict"])

    def from_hub(self, message: dict[str, Any]) -> None:
        """Handle a message of the hub."""
        if "topic" in message:
            send(self.worker, message)
        elif "verdict" in message:
            self.end(message["verdict"])
        elif "leave" in message:
            self.left.add(0)

    async def watch(self) -> None:
        """Notice what no connection tells: silence of others, a stopped worker, and a launcher that was killed."""
        running, before = time.monotonic(), time.monotonic()
        while True:
            await asyncio.sleep(PING_SECONDS)
            now = time.monotonic()
            if now - before > PING_SECONDS + 1:  # this process was stopped itself: what it missed is not lost
                self.heard = dict.fromkeys(self.heard, now)
                running = now
            before = now
            state, parent = process_state(self.process)
            running = running if state == "T" else now
            if self.launcher not in (None, parent):
                self.judge("the process that started all workers was killed")
            if now - running > SILENT_SECONDS:
                self.judge(f"{self.name(self.index)} was stopped for more than {SILENT_SECONDS:g} s")
            if not self.started.is_set() and self.index == 0:
                continue
            for index, writer in self.peers.items():
                send(writer, {"ping": 1})
                if now - self.heard[index] > SILENT_SECONDS and index not in self.left:
                    self.judge(f"{self.name(index)} has not answered for {SILENT_SECONDS:g} s")

    def judge(self, verdict: str) -> None:
        """End this worker and all others."""
        self.tell(verdict)
        self.end(verdict)

    def tell(self, verdict: str) -> None:
        for writer in () if self.ended.done() else self.peers.values():
            send(writer, {"verdict": verdict})

    def end(self, verdict: str) -> None:
        if not self.ended.done():
            self.ended.set_result(verdict)

    async def end_worker(self, gone: asyncio.Task[None], verdict: str) -> None:
        """Give the worker time to end by itself, then kill it."""
        send(self.worker, {"verdict": verdict})
        await self.flush()
        await asyncio.wait([gone], timeout=GRACE_SECONDS)
        if not gone.done() and os.getppid() == self.process:
            if self.launcher is None or self.index:  # the launcher speaks for the first worker
                with contextlib.suppress(OSError):
                    print(f"error: {verdict}", file=sys.stderr, flush=True)
            os.kill(self.process, signal.SIGKILL)

    async def flush(self) -> None:
        """Wait until messages are sent, but not for a peer that does not read."""
        drains = [asyncio.create_task(writer.drain()) for writer in self.peers.values()]
        if drains:
            await asyncio.wait(drains, timeout=1)

    def name(self, index: int) -> str:
        address = self.addresses[index] if index < len(self.addresses) else "?"
        return f"worker {index} ({address})"


def send(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    with contextlib.suppress(OSError, RuntimeError):
        writer.write(json.dumps(message).encode() + b"\n")


def process_state(process: int) -> tuple[str, int | None]:
    """The state of a process, "T" if it is stopped, and the number of its parent; unknown where there is no /proc."""
    try:
        _, _, fields = Path(f"/proc/{process}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")
        state, parent, *_ = fields.split()
        return state, int(parent)
    except (OSError, ValueError):
        return "?", None


async def main() -> None:
    config = json.loads(sys.argv[1])
    await Watchdog(config).run(socket.socket(fileno=config["socket"]))


if __name__ == "__main__":
    logging.disable()  # asyncio's remarks on connections that break
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # they are for the worker
    asyncio.run(main())
