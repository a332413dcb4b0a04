"""Views by which tests look at the inside of a request, and hold one up.

Named pipes in PROBE_FOLDER connect a view with the test that asks for it: opening one waits until the other
side has opened it too.
"""

import hashlib
import os
from pathlib import Path

from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt

FOLDER = Path(os.environ["PROBE_FOLDER"])

if (FOLDER / "broken-release").exists():
    raise ImportError("this release is broken on purpose")


def seen(request: HttpRequest) -> JsonResponse:
    """What Django makes of the request, and every field of its head."""
    return JsonResponse(
        {
            "secure": request.is_secure(),
            "scheme": request.scheme,
            "host": request.get_host(),
            "url": request.build_absolute_uri(),
            "client": request.META.get("REMOTE_ADDR"),
            "port": request.META.get("SERVER_PORT"),
            "script": request.META.get("SCRIPT_NAME"),
            "fields": {
                name: value
                for name, value in request.META.items()
                if name.startswith("HTTP_") or name in ("CONTENT_LENGTH", "CONTENT_TYPE")
            },
            "software": request.META.get("SERVER_SOFTWARE"),
            "process": os.getpid(),
        }
    )


@csrf_exempt
def digest(request: HttpRequest) -> JsonResponse:
    """The size and SHA-256 of the body, read in pieces; each call leaves a line in the file `calls`."""
    with open(FOLDER / "calls", "a") as calls:
        calls.write(request.GET.get("name", "") + "\n")
    content, size = hashlib.sha256(), 0
    while piece := request.read(65536):
        content.update(piece)
        size += len(piece)
    return JsonResponse(
        {
            "size": size,
            "sha256": content.hexdigest(),
            "length": request.META.get("CONTENT_LENGTH"),
            "coding": request.META.get("HTTP_TRANSFER_ENCODING"),
        }
    )


def wait(request: HttpRequest, name: str) -> HttpResponse:
    """Say that the view runs, wait to be told to go on, and say that it returns."""
    (FOLDER / f"{name}.begun").write_text(str(os.getpid()))
    (FOLDER / f"{name}.go").read_text()
    (FOLDER / f"{name}.done").write_text("returned")
    return HttpResponse("late")


def stream(request: HttpRequest, name: str) -> StreamingHttpResponse:
    """A response without an end; says why its generator was closed."""

    def pieces():
        end = "exhausted"
        try:
            while True:
                yield b"x" * 65536
        except GeneratorExit:
            end = "closed"
            raise
        finally:
            (FOLDER / f"{name}.done").write_text(end)

    return StreamingHttpResponse(pieces(), content_type="text/plain")


def pieces(request: HttpRequest, count: int) -> StreamingHttpResponse:
    """A response of so many pieces of 64 KiB, whose length is not said."""
    return StreamingHttpResponse((b"x" * 65536 for _ in range(count)), content_type="text/plain")


def broken(request: HttpRequest) -> HttpResponse:
    """Fail, as views do."""
    raise RuntimeError("the probe is broken on purpose")
