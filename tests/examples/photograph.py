"""A generated scene, in place of a photograph that somebody would have to license."""

import io
import random

from PIL import Image, ImageDraw, ImageFilter

MAKE, ORIENTATION = 0x010F, 0x0112
SKY, GROUND, SUN, ROOF = (120, 170, 230), (70, 110, 60), (255, 240, 180), (150, 60, 40)


def photograph(width: int = 1280, height: int = 960, *, held: int = 1) -> bytes:
    """A JPEG as cameras write it: noise, 4:2:0 colours, and notes of their make and how they were held."""
    dice = random.Random(7)
    scene = Image.new("RGB", (width, height), SKY)
    draw = ImageDraw.Draw(scene)
    draw.rectangle((0, height * 2 // 3, width, height), GROUND)
    draw.ellipse((width // 8, height // 8, width // 4, height // 8 + width // 8), SUN)
    draw.polygon([(width // 2, height // 2), (width * 3 // 4, height // 3), (width, height // 2)], ROOF)
    for _ in range(2_000):
        draw.point((dice.randrange(width), dice.randrange(height)), (dice.randrange(256),) * 3)
    exif = Image.Exif()
    exif[MAKE], exif[ORIENTATION] = "Nobody", held
    written = io.BytesIO()
    scene.filter(ImageFilter.GaussianBlur(0.7)).save(
        written, "JPEG", quality=88, subsampling="4:2:0", exif=exif
    )
    return written.getvalue()
