"""Damaged and hostile artifacts of a run: checkpoints, manifests, sampler caches, weights, records and results.

Each test draws a seeded family of damaged files. GLO_FAULTS multiplies the number of examples.
"""

import contextlib
import io
import json
import os
import shutil
import struct
import zipfile

import numpy as np
import pytest

from glo.data import safe_npz
from glo.evaluation import compare, results
from glo.features import weights
from glo.model.glo_model import GloModel
from glo.runtime import paths
from glo.runtime.errors import UserError
from glo.samplers import cache
from glo.settings import TrainSettings
from glo.training import bundle, checkpoint, history, manifest
from tests.support import samples

SETTINGS = TrainSettings(dataset="TOY", channels=4)
DATA = {"image shape": [8, 8, 1], "code dimension": 3, "training images": 10}


def generators(examples):
    """A random generator for each example, times GLO_FAULTS."""
    return [np.random.default_rng(seed) for seed in range(examples * int(os.environ.get("GLO_FAULTS", "1")))]


def damaged(content, random):
    """The bytes with one to three changes: a flipped bit, a random byte, a block of zeros, a cut, a repeated part."""
    content = bytearray(content)
    for _ in range(random.integers(1, 4)):
        place, other = sorted(random.integers(0, max(1, len(content)), 2).tolist())
        match random.integers(0, 8):
            case 0:
                del content[place:]
            case 1:
                content[place:other] = bytes(other - place)
            case 2:
                content[place:place] = content[place : min(other, place + 40)]
            case 3 | 4:
                content[place : place + 1] = random.bytes(1)
            case _ if content:
                content[place] ^= 1 << int(random.integers(0, 8))
    return bytes(content)


WRONG = [None, True, -1, 0, 1.5, 10**30, 1e308, float("nan"), "", "x" * 300, "\x1b[2J", "../x", [], [[]], {}, {"a": 1}]


def altered(value, random):
    """A JSON value with one to three of its parts replaced, removed or renamed."""
    value = json.loads(json.dumps(value))
    for _ in range(random.integers(1, 4)):
        node, parent, key = value, None, None
        while isinstance(node, dict | list) and node and (parent is None or random.random() < 0.7):
            parent = node
            key = list(node)[random.integers(len(node))] if isinstance(node, dict) else int(random.integers(len(node)))
            node = parent[key]
        if parent is None:
            return WRONG[random.integers(len(WRONG))]
        choice = random.integers(0, 4)
        if choice == 0:
            del parent[key]
        elif choice == 1 and isinstance(parent, dict):
            parent[str(WRONG[random.integers(len(WRONG))])] = parent.pop(key)
        else:
            parent[key] = WRONG[random.integers(len(WRONG))]
    return value


