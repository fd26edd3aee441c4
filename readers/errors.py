"""What is said of data that cannot be read."""


class DataError(ValueError):
    """A data set is missing or is not what its name says."""
