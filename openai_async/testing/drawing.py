"""Draws a picture for a prompt: a sky, a sun and hills, in colours made from its hash."""

import base64
import colorsys
import hashlib
import html
import io
import math
import random
from typing import TYPE_CHECKING

import attrs

from .pillow import load_pillow

if TYPE_CHECKING:
    from PIL import Image

# The scene is drawn at half size and scaled up: a quarter of the work, and soft edges for free.
_SCALE = 2
_HILLS = 4
_CLOUDS = 5
_STEPS = 48
# Little compression: PNG encoding is most of the cost.
_PNG_LEVEL = 2
# How much of an edited picture remains visible.
_BASE_SHARE = 0.7


@attrs.frozen
class Drawing:
    """What to draw and in which file format."""

    prompt: str
    index: int
    width: int
    height: int
    format: str = "png"
    compression: int = 100
    transparent: bool = False
    frames: int = 1
    frame_duration_ms: int = 200
    base: "Image.Image | None" = None
    """The picture to change, in RGBA."""
    mask: "Image.Image | None" = None
    """The base is changed only where this is transparent."""


def draw(drawing: Drawing) -> bytes:
    """The picture as a file; the same drawing gives the same bytes."""
    if drawing.format == "svg":
        return _as_svg(drawing)
    if drawing.format == "gif":
        return _as_gif(drawing)
    return _encoded(_scene(drawing), drawing)


