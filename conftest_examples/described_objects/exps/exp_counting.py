"""How many photons a detector misses."""

from detector import Detector

lookup_dict = {
    "detector": {
        "ideal": Detector(efficiency=1.0, dead_time=0.0),
        "photodiode": Detector(efficiency=0.8, dead_time=0.0),
        "photomultiplier": Detector(efficiency=0.25, dead_time=2e-3),
    },
    "rate": {"faint": 10.0, "bright": 1000.0},
}


def exp_counting(detector, rate, rng, seconds=10.0):
    """Count photons of a steady source.

    Parameters
    ----------
    detector : Detector
        What counts them.
    rate : float
        Photons a second.
    rng : numpy.random.Generator
        Source of arrival times, made by the runner from the trial's seed.
    seconds : float
        How long.

    Returns
    -------
    dict
        ``main`` is the share of photons that were not counted.
    """
    arrivals = rng.exponential(1 / rate, size=int(rate * seconds)).cumsum()
    counted = detector.count(arrivals, rng)
    return {"main": 1 - len(counted) / len(arrivals), "data": counted}
