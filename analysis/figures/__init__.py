"""Figures: each a function from an experiment to a figure, listed in `registry`."""

from analysis.figures.registry import Exhibit, exhibits
from analysis.figures.save import save_figure

__all__ = ["Exhibit", "exhibits", "save_figure"]
