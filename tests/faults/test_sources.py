"""Damaged files of every source: each is refused by an error for people, or read to images of the promised form."""

import ast
import bz2
import gzip
import io
import lzma
import os
import struct
import tarfile
import warnings
import zipfile
import zlib

import lmdb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from scipy.io import savemat

from datasets import archive, celeba, cifar10, idx, lmdb_file, lsun, lsun_archive, npz, picture, svhn
from glo.data.block import Block
from glo.runtime.errors import UserError
from glo.settings import BuildSettings
from tests.faults.mutations import damaged, examples

RNG = np.random.default_rng(0)


def pixels(*shape):
    return RNG.integers(0, 256, shape, np.uint8)


def refused_or_read(read):
    """Call `read`. An error must be one for people, in one short line; a warning would be printed, so there is none."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warnings.filterwarnings("ignore", category=ResourceWarning)
        warnings.filterwarnings("ignore", module=r"PIL\.")  # as `datasets.picture` does
        try:
            result, message = read(), ""
        except (UserError, picture.PictureError) as error:
            result, message = None, str(error)
    assert "\n" not in message
    assert len(message) < 700
    assert not caught, [str(warning.message) for warning in caught]
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("faults")


def check_blocks(blocks):
    """Blocks that could be read hold uint8 images with one label each."""
    for block in blocks or ():
        assert isinstance(block, Block)
        assert block.images.dtype == np.uint8
        assert block.images.ndim == 4
        for values in (block.labels, block.split):
            assert values is None or len(values) == len(block.images)


# --- pictures -----------------------------------------------------------------------------------------------------


def encoded(kind, **options):
    stream = io.BytesIO()
    image = Image.fromarray(pixels(9, 7, 3))
    if kind == "GIF":
        options |= {"save_all": True, "append_images": [Image.fromarray(pixels(9, 7, 3))]}
    exif = Image.Exif()
    exif[picture.ORIENTATION] = 6
    exif[0x010E] = "a description"
    if kind in ("PNG", "JPEG", "TIFF", "WEBP"):
        options["exif"] = exif
    image.save(stream, kind, **options)
    return stream.getvalue()


PICTURES = [
    encoded("PNG"),
    encoded("JPEG"),
    encoded("JPEG", progressive=True),
    encoded("GIF"),
    encoded("BMP"),
    encoded("TIFF"),
    encoded("TIFF", compression="tiff_lzw"),
    encoded("WEBP"),
    encoded("WEBP", lossless=True),
    encoded("PPM"),
]


def chunks_with_checksums(png):
    """A PNG whose chunks have valid checksums again, so that the faults in them are decoded."""
    data, at = bytearray(png), 8
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        if at + 12 + length > len(data):
            break
        struct.pack_into(">I", data, at + 8 + length, zlib.crc32(data[at + 4 : at + 8 + length]))
        at += 12 + length
    return bytes(data)


@examples(40)
@given(st.sampled_from(PICTURES).flatmap(damaged), st.sampled_from([None, (5, 6)]), st.sampled_from([1, 3]))
def test_pictures(content, size, channels):
    for data in (content, chunks_with_checksums(content)):
        decoded = refused_or_read(lambda data=data: picture.decode(data, size, channels))
        if decoded is not None:
            assert decoded.dtype == np.uint8
            assert decoded.shape == (*(size or decoded.shape[:2]), channels)
        refused_or_read(lambda data=data: picture.header(data))


# --- npz ----------------------------------------------------------------------------------------------------------


def zipped(members, compression=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return stream.getvalue()


def npy(array):
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue()


METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA)
ARRAYS = {"image.npy": npy(pixels(5, 4, 4)), "label.npy": npy(np.arange(5)), "split.npy": npy(np.arange(5) % 2)}
FLOATS = ARRAYS | {"image.npy": npy(pixels(5, 4, 4, 3) / np.float32(255))}
NPZ = [zipped(arrays, method) for arrays in (ARRAYS, FLOATS) for method in METHODS]


@examples(25)
@given(st.sampled_from(NPZ).flatmap(damaged))
def test_npz_bytes(folder, content):
    path = folder / "bytes.npz"
    path.write_bytes(content)
    check_blocks(refused_or_read(lambda: list(npz.blocks(path))))


@examples(25)
@given(st.sampled_from(sorted(ARRAYS)), st.data(), st.sampled_from(METHODS))
def test_npz_members(folder, name, data, method):
    """Whole archives with a damaged array in them: its faults are not hidden by those of the archive."""
    path = folder / "members.npz"
    path.write_bytes(zipped(ARRAYS | {name: data.draw(damaged(ARRAYS[name]))}, method))
    check_blocks(refused_or_read(lambda: list(npz.blocks(path))))


NUMBERS = st.integers(-3, 9) | st.sampled_from([5, 4, 80, 2**31, 2**63, 2**64, 10**30, 10**4000, True, 4.0, 1j, None])
DTYPES = st.sampled_from(
    ["|u1", "<f4", "<f2", ">f8", "<i8", "|b1", "|O", "|S3", "<U9", "|V99999999999", "M8[s]", "<f16"]
)
VALUES = st.recursive(
    NUMBERS | DTYPES | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.lists(inner, max_size=4).map(tuple) | st.tuples(st.text(), inner),
    max_leaves=8,
)


@st.composite
def headers(draw):
    """Texts that look like the header of an array: right, with strange values, or with damaged syntax."""
    strange = draw(st.sampled_from(("", "descr", "fortran_order", "shape", "all")))
    shape = draw(st.sampled_from([(5, 4, 4), (5,), (80,)]) | st.lists(NUMBERS, max_size=5).map(tuple))
    header = {"descr": draw(DTYPES), "fortran_order": draw(st.booleans()), "shape": shape}
    if strange == "all":
        header = draw(VALUES)
    elif strange:
        header[strange] = draw(VALUES)
    text = bounded_repr(header)
    return text if draw(st.booleans()) else draw(damaged(text.encode("utf-8", "replace"))).decode("latin1")


def bounded_repr(value):
    """`repr`, also for the numbers that are too long for it; nothing else than a plain value is written."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) > 2**70:
        return "1" + "0" * 5000
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {bounded_repr(item)}' for key, item in value.items())}}}"
    if isinstance(value, list | tuple):
        inner = ", ".join(map(bounded_repr, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner},)" if value else "()"
    return repr(value)


