"""What `bench variants` does to pictures: each manipulation, and how it is told in a table.

The demo's own few are in node.demo_pictures.manipulations, which the figures of docs/adr/0004 rest
on; these take pictures instead of files, and all of them end as a JPEG.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps

_TEXT: Final = "WHEN YOU SEE IT: share with everybody"
_QUALITY: Final = 75

Change = Callable[[Image.Image], Image.Image]


@dataclass(frozen=True)
class Manipulation:
    """One thing that happens to a picture between flagging and upload.

    Attributes:
        name: stable over versions; part of a figure's name.
        told: in words, for a table.
        change: from the flagged picture to the uploaded one.
        quality: of the JPEG that is uploaded.
        is_of_flagged: the other way round: what was flagged is the changed picture.
        is_double: two changes at once, which `combined` is for.
    """

    name: str
    told: str
    change: Change
    quality: int = _QUALITY
    is_of_flagged: bool = False
    is_double: bool = False


def jpeg(image: Image.Image, quality: int = _QUALITY) -> bytes:
    """The picture as a JPEG file."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def _same(image: Image.Image) -> Image.Image:
    return image


def _scaled(scale: float) -> Change:
    def change(image: Image.Image) -> Image.Image:
        size = max(16, round(image.width * scale)), max(16, round(image.height * scale))
        return image.resize(size, Image.Resampling.LANCZOS)

    return change


def _turned(degrees: int, *, mirrored: bool = False) -> Change:
    def change(image: Image.Image) -> Image.Image:
        first = ImageOps.mirror(image) if mirrored else image
        return first.rotate(-degrees, expand=True)

    return change


def _after(first: Change, then: Change) -> Change:
    def change(image: Image.Image) -> Image.Image:
        return then(first(image))

    return change


def _framed(across: float, down: float, colour: str) -> Change:
    """Bars of so much of the width and height at either side; negative: of the shorter side."""

    def change(image: Image.Image) -> Image.Image:
        shorter = min(image.size)
        bars = (
            round(-across * shorter if across < 0 else across * image.width),
            round(-down * shorter if down < 0 else down * image.height),
        )
        return ImageOps.expand(image, bars, colour)

    return change


