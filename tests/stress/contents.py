"""What a response of the stress test must contain: the same function makes it and checks it."""


def content(number, size):
    """Return `size` bytes that no other request number has, from its first few bytes on."""
    unit = b"%d|" % number
    return (unit * (size // len(unit) + 1))[:size]