def draw_with_previews(drawing: Drawing, previews: int) -> list[bytes]:
    """Blurred versions of the picture, each sharper than the last, then the picture itself."""
    load_pillow()
    from PIL import Image

    scene = _scene(drawing)
    files = []
    for number in range(previews):
        factor = 16 * 2 ** (previews - number)
        size = (max(1, drawing.width // factor), max(1, drawing.height // factor))
        rough = scene.resize(size).resize(scene.size, Image.Resampling.BICUBIC)
        files.append(_encoded(rough, drawing))
    files.append(_encoded(scene, drawing))
    return files


def _scene(drawing: Drawing) -> "Image.Image":
    load_pillow()
    from PIL import Image

    seed = hashlib.sha256(f"{drawing.index}:{drawing.prompt}".encode()).digest()
    rng = random.Random(seed)
    hue = rng.random()
    size = (max(1, drawing.width // _SCALE), max(1, drawing.height // _SCALE))
    sky = _sky(size, hue)
    if drawing.transparent:
        sky.putalpha(0)
    _sun(sky, hue, rng)
    for number in range(_CLOUDS):
        _cloud(sky, rng, number)
    for number in range(_HILLS):
        _hill(sky, hue, rng, number)
    scene = sky.resize((drawing.width, drawing.height), Image.Resampling.BICUBIC)
    return scene if drawing.base is None else _changed(drawing.base, scene, drawing.mask)


def _changed(
    base: "Image.Image", scene: "Image.Image", mask: "Image.Image | None"
) -> "Image.Image":
    """The base with the scene where the mask is transparent, or faintly all over it."""
    from PIL import Image

    base = base.resize(scene.size)
    if mask is None:
        return Image.blend(scene, base, _BASE_SHARE)
    return Image.composite(base, scene, mask.getchannel("A").resize(scene.size))


def _sky(size: tuple[int, int], hue: float) -> "Image.Image":
    """Dark at the top, pale at the horizon."""
    from PIL import Image, ImageOps

    gradient = Image.linear_gradient("L").resize(size)
    top, horizon = _rgb(hue, 0.55, 0.80), _rgb(hue + 0.11, 0.22, 0.99)
    return ImageOps.colorize(gradient, black=top, white=horizon).convert("RGBA")


def _sun(sky: "Image.Image", hue: float, rng: random.Random) -> None:
    """A disc with a glow around it."""
    from PIL import Image, ImageDraw

    width, height = sky.size
    radius = min(width, height) * rng.uniform(0.07, 0.13)
    x, y = width * rng.uniform(0.2, 0.8), height * rng.uniform(0.15, 0.4)
    colour = _rgb(hue + 0.16, 0.25, 1.0)
    glow_size = round(radius * 6)
    # Pillow's radial gradient is 0 in the middle and 255 at the rim.
    glow = Image.radial_gradient("L").resize((glow_size, glow_size))
    mask = glow.point([max(0, 170 - 2 * level) for level in range(256)])
    corner = (round(x - glow_size / 2), round(y - glow_size / 2))
    sky.paste((*colour, 255), (*corner, corner[0] + glow_size, corner[1] + glow_size), mask)
    box = (x - radius, y - radius, x + radius, y + radius)
    ImageDraw.Draw(sky).ellipse(box, fill=(*colour, 255))


def _cloud(sky: "Image.Image", rng: random.Random, number: int) -> None:
    """A faint soft ellipse; each is a little smaller than the one before."""
    from PIL import Image

    width, height = sky.size
    breadth = round(width * rng.uniform(0.25, 0.5) * (1 - number * 0.1)) + 1
    depth = round(breadth * rng.uniform(0.12, 0.22)) + 1
    x = round(width * rng.uniform(-0.1, 0.9))
    y = round(height * rng.uniform(0.05, 0.5))
    puff = Image.radial_gradient("L").resize((breadth, depth))
    mask = puff.point([max(0, 120 - level) for level in range(256)])
    sky.paste((255, 255, 255, 255), (x, y, x + breadth, y + depth), mask)


def _hill(sky: "Image.Image", hue: float, rng: random.Random, number: int) -> None:
    """A wavy line filled down to the bottom; the nearer, the darker and the lower."""
    from PIL import ImageDraw

    width, height = sky.size
    base = height * (0.55 + 0.12 * number)
    waves = [
        (rng.uniform(0.5, 1.6) * (wave + 1), rng.uniform(0, math.tau), 0.07 / (wave + 1))
        for wave in range(3)
    ]
    points: list[tuple[float, float]] = []
    for step in range(_STEPS + 1):
        along = step / _STEPS
        lift = sum(
            size * math.sin(frequency * math.tau * along + phase)
            for frequency, phase, size in waves
        )
        points.append((along * width, base - lift * height))
    points += [(width, height), (0, height)]
    colour = _rgb(hue + 0.42 + 0.03 * number, 0.34 + 0.09 * number, 0.74 - 0.14 * number)
    ImageDraw.Draw(sky).polygon(points, fill=(*colour, 255))


def _rgb(hue: float, saturation: float, value: float) -> tuple[int, int, int]:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1.0, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def _as_gif(drawing: Drawing) -> bytes:
    """The scene, turning into another one frame by frame."""
    load_pillow()
    from PIL import Image

    first, last = (
        _scene(attrs.evolve(drawing, prompt=drawing.prompt + end)).convert("RGB")
        for end in ("", " later")
    )
    frames = [
        Image.blend(first, last, number / (drawing.frames - 1)).quantize(64)
        for number in range(drawing.frames)
    ]
    file = io.BytesIO()
    frames[0].save(
        file,
        "GIF",
        save_all=True,
        append_images=frames[1:],
        duration=drawing.frame_duration_ms,
        loop=0,
    )
    return file.getvalue()


def _as_svg(drawing: Drawing) -> bytes:
    """The scene in an SVG, with the prompt as its title."""
    scene = draw(attrs.evolve(drawing, format="png"))
    title = html.escape("".join(filter(str.isprintable, drawing.prompt)))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{drawing.width}" '
        f'height="{drawing.height}"><title>{title}</title>'
        f'<image width="100%" height="100%" '
        f'href="data:image/png;base64,{base64.b64encode(scene).decode()}"/></svg>'
    ).encode()


def _encoded(scene: "Image.Image", drawing: Drawing) -> bytes:
    if not drawing.transparent:
        scene = scene.convert("RGB")
    file = io.BytesIO()
    if drawing.format == "png":
        scene.save(file, "PNG", compress_level=_PNG_LEVEL)
    else:
        scene.save(file, drawing.format.upper(), quality=max(1, drawing.compression))
    return file.getvalue()
