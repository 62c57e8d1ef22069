"""How the terminals of a cell share its uplink: :class:`Uplink` and one file a discipline.

- :class:`TimeShared` (tdma): turns of equal length over the whole band.
- :class:`BandShared` (ofdma): equal slices with the whole transmit power in each.
- :class:`ProportionalFair`: turns that go to whose channel is good just now.
- :class:`MaxMin`: turns of such lengths that all run equally fast.
- :class:`InTurn` (sequential): one after the other, in order of arrival.
- :class:`Allotted`: a slice of its own for everybody, handed out beforehand.
- :class:`SlotLevel` (slots): every slot and sub-band of a fading channel, scheduled one by one.
"""

from netsim.cell.allotted import Allotted, Slice
from netsim.cell.band_shared import BandShared
from netsim.cell.in_turn import InTurn
from netsim.cell.max_min import MaxMin
from netsim.cell.proportional_fair import ProportionalFair
from netsim.cell.slot_level import SlotLevel
from netsim.cell.slot_schedulers import BestAgainstAverage, RoundRobin, Scheduler
from netsim.cell.time_shared import TimeShared
from netsim.cell.uplink import Busy, Duty, Transfer, Uplink

__all__ = [
    "Allotted",
    "BandShared",
    "BestAgainstAverage",
    "Busy",
    "Duty",
    "InTurn",
    "MaxMin",
    "ProportionalFair",
    "RoundRobin",
    "Scheduler",
    "Slice",
    "SlotLevel",
    "TimeShared",
    "Transfer",
    "Uplink",
]
