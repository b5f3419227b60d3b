import base64
import contextlib
import io
import json
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from tasks import load

THUMBNAIL = load([str(Path(__file__).parents[2] / "examples/tasks/camera.py")])["thumbnail"]
SKY, GROUND, SUN, ROOF = (120, 170, 230), (70, 110, 60), (255, 240, 180), (150, 60, 40)


def photograph(width: int = 1280, height: int = 960, *, held: int = 1) -> bytes:
    """A generated scene, not a photograph, written as cameras do: noise, 4:2:0 JPEG, and how it was held."""
    dice = random.Random(7)
    scene = Image.new("RGB", (width, height), SKY)
    draw = ImageDraw.Draw(scene)
    draw.rectangle((0, height * 2 // 3, width, height), GROUND)
    draw.ellipse((width // 8, height // 8, width // 4, height // 8 + width // 8), SUN)
    draw.polygon([(width // 2, height // 2), (width * 3 // 4, height // 3), (width, height // 2)], ROOF)
    for _ in range(2_000):
        draw.point((dice.randrange(width), dice.randrange(height)), (dice.randrange(256),) * 3)
    exif = Image.Exif()
    exif[0x0112] = held
    written = io.BytesIO()
    scene.filter(ImageFilter.GaussianBlur(0.7)).save(
        written, "JPEG", quality=88, subsampling="4:2:0", exif=exif
    )
    return written.getvalue()


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


SMALL = photograph(64, 48)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns of damaged EXIF and reads on
@settings(deadline=None)
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
