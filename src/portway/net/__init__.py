"""File descriptors: where to listen, what is still to be sent, the system calls of the hot path."""
