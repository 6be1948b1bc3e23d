"""Damaged and hostile dataset files, generated from seeds: each is refused in one line, or read as it was written."""

import os
import signal
import traceback

import h5py
import numpy as np
import pytest

from glo.building import writer
from glo.building.build import already_built, build
from glo.data import array_layout, ids, info
from glo.data.block import Block
from glo.data.dataset import read_dataset
from glo.data.verify import verify
from glo.runtime.errors import UserError
from glo.settings import BuildSettings
from tests.faults.mutations import SCALE
from tests.support import assert_one_line_error, call, samples, write_flat, write_grouped

N = 24
SECONDS = 60  # until a process that hangs is ended
MUTATIONS = 40 * SCALE  # of each kind


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    """The bytes of data.hdf5 and id.txt as the toolkit writes them, by name."""
    folder = tmp_path_factory.mktemp("original")
    images, _ = samples(N)
    names = ["cat", "dog", "日本"]
    block = Block(
        images,
        split=(np.arange(N) % 5 == 0).astype(np.uint8),
        labels=np.arange(N, dtype=np.int32) % 3,
        ids=[f"picture {row}.png" for row in range(N)],
        attributes=(np.arange(3 * N).reshape(N, 3) % 2).astype(np.int8),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writer, "CHUNK_BYTES", 200)
        settings = BuildSettings(distribution="Gaussian", dimension=4)
        build(folder, "CATS", "here", lambda _: [block], settings, names, ["x", "y", "z"])
    return {name: (folder / name).read_bytes() for name in ("data.hdf5", "id.txt")}


def flip_a_bit(content, random):
    place = random.integers(len(content))
    content[place] ^= 1 << random.integers(8)


def zero_a_range(content, random):
    start, length = random.integers(len(content)), random.integers(1, 400)
    content[start : start + length] = bytes(len(content[start : start + length]))


def fill_a_range(content, random):
    start, length = random.integers(len(content)), random.integers(1, 400)
    content[start : start + length] = random.bytes(len(content[start : start + length]))


def truncate(content, random):
    del content[random.integers(len(content)) :]


