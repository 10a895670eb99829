"""What a detector is, for the lock of its name."""

from detector import Detector


def pytest_mitosis_describe(value):
    """Lock the settings of a detector, not its open connection."""
    if isinstance(value, Detector):
        return {"efficiency": value.efficiency, "dead_time": value.dead_time}
    return None
