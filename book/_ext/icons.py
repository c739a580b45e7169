"""Ships the icons that the book shows as small fonts, in place of the theme's script with all icons. It draws none.

The theme brings 1.5 MB of script and fonts for some twenty icons: more than a page with its figures.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx

from book._ext.fonts import small

SCRIPT = "scripts/fontawesome.js"
STYLE = "styles/pydata-sphinx-theme.css"
FONTS = "vendor/fontawesome/webfonts"
_NAMED = re.compile(r"((?:\.fa-[\w-]+::?before,?)+)\{content:\"([^\"]*)\"\}")  # .fa-bars:before{content:"\f0c9"}
_CLASS = re.compile(r"\bfa-[a-z0-9-]+")


def shown(html: Path) -> set[str]:
    """The names of icons, as classes, that the pages and scripts of a built book mention."""
    files = [*html.rglob("*.html"), *(html / "_static").glob("*.js"), *(html / "_static/scripts").glob("*theme.js")]
    return {name for file in files for name in _CLASS.findall(file.read_text(encoding="utf-8"))}


def without_others(style: str, names: set[str]) -> str:
    """The theme's style without the rules of icons that no page shows."""

    def kept(rule: re.Match[str]) -> str:
        wanted = [one for one in rule[1].split(",") if one.split(":")[0].lstrip(".") in names]
        return f'{",".join(wanted)}{{content:"{rule[2]}"}}' if wanted else ""

    return _NAMED.sub(kept, style)


def characters(style: str) -> set[int]:
    """The icon fonts' characters that a style shows: they lie in the private area of Unicode."""
    told = {int(code, 16) for code in re.findall(r"\\([0-9a-f]{4})\b", style)} | {ord(letter) for letter in style}
    return {code for code in told if 0xE000 <= code <= 0xF8FF}


def lighten(html: Path) -> None:
    """Replace script, style and fonts of a built book. Done again, it changes nothing."""
    static = html / "_static"
    style = without_others((static / STYLE).read_text(encoding="utf-8"), shown(html))
    style = re.sub(
        rf'url\(\.\./{FONTS}/([\w-]+)\.woff2\) format\("woff2"\),url\([^)]*\.ttf\) format\("truetype"\)',
        rf'url(../{FONTS}/\1.woff) format("woff")',
        style,
    )
    for font in (static / FONTS).glob("*.ttf"):
        small(font, font.with_suffix(".woff"), characters(style))
    (static / STYLE).write_text(style, encoding="utf-8")
    (static / SCRIPT).write_text("// Icons come as fonts: see book/_ext/icons.py.\n", encoding="utf-8")


def _finish(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        lighten(Path(app.outdir))


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", _finish)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
