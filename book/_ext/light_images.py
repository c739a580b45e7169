"""Makes a built book's plots WebP of few colours, a third of their PNG, and logos small. It alters no notebook."""

import re
from pathlib import Path

import numpy as np
from PIL import Image
from sphinx.application import Sphinx

COLOURS = (64, 256)  # tried in this order
ERROR = 4  # of 255, on average over all that is drawn: nobody sees it
_SHOWN = re.compile(r"(_images/[\w.-]+)\.png\b")


def lighten(file: Path) -> Path:
    """Put a .webp in a .png's place and return it: with fewer colours where that looks the same, else as it was."""
    with Image.open(file) as opened:
        picture = opened.convert("RGBA")
    lighter = file.with_suffix(".webp")
    if picture.getextrema()[3][0] == 255:  # else see-through: the page's colour must stay what it is
        picture = _of_few_colours(picture.convert("RGB"))
    picture.save(lighter, lossless=True)
    file.unlink()
    return lighter


def _of_few_colours(picture: Image.Image) -> Image.Image:
    """The picture with the fewest colours with which it looks the same, or as it is."""
    exact = np.asarray(picture, dtype=int)  # (height, width, 3)
    drawn = np.abs(exact - exact[0, 0]).max(axis=2) > 8  # paper, the colour of the corner, would hide what lines lose
    for colours in COLOURS:
        fewer = picture.quantize(colours, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).convert("RGB")
        difference = np.abs(np.asarray(fewer, dtype=int) - exact).mean(axis=2)
        if not drawn.any() or difference[drawn].mean() <= ERROR:
            return fewer
    return picture


def repoint(page: Path, lighter: set[str]) -> None:
    """Let a page show the .webp of those pictures, which are named without their endings."""
    text = page.read_text(encoding="utf-8")
    changed = _SHOWN.sub(lambda at: f"{at[1]}.webp" if Path(at[1]).name in lighter else at[0], text)
    if changed != text:
        page.write_text(changed, encoding="utf-8")


def small_logo(file: Path) -> None:
    """Cut a launch button's picture down to what is shown of it, twenty pixels high, and twice that on fine screens."""
    with Image.open(file) as opened:
        picture = opened.convert("RGBA")
    picture.thumbnail((48, 48))
    picture.quantize(64, method=Image.Quantize.FASTOCTREE).save(file, optimize=True)


def _finish(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        html = Path(app.outdir)
        for file in (html / "_images").glob("*.png"):
            lighten(file)
        for file in (html / "_static" / "images").glob("logo_*.png"):
            small_logo(file)
        lighter = {file.stem for file in (html / "_images").glob("*.webp")}
        for page in html.rglob("*.html"):
            repoint(page, lighter)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", _finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
