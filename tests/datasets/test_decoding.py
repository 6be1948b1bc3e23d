"""Collections of pictures: order, skipped items, bounded memory, and unreadable pictures."""

import io

import numpy as np
import pytest
from PIL import Image

from datasets import decoding, picture
from datasets.decoding import Collection, Item
from glo.runtime.errors import UserError

RNG = np.random.default_rng(0)


def encoded(pixels, kind="PNG", **options):
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind, **options)
    return stream.getvalue()


def images_and_items(n, broken=()):
    """Random images uint8 [n, 6, 5, 3] and their items, whose sources are alternately functions and bytes."""
    images = RNG.integers(0, 256, (n, 6, 5, 3), np.uint8)
    items = []
    for row, image in enumerate(images):
        content = b"no picture" if row in broken else encoded(image)
        source = content if row % 2 else lambda content=content: content
        items.append(Item(str(row), source, row % 3, row % 2, np.array([row % 2, 1], np.int8)))
    return images, items


def collection(items, **options):
    return Collection("memory", lambda skip: items[skip:], len(items), (6, 5, 3), resize=False, **options)


def test_blocks_are_in_order_and_have_every_field(monkeypatch):
    monkeypatch.setattr(decoding, "BLOCK_IMAGES", 40)
    monkeypatch.setattr(decoding, "TASK", 3)
    images, items = images_and_items(100)
    blocks = list(collection(items).blocks())
    assert [len(block.images) for block in blocks] == [40, 40, 20]
    np.testing.assert_array_equal(np.concatenate([block.images for block in blocks]), images)
    assert [name for block in blocks for name in block.ids] == [str(row) for row in range(100)]
    np.testing.assert_array_equal(np.concatenate([block.labels for block in blocks]), np.arange(100) % 3)
    np.testing.assert_array_equal(np.concatenate([block.split for block in blocks]), np.arange(100) % 2)
    np.testing.assert_array_equal(np.concatenate([block.attributes for block in blocks])[:, 0], np.arange(100) % 2)
    assert [block.items_consumed for block in blocks] == [40, 40, 20]


@pytest.mark.parametrize("first_blocks", [1, 2])
def test_blocks_continue_after_the_items_consumed(monkeypatch, caplog, first_blocks):
    """The first blocks and the blocks after them hold all readable pictures, whichever items are unreadable."""
    monkeypatch.setattr(decoding, "BLOCK_IMAGES", 10)
    images, items = images_and_items(45, broken=(0, 3, 10, 11, 12, 30, 44))
    readable = [row for row in range(45) if row not in (0, 3, 10, 11, 12, 30, 44)]
    pictures = collection(items)
    blocks = [block for block, _ in zip(pictures.blocks(), range(first_blocks), strict=False)]
    blocks += pictures.blocks(skip=sum(block.items_consumed for block in blocks))
    np.testing.assert_array_equal(np.concatenate([block.images for block in blocks]), images[readable])
    assert [name for block in blocks for name in block.ids] == [str(row) for row in readable]
    assert "unreadable: 44: not a picture" in caplog.text
    assert list(pictures.blocks(skip=45)) == []


def test_it_is_an_error_only_if_the_whole_collection_is_unreadable(caplog):
    _, items = images_and_items(4, broken=(2, 3))
    assert list(collection(items).blocks(skip=2)) == []
    assert "2 of 2 pictures in memory are unreadable" in caplog.text
    with pytest.raises(UserError, match="none of the 2 pictures in memory can be read; 2: not a picture"):
        list(collection(items[2:]).blocks())


def test_a_picture_of_another_size_is_unreadable(caplog):
    _, items = images_and_items(3)
    items[1] = Item("odd", encoded(np.zeros((6, 9, 3), np.uint8)), 0, 0, np.zeros(2, np.int8))
    (block,) = collection(items).blocks()
    assert block.ids == ["0", "2"]
    assert "odd: 9 x 6 pixels instead of 5 x 6" in caplog.text


