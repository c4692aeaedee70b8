"""What keeps a folder of weights from being loaded."""


class WeightsError(ValueError):
    """A checkpoint may not or cannot be loaded; one line that names the file and why."""
