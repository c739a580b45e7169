"""Cuts a font down to what pages need of it: outlines, of some characters or of all. It chooses none of them."""

from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont


def small(font: Path, target: Path, codes: set[int] | None = None) -> None:
    """Write a font's characters, or those that are in codes, as a .woff."""
    options = subset.Options(flavor="woff", layout_features=[], hinting=False, notdef_outline=True)
    options.drop_tables += ["FFTM"]  # notes of the program that made the font
    cut = TTFont(font)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=cut.getBestCmap() if codes is None else codes)
    subsetter.subset(cut)
    cut.flavor = "woff"
    cut.save(target)