def test_the_number_of_items_read_ahead_is_bounded(monkeypatch):
    """Only a bounded number of items is read before the first block is complete, however many there are."""
    monkeypatch.setattr(decoding, "BLOCK_IMAGES", 10)
    content, items_read = encoded(np.zeros((6, 5, 3), np.uint8)), []

    def endless(skip):
        while True:
            items_read.append(1)
            yield Item("x", content)

    blocks = Collection("memory", endless, 10**9, (6, 5, 3)).blocks()
    next(blocks)
    blocks.close()
    assert len(items_read) <= 10 + decoding.TASK * (decoding.AHEAD + 2)


def test_queued_tasks_are_cancelled_when_the_reader_stops(monkeypatch):
    """Closing the iterator of blocks waits for running tasks only, not for those in the queue."""
    calls = []

    def read_picture():
        calls.append(1)
        return encoded(np.zeros((6, 5, 3), np.uint8))

    monkeypatch.setattr(decoding, "BLOCK_IMAGES", 1)
    monkeypatch.setattr(decoding, "TASK", 1)
    blocks = collection([Item(str(row), read_picture) for row in range(1000)]).blocks()
    next(blocks)
    blocks.close()
    assert len(calls) < 100


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
@pytest.mark.parametrize("period", [2, 2.7, 3, 5, 7.3])
def test_a_fine_grating_becomes_uniform_grey(kind, period):
    """Waves too fine for the target size do not alias into longer ones, in either direction."""
    wave = np.rint(127.5 + 127 * np.cos(2 * np.pi * np.arange(1024) / period)).astype(np.uint8)
    for pixels in (np.broadcast_to(wave, (1024, 1024)), np.broadcast_to(wave[:, None], (1024, 1024))):
        content = encoded(np.ascontiguousarray(pixels), kind, **({"quality": 98} if kind == "JPEG" else {}))
        pixels = picture.decode(content, (64, 64), 1)[5:-5, 5:-5].astype(float)
        np.testing.assert_allclose(pixels, 127.5, atol=3)


@pytest.mark.parametrize(("size", "crop"), [((16, 16), 32), ((8, 16), 32), ((10, 10), 500), ((40, 40), 40)])
def test_crop_is_the_central_square(size, crop):
    """Compared with cropping the square first, and then resizing its largest part with the target aspect ratio."""
    pixels = RNG.integers(0, 256, (50, 44, 3), np.uint8)
    side_y, side_x = min(crop, 50), min(crop, 44)
    inner = pixels[(50 - side_y) // 2 :, (44 - side_x) // 2 :][:side_y, :side_x]
    scale = min(side_y / size[0], side_x / size[1])
    height, width = size[0] * scale, size[1] * scale
    top, left = (side_y - height) / 2, (side_x - width) / 2
    expected = Image.fromarray(inner).resize(
        size[::-1], Image.Resampling.LANCZOS, (left, top, left + width, top + height)
    )
    decoded = picture.decode(encoded(pixels), size, 3, crop=crop)
    # Borders differ: the resampling filter ends at the border of the cropped square, but not in the whole picture.
    np.testing.assert_allclose(decoded[2:-2, 2:-2].astype(int), np.asarray(expected, int)[2:-2, 2:-2], atol=1)


def test_crop_of_a_jpeg_that_is_decoded_at_a_reduced_size():
    """A large centred disc fills the crop, even if the decoder reduces the size of the picture."""
    y, x = np.mgrid[:600, :800]
    disc = np.where((y - 300) ** 2 + (x - 400) ** 2 < 215**2, 255, 0).astype(np.uint8)
    content = encoded(disc, "JPEG", quality=95)
    assert picture.decode(content, (8, 8), 1, crop=300).min() > 240
    assert picture.decode(content, (8, 8), 1, crop=600)[0, 0].max() < 30


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (encoded(np.zeros((1, 1), np.uint8)), "1 x 1 pixels; at least 2"),
        (encoded(np.zeros((1, 30), np.uint8)), "30 x 1 pixels"),
        (b"", "empty file"),
        (bytes(picture.MAX_BYTES + 1), "at most 268,435,456 are read"),
    ],
)
def test_pictures_outside_the_limits(content, words):
    with pytest.raises(picture.PictureError, match=words):
        picture.decode(content, (4, 4), 3)
