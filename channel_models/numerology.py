"""The grid of 5G NR: subcarrier spacings, slots, and how many resource blocks a channel holds (3GPP TS 38.211).

Numbers of resource blocks are usual defaults in the way of TS 38.101-1 and -2.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

SUBCARRIERS_PER_BLOCK = 12
SYMBOLS_PER_SLOT = 14

RESOURCE_BLOCKS: Mapping[int, Mapping[int, int]] = MappingProxyType(
    {
        0: MappingProxyType({5: 25, 10: 52, 20: 106, 40: 216, 50: 270}),
        1: MappingProxyType({10: 24, 20: 51, 40: 106, 50: 133, 80: 217, 100: 273}),
        2: MappingProxyType({100: 135}),
        3: MappingProxyType({50: 32, 100: 66, 200: 132, 400: 264}),
    }
)
"""Resource blocks by numerology and channel bandwidth in MHz (defaults); numerology 3 is that of millimetre waves."""


@dataclass(frozen=True)
class Numerology:
    """One of NR's grids.

    Parameters
    ----------
    mu
        0 to 4: the subcarrier spacing is 15 kHz 2^mu.

    Raises
    ------
    ValueError
        If mu is none of these.
    """

    mu: int = 0

    def __post_init__(self) -> None:
        if self.mu not in range(5):
            raise ValueError(f"mu must be one of 0 to 4, got {self.mu}")

    @property
    def subcarrier_spacing_hz(self) -> float:
        """Distance between subcarriers, hertz."""
        return 15e3 * 2.0**self.mu

    @property
    def slot_s(self) -> float:
        """Length of a slot of 14 symbols, seconds."""
        return 1e-3 / 2.0**self.mu

    @property
    def block_hz(self) -> float:
        """Bandwidth of a resource block, hertz."""
        return SUBCARRIERS_PER_BLOCK * self.subcarrier_spacing_hz

    @property
    def elements_per_block_slot(self) -> int:
        """Resource elements of one block in one slot, before any overhead."""
        return SUBCARRIERS_PER_BLOCK * SYMBOLS_PER_SLOT

    def resource_blocks(self, bandwidth_hz: float) -> int:
        """Return how many resource blocks a channel of this bandwidth holds.

        The table's number where it has one; elsewhere as many blocks as fit, 5 % of the band being left as guard.

        Raises
        ------
        ValueError
            If not one block fits.
        """
        bandwidth_mhz = bandwidth_hz / 1e6
        blocks = RESOURCE_BLOCKS.get(self.mu, {}).get(round(bandwidth_mhz), 0)
        if blocks == 0 or bandwidth_mhz != round(bandwidth_mhz):
            blocks = int(0.95 * bandwidth_hz / self.block_hz)
        if blocks < 1:
            raise ValueError(f"no resource block of {self.block_hz:g} Hz fits into {bandwidth_hz:g} Hz")
        return blocks

    def occupied_hz(self, bandwidth_hz: float) -> float:
        """Return the bandwidth that carries data in a channel of ``bandwidth_hz``: its resource blocks, hertz."""
        return self.resource_blocks(bandwidth_hz) * self.block_hz
