"""Builds `environ` (PEP 3333) from a parsed request: a copy of a base dict plus about a dozen keys.

It knows neither sockets nor the body's bytes: addresses and the finished body are arguments. One
EnvironBuilder serves all threads of a worker; `build` changes nothing of it but bounded caches.

What goes into environ besides PEP 3333's keys: RAW_URI and REQUEST_URI, REMOTE_ADDR, REMOTE_PORT,
SERVER_SOFTWARE, wsgi.input_terminated and wsgi.file_wrapper. What does not: the process's environment,
Transfer-Encoding (the body is dechunked and CONTENT_LENGTH is its real size), Proxy (it would become
HTTP_PROXY, which HTTP clients take for a setting: "httpoxy"), and the forwarding fields of peers that are not
trusted (portway.wsgi.proxy).
"""

# mypy: disallow-untyped-decorators=False, warn-return-any=False
# Cython's decorators carry no types.

try:
    import cython
except ModuleNotFoundError:
    from portway import _cython as cython

import logging
from typing import Any
from urllib.parse import unquote_to_bytes

from portway import __version__
from portway.http.errors import RemoteProtocolError, quoted
from portway.wsgi.errors_stream import ErrorsStream
from portway.wsgi.file_wrapper import FileWrapper
from portway.wsgi.input import EMPTY_INPUT
from portway.wsgi.proxy import (
    FORWARDING_FIELDS,
    TrustedPeers,
    forwarded_port,
    forwarded_scheme,
    is_forwarding_field,
)

if cython.compiled:
    from cython.cimports.portway.http.request import Request
else:
    from portway.http.request import Request

log = logging.getLogger("portway.error")

SERVER_SOFTWARE = f"portway/{__version__}"

# Fields that do not become HTTP_*; "" is left out. Host and Content-Length are set from what the parser made
# of them.
_SPECIAL = {
    "content-length": "",
    "content-type": "CONTENT_TYPE",
    "host": "",
    "proxy": "",
    "transfer-encoding": "",
}

# Names that are in the cache from the start, so that no client can keep them out of it.
_WELL_KNOWN = """
    accept accept-charset accept-encoding accept-language authorization cache-control connection
    content-encoding content-language cookie date dnt expect from if-match if-modified-since
    if-none-match if-range if-unmodified-since keep-alive max-forwards origin pragma priority
    proxy-authorization range referer sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform sec-fetch-dest
    sec-fetch-mode sec-fetch-site sec-fetch-user sec-gpc te traceparent tracestate trailer upgrade
    upgrade-insecure-requests user-agent via x-csrftoken x-request-id x-requested-with
""".split()  # noqa: SIM905 - a list literal of them is no pleasure to read

# The cache of environ's keys: how many names, and how long a name may be (characters) to be kept.
_CACHED: cython.Py_ssize_t = 1024
_CACHED_LENGTH: cython.Py_ssize_t = 64

_DEFAULT_PORTS = {"http": "80", "https": "443"}
_WILDCARDS = ("", "0.0.0.0", "::")  # noqa: S104 - compared with, not bound to


def is_compiled() -> bool:
    """Say which form of this module was loaded."""
    return bool(cython.compiled)


def _key_of(name: str) -> str:
    return "HTTP_" + name.upper().replace("-", "_")


