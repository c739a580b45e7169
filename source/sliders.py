"""A figure drawn anew whenever its controls are moved, by ipywidgets. Where nobody can move it, it is a still picture.

The picture is an output of its own, put in another's place by its display id: so a notebook that runs without a
browser, for the book or for a grade, keeps the picture of the start. The computing is the notebook's.
"""

import inspect
import io
from collections.abc import Callable
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

VIEW = "application/vnd.jupyter.widget-view+json"
INSTALL = "To move what this figure shows: pip install ipywidgets, then start the notebook again."

# (low, high, step): a slider. [values]: one of them. bool: a tick. str: a line of text.
Control = tuple[float, float, float] | list[Any] | type[bool] | type[str]


def move(draw: Callable[..., Figure], /, *, alt: str, card: str = "", **controls: Control) -> None:
    """Show draw's figure, with a control below it for each of its parameters that is named here.

    draw: its parameters have defaults, which are the start; each figure is closed. alt: what the figure shows.
    card: the book's concept card that shows the same; the book's page leads there, since nothing moves on it.
    controls: what each parameter may be, as in `move(draw, alt="a line", slope=(-2, 2, 0.1), line=["-", "--"])`.
    A control is named as its parameter, with blanks for underscores.
    Raises ValueError for a control that is no parameter with a default, or that cannot take the default.
    """
    start = {name: p.default for name, p in inspect.signature(draw).parameters.items()}
    for name, control in controls.items():
        _checked(name, control, start.get(name, inspect.Parameter.empty))
    try:
        from IPython import get_ipython
        from IPython.display import display
    except ImportError:
        display = None
    if display is None or get_ipython() is None:  # a plain script: a window, if there is one
        figure = draw()
        plt.show()
        plt.close(figure)
        return
    shown = display(_picture(draw(), alt), raw=True, display_id=True)
    try:
        import ipywidgets  # here, since a notebook's checks do without it
    except ImportError:
        print(INSTALL)
        return
    made = {name: _widget(ipywidgets, name, control, start[name]) for name, control in controls.items()}

    def again(_: object) -> None:
        # The browser holds back what changes while this runs, and then sends the last value only.
        shown.update(_picture(draw(**{name: widget.value for name, widget in made.items()}), alt), raw=True)

    for widget in made.values():
        widget.tooltip = f"{widget.description}: moves the figure above"
        widget.observe(again, names="value")
    box = ipywidgets.VBox(list(made.values()))
    view = {"version_major": 2, "version_minor": 0, "model_id": box.model_id}
    # The text is what a notebook without widgets shows in their place.
    display({VIEW: view, "text/plain": INSTALL}, raw=True, metadata={"course": {"card": card, "alt": alt}})


def _picture(figure: Figure, alt: str) -> dict[str, Any]:
    # Of one size whatever is in it, so that nothing jumps while a slider moves.
    file = io.BytesIO()
    figure.savefig(file, format="png")
    plt.close(figure)
    return {"image/png": file.getvalue(), "text/plain": alt}


def _checked(name: str, control: Control, start: Any) -> None:
    if start is inspect.Parameter.empty:
        raise ValueError(f"move: what is drawn has no parameter {name!r} with a default to start from")
    known = control[0] <= start <= control[1] if isinstance(control, tuple) else None
    known = start in control if isinstance(control, list) else known
    if not (isinstance(start, control) if known is None else known):
        raise ValueError(f"move: {name} starts at {start!r}, which its control {control!r} cannot show")


def _widget(ipywidgets: Any, name: str, control: Control, start: Any) -> Any:
    look = {"description": name.replace("_", " "), "style": {"description_width": "9em"}, "layout": {"width": "32em"}}
    if isinstance(control, tuple):
        low, high, step = control
        told = {"value": start, "min": low, "max": high, "step": step, **look}
        if all(isinstance(n, int) for n in (*control, start)):
            return ipywidgets.IntSlider(**told)
        return ipywidgets.FloatSlider(**told, readout_format=f".{len(f'{step:g}'.partition('.')[2])}f")
    if isinstance(control, list):
        kind = ipywidgets.SelectionSlider if isinstance(start, int | float) else ipywidgets.Dropdown
        return kind(options=control, value=start, **look)
    return (ipywidgets.Checkbox if control is bool else ipywidgets.Text)(value=start, **look)
