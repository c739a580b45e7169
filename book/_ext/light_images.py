"""Stores a built book's plots with a palette of 256 colours, which halves them. It alters no notebook."""

from pathlib import Path

import numpy as np
from PIL import Image
from sphinx.application import Sphinx

COLOURS = 256
ERROR = 1.5  # of 255, on average over the picture: nobody sees it


def lighten(file: Path) -> bool:
    """Give a PNG a palette where that is smaller and looks the same; tell whether it did."""
    with Image.open(file) as opened:
        if opened.mode == "P":
            return False
        picture = opened.convert("RGBA")
    if picture.getextrema()[3][0] < 255:
        return False  # see-through: the page's colour must stay what it is
    picture = picture.convert("RGB")
    fewer = picture.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    difference = np.abs(np.asarray(fewer.convert("RGB"), dtype=int) - np.asarray(picture, dtype=int))
    part = file.with_suffix(".part.png")
    fewer.save(part, optimize=True)
    smaller = part.stat().st_size < file.stat().st_size and difference.mean() <= ERROR
    part.replace(file) if smaller else part.unlink()
    return smaller


def _finish(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        for file in (Path(app.outdir) / "_images").glob("*.png"):
            lighten(file)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", _finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
