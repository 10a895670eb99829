"""How well integrators keep the energy of a planet."""

import numpy as np

lookup_dict = {
    "integrator": {"euler": "euler", "leapfrog": "leapfrog"},
    "step": {"coarse": 0.02, "fine": 0.002},
}


def exp_orbit(integrator, step, *, seed, years=2):
    """Follow a planet around its sun.

    Parameters
    ----------
    integrator : str
        ``"euler"`` or ``"leapfrog"``.
    step : float
        Length of a time step, where a year has 2 pi.
    seed : int
        Decides where on its orbit of radius 1 the planet starts.
    years : int
        How long.

    Returns
    -------
    dict
        ``main`` is the energy at the end, relative to that at the start, minus one.
    """
    angle = np.random.default_rng(seed).uniform(0, 2 * np.pi)
    place = np.array([np.cos(angle), np.sin(angle)])
    speed = 1.1 * np.array([-np.sin(angle), np.cos(angle)])
    start = energy(place, speed)
    for _ in range(round(2 * np.pi * years / step)):
        if integrator == "euler":
            place, speed = place + step * speed, speed + step * pull(place)
        else:
            halfway = speed + step / 2 * pull(place)
            place = place + step * halfway
            speed = halfway + step / 2 * pull(place)
    return {"main": float(energy(place, speed) / start - 1), "data": place}


def energy(place, speed):
    """Return kinetic and potential energy of a unit mass."""
    return speed @ speed / 2 - 1 / np.linalg.norm(place)


def pull(place):
    """Return the sun's pull on a unit mass."""
    return -place / np.linalg.norm(place) ** 3