@cython.final
@cython.cclass
class EnvironBuilder:
    """Makes the environ of each request; made once for a worker."""

    def __init__(
        self,
        *,
        trusted: Any = None,
        script_name: str = "",
        url_scheme: str = "http",
        server_name: str = "",
        multithread: bool = True,
        multiprocess: bool = True,
        errors: Any = None,
        file_wrapper: Any = FileWrapper,
        extra: Any = None,
    ) -> None:
        """Take what is the same for all requests.

        trusted: the TrustedPeers; None trusts Unix sockets alone.
        script_name: where the application is mounted, as "/app"; text, not percent-encoded; "" for the root.
        url_scheme: "http" or "https", how clients that come without a trusted proxy reach the server.
        server_name: SERVER_NAME where the socket gives none (a Unix socket without a Host, a wildcard
        address); localhost if it is "".
        multithread, multiprocess: whether other threads or processes may run the application meanwhile.
        errors: wsgi.errors, a text stream; None for the error log. file_wrapper: None leaves it out.
        extra: further keys with their values, the same for every request.

        Raises ValueError for a script_name that does not begin with a slash.
        """
        # What os.environ and the command line give as text, a request gives as bytes in latin-1.
        script = script_name.rstrip("/").encode("utf-8", "surrogateescape").decode("latin-1")
        if script and not script.startswith("/"):
            raise ValueError(f"the script name {script_name!r} does not begin with a slash")
        self._script_name = script
        self._server_name = server_name or "localhost"
        self._trusted: Any = TrustedPeers() if trusted is None else trusted
        self._warned: bool = False
        # The address of the last listener, and its SERVER_NAME and SERVER_PORT.
        self._local: tuple[Any, str, str] = ((), "", "")
        self._keys: dict[str, str] = _SPECIAL | {name: _key_of(name) for name in _WELL_KNOWN}
        forwarding = [
            *FORWARDING_FIELDS,
            *(f"x-forwarded-{name}" for name in ("for", "host", "port", "proto")),
        ]
        self._forwarding = {name: _key_of(name) for name in forwarding}
        # All the keys that nearly every request has, so that the copy has room for them and for more.
        self._base: dict[str, Any] = {
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": url_scheme,
            "wsgi.input": None,
            "wsgi.errors": ErrorsStream() if errors is None else errors,
            "wsgi.multithread": bool(multithread),
            "wsgi.multiprocess": bool(multiprocess),
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
            "wsgi.file_wrapper": file_wrapper,
            "SERVER_SOFTWARE": SERVER_SOFTWARE,
            "SERVER_PROTOCOL": "HTTP/1.1",
            "SERVER_NAME": self._server_name,
            "SERVER_PORT": "",
            "REMOTE_ADDR": "",
            "REMOTE_PORT": "",
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": script,
            "PATH_INFO": "/",
            "QUERY_STRING": "",
            "RAW_URI": "/",
            "REQUEST_URI": "/",
            "HTTP_HOST": "",
        }
        if file_wrapper is None:
            del self._base["wsgi.file_wrapper"]
        self._base.update(extra or {})

    def build(self, request: Request, body: Any, peer: Any, local: Any) -> dict[str, Any]:
        """Return the environ of a request; it is the caller's own.

        body: a RequestBody that is finished, or None for a request without one.
        peer: the other end of the connection, (host, port, ...) as the socket module has it, or a str for a
        Unix socket; the port may be a str, which saves its conversion for each request.
        local: this end, in the same form; best the same object for all requests of a listener.

        Raises RemoteProtocolError (404) for a path outside of the script name, and ValueError for a body that
        is not finished, or missing.
        """
        environ: dict[str, Any] = self._base.copy()
        path: str = request.path
        target: str = request.target
        host: str = request.host
        address: str = ""

        environ["REQUEST_METHOD"] = request.method
        environ["QUERY_STRING"] = request.query
        environ["RAW_URI"] = target
        if request.scheme:
            # In absolute-form; what comes after the authority is what an origin-form would have been.
            environ["REQUEST_URI"] = f"{path}?{request.query}" if "?" in target else path
        else:
            environ["REQUEST_URI"] = target
        if "%" in path:
            path = unquote_to_bytes(path.encode("latin-1")).decode("latin-1")
        elif path == "*":
            # OPTIONS * is about the server as a whole, which is an empty path (RFC 9112 section 3.2.4).
            path = ""
        if self._script_name:
            path = self._below_script_name(path, request)
        environ["PATH_INFO"] = path
        if request.http_minor == 0:
            environ["SERVER_PROTOCOL"] = "HTTP/1.0"

        if type(peer) is tuple:
            address = peer[0]
            environ["REMOTE_ADDR"] = address
            port = peer[1]
            environ["REMOTE_PORT"] = port if type(port) is str else str(port)
        else:
            del environ["REMOTE_PORT"]
        if host:
            environ["HTTP_HOST"] = host
        else:
            del environ["HTTP_HOST"]
        name_and_port: tuple[Any, str, str] = self._local
        if name_and_port[0] is not local:
            name_and_port = self._name_and_port(local)
        if name_and_port[1]:
            environ["SERVER_NAME"] = name_and_port[1]
            environ["SERVER_PORT"] = name_and_port[2]
        else:
            self._name_after_host(environ, host)

        if body is None:
            if request.has_body:
                raise ValueError("the request has a body, and none was given")
            environ["wsgi.input"] = EMPTY_INPUT()
            if request.content_length == 0:
                environ["CONTENT_LENGTH"] = "0"
        else:
            environ["wsgi.input"] = body.open()
            environ["CONTENT_LENGTH"] = str(body.size)

        if self._add_fields(environ, request.fields, address):
            self._apply_forwarding(environ)
        return environ

    @cython.cfunc
    def _add_fields(self, environ: dict[str, Any], fields: list[Any], address: str) -> cython.bint:
        """Add the HTTP_* keys; return True if there are forwarding fields from a trusted peer among them."""
        keys: dict[str, str] = self._keys
        forwarded: cython.bint = False
        size: cython.Py_ssize_t = len(environ)
        for name, value in fields:
            key = keys.get(name)
            if key is None:
                key = self._forwarding.get(name)
                if key is not None or is_forwarding_field(name):
                    if not self._trusted.trusts(address):
                        if not self._warned:
                            self._warn(name, address)
                        continue
                    forwarded = True
                if key is None:
                    key = self._learn(name)
            if key == "":
                continue
            # One look-up: the dict has not grown if the field was there already.
            before = environ.setdefault(key, value)
            if len(environ) == size:
                environ[key] = before + ("; " if key == "HTTP_COOKIE" else ",") + value
            else:
                size += 1
        return forwarded

    @cython.cfunc
    def _learn(self, name: str) -> str:
        key: str = _key_of(name)
        if not is_forwarding_field(name) and len(self._keys) < _CACHED and len(name) <= _CACHED_LENGTH:
            self._keys[name] = key
        return key

    @cython.cfunc
    def _below_script_name(self, path: str, request: Request) -> str:
        """Return what is left of the path. It is compared decoded, as SCRIPT_NAME and PATH_INFO are."""
        script: str = self._script_name
        if path.startswith(script):
            rest: str = path[len(script) :]
            if not rest or rest.startswith("/"):
                return rest
        if request.path == "*":
            return ""
        raise RemoteProtocolError(
            404, f"the path {quoted(request.path)} is not below SCRIPT_NAME {quoted(script)}"
        )

    @cython.cfunc
    def _name_and_port(self, local: Any) -> tuple[Any, str, str]:
        """Return (local, SERVER_NAME, SERVER_PORT), the latter two "" for a Unix socket."""
        name: str = ""
        port: str = ""
        if type(local) is tuple:
            name = local[0]
            port = str(local[1])
            if name in _WILDCARDS:
                name = self._server_name
            elif ":" in name:
                # As in a URL (RFC 3875 section 4.1.14).
                name = f"[{name}]"
        # Kept whole in one attribute: another thread sees the old tuple or the new one.
        self._local = (local, name, port)
        return (local, name, port)

    @cython.cfunc
    def _name_after_host(self, environ: dict[str, Any], host: str) -> Any:
        """Set SERVER_NAME and SERVER_PORT for a Unix socket, which has neither."""
        if host:
            name, port = _host_and_port(host)
            environ["SERVER_NAME"] = name or self._server_name
        else:
            port = ""
        environ["SERVER_PORT"] = port or _DEFAULT_PORTS.get(environ["wsgi.url_scheme"], "80")

    @cython.cfunc
    def _apply_forwarding(self, environ: dict[str, Any]) -> Any:
        """Let REMOTE_ADDR, wsgi.url_scheme and SERVER_PORT be what the trusted peer says of its client."""
        hops: cython.Py_ssize_t = 0
        value = environ.get("HTTP_X_FORWARDED_FOR")
        if value is not None:
            client = self._trusted.client(value)
            hops = client.hops
            if client.address:
                environ["REMOTE_ADDR"] = client.address
                # The socket's port is the proxy's, not this client's.
                environ.pop("REMOTE_PORT", None)
                if client.port:
                    environ["REMOTE_PORT"] = client.port
        scheme: str = ""
        port: str = ""
        value = environ.get("HTTP_X_FORWARDED_PROTO")
        if value is not None:
            scheme = forwarded_scheme(value, hops)
        value = environ.get("HTTP_X_FORWARDED_PORT")
        if value is not None:
            port = forwarded_port(value)
        if scheme:
            environ["wsgi.url_scheme"] = scheme
            if not port:
                # The port the client used is the one it wrote in Host, if any.
                port = _host_and_port(environ.get("HTTP_HOST", ""))[1] or _DEFAULT_PORTS[scheme]
        if port:
            environ["SERVER_PORT"] = port

    @cython.cfunc
    def _warn(self, name: str, address: str) -> Any:
        self._warned = True
        log.warning(
            "Dropped the field %s sent by %s, which is not in --forwarded-allow-ips (%s). "
            "If this is your proxy, add its address there. This is said once.",
            name[:64],
            address,
            str(self._trusted) or "empty",
        )


def _host_and_port(host: str) -> tuple[str, str]:
    """Take apart a Host that the parser found valid; an IPv6 address keeps its brackets."""
    name, colon, port = host.rpartition(":")
    if not colon or port.endswith("]"):
        return host, ""
    return name, port
