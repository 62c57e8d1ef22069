"""A propagation environment: the large-scale laws of a city, village, office or factory (3GPP TR 38.901).

An :class:`Environment` binds the laws of one scenario to its default geometry, its range of validity and its
large-scale statistics; :mod:`channel_models.path_loss` holds the ones that exist, by name.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from channel_models.units import FloatArray, FloatLike

PathLossLaw = Callable[..., FloatArray]
"""(d2d_m, fc_hz, h_bs_m, h_ut_m) -> median path loss in dB; UMa also takes the environment height h_e_m."""

EnvironmentHeightLaw = Callable[[FloatLike, FloatLike, FloatLike], FloatArray]
"""(uniform number, d2d_m, h_ut_m) -> effective environment height in metres."""

BreakpointLaw = Callable[[FloatLike, FloatLike, FloatLike], FloatArray]
"""(fc_hz, h_bs_m, h_ut_m) -> distance in metres beyond which the slope changes."""

LosProbabilityLaw = Callable[[FloatLike, FloatLike, FloatLike], FloatArray]
"""(d2d_m, h_bs_m, h_ut_m) -> probability of line of sight."""


@dataclass(frozen=True)
class ValidityRange:
    """Where an environment's formulas were fitted; infinite limits mean the source states none.

    Distances are upper limits in metres with and without line of sight; the pairs are inclusive (low, high).
    """

    max_d2d_los_m: float = math.inf
    max_d2d_nlos_m: float = math.inf
    fc_hz: tuple[float, float] = (0.0, math.inf)
    h_bs_m: tuple[float, float] = (0.0, math.inf)
    h_ut_m: tuple[float, float] = (0.0, math.inf)


@dataclass(frozen=True)
class Environment:
    """One propagation scenario: its laws, its default geometry and where they may be trusted.

    Parameters
    ----------
    name
        Key in ``channel_models.path_loss.ENVIRONMENTS``.
    h_bs_m, h_ut_m
        Default antenna heights of base station and terminal, metres.
    inter_site_distance_m
        Default spacing of neighbouring sites, metres.
    min_d2d_m
        Shortest horizontal distance of the path-loss law; shorter ones are treated as this one, metres.
    min_placement_d2d_m
        Default distance terminals keep from a site when a layout is drawn, metres.
    los_law_db, nlos_law_db
        Median path loss with and without line of sight; ``nlos_law_db=None`` where only line of sight exists.
    los_probability_law
        Probability of line of sight.
    sigma_los_db, sigma_nlos_db
        Standard deviation of log-normal shadowing, dB.
    breakpoint_law_m, sigma_los_far_db
        RMa only: a breakpoint distance, and the line-of-sight deviation beyond it.
    correlation_los_m, correlation_nlos_m
        Shadowing decorrelates as exp(-displacement / this), metres (Table 7.5-6).
    correlation_los_state_m
        Correlation distance of a spatially consistent state of sight, metres (Table 7.6.3.1-2, taken as a default);
        without meaning where sight is certain or impossible.
    environment_height_law_m
        UMa only: how the effective environment height of a link is drawn.
    sigma_o2i_db, correlation_o2i_m, max_indoor_m
        Shadowing of terminals inside buildings, its decorrelation distance and how deep inside they may be
        (Table 7.5-6, clause 7.4.3.1), dB and metres; ``None`` where base stations are indoors or nothing is stated.
    rician_k_db_mean, rician_k_db_sigma
        Normal law in dB of a line-of-sight link's Rician K (Table 7.5-6); ``None`` where there is none.
    validity
        Where the formulas were fitted.
    """

    name: str
    h_bs_m: float
    h_ut_m: float
    inter_site_distance_m: float
    min_d2d_m: float
    min_placement_d2d_m: float
    los_law_db: PathLossLaw
    nlos_law_db: PathLossLaw | None
    los_probability_law: LosProbabilityLaw
    sigma_los_db: float
    sigma_nlos_db: float
    correlation_los_m: float
    correlation_nlos_m: float
    correlation_los_state_m: float
    sigma_o2i_db: float | None = None
    correlation_o2i_m: float | None = None
    max_indoor_m: float | None = None
    rician_k_db_mean: float | None = None
    rician_k_db_sigma: float | None = None
    breakpoint_law_m: BreakpointLaw | None = None
    sigma_los_far_db: float = math.nan
    environment_height_law_m: EnvironmentHeightLaw | None = None
    validity: ValidityRange = ValidityRange()

    def path_loss_db(
        self,
        los: ArrayLike,
        d2d_m: ArrayLike,
        fc_hz: ArrayLike,
        h_bs_m: ArrayLike | None = None,
        h_ut_m: ArrayLike | None = None,
        *,
        h_e_m: ArrayLike | None = None,
        extrapolate: bool = False,
    ) -> FloatArray:
        """Return the median path loss in dB, without shadowing or fading.

        Parameters
        ----------
        los
            Whether each link has line of sight, bool; ignored by environments without that state.
        d2d_m
            Horizontal distance >= 0, metres; clamped below to ``min_d2d_m``. All arguments broadcast.
        fc_hz
            Carrier frequency, hertz.
        h_bs_m, h_ut_m
            Antenna heights, metres; the environment's defaults when absent.
        h_e_m
            Effective environment heights of :meth:`environment_height_m`; 1 m when absent, which is exact for
            terminals up to 13 m and wherever the environment draws none.
        extrapolate
            Evaluate the formulas outside their range of validity instead of raising.

        Raises
        ------
        ValueError
            If a distance, carrier or height is outside the range of validity and ``extrapolate`` is off; if a
            distance is negative or not a number; if a link lacks line of sight where nothing else exists; if
            environment heights are given where none are drawn.
        """
        distance, fc, h_bs, h_ut = self._link_arrays(d2d_m, fc_hz, h_bs_m, h_ut_m)
        state = np.asarray(los, dtype=bool)
        if self.nlos_law_db is None and not np.all(state):
            raise ValueError(f"{self.name}: every link of this environment has line of sight")
        if not extrapolate:
            self._check_distance(state, distance)
            self._check_interval("fc_hz", fc, self.validity.fc_hz)
            self._check_interval("h_bs_m", h_bs, self.validity.h_bs_m)
            self._check_interval("h_ut_m", h_ut, self.validity.h_ut_m)
        link: tuple[FloatArray, ...] = (np.maximum(distance, self.min_d2d_m), fc, h_bs, h_ut)
        if h_e_m is not None:
            if self.environment_height_law_m is None:
                raise ValueError(f"{self.name}: the laws of this environment take no environment height")
            link = (*link, np.asarray(h_e_m, dtype=np.float64))
        return self._median_db(state, *link)

    def environment_height_m(
        self, u: ArrayLike, d2d_m: ArrayLike, h_ut_m: ArrayLike | None = None
    ) -> FloatArray | None:
        """Return effective environment heights for uniform numbers, one a (site, terminal); ``None`` if not drawn."""
        if self.environment_height_law_m is None:
            return None
        distance, _, _, h_ut = self._link_arrays(d2d_m, 1.0, None, h_ut_m)
        return self.environment_height_law_m(np.asarray(u, dtype=np.float64), distance, h_ut)

    def los_probability(
        self, d2d_m: ArrayLike, h_ut_m: ArrayLike | None = None, h_bs_m: ArrayLike | None = None
    ) -> FloatArray:
        """Return the probability of line of sight; the table states no largest distance, so none is checked.

        Shapes and units are those of :meth:`path_loss_db`. Environments without that state return zeros.
        """
        distance, _, h_bs, h_ut = self._link_arrays(d2d_m, 1.0, h_bs_m, h_ut_m)
        probability = self.los_probability_law(distance, h_bs, h_ut)
        return np.broadcast_to(probability, np.broadcast_shapes(distance.shape, h_bs.shape, h_ut.shape)).copy()

    def shadowing_sigma_db(
        self,
        los: ArrayLike,
        d2d_m: ArrayLike,
        fc_hz: ArrayLike,
        h_bs_m: ArrayLike | None = None,
        h_ut_m: ArrayLike | None = None,
    ) -> FloatArray:
        """Return the standard deviation of log-normal shadowing in dB for each link.

        Only RMa depends on anything but ``los``: 4 dB up to its breakpoint distance, 6 dB beyond.
        """
        distance, fc, h_bs, h_ut = self._link_arrays(d2d_m, fc_hz, h_bs_m, h_ut_m)
        with_los = np.full(distance.shape, self.sigma_los_db)
        if self.breakpoint_law_m is not None:
            beyond = distance > self.breakpoint_law_m(fc, h_bs, h_ut)
            with_los = np.where(beyond, self.sigma_los_far_db, with_los)
        return np.where(np.asarray(los, dtype=bool), with_los, self.sigma_nlos_db)

    def _link_arrays(
        self, d2d_m: ArrayLike, fc_hz: ArrayLike, h_bs_m: ArrayLike | None, h_ut_m: ArrayLike | None
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return distance, carrier and heights as float arrays, with default heights filled in."""
        distance = np.asarray(d2d_m, dtype=np.float64)
        if not np.all(distance >= 0.0):
            raise ValueError(f"{self.name}: d2d_m must be a number >= 0, got {np.min(distance)}")
        return (
            distance,
            np.asarray(fc_hz, dtype=np.float64),
            np.asarray(self.h_bs_m if h_bs_m is None else h_bs_m, dtype=np.float64),
            np.asarray(self.h_ut_m if h_ut_m is None else h_ut_m, dtype=np.float64),
        )

    def _median_db(self, los: NDArray[np.bool_], d2d_m: FloatArray, *link: FloatArray) -> FloatArray:
        """Path loss by the law of each link's state."""
        alike = all(quantity.ndim == 0 for quantity in link) and los.shape == d2d_m.shape != ()
        if self.nlos_law_db is None or not alike:
            with_los = self.los_law_db(d2d_m, *link)
            without = with_los if self.nlos_law_db is None else self.nlos_law_db(d2d_m, *link)
            return np.where(los, with_los, without)
        loss_db = self.nlos_law_db(d2d_m, *link)
        # Few links of a network have line of sight: the other law is worked out for them alone.
        loss_db[los] = self.los_law_db(d2d_m[los], *link)
        return loss_db

    def _check_distance(self, los: NDArray[np.bool_], d2d_m: FloatArray) -> None:
        los, d2d_m = np.broadcast_arrays(los, d2d_m)
        for state, limit_m in ((True, self.validity.max_d2d_los_m), (False, self.validity.max_d2d_nlos_m)):
            farthest_m = np.max(d2d_m, where=los == state, initial=0.0)
            if farthest_m > limit_m:
                sight = "with" if state else "without"
                raise ValueError(
                    f"{self.name}: d2d_m = {farthest_m:g} m is beyond the {limit_m:g} m limit of the law "
                    f"{sight} line of sight; pass extrapolate=True to use it there"
                )

    def _check_interval(self, quantity: str, values: FloatArray, limits: tuple[float, float]) -> None:
        outside = values[~((values >= limits[0]) & (values <= limits[1]))]
        if outside.size:
            raise ValueError(
                f"{self.name}: {quantity} = {outside.flat[0]:g} is outside [{limits[0]:g}, {limits[1]:g}]; "
                "pass extrapolate=True to use the law there"
            )
