"""What the device can compute."""

from pathlib import Path

import pytest
import tensorflow as tf

from glo.runtime import device
from glo.runtime.errors import UserError


@pytest.mark.parametrize(
    ("flags", "onednn", "native"),
    [
        ("fma avx512_bf16", "1", True),
        ("fma amx_bf16", "1", True),
        ("fma avx2", "1", False),
        ("avx512_bf16", "0", False),
    ],
)
def test_a_cpu_computes_in_bfloat16_with_its_instructions_and_onednn(flags, onednn, native, monkeypatch):
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda _: [])
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: f"flags : fpu {flags} sse\n")
    monkeypatch.setenv(device.ONEDNN, onednn)
    assert device.has_bfloat16() == native


def test_workers_on_a_machine_share_its_gpus(monkeypatch):
    chosen = []
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda _: list(gpus))
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda _: None)
    monkeypatch.setattr(tf.config, "set_visible_devices", lambda devices, _: chosen.append(devices))
    monkeypatch.setattr(tf.config.experimental, "set_memory_growth", lambda *_: None)
    gpus = ["a", "b", "c"]
    for worker in range(3):
        device.select("auto", worker)
    device.select("gpu:1", worker=2)
    device.select("cpu", worker=1)
    with pytest.raises(UserError, match="3 GPUs"):
        device.select("auto", worker=3)
    gpus = ["own"]  # a job system shows each worker only its own
    device.select("auto", worker=1)
    gpus = []
    device.select("auto", worker=1)
    assert chosen == [["a"], ["b"], ["c"], ["b"], [], ["own"], []]