@examples(50)
@given(headers(), st.sampled_from(sorted(ARRAYS)), st.sampled_from([1, 2, 3]))
def test_npz_headers(folder, header, name, version):
    text = header.encode("utf-8", "replace")
    length = struct.pack("<H" if version == 1 else "<I", len(text))
    array = b"\x93NUMPY" + bytes((version, 0)) + length + text + bytes(80)
    path = folder / "headers.npz"
    path.write_bytes(zipped(ARRAYS | {name: array}))
    check_blocks(refused_or_read(lambda: list(npz.blocks(path))))


def test_bounded_repr_writes_python():
    value = {"a": [1, (2,), ()], "b": None}
    assert ast.literal_eval(bounded_repr(value)) == value


# --- archives -----------------------------------------------------------------------------------------------------


ZIPS = [zipped({f"a/{row}.jpg": PICTURES[1] for row in range(3)}, method) for method in METHODS]


@examples(30)
@given(st.sampled_from(ZIPS).flatmap(damaged))
def test_zip_archives_of_pictures(folder, content):
    path = folder / "pictures.zip"
    path.write_bytes(content)
    for read in (refused_or_read(lambda: archive.pictures(path, ".jpg")) or {}).values():
        member = refused_or_read(read)
        assert member is None or isinstance(member, bytes)


LSUN = [zipped({"bedroom_val_lmdb/data.mdb": bytes(pixels(400))}, method) for method in METHODS]


@examples(15)
@given(st.sampled_from(LSUN).flatmap(damaged))
def test_zip_archives_of_lsun(folder, content):
    path = folder / "lsun.zip"
    path.write_bytes(content)
    refused_or_read(lambda: lsun_archive._unpack(path, folder / "unpacked" / "data.mdb"))
    assert not [name for name in os.listdir(folder) if ".." in name]


# --- LMDB ---------------------------------------------------------------------------------------------------------


RECORDS = {b"%040d" % row: PICTURES[1] * (1 + 7 * (row % 3)) for row in range(30)}  # some have pages of their own
PAGE = 4096


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    """The folder of a database of 30 pictures, and the bytes of its file."""
    folder = tmp_path_factory.mktemp("bedroom_val_lmdb")
    with lmdb.open(str(folder), map_size=1 << 20) as environment, environment.begin(write=True) as transaction:
        for key, value in RECORDS.items():
            transaction.put(key, value)
    return folder, (folder / "data.mdb").read_bytes()


