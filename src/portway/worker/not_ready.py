"""The one exception by which a worker says that it must not serve, apart so that the supervisor can know it too."""


class NotReady(Exception):  # noqa: N818 - what the worker is, not a mistake of its own
    """The worker must not serve. str() is a sentence; what the application raised, if it did, is the __cause__."""
