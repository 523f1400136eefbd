"""Boxes and ages, drawn on the photo."""

from __future__ import annotations

import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from ageboost.photos import load_photo

__all__ = ["draw_ages"]

# Black on white inside, white on black outside: seen on any photo, and in a black and white print.
_LIGHT, _DARK = (255, 255, 255), (0, 0, 0)


def draw_ages(photo: object, table: pd.DataFrame) -> Image.Image:
    """Draw the box of each face, its age and the range around it.

    Parameters
    ----------
    photo : path, bytes, binary file, PIL image or array
    table : DataFrame
        Rows of ``AgeEstimator.analyze`` for this photo.

    Returns
    -------
    PIL.Image.Image
        Upright, at its original size or, for large photos, at a reduced one.

    Examples
    --------
    >>> import ageboost
    >>> from ageboost.evaluation import draw_ages
    >>> from skimage.data import astronaut
    >>> table = ageboost.load_pretrained().analyze([astronaut()])
    >>> draw_ages(astronaut(), table).size
    (512, 512)
    """
    loaded = load_photo(photo)
    drawn = Image.fromarray(loaded.pixels)
    draw = ImageDraw.Draw(drawn)
    unit = max(1, round(max(drawn.size) / 400))
    font = ImageFont.load_default(size=max(11, 14 * unit))
    for row in table[table["status"] == "ok"].itertuples():
        left, top = row.left * loaded.scale, row.top * loaded.scale
        right, bottom = left + row.width * loaded.scale, top + row.height * loaded.scale
        draw.rectangle([left - unit, top - unit, right + unit, bottom + unit], None, _DARK, unit)
        draw.rectangle([left, top, right, bottom], None, _LIGHT, unit)
        label = f"{row.age:.0f} years"
        if pd.notna(row.age_low):
            label += f" ({row.age_low:.0f}-{row.age_high:.0f})"
        x0, y0, x1, y1 = draw.textbbox((0, 0), label, font=font)
        width, height = x1 - x0 + 6 * unit, y1 - y0 + 6 * unit
        # Under the face, unless there is no room; never beyond the edges.
        y = bottom + 2 * unit if bottom + 2 * unit + height <= drawn.height else top - height
        x, y = max(0, min(left, drawn.width - width)), max(0, y)
        draw.rectangle([x, y, x + width, y + height], _LIGHT, _DARK, unit)
        draw.text((x + 3 * unit - x0, y + 3 * unit - y0), label, _DARK, font)
    return drawn