@st.composite
def damaged_pages(draw, content):
    """A database with up to four changed bytes, most of them in the headers of pages, and sometimes cut off."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at = PAGE * draw(st.integers(0, len(data) // PAGE - 1))
        at += draw(st.integers(0, 39) | st.integers(0, 39) | st.integers(0, PAGE - 1))
        data[at] = draw(st.sampled_from([0, 1, 128, 255]) | st.integers(0, 255))
    if draw(st.integers(0, 4)) == 0:
        del data[draw(st.integers(0, len(data) - 1)) :]
    return bytes(data)


@examples(40)
@given(st.data())
def test_lmdb(database, data):
    """liblmdb crashes for some of these. It has no checksums, so that changed values pass."""
    folder, content = database
    (folder / "data.mdb").write_bytes(data.draw(damaged_pages(content)))

    def read():
        with lmdb_file.opened(folder) as (count, records):
            return count, list(records)

    count, records = refused_or_read(read) or (0, [])
    assert count == len(records)
    assert [key for key, _ in records] == sorted({key for key, _ in records})


def test_a_database_that_ends_the_process_that_reads_it(database):
    """A tree of pages without branches, which liblmdb answers by ending its process."""
    folder, content = database
    data = bytearray(content)
    for at in range(2 * PAGE, len(data), PAGE):
        if data[at + 10 : at + 12] == b"\x01\0":  # a page of branches: it ends after its header of 16 bytes
            data[at + 12 : at + 14] = b"\x10\0"
    (folder / "data.mdb").write_bytes(data)
    message = "data.mdb cannot be read as an LMDB: it is damaged; download it again"
    with pytest.raises(UserError, match=message), lmdb_file.opened(folder) as (_, records):
        list(records)


def test_a_database_that_declares_more_records_than_it_can_hold(database):
    folder, content = database
    data = bytearray(content)
    for page in (0, PAGE):  # both descriptions of the tree of records, of which the newer one counts
        assert int.from_bytes(data[page + 120 : page + 128], "little") in (0, len(RECORDS))
        data[page + 120 : page + 128] = b"\xff" * 8
    (folder / "data.mdb").write_bytes(data)
    settings = BuildSettings(category="bedroom")
    with pytest.raises(UserError, match="cannot be read as an LMDB: it is damaged"):
        list(lsun.collection(settings, (8, 8), {"val": folder}).blocks())


def tar(format_):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=format_) as file:
        for row, name in enumerate(cifar10.SPLITS):
            content = bytes([row]) + bytes(3072)
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{'long/' * 30 * (row % 2)}{name}")
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return stream.getvalue()


COMPRESS = [bytes, gzip.compress, bz2.compress, lzma.compress]
TARS = [tar(format_) for format_ in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)]


def checksummed(data):
    """A tar archive whose first header has a valid checksum again."""
    if len(data) < 512:
        return data
    header = data[:148] + b" " * 8 + data[156:512]
    return data[:148] + b"%06o\0 " % sum(header) + data[156:]


@examples(30)
@given(st.sampled_from(TARS), st.sampled_from(COMPRESS), st.booleans(), st.data())
def test_tar_archives(folder, archive_bytes, compress, inside, data):
    """Faults in the archive before it is compressed, or in the compressed bytes."""
    if inside:
        content = compress(checksummed(data.draw(damaged(archive_bytes))))
    else:
        content = data.draw(damaged(compress(archive_bytes)))
    path = folder / "cifar-10-binary.tar.gz"
    path.write_bytes(content)
    check_blocks(refused_or_read(lambda: list(cifar10.blocks({path.name: path}))))


# --- IDX, MATLAB and lists ----------------------------------------------------------------------------------------


IMAGES = pixels(6, 4, 3)
IDX = bytes((0, 0, 8, 3)) + struct.pack(">3I", *IMAGES.shape) + IMAGES.tobytes()


@examples(30)
@given(st.sampled_from(COMPRESS), st.booleans(), st.data())
def test_idx(folder, compress, inside, data):
    content = compress(data.draw(damaged(IDX))) if inside else data.draw(damaged(compress(IDX)))
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(content)
    images = refused_or_read(lambda: idx.read(path, 3))
    assert images is None or (images.dtype == np.uint8 and images.ndim == 3)


def mat(**options):
    stream = io.BytesIO()
    savemat(stream, {"X": pixels(32, 32, 3, 2), "y": np.array([[1], [10]], np.uint8)}, **options)
    return stream.getvalue()


MATS = [mat(do_compression=True), mat()]


@examples(30)
@given(st.sampled_from(MATS).flatmap(damaged))
def test_mat(folder, content):
    path = folder / "train_32x32.mat"
    path.write_bytes(content)
    read = refused_or_read(lambda: svhn.read(path))
    if read is not None:
        assert read[0].dtype == np.uint8
        assert read[0].shape == (32, 32, 3, len(read[1]))


ATTRIBUTES = b"2\nSmiling Young\n1.jpg 1 -1\n2.jpg -1 1\n"


@examples(15)
@given(damaged(ATTRIBUTES), damaged(b"1.jpg 0\n2.jpg 2\n"))
def test_celeba_lists(folder, attributes, partition):
    path = folder / "list.txt"
    path.write_bytes(attributes)
    names, rows = refused_or_read(lambda: celeba.read_attributes(path)) or ([], {})
    assert all(row.shape == (len(names),) for row in rows.values())
    path.write_bytes(partition)
    refused_or_read(lambda: celeba.read_partition(path))
