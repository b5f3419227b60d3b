import base64
import contextlib
import io
import json
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from broker.contract.messages import ErrorCode, TaskError
from fog_tasks.loading import load
from tests.examples.photograph import GROUND, SKY, SUN, photograph
from tests.support.mosquitto_clients import request
from tests.support.phone import value
from tests.support.programs import fog_node

THUMBNAIL = load([str(Path(__file__).parents[2] / "examples/tasks/camera.py")])["thumbnail"]
PHOTOGRAPH = photograph()


def preview_of(photo: bytes) -> tuple[Image.Image, int, int]:
    THUMBNAIL.check(photo)
    value = json.loads(THUMBNAIL.run(*THUMBNAIL.read(photo)))
    preview = Image.open(io.BytesIO(base64.b64decode(value["jpeg"])))
    preview.load()
    return preview, value["width"], value["height"]


def near(pixel: object, colour: tuple[int, int, int]) -> bool:
    assert isinstance(pixel, tuple)
    return all(abs(one - other) < 25 for one, other in zip(pixel, colour, strict=True))


def test_a_photograph_becomes_a_small_jpeg_of_the_same_scene() -> None:
    preview, width, height = preview_of(PHOTOGRAPH)
    assert preview.format == "JPEG"
    assert preview.size == (width, height) == (160, 120)
    assert near(preview.getpixel((80, 5)), SKY)
    assert near(preview.getpixel((80, 115)), GROUND)
    assert near(preview.getpixel((30, 25)), SUN)


def test_a_camera_held_upright_gives_an_upright_preview() -> None:
    preview, width, height = preview_of(photograph(held=6))
    assert preview.size == (width, height) == (120, 160)
    assert near(preview.getpixel((5, 80)), GROUND)


def test_a_small_picture_is_not_blown_up() -> None:
    assert preview_of(photograph(64, 48))[1:] == (64, 48)


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_grey_and_printers_colours_are_taken(mode: str) -> None:
    written = io.BytesIO()
    Image.new(mode, (300, 200)).save(written, "JPEG")
    assert preview_of(written.getvalue())[1:] == (160, 107)


def test_a_photograph_cut_off_on_its_way_is_a_clear_failure() -> None:
    with pytest.raises(ValueError, match="the photograph cannot be read: image file is truncated"):
        THUMBNAIL.run((PHOTOGRAPH[: len(PHOTOGRAPH) // 2],), {})


def png() -> bytes:
    written = io.BytesIO()
    Image.new("RGB", (4, 4)).save(written, "PNG")
    return written.getvalue()


@pytest.mark.parametrize("payload", [b"", b'{"photo": "x"}', PHOTOGRAPH[:2], png()])
def test_what_is_no_jpeg_is_a_clear_failure(payload: bytes) -> None:
    THUMBNAIL.check(payload)
    with pytest.raises(ValueError, match=f"^these {len(payload)} bytes are not a JPEG photograph$"):
        THUMBNAIL.run((payload,), {})


def claiming(width: int, height: int) -> bytes:
    """A small file whose header claims a size; progressive, the kind that is decoded as a whole."""
    written = io.BytesIO()
    Image.new("RGB", (64, 64)).save(written, "JPEG", progressive=True)
    photo = bytearray(written.getvalue())
    start_of_frame = photo.index(b"\xff\xc2")
    struct.pack_into(">HH", photo, start_of_frame + 5, height, width)
    return bytes(photo)


@pytest.mark.parametrize(
    ("width", "height", "sentence"),
    [
        (8_000, 7_000, "the photograph has 8000 x 7000 pixels, which is too many"),
        (65_000, 65_000, "the photograph cannot be read: Image size .* exceeds limit"),
    ],
)
def test_a_small_file_that_claims_to_be_huge_is_refused_undecoded(
    width: int, height: int, sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        THUMBNAIL.run((claiming(width, height),), {})


def test_the_narrowest_photograph_keeps_a_pixel() -> None:
    assert preview_of(photograph(1, 2_000))[1:] == (1, 160)


def test_damaged_notes_of_the_camera_are_a_clear_failure() -> None:
    """One wrong byte turns its make into a width, which is no text."""
    photo = photograph(64, 48, held=6).replace(b"\x01\x0f\x00\x02", b"\x01\x00\x00\x02", 1)
    with pytest.raises(ValueError, match="the photograph cannot be read: required argument"):
        THUMBNAIL.run((photo,), {})


SMALL = photograph(64, 48)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns of damaged EXIF and reads on
@given(
    st.lists(st.tuples(st.integers(0, len(SMALL) - 1), st.integers(0, 255)), max_size=30),
    st.integers(0, len(SMALL)),
)
def test_a_damaged_photograph_gives_a_preview_or_a_sentence(
    damage: list[tuple[int, int]], length: int
) -> None:
    photo = bytearray(SMALL)
    for position, byte in damage:
        photo[position] = byte
    with contextlib.suppress(ValueError):
        THUMBNAIL.run((bytes(photo[:length]),), {})


def test_a_camera_publishes_to_a_node_and_gets_its_preview(tmp_path: Path) -> None:
    with fog_node(tmp_path, "--tasks", "examples/tasks/camera.py", workers="medium=1") as node:
        outcome = request(node.port, "fog/tasks/auto/thumbnail/door-cam/1", PHOTOGRAPH)
        thumbnail: Any = value(outcome)
        with Image.open(io.BytesIO(base64.b64decode(thumbnail["jpeg"]))) as preview:
            assert preview.size == (thumbnail["width"], thumbnail["height"]) == (160, 120)
            assert near(preview.getpixel((80, 5)), SKY)
        cut_off = request(node.port, "fog/tasks/auto/thumbnail/door-cam/2", PHOTOGRAPH[:20_000])
    assert isinstance(cut_off.error, TaskError)
    assert cut_off.error.code is ErrorCode.FAILED
    assert cut_off.error.message.startswith(
        "ValueError: the photograph cannot be read: image file is truncated"
    )
