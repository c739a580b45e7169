"""A slider over pictures drawn beforehand: it moves without a running kernel, and offline. It computes nothing.

One HTML element, with the pictures inside. Where a page shows no slider, the picture that it starts with is left.
"""

import base64
import html
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import matplotlib.pyplot as plt
from matplotlib.figure import Figure


@dataclass(frozen=True)
class Flipbook:
    """Pictures with one in view; a notebook shows it as an image with a slider below."""

    pictures: tuple[str, ...]  # PNG files in base64
    start: int  # the index of the picture in view
    label: str
    alt: str

    def _repr_html_(self) -> str:
        # One image whose source changes: no script element, no ids, so that two flipbooks never meet.
        flip = "this.closest('figure').querySelector('img').src = PNG + this.dataset.pictures.split(' ')[this.value]"
        flip = flip.replace("PNG", "'data:image/png;base64,'")
        label = html.escape(self.label)
        return (
            '<figure class="flipbook" style="margin:0">'
            f'<img src="data:image/png;base64,{self.pictures[self.start]}" alt="{html.escape(self.alt)}" '
            'style="max-width:100%">'
            f'<label style="display:flex;gap:0.7em;max-width:36em;align-items:center">{label} '
            f'<input type="range" style="flex:1" min="0" max="{len(self.pictures) - 1}" value="{self.start}" '
            f'data-pictures="{" ".join(self.pictures)}" oninput="{html.escape(flip)}"></label></figure>'
        )


def flipbook(
    draw: Callable[[int], Figure], values: Sequence[int], start: int, *, label: str, alt: str, dpi: int = 80
) -> Flipbook:
    """Draw one picture for each value, and show them behind a slider.

    draw: value -> Figure; each figure is closed. values: in the slider's order. start: the value in view at first.
    label: stands beside the slider. alt: says what the pictures show. Each picture adds some 15 KB to the notebook.
    Raises ValueError if start is none of the values.
    """
    values = list(values)
    if start not in values:
        raise ValueError(f"flipbook: it cannot start at {start}, which is none of its {len(values)} values")
    pictures = []
    for value in values:
        figure, file = draw(value), io.BytesIO()
        figure.savefig(file, format="png", dpi=dpi)
        plt.close(figure)
        pictures.append(base64.b64encode(file.getvalue()).decode())
    return Flipbook(tuple(pictures), values.index(start), label, alt)
