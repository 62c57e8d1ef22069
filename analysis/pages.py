"""Pages that stand alone: their templates, and figures as part of them."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jinja2
from matplotlib.figure import Figure

from analysis.figures.save import render, save_figure, settle
from analysis.quantities import number

_TEMPLATES = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Picture:
    """A figure, ready to embed: `source` is a data URI of its SVG."""

    name: str
    section: str
    caption: str
    source: str
    wide: bool


def draw_picture(
    figure: Figure, folder: Path, name: str, caption: str, section: str = "", wide: bool = True
) -> Picture:
    """Saves a figure's files into `folder` and returns what a page embeds."""
    settle(figure)
    save_figure(figure, folder, name)
    code = base64.b64encode(render(figure, "svg")).decode("ascii")
    return Picture(name, section, caption, f"data:image/svg+xml;base64,{code}", wide)


def fill(template: str, **context: Any) -> bytes:
    """A page from a template of this room."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    return environment.get_template(template).render(**context).encode("utf-8")
