"""The HTTP/1.1 core: sans-I/O, strict, compiled where it is hot."""
