"""The list of workers in TF_CONFIG and SLURM's variables."""

import json
import subprocess
import sys

import pytest

from glo.runtime.errors import UserError
from glo.workers.cluster import Cluster, find
from tests.support import ROOT


def config(workers=("a:2222", "b:2222", "a:2223"), index=2, kind="worker"):
    return {"TF_CONFIG": json.dumps({"cluster": {kind: list(workers)}, "task": {"type": kind, "index": index}})}


def test_tf_config():
    cluster = find(None, config())
    assert cluster == Cluster(("a:2222", "b:2222", "a:2223"), 2)
    assert (cluster.local_index, cluster.local_count) == (1, 2)
    assert find(3, config()) == cluster
    assert find(None, config(("[::1]:80",), 0)) is None  # one worker trains alone
    assert find(None, {}) is None


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "null", "[" * 100_000, '{"cluster": 3, "task": {}}', '{"cluster": {}, "task": {"type": "worker"}}']
    + [config(workers=w)["TF_CONFIG"] for w in ((), ("a",), ("a:0",), ("a:99999",), ("a:1", "a:1"), (3,), ("a b:1",))]
    + [config(index=i)["TF_CONFIG"] for i in (-1, 3, None, "0", True, 1.0)]
    + [config(kind="ps")["TF_CONFIG"]],
)
def test_a_config_that_cannot_be_used_is_refused_with_an_example(text):
    with pytest.raises(UserError, match=r"TF_CONFIG .*: set it to text such as"):
        find(None, {"TF_CONFIG": text})


def test_another_number_of_workers_is_refused():
    with pytest.raises(UserError, match="--workers 4: TF_CONFIG lists 3 workers"):
        find(4, config())


@pytest.mark.slow
def test_slurm():
    """In a process of its own, because the resolver reads the environment."""
    variables = {
        "SLURM_PROCID": "2", "SLURM_STEP_NUM_TASKS": "3", "SLURM_JOB_ID": "70000",
        "SLURM_STEP_NODELIST": "n[1-2]", "SLURM_STEP_TASKS_PER_NODE": "2,1",
    }  # fmt: skip
    code = f"""
import os
os.environ.update({variables!r})
from glo.workers import cluster
print(cluster.find(None))
os.environ["SLURM_STEP_TASKS_PER_NODE"] = "x"
try:
    cluster.find(None)
except Exception as error:
    print(type(error).__name__, error)
"""
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    first, second = result.stdout.splitlines()
    port = 12288 + 70000 % 16384
    assert first == f"Cluster(addresses=('n1:{port}', 'n1:{port + 1}', 'n2:{port}'), index=2)", result.stderr
    assert second.startswith("UserError cannot find the workers of this SLURM step")