def warnings(caplog):
    return [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A run folder with one checkpoint, the model that restores it, and its values by name."""
    run = tmp_path_factory.mktemp("saved")
    _, codes = samples(10, (8, 8, 1), 3)
    model = GloModel((8, 8, 1), codes, SETTINGS)
    model.step.assign(5)
    values = {name: variable.read_value() for name, variable in checkpoint.variables(model).items()}
    checkpoint.write(run, 5, values, SETTINGS, DATA)
    return run, model, {name: value.numpy() for name, value in values.items()}


@pytest.fixture
def copied(saved, tmp_path):
    """The prefix of a copy of the checkpoint."""
    shutil.copytree(saved[0], tmp_path / "run")
    return tmp_path / "run/model-5"


def restored(prefix, model):
    """The values that a checkpoint restores, by name; None if it is refused."""
    try:
        read = manifest.read(prefix)
        for variable in checkpoint.variables(model).values():
            variable.assign(np.full_like(variable.numpy(), 77))
        checkpoint.restore(model, prefix, read)
    except UserError:
        return None
    return {name: variable.numpy() for name, variable in checkpoint.variables(model).items()}


def assert_equal(actual, expected):
    assert actual.keys() == expected.keys()
    for name in actual:
        np.testing.assert_array_equal(actual[name], expected[name], err_msg=name)


def reseal(prefix):
    """Let the manifest state the checksums of the files as they are now."""
    content = json.loads(paths.manifest(prefix).read_text())
    content["files"] = {name: manifest.checksum(prefix.parent / name) for name in content["files"]}
    paths.manifest(prefix).write_text(json.dumps(content))


def test_a_damaged_index_with_matching_checksums_is_refused_or_restores_the_same_values(saved, copied):
    _, model, values = saved
    index = copied.with_name("model-5.index")
    content, refused, family = index.read_bytes(), 0, generators(100)
    for random in family:
        index.write_bytes(damaged(content, random))
        reseal(copied)
        actual = restored(copied, model)
        refused += actual is None
        if actual is not None:
            assert_equal(actual, values)
    assert refused > len(family) // 2


def crc32c(content):
    """CRC-32C, as in RFC 3720, in the masked form of LevelDB's tables."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = crc >> 8 ^ CRC_TABLE[(crc ^ byte) & 255]
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def shifted(crc):
    for _ in range(8):
        crc = crc >> 1 ^ 0x82F63B78 * (crc & 1)
    return crc


CRC_TABLE = [shifted(byte) for byte in range(256)]


def varint(value):
    """A number in groups of 7 bits, the lowest first."""
    groups = [value >> shift & 127 for shift in range(0, max(1, value.bit_length()), 7)]
    return bytes([*(group | 128 for group in groups[:-1]), groups[-1]])


def table(entries, random=None):
    """A LevelDB table of (key, value) pairs; with `random`, its blocks are damaged before their CRCs are computed."""

    def block(pairs):
        parts = [varint(0) + varint(len(key)) + varint(len(value)) + key + value for key, value in pairs]
        content = b"".join(parts) + struct.pack("<II", 0, 1)  # where keys are complete: at the first one
        return damaged(content, random) if random and random.random() < 0.5 else content

    content, handles = b"", []
    for pairs in (lambda: entries, lambda: [], lambda: [(b"~", handles[0])]):
        part = block(pairs())
        handles.append(varint(len(content)) + varint(len(part)))
        content += part + b"\0" + crc32c(part + b"\0")
    return content + (handles[1] + handles[2]).ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def test_a_crafted_index_whose_checksums_match_is_refused_or_restores_the_same_values(saved, copied):
    """TensorFlow's reader aborts the process for some of these, since their CRCs are right."""
    _, model, values = saved
    index = copied.with_name("model-5.index")
    entries = list(bundle._table(index.read_bytes()))
    index.write_bytes(table(entries))
    reseal(copied)
    assert_equal(restored(copied, model), values)
    refused, family = 0, generators(120)
    for random in family:
        changed = list(entries)
        for _ in range(random.integers(0, 4)):
            place = random.integers(0, len(entries))
            key, value = changed[place]
            changed[place] = (key, damaged(value, random)) if random.random() < 0.8 else (damaged(key, random), value)
        index.write_bytes(table(changed, random))
        reseal(copied)
        actual = restored(copied, model)
        refused += actual is None
        if actual is not None:
            assert_equal(actual, values)
    assert refused > len(family) // 2


def test_damaged_data_with_matching_checksums_never_ends_the_process(saved, copied):
    """Other values of the same shapes cannot be told from true ones if the checksums are forged too."""
    data = copied.with_name("model-5.data-00000-of-00001")
    content = data.read_bytes()
    for random in generators(30):
        data.write_bytes(damaged(content, random))
        reseal(copied)
        actual = restored(copied, saved[1])
        assert actual is None or len(data.read_bytes()) == len(content)


def test_an_altered_manifest_is_refused_or_restores_the_same_values(saved, copied):
    _, model, values = saved
    path = paths.manifest(copied)
    content = json.loads(path.read_text())
    refused, family = 0, generators(100)
    for random in family:
        path.write_text(json.dumps(altered(content, random)))
        actual = restored(copied, model)
        refused += actual is None
        if actual is not None:
            assert_equal(actual, values)
            read = manifest.read(copied)
            assert read.resolved(copied).dataset
            assert read.step == 5
    assert refused > len(family) // 4


def test_a_damaged_manifest_is_refused_or_reads_the_same_checkpoint(copied):
    path = paths.manifest(copied)
    content = path.read_bytes()
    for random in generators(100):
        path.write_bytes(damaged(content, random))
        with contextlib.suppress(UserError):
            assert manifest.read(copied).step == 5


@pytest.mark.parametrize("compress", [False, True], ids=["stored", "compressed"])
def test_damaged_weights_are_refused_or_read_the_same(compress, tmp_path):
    path = tmp_path / "w.npz"
    arrays = [np.random.default_rng(0).standard_normal(shape).astype(np.float32) for shape in [(3, 4), (5,)]]
    weights.write(path, arrays, {"accuracy": 0.5})
    if compress:
        with np.load(path) as stored:
            np.savez_compressed(path, **dict(stored))
    content, refused, family = path.read_bytes(), 0, generators(250)
    for random in family:
        path.write_bytes(damaged(content, random))
        try:
            read, description = weights.read(path, [(3, 4), (5,)])
        except UserError:
            refused += 1
            continue
        assert description == {"accuracy": 0.5}
        for array, expected in zip(read, arrays, strict=True):
            np.testing.assert_array_equal(array, expected)
    assert refused > len(family) // 2


def test_no_entry_of_an_archive_can_hide_another(tmp_path):
    """Among the entries is the checksum. Each byte of their listing, which is not covered by one, takes some values."""
    path = tmp_path / "w.npz"
    safe_npz.write(path, {"a": np.arange(3), "b": np.arange(4)})
    content = path.read_bytes()
    for place in range(content.index(b"PK\1\2"), len(content)):
        for value in (1, 4, 16, 60, 200):
            path.write_bytes(content[:place] + bytes([value]) + content[place + 1 :])
            try:
                arrays = safe_npz.read(path, 10_000)
            except (ValueError, OSError):
                continue
            assert_equal(arrays, {"a": np.arange(3), "b": np.arange(4)})


def test_a_damaged_sampler_is_fitted_again_or_reads_the_same(tmp_path, caplog, monkeypatch):
    codes = (np.random.default_rng(0).standard_normal((60, 3)) * 0.3).astype(np.float32)
    file, refits = tmp_path / "samplers/gaussian-5.npz", []
    paths.manifest(tmp_path / "model-5").touch()  # files of missing checkpoints are removed
    first = cache.fitted(file, "gaussian", codes, 0, "ball")
    content = file.read_bytes()
    monkeypatch.setattr(cache, "_fit", lambda *args: refits.append(1) or first)
    family = generators(150)
    for random in family:
        file.write_bytes(damaged(content, random))
        before = len(refits)
        caplog.clear()
        second = cache.fitted(file, "gaussian", codes, 0, "ball")
        np.testing.assert_array_equal(second.sampler.covariance, first.sampler.covariance)
        np.testing.assert_array_equal(second.sampler.mean, first.sampler.mean)
        assert (second.log_likelihood, second.seconds) == (first.log_likelihood, first.seconds)
        assert len(warnings(caplog)) == len(refits) - before  # one line for each file that is not used
    assert len(refits) > len(family) // 2


def forged_headers():
    """Headers of .npy members that declare what the file does not hold, or that make NumPy's parser raise."""
    yield "huge", "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }"
    yield "overflow", f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({10**30}, {10**30}), }}"
    yield "negative", "{'descr': '<f4', 'fortran_order': False, 'shape': (-3,), }"
    yield "bool", "{'descr': '<f4', 'fortran_order': False, 'shape': (True, True), }"
    yield "object", "{'descr': '|O', 'fortran_order': False, 'shape': (3,), }"
    yield "bracket", "{'descr': '<f4', 'fortran_order': False, 'shape': (3,"
    yield "unhashable", "{[]: 1, 'fortran_order': False, 'shape': (3,), }"
    yield "nested", "(" * 9000
    yield "fields", "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3,), }"
    yield "subarray", "{'descr': ('<f4', (1000000,)), 'fortran_order': False, 'shape': (3,), }"
    yield "digits", f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({'9' * 5000},), }}"


