"""What the device can compute."""

from pathlib import Path

import pytest
import tensorflow as tf

from glo.runtime import device


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
