"""One cell worked out slot by slot and as flows: how far each upload's time differs.

``python -m tests.netsim.slot_fidelity`` prints the table of docs/network.md, over ten seeds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from netsim.slow_fading import SlowFading
from netsim.world import World
from tests.netsim.sharing import Upload, drive
from tests.netsim.worlds import scenario, world

FLOWS = {"round_robin": "tdma", "proportional_fair": "proportional_fair"}
LINK = {"model": "shannon", "shannon_gap_db": 0.0, "max_bit_s_hz": 100.0, "min_sinr_db": -200.0, "overhead": 0.0}


@dataclass(frozen=True)
class Study:
    """A cell whose terminals all begin to upload at once.

    Attributes:
        scheduler: of the slots.
        coherence_time_s: of the channel.
        uploads: how many, at evenly spaced SNRs.
        bits: size of each.
        snr_db: lowest and highest mean SNR.
        slot_s: length of a slot.
        slow_fading: whether flows know how slowly the channel fades.
        luck: whether flows draw what fading leaves in their rates.
    """

    scheduler: str
    coherence_time_s: float
    uploads: int = 20
    bits: float = 8e6
    snr_db: tuple[float, float] = (0.0, 20.0)
    slot_s: float = 0.5e-3
    slow_fading: bool = True
    luck: bool = False

    def finishes_s(self, share: str, seed: int) -> NDArray[np.float64]:
        """Return (uploads,) when each upload is done."""
        where, everybody = self.cell(share, seed), np.arange(self.uploads)
        fading = SlowFading(where.radio, where.deployment.entity, where.streams)
        factors = fading.factors(everybody, 0, self.bits) if self.luck and share != "slots" else {}
        uploads = [Upload(i, 0.0, self.bits / factors.get(i, 1.0)) for i in everybody.tolist()]
        return np.array([outcome.finish_s for outcome in drive(where.env, where.uplinks[0], uploads)])

    def cell(self, share: str, seed: int) -> World:
        """Return the cell with everybody at the SNR that is wanted."""
        slots = {"scheduler": self.scheduler, "coherence_time_s": self.coherence_time_s, "slot_s": self.slot_s}
        uplink = {"share": share, "bandwidth_hz": 20e6, "slots": slots}
        uplink["slow_fading"] = self.slow_fading and share != "slots"
        settings = scenario(network={"propagation": {"fading": "rayleigh"}, "link": LINK, "uplink": uplink})
        where = world(settings, 1, self.uploads, seed)
        radio, snr = where.radio, 10.0 ** (np.linspace(*self.snr_db, self.uploads) / 10.0)
        radio.serving_gain[:] = snr * radio.uplink_noise_w / radio.tx_power_w
        radio.refresh(slice(None))
        return where

    def errors(self, seed: int) -> tuple[float, float, float]:
        """Return mean and largest relative difference of an upload's time, and the flows' makespan over the slots'."""
        flow, slots = (self.finishes_s(share, seed) for share in (FLOWS[self.scheduler], "slots"))
        differences = np.abs(flow / slots - 1.0)
        return float(differences.mean()), float(differences.max()), float(flow.max() / slots.max() - 1.0)


def main() -> None:
    """Print mean and largest error of an upload and error of the makespan, in per cent."""
    for scheduler in FLOWS:
        for slow_fading in (False, True):
            for coherence_time_s in (5e-3, 50e-3, 500e-3):
                study = Study(scheduler, coherence_time_s, slow_fading=slow_fading)
                mean, largest, makespan = np.mean([study.errors(seed) for seed in range(10)], axis=0) * 100.0
                known = "known to be slow" if slow_fading else "taken for fast"
                print(f"{scheduler}, {coherence_time_s * 1e3:g} ms, {known}: {mean:.1f} {largest:.1f} {makespan:+.1f}")


if __name__ == "__main__":
    main()