@pytest.mark.parametrize("header", [pytest.param(header, id=name) for name, header in forged_headers()])
def test_forged_array_headers_are_refused(header, tmp_path, caplog):
    member = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode() + bytes(12)
    path = tmp_path / "w.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("arr_0.npy", member)
    with pytest.raises(UserError, match="holds no weights"):
        weights.read(path, [(3,)])
    codes = np.random.default_rng(0).standard_normal((60, 3)).astype(np.float32)
    file = tmp_path / "samplers/gaussian-5.npz"
    paths.manifest(tmp_path / "model-5").touch()
    cache.fitted(file, "gaussian", codes, 0, "ball")
    with np.load(file) as stored:
        arrays = dict(stored)
    with zipfile.ZipFile(file, "w") as archive:
        for key, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array)
            archive.writestr(f"{key}.npy", member if key == "mean" else buffer.getvalue())
    cache.fitted(file, "gaussian", codes, 0, "ball")
    assert [str(file) in message for message in warnings(caplog)] == [True]


GOOD = {"step": 5, "loss": 0.5, "learning_rate": 1e-3, "images_per_second": 10.0, "seconds": 2.0, "images": 50}


def make_run(folder, lines):
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text("dataset: TOY\nbatch_size: 10\n")
    (folder / "metrics.jsonl").write_bytes(b"".join(line + b"\n" for line in lines))
    return folder


