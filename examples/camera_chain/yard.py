"""A camera in three steps, of which most pictures need only the first. rules.toml makes a chain of them.

README.md says how to start the node and its cloud.
"""

import hashlib
import io
import os
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageChops

from weighbridge import task

SMALL = (160, 120)
"""Pixels to which pictures are shrunk before they are compared: noise goes, and nearly all of the work."""

DIFFERENT = 40
"""How far the brightness of a pixel, 0 to 255, has to change to count."""

Box = tuple[int, int, int, int]
"""Left, upper, right and lower edge, in pixels of the photograph."""


@dataclass(frozen=True)
class Motion:
    """The part of the picture that has moved, 0 to 1; if any has, where, and the later photograph."""

    moved: float
    box: Box | None = None
    photo: bytes = b""


@dataclass(frozen=True)
class Thing:
    """What has moved, cut out as a JPEG of its own, and its mean colour."""

    picture: bytes
    colour: str


@task(weight="light")
def motion(burst: bytes) -> Motion:
    """Compare two photographs of a moment: JPEGs one behind the other, as `ffmpeg -f mjpeg` writes them."""
    middle = burst.find(b"\xff\xd9\xff\xd8") + 2
    if middle < 2:
        raise ValueError(f"these {len(burst)} bytes are not two JPEG photographs one behind the other")
    photos = burst[:middle], burst[middle:]
    before, after = (_opened(one).convert("L").resize(SMALL) for one in photos)
    changed = ImageChops.difference(before, after).point([255 * (level > DIFFERENT) for level in range(256)])
    box = changed.getbbox()
    if box is None:
        return Motion(0.0)
    across, down = (full / small for full, small in zip(_opened(photos[1]).size, SMALL, strict=True))
    left, upper, right, lower = box
    where = (int(left * across), int(upper * down), int(right * across), int(lower * down))
    return Motion(round(changed.histogram()[255] / (SMALL[0] * SMALL[1]), 4), where, photos[1])


@task(weight="medium")
def cut_out(photo: bytes, box: Box) -> Thing:
    """Cut out what has moved. This is the place for a model of yours that says what it is."""
    found = _opened(photo).convert("RGB").crop(box)
    red, green, blue = found.resize((1, 1)).tobytes()
    written = io.BytesIO()
    found.save(written, "JPEG", quality=85)
    return Thing(written.getvalue(), f"#{red:02x}{green:02x}{blue:02x}")


@task(weight="heavy")
def archive(camera: str, picture: bytes, colour: str) -> str:
    """Keep a picture for good, under a name that is the same if it comes again; return the name."""
    folder = Path(os.environ.get("CAMERA_ARCHIVE", "archive")) / camera
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{colour[1:]}-{hashlib.sha256(picture).hexdigest()[:12]}.jpg"
    (folder / name).write_bytes(picture)
    return f"{camera}/{name}"


def _opened(photo: bytes) -> Image.Image:
    try:
        picture = Image.open(io.BytesIO(photo), formats=["JPEG"])
        picture.load()
    except OSError as fault:
        raise ValueError(f"a photograph of {len(photo)} bytes cannot be read: {fault}") from fault
    return picture
