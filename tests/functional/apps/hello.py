"""The shortest application, and ways to name it."""


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "13")])
    return [b"Hello, world!"]


class Site:
    """An application as an attribute of another object."""

    app = staticmethod(application)


site = Site()
not_callable = 1


def create_app(greeting="made", **_options):
    """Make an application that greets in its own way."""

    def greet(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [greeting.encode()]

    return greet