def test_damaged_records_are_left_out_and_good_ones_kept(tmp_path):
    good = [{**GOOD, "step": step} for step in (1, 2, 3)]
    encoded = [json.dumps(record).encode() for record in good]
    for random in generators(200):
        if random.random() < 0.5:
            bad = json.dumps(altered(GOOD, random)).encode()
        else:
            bad = damaged(encoded[0], random).replace(b"\n", b" ")
        run = make_run(tmp_path / "run", [encoded[0], bad, *encoded[1:]])
        records = history.read(run)
        assert [record for record in records if record in good] == good or len(records) == 4
        assert len(records) <= 4
        for record in records:
            assert type(record["step"]) is int
        history.clocked(records, 10)


def test_altered_results_are_refused_in_one_line_or_compared(tmp_path, capsys):
    psnr = {"psnr": 20.0, "ssim": 0.9, "n": 5}
    metrics = {
        "n": 100,
        "sampler": "gmm",
        "components": 12,
        "temperature": 0.85,
        "extractor": {"name": "classifier", "accuracy": 0.99, "sha256": "a" * 64},
        "samples": {"frechet": 2.5},
        "floor": {"frechet": 0.5},
        "train": psnr,
        "test": {"psnr": 19.0, "ms_ssim_2": 0.8},
    }
    content = {"checkpoint": "model-5", "train": psnr, "metrics": metrics}
    run = make_run(tmp_path / "run", [json.dumps(GOOD).encode()])
    evaluation = run / "eval-5"
    evaluation.mkdir()
    for random in generators(150):
        (evaluation / "metrics.json").write_text(json.dumps(altered(content, random)))
        results.read(evaluation)
        try:
            table = compare.table(compare.read([str(run)]))
        except UserError:
            continue
        assert "\x1b" not in table
        assert max(map(len, table.splitlines())) < 500
