"""A camera publishes a photograph as it is; a preview comes back.

fog-node --tasks examples/tasks/camera.py
mosquitto_pub -t fog/tasks/medium/thumbnail/door-cam/1 -f photo.jpg
"""

import io
import struct
from dataclasses import dataclass

from PIL import Image, ImageOps, UnidentifiedImageError

from weighbridge import task

LONGEST_SIDE = 160
MOST_PIXELS = 50_000_000
"""A few kilobytes can claim any size, and a progressive JPEG takes some 3 bytes of memory for each pixel."""

UNREADABLE = (OSError, SyntaxError, struct.error, Image.DecompressionBombError)
"""What Pillow raises where a file is cut off, damaged, or far too large."""


@dataclass(frozen=True)
class Thumbnail:
    """A preview; in the outcome's JSON `jpeg` is base64."""

    width: int
    height: int
    jpeg: bytes


@task(weight="medium", timeout=20)
def thumbnail(photo: bytes) -> Thumbnail:
    """Shrink a JPEG photograph to a preview of 160 pixels on its longer side."""
    try:
        with Image.open(io.BytesIO(photo), formats=["JPEG"]) as picture:
            preview = shrink(picture)
    except UnidentifiedImageError as fault:
        raise ValueError(f"these {len(photo)} bytes are not a JPEG photograph") from fault
    except UNREADABLE as fault:
        raise ValueError(f"the photograph cannot be read: {fault}") from fault
    written = io.BytesIO()
    preview.save(written, "JPEG", quality=80)
    return Thumbnail(preview.width, preview.height, written.getvalue())


def shrink(picture: Image.Image) -> Image.Image:
    """A small, upright copy in colours; only the header of `picture` has been read yet."""
    if picture.width * picture.height > MOST_PIXELS:
        raise ValueError(f"the photograph has {picture.width} x {picture.height} pixels, which is too many")
    picture.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
    # Cameras store a photograph as the sensor saw it and note how they were held.
    return ImageOps.exif_transpose(picture).convert("RGB")
