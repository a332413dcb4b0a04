"""A Django project in one file, called through the gateway: `python django_site.py FILE` prints JSON lines.

It runs in a process of its own, because Django's settings are the process's.
"""

# ruff: noqa: SIM115 - Django closes what it is given

import io
import json
import os
import sys
import threading

import django
from django.conf import settings
from django.core.files import File
from django.core.signals import request_finished
from django.core.wsgi import get_wsgi_application
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse
from django.urls import path

from portway.http.events import END_OF_MESSAGE
from portway.http.limits import Limits
from portway.http.parser import RequestParser
from portway.wsgi.environ import EnvironBuilder
from portway.wsgi.gateway import Gateway
from portway.wsgi.input import RequestBody
from portway.wsgi.proxy import TrustedPeers
from portway.wsgi.sink import Sink

FILE = sys.argv[1]
finished: list[bool] = []


class Stream:
    def __iter__(self):
        yield b"streamed "
        yield b"pieces"


def facts(request, name=""):
    return JsonResponse(
        {
            "post": request.POST.dict(),
            "length": len(request.body),
            "secure": request.is_secure(),
            "address": request.META["REMOTE_ADDR"],
            "uri": request.build_absolute_uri(),
            "path_info": request.path_info,
        }
    )


urlpatterns = [
    path("plain", lambda request: HttpResponse("plain")),
    path("stream", lambda request: StreamingHttpResponse(Stream())),
    path("file", lambda request: FileResponse(open(FILE, "rb"))),
    path("wrapped-file", lambda request: FileResponse(File(open(FILE, "rb")))),
    path("memory-file", lambda request: FileResponse(io.BytesIO(b"from memory"))),
    path("facts", facts),
    path("b\u00fccher/<str:name>", facts),
    path("boom", lambda request: 1 / 0),
]


class MemorySink(Sink):
    def __init__(self):
        self.data = b""
        self.files = 0

    def send(self, data):
        self.data += data

    def send_file(self, fd, offset, count):
        self.data += os.pread(fd, count, offset)
        self.files += 1
        os.close(fd)


def respond(gateway, builder, line, *fields, body=b""):
    head = "\r\n".join([f"{line} HTTP/1.1", "Host: site.example", *fields, "", ""])
    parser = RequestParser(Limits())
    parser.receive_data(head.encode() + body)
    request = parser.next_event()
    received = None
    if request.has_body:
        received = RequestBody()
        while (event := parser.next_event()) is not END_OF_MESSAGE:
            received.write(event)
        received.finish()
    environ = builder.build(request, received, ("192.0.2.7", 4711), ("127.0.0.1", 8000))
    sink = MemorySink()
    outcome = gateway.respond(request, environ, sink, b"Sun, 06 Nov 1994 08:49:37 GMT", True)
    if received is not None:
        received.close()
    answer, _, content = sink.data.partition(b"\r\n\r\n")
    print(
        json.dumps(
            {
                "request": line,
                "status": outcome.status_code,
                "head": answer.decode("latin-1").lower(),
                "content": content.decode("latin-1"),
                "files": sink.files,
                "finished": finished == [True],
                "error": outcome.error,
                "descriptors": len(os.listdir("/proc/self/fd")),
            }
        )
    )
    finished.clear()


def main():
    settings.configure(
        SECRET_KEY="only a test's",
        ALLOWED_HOSTS=["site.example"],
        ROOT_URLCONF=__name__,
        SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"),
        LOGGING_CONFIG=None,
    )
    django.setup()
    thread = threading.get_ident()
    request_finished.connect(lambda **_: finished.append(threading.get_ident() == thread), weak=False)
    gateway = Gateway(get_wsgi_application())
    builder = EnvironBuilder(trusted=TrustedPeers("192.0.2.0/24"))
    for method in ("GET", "HEAD"):
        for name in ("plain", "stream", "file", "wrapped-file", "memory-file", "boom", "missing"):
            respond(gateway, builder, f"{method} /{name}")
    form = ("Content-Type: application/x-www-form-urlencoded", "Transfer-Encoding: chunked")
    respond(gateway, builder, "POST /facts", *form, body=b"5\r\na=1&b\r\n2\r\n=2\r\n0\r\n\r\n")
    forwarded = ("X-Forwarded-For: 6.6.6.6, 203.0.113.9", "X-Forwarded-Proto: https")
    respond(gateway, builder, "GET /facts?q=1", *forwarded)
    mounted = EnvironBuilder(trusted=TrustedPeers(), script_name="/under")
    respond(gateway, mounted, "GET /under/b%C3%BCcher/%E2%82%AC")


if __name__ == "__main__":
    main()
