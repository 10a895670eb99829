"""Ask how high a sampled sine wave reaches.

Hypothesis: the maximum value of a sine wave is equal to its amplitude.
"""

import logging

import matplotlib.pyplot as plt
import numpy as np

logger = logging.getLogger(__name__)

#: Named values of the parameters: ``{parameter: {variant: value}}``. Frequencies in hertz.
lookup_dict = {"frequency": {"slow": 0.5, "fast": 7.0}}

SAMPLE_RATE = 50  # samples a second
DURATION = 2  # seconds


def run(amplitude, frequency):
    """Compare the maximum of a sampled sine wave with its amplitude.

    Parameters
    ----------
    amplitude : float
        Amplitude of the wave, positive.
    frequency : float
        Frequency of the wave in hertz.

    Returns
    -------
    dict
        ``main`` is the absolute difference between maximum and amplitude, ``data`` the samples.
    """
    t = np.arange(DURATION * SAMPLE_RATE) / SAMPLE_RATE
    y = amplitude * np.sin(2 * np.pi * frequency * t)
    err = float(abs(y.max() - amplitude))
    logger.info("highest of %d samples: %.6f, amplitude: %s", len(y), y.max(), amplitude)

    _, ax = plt.subplots(figsize=(7, 3), layout="constrained")
    ax.plot(t, y, marker=".", markersize=4, linewidth=0.8)
    ax.axhline(amplitude, color="tab:red", linestyle="--", label="amplitude")
    ax.set(
        title=f"Sine wave of {frequency} Hz, maximum misses the amplitude by {err:.2g}",
        xlabel="time (s)",
        ylabel="displacement",
    )
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    plt.show()
    return {"main": err, "data": y}