def _in_a_story(image: Image.Image) -> Image.Image:
    """As an upright story shows it: 9 to 16, dark grey above and below."""
    height = max(image.height, image.width * 16 // 9)
    whole = Image.new("RGB", (image.width, height), (40, 44, 52))
    whole.paste(image, (0, (height - image.height) // 2))
    return whole


def _write(image: Image.Image, top: int, height: int, ink: str) -> None:
    font = ImageFont.load_default(max(8, round(height * 0.5)))
    at = (image.width * 0.04, top + height * 0.15)
    ImageDraw.Draw(image).text(at, _TEXT, fill=ink, font=font)


def _banner(share: float, paper: str, ink: str, *, at_top: bool) -> Change:
    """A banner of so much of the height, added outside the picture."""

    def change(image: Image.Image) -> Image.Image:
        height = round(image.height * share)
        whole = Image.new("RGB", (image.width, image.height + height), paper)
        whole.paste(image, (0, height if at_top else 0))
        _write(whole, 0 if at_top else image.height, height, ink)
        return whole

    return change


def _overlaid(share: float, paper: str, ink: str, *, at_top: bool) -> Change:
    """A banner over so much of the height of the picture."""

    def change(image: Image.Image) -> Image.Image:
        height = round(image.height * share)
        top = 0 if at_top else image.height - height
        whole = image.copy()
        ImageDraw.Draw(whole).rectangle((0, top, image.width, top + height), fill=paper)
        _write(whole, top, height, ink)
        return whole

    return change


def _cut(left: float = 0, top: float = 0, right: float = 0, bottom: float = 0) -> Change:
    """Without such shares of the sides."""

    def change(image: Image.Image) -> Image.Image:
        width, height = image.size
        return image.crop(
            (
                round(width * left),
                round(height * top),
                width - round(width * right),
                height - round(height * bottom),
            )
        )

    return change


def _cut_around(share: float) -> Change:
    return _cut(share, share, share, share)


def _watermarked(image: Image.Image) -> Image.Image:
    layer = Image.new("RGBA", image.size, (0, 0, 0, 0))
    draw = ImageDraw.Draw(layer)
    font = ImageFont.load_default(max(8, round(image.height * 0.06)))
    for line in range(4):
        at = (image.width * 0.05 * line, image.height * (0.1 + 0.22 * line))
        draw.text(at, "© example.com  " * 3, fill=(255, 255, 255, 110), font=font)
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def _brighter(image: Image.Image) -> Image.Image:
    return ImageEnhance.Brightness(image).enhance(1.3)


def _starker(image: Image.Image) -> Image.Image:
    return ImageEnhance.Contrast(image).enhance(1.5)


def _blurred(image: Image.Image) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(max(image.size) / 200))


def _grey(image: Image.Image) -> Image.Image:
    return image.convert("L").convert("RGB")


MANIPULATIONS: Final = (
    Manipulation("jpeg-30", "JPEG quality 30", _same, 30),
    Manipulation("jpeg-10", "JPEG quality 10", _same, 10),
    Manipulation("half", "half the size", _scaled(0.5)),
    Manipulation("quarter", "a quarter of the size", _scaled(0.25)),
    Manipulation("brighter", "30 % brighter", _brighter),
    Manipulation("starker", "50 % more contrast", _starker),
    Manipulation("grey", "without colours", _grey),
    Manipulation("blurred", "blurred", _blurred),
    Manipulation("watermark", "watermark of four lines", _watermarked),
    Manipulation("mirrored", "mirrored", ImageOps.mirror),
    Manipulation("turned-90", "turned by 90°", _turned(90)),
    Manipulation("turned-180", "turned by 180°", _turned(180)),
    Manipulation("turned-270", "turned by 270°", _turned(270)),
    Manipulation("mirrored-turned", "mirrored and turned by 90°", _turned(90, mirrored=True)),
    Manipulation("border-white-5", "white border of 5 %", _framed(-0.05, -0.05, "white")),
    Manipulation("border-black-10", "black border of 10 %, q 40", _framed(-0.1, -0.1, "black"), 40),
    Manipulation("border-red-8", "red border of 8 %, q 40", _framed(-0.08, -0.08, "#be1e3c"), 40),
    Manipulation("letterbox", "letterbox of 17 %", _framed(0, 0.17, "black")),
    Manipulation("pillarbox", "pillarbox of 30 %", _framed(0.3, 0, "black")),
    Manipulation("story", "in an upright story, 9 : 16", _in_a_story),
    Manipulation(
        "banner-top-12", "banner of 12 % added on top", _banner(0.12, "white", "black", at_top=True)
    ),
    Manipulation(
        "banner-bottom-12", "banner of 12 % added below",
        _banner(0.12, "white", "black", at_top=False),
    ),
    Manipulation(
        "banner-bottom-20", "banner of 20 % added below",
        _banner(0.2, "black", "white", at_top=False),
    ),
    Manipulation(
        "overlaid-top-6", "banner over the upper 6 %",
        _overlaid(0.06, "white", "black", at_top=True),
    ),
    Manipulation(
        "overlaid-bottom-10", "banner over the lower 10 %",
        _overlaid(0.1, "black", "white", at_top=False),
    ),
    Manipulation(
        "overlaid-bottom-20", "banner over the lower 20 %",
        _overlaid(0.2, "black", "white", at_top=False),
    ),
    Manipulation("crop-2", "2 % cut off all around", _cut_around(0.02)),
    Manipulation("crop-5", "5 % cut off all around", _cut_around(0.05)),
    Manipulation("crop-10", "10 % cut off all around", _cut_around(0.1)),
    Manipulation("crop-20", "20 % cut off all around", _cut_around(0.2)),
    Manipulation("crop-right-5", "5 % cut off on the right", _cut(right=0.05)),
    Manipulation("crop-bottom-10", "10 % cut off below", _cut(bottom=0.1)),
    Manipulation("flagged-crop-5", "flagged: 5 % cut off all around; uploaded whole",
                 _cut_around(0.05), is_of_flagged=True),
    Manipulation("flagged-crop-10", "flagged: 10 % cut off all around; uploaded whole",
                 _cut_around(0.1), is_of_flagged=True),
    Manipulation("mirrored-border-white-5", "mirrored, then a white border of 5 %",
                 _after(ImageOps.mirror, _framed(-0.05, -0.05, "white")), is_double=True),
    Manipulation("mirrored-border-black-10", "mirrored, then a black border of 10 %, q 40",
                 _after(ImageOps.mirror, _framed(-0.1, -0.1, "black")), 40, is_double=True),
    Manipulation("mirrored-story", "mirrored, then in an upright story",
                 _after(ImageOps.mirror, _in_a_story), is_double=True),
    Manipulation("turned-border-black-10", "turned by 90°, then a black border of 10 %",
                 _after(_turned(90), _framed(-0.1, -0.1, "black")), is_double=True),
    Manipulation("turned-banner-12", "turned by 90°, then a banner of 12 % added below",
                 _after(_turned(90), _banner(0.12, "white", "black", at_top=False)),
                 is_double=True),
    Manipulation("mirrored-banner-12", "mirrored, then a banner of 12 % added on top",
                 _after(ImageOps.mirror, _banner(0.12, "white", "black", at_top=True)),
                 is_double=True),
    Manipulation("mirrored-overlaid-10", "mirrored, then a banner over the lower 10 %",
                 _after(ImageOps.mirror, _overlaid(0.1, "black", "white", at_top=False)),
                 is_double=True),
    Manipulation("mirrored-crop-2", "mirrored, then 2 % cut off all around",
                 _after(ImageOps.mirror, _cut_around(0.02)), is_double=True),
    Manipulation("mirrored-crop-5", "mirrored, then 5 % cut off all around",
                 _after(ImageOps.mirror, _cut_around(0.05)), is_double=True),
    Manipulation("banner-turned", "a banner of 12 % added below, then turned by 90°",
                 _after(_banner(0.12, "white", "black", at_top=False), _turned(90)),
                 is_double=True),
    Manipulation("border-banner", "a black border of 5 %, then a banner of 12 % added below",
                 _after(_framed(-0.05, -0.05, "black"),
                        _banner(0.12, "white", "black", at_top=False)), is_double=True),
)  # fmt: skip
"""All of them, in the order of the table."""
