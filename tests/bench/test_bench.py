"""The bench: every comparison runs, and its arithmetic is right. The timings themselves are not tested."""

import contextlib
import json
import math

import numpy as np
import pytest

from bench import results, worker
from bench.__main__ import main
from bench.comparison import Contender, Setup
from bench.comparisons import ALL
from bench.timing import Range, Row, in_turn, ratio
from glo.runtime import device, errors
from glo.settings import TrainSettings
from tests.support import samples, write_flat


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """A folder of datasets with a small MNIST."""
    folder = tmp_path_factory.mktemp("datasets")
    split = np.repeat([0, 1], [40, 10]).astype(np.uint8)
    write_flat(folder / "mnist", *samples(50, (28, 28, 1), 8), split=split)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_every_comparison_runs(name, data_dir, tmp_path):
    device.select("cpu")
    comparison, setup = ALL[name], Setup(str(data_dir), tmp_path, tiny=True)
    with contextlib.ExitStack() as stack:
        contenders = {
            label: stack.enter_context(contextlib.closing(contender.figures(setup)))
            for label, contender in comparison.contenders.items()
            if contender.installed
        }
        rows = list(comparison.rows(in_turn(contenders, rounds=1, warm_up=0)))
    assert rows
    for row in rows:
        measured = row.measured
        assert all(map(math.isfinite, (measured.median, measured.low, measured.high))), row


@pytest.mark.slow
def test_the_command_runs_contenders_in_processes_of_their_own(data_dir, capsys):
    before = results.PATH.read_bytes()
    line = ["--tiny", "--rounds", "1", "--data_dir", str(data_dir), "--only", "building"]
    assert errors.run(lambda: main(line)) == 0
    assert "whole build / h5py and PCA alone" in capsys.readouterr().out
    assert results.PATH.read_bytes() == before


def test_an_unknown_comparison_is_one_clear_line(capsys):
    assert errors.run(lambda: main(["--only", "spede"])) == 2
    assert "spede: no such comparison, did you mean speed?" in capsys.readouterr().err


@pytest.mark.slow
def test_an_error_of_a_process_is_one_clear_line(tmp_path):
    with (
        contextlib.closing(_process("building", "anything", tmp_path)) as figures,
        pytest.raises(errors.UserError, match="no contender anything in building"),
    ):
        next(figures)


@pytest.mark.slow
def test_a_process_that_fails_says_why(tmp_path):
    with (
        contextlib.closing(_process("decoding", "178x218, whole build", tmp_path / "missing")) as figures,
        pytest.raises(RuntimeError, match=r"(?s)decoding, 178x218, whole build: .*exit code 1.*FileNotFoundError"),
    ):
        next(figures)


def _process(comparison, name, folder):
    return worker.figures(comparison, name, Contender(None), Setup(str(folder), folder, tiny=True))


def test_a_contender_without_its_library_is_left_out(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert not any(contender.installed for contender in ALL["growth"].contenders.values())
    assert all(contender.installed for contender in ALL["building"].contenders.values())


def test_contenders_take_turns_and_the_first_round_warms_up():
    calls = []

    def contender(name):
        while True:
            calls.append(name)
            yield len(calls)

    assert in_turn({"a": contender("a"), "b": contender("b")}, rounds=2) == {"a": [3, 5], "b": [4, 6]}
    assert calls == ["a", "b"] * 3


def test_ratios_are_of_the_same_round():
    assert ratio([2.0, 9.0, 4.0], [1.0, 3.0, 4.0]) == Range(2.0, 1.0, 3.0)
    assert str(Range(1.2345678, 1, 2)) == "1.235 (1 - 2)"


def test_recording_keeps_other_comparisons_and_other_cpus(tmp_path):
    path = tmp_path / "results.json"
    old, new = Row("step", Range(1.0, 1.0, 1.0), "images/s"), Row("step", Range(2.0, 1.0, 3.0), "images/s", "1.2")
    for kind, comparison, row in (("A", "growth", old), ("A", "speed", old), ("B", "speed", old), ("A", "growth", new)):
        results.record(path, kind, comparison, [row])
    recorded = json.loads(path.read_text(encoding="utf-8"))
    medians = {
        kind: {name: entry["rows"][0]["measured"]["median"] for name, entry in comparisons.items()}
        for kind, comparisons in recorded.items()
    }
    assert medians == {"A": {"speed": 1.0, "growth": 2.0}, "B": {"speed": 1.0}}
    assert recorded["A"]["growth"]["machine"]["oneDNN"] in (True, False)


@pytest.mark.parametrize(
    ("flags", "kind"),
    [
        ("sse2 avx2 fma", "Some CPU @ 2: GHz, AVX2"),
        ("sse2 avx2 avx512f avx512_vnni", "Some CPU @ 2: GHz, AVX512"),
        ("avx2 avx512f avx512_bf16", "Some CPU @ 2: GHz, AVX512 with bfloat16"),
        ("sse2", "Some CPU @ 2: GHz"),
    ],
)
def test_the_kind_of_cpu_names_its_instructions(flags, kind, tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"processor\t: 0\nmodel name\t: Some CPU @ 2: GHz\nflags\t\t: {flags}\n\n" * 2, encoding="utf-8")
    assert results.cpu_kind(cpuinfo) == kind


def test_recorded_comparisons_exist():
    recorded = json.loads(results.PATH.read_text(encoding="utf-8"))
    assert all(comparisons.keys() <= ALL.keys() for comparisons in recorded.values())


def test_flops_of_the_dcgan_by_hand():
    from bench.comparisons.speed import DCGAN
    from bench.peak import flops

    dense, first, second, last = 100 * 4096, 8 * 8 * 4 * 256 * 128, 16 * 16 * 4 * 128 * 64, 32 * 32 * 4 * 64
    assert flops(DCGAN, (32, 32, 1), 100) == 3 * 2 * (dense + first + second + last)
    # A map of 7 x 7 is doubled to 14 and 28.
    expected = 3 * 2 * (64 * 49 * 64 + 14 * 14 * 4 * 64 * 32 + 28 * 28 * 4 * 32)
    assert flops(TrainSettings(blocks=2, channels=32), (28, 28, 1), 64) == expected


def test_the_pytorch_loop_has_the_same_loss():
    torch = pytest.importorskip("torch")
    from bench import torch_glo
    from glo.model.losses import build

    images = np.random.default_rng(0).uniform(-1, 1, (2, 3, 32, 32, 1)).astype(np.float32)
    ours = build("lap_l1")(*images).numpy()
    theirs = torch_glo.lap_l1(*(torch.from_numpy(part.transpose(0, 3, 1, 2)) for part in images)).numpy()
    np.testing.assert_allclose(theirs, ours, rtol=1e-5)
