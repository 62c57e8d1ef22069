"""What a run spends (time, energy, cost, bytes) and how those amounts are written for readers."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Resource:
    """One thing a run spends.

    Attributes:
        key: its column in the recorded tables.
        name: for running text, as in "at 20 % of the energy".
        axis: for an axis label, without the unit.
        units: (size of the unit in the column's own unit, its symbol), ascending.
    """

    key: str
    name: str
    axis: str
    units: tuple[tuple[float, str], ...]

    def unit(self, amount: float) -> tuple[float, str]:
        """The largest unit that writes `amount` as at least 1 (the smallest unit for less)."""
        fitting = [unit for unit in self.units if math.isfinite(amount) and abs(amount) >= unit[0]]
        return fitting[-1] if fitting else self.units[0]

    def text(self, amount: float) -> str:
        """`amount` with three significant digits and its unit, e.g. ``"12.3 min"``; a dash for NaN."""
        if math.isnan(amount):
            return "–"
        size, symbol = self.unit(amount)
        return f"{number(amount / size)} {symbol}".strip()


TIME = Resource("time_s", "time", "Simulated time", ((1.0, "s"), (60.0, "min"), (3600.0, "h"), (86400.0, "d")))
ENERGY = Resource("energy_j", "energy", "Energy", ((1.0, "J"), (1e3, "kJ"), (1e6, "MJ"), (1e9, "GJ")))
COST = Resource("cost", "cost", "Cost", ((1.0, ""), (1e6, "million")))
BYTES = Resource("bytes", "traffic", "Traffic", ((1.0, "B"), (1e3, "kB"), (1e6, "MB"), (1e9, "GB"), (1e12, "TB")))
CARBON = Resource("carbon_g", "carbon dioxide", "Carbon dioxide", ((1e-3, "mg"), (1.0, "g"), (1e3, "kg"), (1e6, "t")))
DURATION = Resource("seconds", "duration", "Duration", ((1e-6, "µs"), (1e-3, "ms"), *TIME.units))
RATE = Resource("rate_bps", "rate", "Rate", ((1.0, "bit/s"), (1e3, "kbit/s"), (1e6, "Mbit/s"), (1e9, "Gbit/s")))
BITS = Resource("bits", "bits", "Bits", ((1.0, "bit"), (1e3, "kbit"), (1e6, "Mbit"), (1e9, "Gbit")))
RESOURCES = (TIME, ENERGY, COST, BYTES)
"""Every resource a curve can be drawn against, in the order a report shows them."""


def resource(key: str) -> Resource:
    """The resource of a column name; raises KeyError for another column."""
    return {entry.key: entry for entry in RESOURCES}[key]


_LARGE = 1e3


def number(value: float) -> str:
    """Three significant digits without an exponent where a reader can do without: 0.123, 12.3, 1,230."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 1e7:
        return f"{value:.2e}".replace("-", "−")
    decimals = max(0, 2 - math.floor(math.log10(abs(value))))
    text = f"{value:,.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace("-", "−")


def signed(value: float, decimals: int = 3) -> str:
    """A difference with its sign and a true minus, e.g. ``"+0.012"``; no sign on a zero, a dash for NaN."""
    if math.isnan(value):
        return "–"
    text = f"{value:+.{decimals}f}".replace("-", "−")
    return text[1:] if float(text[1:]) == 0 else text


def score(value: float, decimals: int = 3) -> str:
    """A metric, e.g. ``"0.742"``; a dash for NaN, and three digits of what is a thousand and more."""
    if not abs(value) < _LARGE:
        return number(value)
    return f"{value:.{decimals}f}".replace("-", "−")
