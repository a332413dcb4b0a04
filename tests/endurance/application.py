"""The application under load: answers tell which request they belong to, and who gave them.

It is copied into the project of the run with another VERSION before each reload.

    GET  /NUMBER?size=N&delay=S     N bytes that follow from the number
    POST /NUMBER?delay=S            the body, as it came

Every call is counted in the ledger, a file with a byte for each number, which all processes map: so the run can
tell whether a request was lost, or served twice.
"""

import mmap
import os
import time
from urllib.parse import parse_qs

VERSION = 1

with open(os.environ["ENDURANCE_LEDGER"], "r+b") as file:
    LEDGER = mmap.mmap(file.fileno(), 0)


def application(environ, start_response):
    number = int(environ["PATH_INFO"][1:])
    query = parse_qs(environ["QUERY_STRING"])
    LEDGER[number] += 1
    time.sleep(float(query["delay"][0]))
    if environ["REQUEST_METHOD"] == "POST":
        body = environ["wsgi.input"].read()
    else:
        text = b"%d " % number
        size = int(query["size"][0])
        body = (text * (size // len(text) + 1))[:size]
    fields = [
        ("Content-Type", "application/octet-stream"),
        ("Content-Length", str(len(body))),
        ("X-Number", str(number)),
        ("X-Process", str(os.getpid())),
        ("X-Version", str(VERSION)),
    ]
    start_response("200 OK", fields)
    return [body]
