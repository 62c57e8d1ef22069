"""Figures as files: vectors for papers (PDF), pixels for screens (PNG, 200 dpi), each written in one step."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from analysis.atomic import write_bytes
from analysis.figures.style import settings

PNG_DPI = 200
_LONG_NUMBER = re.compile(rb"(?<= )(-?\d+\.\d\d)\d+(?=[ \n])")
"""Coordinates of paths, in points (a hundredth is enough; the rest doubles the size of the file)."""

_METADATA: Mapping[str, dict[str, None]] = {
    "pdf": {"CreationDate": None},
    "png": {"Software": None},
    "svg": {"Date": None},
}
"""No dates and no versions inside: the same data give the same bytes."""


def render(figure: Figure, file_format: str) -> bytes:
    """The figure as a file of `file_format` ("pdf", "png" or "svg")."""
    buffer = io.BytesIO()
    with mpl.rc_context(settings()):
        figure.savefig(buffer, format=file_format, dpi=PNG_DPI, metadata=dict(_METADATA[file_format]))
    content = buffer.getvalue()
    return _LONG_NUMBER.sub(rb"\1", content) if file_format == "svg" else content


def settle(figure: Figure) -> None:
    """Computes the layout once, so that rendering to several formats does not solve it again each time."""
    with mpl.rc_context(settings()):
        figure.draw_without_rendering()
    figure.set_layout_engine("none")


def save_figure(figure: Figure, folder: Path, name: str, formats: tuple[str, ...] = ("pdf", "png")) -> None:
    """Writes `folder/name.<format>` for each format; makes the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for file_format in formats:
        write_bytes(folder / f"{name}.{file_format}", render(figure, file_format))
