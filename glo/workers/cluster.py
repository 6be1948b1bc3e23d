"""Which workers train together, and which of them this process is: from TF_CONFIG, or from SLURM."""

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from glo.runtime.errors import UserError, shortened

EXAMPLE = '{"cluster": {"worker": ["a:2222", "b:2222"]}, "task": {"type": "worker", "index": 0}}'
MAX_WORKERS = 4096
ADDRESS = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):([0-9]{1,5})")
# Ports of SLURM jobs start at a number that depends on the job, so that two jobs can share a machine.
FIRST_PORT, PORTS = 12288, 16384


@dataclass(frozen=True)
class Cluster:
    """addresses: host:port of each worker's TensorFlow server, the first worker first. index: of this process."""

    addresses: tuple[str, ...]
    index: int

    @property
    def local_index(self) -> int:
        """The number of earlier workers on the same machine, by which workers share its GPUs."""
        return [_host(address) for address in self.addresses[: self.index]].count(_host(self.addresses[self.index]))

    @property
    def local_count(self) -> int:
        """The number of workers on this machine."""
        return [_host(address) for address in self.addresses].count(_host(self.addresses[self.index]))


def find(workers: int | None, environment: Mapping[str, str] = os.environ) -> Cluster | None:
    """The cluster that TF_CONFIG or SLURM describes; None if this process trains alone.

    workers: the number of workers that --workers states; None if it is not given.
    Raises `UserError` if the description cannot be used or has another number of workers.
    """
    if "TF_CONFIG" in environment:
        origin, cluster = "TF_CONFIG", _from_tf_config(environment["TF_CONFIG"])
    elif workers is None and environment.get("SLURM_STEP_NUM_TASKS", "1") != "1":
        origin, cluster = "SLURM", _from_slurm(environment.get("SLURM_JOB_ID", "0"))
    else:
        return None
    if workers not in (None, len(cluster.addresses)):
        raise UserError(f"--workers {workers}: {origin} lists {len(cluster.addresses)} workers; drop --workers")
    return cluster if len(cluster.addresses) > 1 else None


def _from_tf_config(text: str) -> Cluster:
    def refuse(reason: str) -> NoReturn:
        raise UserError(f"TF_CONFIG {reason}: set it to text such as {EXAMPLE}")

    try:
        content: Any = json.loads(text)
    except (ValueError, RecursionError):
        refuse("is not JSON")
    jobs, task = (content.get(key) if isinstance(content, dict) else None for key in ("cluster", "task"))
    if not isinstance(jobs, dict) or not isinstance(task, dict):
        refuse("does not name a cluster and a task")
    if other := [job for job in [*jobs, task.get("type")] if job != "worker"]:
        refuse(f"has a task of type {shortened(other[0])}, and GLO has only tasks of type worker")
    addresses, index = jobs.get("worker"), task.get("index")
    if not isinstance(addresses, list) or not 1 <= len(addresses) <= MAX_WORKERS:
        refuse("does not list the workers")
    for address in addresses:
        match = ADDRESS.fullmatch(address) if isinstance(address, str) else None
        if not match or not 0 < int(match[2]) < 65536:
            refuse(f"lists {shortened(address)}, which is not host:port")
    if len(set(addresses)) < len(addresses):
        refuse("lists an address twice")
    if type(index) is not int or not 0 <= index < len(addresses):
        refuse(f"has the index {shortened(index)} for {len(addresses)} workers")
    return Cluster(tuple(addresses), index)


def _from_slurm(job: str) -> Cluster:
    from glo.runtime import device

    device.load_tensorflow()
    import tensorflow as tf

    try:
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=FIRST_PORT + int(job) % PORTS,
            # One a task, whatever the node has: the resolver fails on nodes without GPUs, and workers choose their own.
            gpus_per_node=MAX_WORKERS,
            gpus_per_task=1,
            auto_set_gpu=False,
        )
        addresses = resolver.cluster_spec().as_dict()["worker"]
    except (RuntimeError, ValueError, KeyError) as error:
        raise UserError(f"cannot find the workers of this SLURM step: {error}; start them with srun") from None
    return Cluster(tuple(addresses), resolver.task_id)


def _host(address: str) -> str:
    return address.rpartition(":")[0]
