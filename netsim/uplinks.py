"""The uplinks of all cells: how the scenario has them shared, and who is told of what happens on them."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from simpy import Environment

from netsim.accounts import Budget
from netsim.analog import Air
from netsim.cell import (
    Allotted,
    BandShared,
    BestAgainstAverage,
    Busy,
    Duty,
    InTurn,
    MaxMin,
    ProportionalFair,
    RoundRobin,
    Scheduler,
    Slice,
    SlotLevel,
    TimeShared,
    Uplink,
)
from netsim.compute import Fleet
from netsim.energy import Meter
from netsim.interference import CoupledInterference
from netsim.joint import JointUplink
from netsim.radio import Radio
from netsim.slot_fading import FadingSlots
from netsim.transmitters import Transmitters
from scenarios.errors import ScenarioError
from scenarios.network import Slots
from scenarios.network import Uplink as UplinkRules


def make_uplinks(
    env: Environment,
    radio: Radio,
    channel: FadingSlots,
    devices: Fleet,
    transmit_w: list[float],
    meter: Meter,
    budget: Budget,
    activity: list[Busy],
    airs: list[Air],
    interference: CoupledInterference | None,
) -> list[Uplink]:
    """Return the uplinks of all sites.

    Args:
        env: the clock.
        radio: links of the run.
        channel: fading from slot to slot, for the slot-level engine.
        devices: hardware of all terminals.
        transmit_w: what each terminal's transmitter draws on the air at full power; read whenever it goes there.
        meter: energy of all terminals; the powers of all transmitters follow the uplinks.
        budget: pays for what is sent over the air.
        activity: told of each site whether anybody is on the air there.
        airs: what the air of each site does when its terminals send together.
        interference: what cells do to each other, if they are coupled.

    Raises:
        ScenarioError: parts of the scenario that exclude each other.
    """
    up = radio.network.uplink
    _check(up, interference is not None)
    if up.transfer == "over_the_air":
        return [_joint(env, air, meter, budget, busy) for air, busy in zip(airs, activity, strict=True)]

    def full_power(terminals: Iterable[int], share: float) -> None:
        meter.set_shares("transmit", terminals, transmit_w, share * up.duty)

    uplinks: list[Uplink] = []
    changed = interference.changed if interference is not None else lambda: None
    for busy in activity:
        if interference is None and up.power_control is None:
            uplinks.append(_uplink(env, radio, channel, full_power, busy))
            continue
        transmitters = Transmitters(radio, devices, transmit_w, meter, changed)
        uplinks.append(_uplink(env, radio, channel, transmitters.set_shares, busy))
        if interference is not None:
            interference.add_cell(uplinks[-1], transmitters)
    return uplinks


def _check(up: UplinkRules, coupled: bool) -> None:
    """Refuse ways to send that set powers or fade themselves beside what sets them otherwise."""
    controlled = up.power_control is not None
    if controlled and up.share in ("allotted", "slots"):
        allowed = "ofdma, tdma, proportional_fair, max_min or sequential with power_control"
        raise ScenarioError("network.uplink.share", up.share, allowed)
    if up.slow_fading and (up.share == "slots" or up.transfer == "over_the_air"):
        raise ScenarioError(
            "network.uplink.slow_fading", True, "false with slots or over_the_air, which fade themselves"
        )
    if up.transfer == "over_the_air" and (controlled or coupled or up.duty < 1.0):
        allowed = "digital with power_control, a duty below 1 or coupled interference"
        raise ScenarioError("network.uplink.transfer", up.transfer, allowed)


def _joint(env: Environment, air: Air, meter: Meter, budget: Budget, busy: Busy) -> JointUplink:
    """Return an uplink on which the terminals of a site send together."""

    def power(terminal: int, power_w: float) -> None:
        meter.set_power(terminal, "transmit", power_w)

    return JointUplink(env, air, power, budget, busy)


def _uplink(env: Environment, radio: Radio, channel: FadingSlots, duty: Duty, busy: Busy) -> Uplink:
    """Return the uplink of a site, which tells ``duty`` who transmits and ``busy`` whether anybody does."""

    def slice_bps(terminal: int, part: Slice) -> float:
        return radio.slice_bps(terminal, part.bandwidth_hz, part.power_share)

    band = radio.network.uplink
    make: dict[str, Callable[[], Uplink]] = {
        "ofdma": lambda: BandShared(env, radio.band_shared_bps, radio.slices, duty, busy),
        "tdma": lambda: TimeShared(env, radio.whole_band_bps, duty, busy),
        "proportional_fair": lambda: ProportionalFair(env, radio.proportional_fair_bps, duty, busy),
        "max_min": lambda: MaxMin(env, radio.whole_band_bps, duty, busy),
        "sequential": lambda: InTurn(env, radio.whole_band_bps, duty, busy),
        "allotted": lambda: Allotted(env, slice_bps, duty, busy),
        "slots": lambda: SlotLevel(
            env, channel, _scheduler(band.slots), band.slots.slot_s, band.slots.burst_slots, duty, busy
        ),
    }
    return make[band.share]()


def _scheduler(slots: Slots) -> Scheduler:
    """Return the rule by which slots are granted."""
    return RoundRobin() if slots.scheduler == "round_robin" else BestAgainstAverage(slots.averaging_slots)
