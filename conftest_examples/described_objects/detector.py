"""A detector: two settings that matter, and a connection that has no identity."""

import threading

import numpy as np


class Detector:
    """Counts photons.

    Parameters
    ----------
    efficiency : float
        Probability that a photon is counted.
    dead_time : float
        Seconds after a count in which no other photon is counted.
    """

    def __init__(self, efficiency, dead_time):
        self.efficiency = efficiency
        self.dead_time = dead_time
        self.connection = threading.Lock()  # of this process alone, as a socket or a handle is

    def count(self, arrivals, rng):
        """Return the arrival times, in seconds, of the photons that are counted."""
        with self.connection:
            seen = arrivals[rng.random(len(arrivals)) < self.efficiency]
            counted, last = [], -np.inf
            for time in seen:
                if time - last >= self.dead_time:
                    counted.append(time)
                    last = time
            return np.array(counted)
