"""The workers of a run, as each sees the others: sums of arrays by TensorFlow, short messages by the watchdog."""

import json
import logging
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glo.runtime import terminal
from glo.runtime.errors import UserError
from glo.runtime.log import logger
from glo.workers.cluster import Cluster

if TYPE_CHECKING:
    import tensorflow as tf

LAUNCHER = "GLO_LAUNCHER"  # environment variable: the process that started all workers
WATCHDOG = Path(__file__).with_name("watchdog.py")
VERDICT_SECONDS = 15  # an error of TensorFlow may precede the verdict of the watchdog, which knows who was lost
WATCHDOG_SECONDS = 5  # for the watchdog to end after its worker has left
OWN_ERROR_SECONDS = 1.5  # an error that all workers raise at once is better than the verdict that another one ended


class Crew:
    """A run of one worker: sums are those of its own values, and messages those that it sends."""

    index, count = 0, 1
    advice = ""  # what a user can do if a worker is lost, which follows the line that names it
    local_index, local_count = 0, 1  # among the workers on this machine

    @property
    def first(self) -> bool:
        """Whether this worker writes pictures, metrics and the generator, and decides what is decided once."""
        return self.index == 0

    def connect(self) -> None:
        """Make sums possible. Called before any other operation of TensorFlow."""

    def total(self, values: "tf.Tensor") -> "tf.Tensor":
        """Sum a tensor, of the same shape in all workers, over workers. Its gradient is summed as well."""
        return values

    def sum(self, values: np.ndarray) -> np.ndarray:
        """Sum an array of float32 or int32, of the same shape in all workers, over workers."""
        return values

    def exchange(self, topic: str, value: Any) -> list[Any]:
        """Send a value of plain types to all workers, and wait for theirs; returns those of all, by index."""
        return [value]

    def decide(self, topic: str, decision: Callable[[], Any]) -> Any:
        """What the first worker decides, in all workers."""
        return self.exchange(topic, decision() if self.first else None)[0]


ALONE = Crew()


class Member(Crew):
    """One of several workers."""

    def __init__(self, cluster: Cluster, timeout: float):
        """Start the watchdog. timeout: seconds until all workers must have started."""
        self.cluster, self.index, self.count = cluster, cluster.index, len(cluster.addresses)
        self.local_index, self.local_count = cluster.local_index, cluster.local_count
        self._answers: dict[str, queue.SimpleQueue[list[Any]]] = {}
        self._lock, self._leaving = threading.Lock(), False
        self._stderr = os.dup(2)  # what is written to 2 while TensorFlow is imported is captured
        own, theirs = socket.socketpair()
        launcher = os.environ.get(LAUNCHER)
        config = {
            "addresses": cluster.addresses, "index": cluster.index, "process": os.getpid(), "timeout": timeout,
            "launcher": launcher and int(launcher), "socket": theirs.fileno(),
        }  # fmt: skip
        command = [sys.executable, str(WATCHDOG), json.dumps(config)]
        self._watchdog = subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
        theirs.close()
        self._socket = own
        self._reader = threading.Thread(target=self._read, name="watchdog", daemon=True)
        self._reader.start()

    def connect(self) -> None:
        """Connect TensorFlow's servers of all workers.

        The server has no authentication and no encryption, and listens on all interfaces whatever the addresses are.
        """
        import tensorflow as tf

        if self.local_index == 0:
            logger.warning(
                "TensorFlow's servers listen on all network interfaces, without authentication or encryption: train on "
                "several workers only in a private network"
            )
        self.exchange("connect", None)  # no worker may still be busy: TensorFlow waits without a time limit
        resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
            tf.train.ClusterSpec({"worker": list(self.cluster.addresses)}),
            task_type="worker",
            task_id=self.index,
            rpc_layer="grpc",
        )
        self._strategy = tf.distribute.MultiWorkerMirroredStrategy(resolver)
        self._sum = tf.function(self.total)

    def total(self, values: "tf.Tensor") -> "tf.Tensor":
        import tensorflow as tf

        @tf.custom_gradient
        def total(values: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
            return self._strategy.run(_all_reduce, (values,)), self.total

        return total(values)

    def sum(self, values: np.ndarray) -> np.ndarray:
        return self._sum(values).numpy()

    def exchange(self, topic: str, value: Any) -> list[Any]:
        with self._lock:
            answers = self._answers.setdefault(topic, queue.SimpleQueue())
        self._send({"topic": topic, "value": value})
        return answers.get()  # if a worker is lost, the process ends here

    def leave(self, error: str | None) -> None:
        """Tell the others that this worker ends, and whether it does because of an error. Ends the watchdog."""
        self._leaving = True
        self._send({"leave": error})
        with suppress(OSError, subprocess.TimeoutExpired):
            self._socket.shutdown(socket.SHUT_WR)
            self._watchdog.wait(WATCHDOG_SECONDS)

    def _send(self, message: dict[str, Any]) -> None:
        try:
            with self._lock:
                self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            if not self._leaving:
                time.sleep(VERDICT_SECONDS)  # the reader ends the process

    def _read(self) -> None:
        """Take the messages of the watchdog. A verdict ends the process: the main thread may wait for TensorFlow."""
        verdict = "the watchdog of this worker was killed"
        with self._socket.makefile("rb") as lines:
            for line in lines:
                message = json.loads(line)
                if "values" in message:
                    with self._lock:
                        answers = self._answers.setdefault(message["topic"], queue.SimpleQueue())
                    answers.put(message["values"])
                elif "verdict" in message:
                    verdict = message["verdict"]
                    break
        time.sleep(OWN_ERROR_SECONDS)
        if not self._leaving:
            with suppress(OSError):
                os.write(self._stderr, terminal.printable(f"error: {verdict}{self.advice}").encode() + b"\n")
            os._exit(2)


def _all_reduce(values: "tf.Tensor") -> "tf.Tensor":
    import tensorflow as tf

    # A copy, because the values must have a device.
    return tf.distribute.get_replica_context().all_reduce("SUM", tf.identity(values))


@contextmanager
def joined(cluster: Cluster | None, timeout: float) -> Iterator[Crew]:
    """Take part in a cluster while the block runs; None stands for a run of one worker.

    If another worker is lost, the process ends with exit code 2 and one line that names it.
    """
    if cluster is None:
        yield ALONE
        return
    if cluster.index and LAUNCHER in os.environ:
        logger.setLevel(logging.WARNING)  # the other lines are those of the first worker
    member, error = Member(cluster, timeout), None
    try:
        yield member
        member.exchange("end", None)  # TensorFlow would report workers that end earlier as lost
    except UserError as failure:
        error = str(failure)
        raise
    except KeyboardInterrupt:
        error = "interrupted"
        raise
    except Exception as failure:
        if type(failure).__module__.startswith("tensorflow"):
            time.sleep(VERDICT_SECONDS)
        error = f"{type(failure).__name__}, see its log"
        raise
    finally:
        member.leave(error)