def swap_two_ranges(content, random):
    length = int(random.integers(1, 1 + min(200, len(content) // 3)))
    first, second = sorted(random.choice(len(content) // length, 2, replace=False) * length)
    a, b = content[first : first + length], content[second : second + length]
    content[first : first + length], content[second : second + length] = b, a


def duplicate_a_range(content, random):
    start, target, length = random.integers(len(content), size=3).tolist()
    copied = content[start : start + length % 200 + 1]
    content[target : target + len(copied)] = copied


def append(content, random):
    content += random.bytes(random.integers(1, 100))


KINDS = [flip_a_bit, zero_a_range, fill_a_range, truncate, swap_two_ranges, duplicate_a_range, append]


def contents(path, memory_limit):
    """Everything that training reads, as bytes. memory_limit: 0 leaves images and codes in the file."""
    block, fingerprint = read_dataset(path, memory_limit)
    with h5py.File(path) as file:
        names = [array_layout.names(file, key) for key in ("label_names", "attribute_names")]
    arrays = (block.images, block.codes, block.split, block.labels, block.attributes)
    read_ids = ids.read(path.with_name("id.txt"), N)
    return [None if array is None else array[:].tobytes() for array in arrays], fingerprint, names, read_ids


def in_a_process(function):
    """Call `function` in a fork of this process. Returns the last word that it wrote to a pipe, or how it ended."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            word = function()
        except BaseException:
            word = traceback.format_exc()[-4000:]
        with os.fdopen(writing, "w", encoding="utf-8") as pipe:
            pipe.write(word)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, encoding="utf-8") as pipe:
        word = pipe.read()
    _, status = os.waitpid(child, 0)
    return word if os.WIFEXITED(status) else f"ended by signal {os.WTERMSIG(status)}"


def outcome(read, expected):
    """'refused', 'as written' or what is wrong, of one damaged dataset."""
    try:
        values = read()
    except UserError as error:
        return "refused" if "\n" not in str(error) and len(str(error)) < 600 else f"a bad message: {error}"
    return "as written" if values == expected else "wrong values"


def outcomes(folder, mutations, expected, read):
    """Try all mutations, bytes by name, in one process. Returns the outcome of each."""

    def attempt_all():
        words = []
        for files in mutations:
            signal.alarm(SECONDS)
            for name, content in files.items():
                (folder / name).unlink(missing_ok=True)  # HDF5 would know the same file again
                (folder / name).write_bytes(content)
            words.append(outcome(lambda: read(folder / "data.hdf5"), expected))
        return "|".join(words)

    return in_a_process(attempt_all).split("|")


def mutate(original, name, kind, count):
    """Yield `count` seeded mutations of one of the files, beside the other one as it was."""
    random = np.random.default_rng([KINDS.index(kind), len(name)])
    for _ in range(count):
        content = bytearray(original[name])
        kind(content, random)
        yield original | {name: bytes(content)}


@pytest.mark.parametrize("memory_limit", [None, 0], ids=["in memory", "streamed"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["data.hdf5", "id.txt"])
def test_a_damaged_file_is_refused_or_read_as_it_was_written(tmp_path, original, name, kind, memory_limit):
    for file, content in original.items():
        (tmp_path / file).write_bytes(content)
    expected = contents(tmp_path / "data.hdf5", memory_limit)
    count = MUTATIONS if name == "data.hdf5" else MUTATIONS // 4
    mutations = list(mutate(original, name, kind, count))
    results = outcomes(tmp_path, mutations, expected, lambda path: contents(path, memory_limit))
    assert set(results) <= {"refused", "as written"}
    assert len(results) == count
    if kind is not append or name == "id.txt":
        assert "refused" in results


def test_verify_finds_every_damage_that_training_refuses(tmp_path, original):
    mutations = [m for kind in KINDS for m in mutate(original, "data.hdf5", kind, 10 * SCALE)]
    loaded = outcomes(tmp_path, mutations, None, lambda path: contents(path, None) and None)
    verified = outcomes(tmp_path, mutations, None, lambda path: list(verify(path)) and None)
    assert loaded == verified


def test_damaged_files_of_the_older_layout_are_refused_in_one_line_or_read(tmp_path):
    """They have no checksums, so that changed values may pass; nothing else may."""
    images, codes = samples(6)
    path = write_grouped(tmp_path, images, codes, list("abcdef"), name="data.hdf5")
    files = {"data.hdf5": path.read_bytes(), "id.txt": (tmp_path / "id.txt").read_bytes()}
    mutations = [m for name in files for kind in KINDS for m in mutate(files, name, kind, 10 * SCALE)]
    results = outcomes(tmp_path, mutations, None, lambda path: read_dataset(path) and None)
    assert set(results) <= {"refused", "as written"}
    assert len(results) == len(mutations)


def heaps(content):
    """Where the objects in the heaps of texts begin: number uint16, references uint16, 4 bytes, size uint64, and text.

    The object with number 0 is free space, whose size includes these 16 bytes.
    """
    heap = content.find(b"GCOL")
    while heap >= 0:
        at, end = heap + 16, heap + int.from_bytes(content[heap + 8 : heap + 16], "little")
        while at < end:
            yield at
            number, size = (
                int.from_bytes(content[at : at + 2], "little"),
                int.from_bytes(content[at + 8 : at + 16], "little"),
            )
            at += 16 + (size + 7) // 8 * 8 if number else size
        heap = content.find(b"GCOL", end)


def old_file(folder, layout):
    """A file in either layout with texts among its attributes, as they were built before these were stored twice."""
    images, codes = samples(6)
    attributes = {"name": "CATS", "source": "photos", "distribution": "PCA", "label_names": ["cat", "dog", "日本"]}
    if layout == "flat":
        return write_flat(folder, images, codes, label=np.arange(6) % 3, attributes=attributes)
    path = write_grouped(folder, images, codes, list("abcdef"), name="data.hdf5")
    with h5py.File(path, "a") as file:
        file.attrs.update(attributes)
    return path


def read_old(path):
    """Everything that the commands read of a file with old texts."""
    read_dataset(path)
    info.describe(info.read(path))
    already_built(path.parent, "photos", BuildSettings())


@pytest.mark.parametrize("layout", ["flat", "grouped"])
def test_old_texts_whose_heap_has_no_end_are_refused(tmp_path, layout):
    path = old_file(tmp_path, layout)
    content = bytearray(path.read_bytes())
    *_, free = heaps(content)
    content[free + 8 : free + 16] = bytes(8)  # free space of size 0: HDF5 looks for the next object at the same place
    (word,) = outcomes(tmp_path, [{"data.hdf5": bytes(content)}], None, read_old)
    assert word == "refused"


def virtual_file(folder, libver):
    """A dataset whose images are a virtual array of 30 parts. Its only heap holds the mapping."""
    images, codes = samples(6)
    layout = h5py.VirtualLayout((30, *images.shape[1:]), images.dtype)
    for part in range(30):
        layout[part] = h5py.VirtualSource(f"other-{part}.hdf5", "image", images.shape)[0]
    with h5py.File(folder / "data.hdf5", "w", libver=libver) as file:
        file.create_virtual_dataset("image", layout)
        file["code"] = codes
    return folder / "data.hdf5"


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_virtual_arrays_whose_heap_has_no_end_are_refused(tmp_path, libver):
    content = bytearray(virtual_file(tmp_path, libver).read_bytes())
    *_, free = heaps(content)
    content[free + 8 : free + 16] = bytes(8)
    (word,) = outcomes(tmp_path, [{"data.hdf5": bytes(content)}], None, read_old)
    assert word == "refused"


@pytest.mark.parametrize("layout", ["flat", "grouped", "virtual"])
def test_damaged_heaps_are_refused_or_read(tmp_path, layout):
    content = (virtual_file(tmp_path, "latest") if layout == "virtual" else old_file(tmp_path, layout)).read_bytes()
    places, mutations = list(heaps(content)), []
    for seed in range(8 * SCALE):
        random, damaged = np.random.default_rng(seed), bytearray(content)
        for _ in range(random.integers(1, 4)):
            at = random.choice(places) + random.integers(0, 16)
            width = random.choice([1, 1, 2, 8])
            damaged[at : at + width] = random.choice([bytes(width), b"\xff" * width, random.bytes(width)])
        mutations.append({"data.hdf5": bytes(damaged)})
    results = outcomes(tmp_path, mutations, None, read_old)
    assert set(results) <= {"refused", "as written"}
    assert len(results) == len(mutations)


def hostile_name(random):
    """A short name with characters that control terminals."""
    alphabet = [
        "a",
        "日",
        " ",
        "\x1b[2J",
        "\x1b]0;x\x07",
        "\x9b31m",
        "\u202e",
        "\u2066",
        "\r",
        "\x00",
        "\x85",
        "\u2028",
    ]
    return "n" + "".join(random.choice(alphabet, 6))


@pytest.mark.parametrize("seed", range(12))
def test_names_from_the_data_never_control_the_terminal(tmp_path, seed):
    random = np.random.default_rng(seed)
    images, codes = samples(4)
    groups = [f"{row}{hostile_name(random)}".replace("\x00", "").replace("\r", "") for row in range(4)]
    path = write_grouped(tmp_path / "CATS", images, codes, groups)
    with h5py.File(path, "a") as file:
        if seed % 3 == 0:
            del file[groups[0]]["code"]
        elif seed % 3 == 1:
            file.move(groups[0], f"moved{hostile_name(random)}".replace("\x00", ""))
        file.attrs[hostile_name(random).replace("\x00", "")] = hostile_name(random).replace("\x00", "")
        file.attrs["source"] = hostile_name(random).replace("\x00", "")
    for mode in ("--info", "--verify", "--convert"):
        target = path.parent if mode == "--convert" else "CATS"
        result = call(
            "download.py", mode, target, "--data_dir", tmp_path, *(["--force"] if mode == "--convert" else [])
        )
        assert result.returncode == (0 if seed % 3 == 2 else 2)
        if result.returncode:
            assert_one_line_error(result)
        for line in (result.stdout + result.stderr).split("\n"):
            assert line.isprintable()
