"""Gunicorn's settings that Portway does not have: each is known by name and answered with what to do.

None is ignored in silence. A value that asks for nothing special (`harmless`, mostly Gunicorn's own default)
passes; a setting that Portway makes needless passes with a warning; everything else is an error. The flags
here are parsed like any other, so that the message is about them and not about the value that follows.
"""

from dataclasses import dataclass
from typing import Any

#: What stands after "is not available in Portway: ".
_TLS = "let the proxy in front (Nginx, a load balancer) speak TLS to clients and plain HTTP to Portway"
_HTTP2 = "let the proxy in front speak HTTP/2 to clients; to Portway it speaks HTTP/1.1"
_PROXY = (
    "have the proxy send X-Forwarded-For and X-Forwarded-Proto instead, and name it in --forwarded-allow-ips"
)
_LAX = "Portway never reads requests that differently from the proxies in front of it; leave it out"
_SYSLOG = "log to standard error, which systemd and containers collect: --error-logfile - --access-logfile -"
_LOGGING = "set --log-level, --error-logfile, --access-logfile and --access-logformat instead"
_STATSD = "take the figures from the access log for now; leave it out"
_ASGI = "Portway serves WSGI applications; leave it out"
_DIRTY = "run long tasks in a worker process of their own, as a task queue does; leave it out"
_PASTE = "name the application itself, MODULE:CALLABLE; a factory is written MODULE:factory('argument')"


@dataclass(frozen=True, slots=True)
class Foreign:
    """A setting of Gunicorn's.

    advice: a clause that says what to do. takes: whether a flag has a value ("value"), none ("flag") or maybe
    one ("optional"). harmless: values that ask for what Portway does anyway. needless: True when the setting
    is only warned about, because what it is for is taken care of.
    """

    name: str
    flags: tuple[str, ...]
    advice: str
    takes: str = "value"
    harmless: tuple[Any, ...] = ()
    needless: bool = False

    def passes(self, value: Any) -> bool:
        """Tell whether the value asks for nothing that is not so anyway."""
        if isinstance(value, str) and value.isascii() and value.isdigit():
            return value in self.harmless or int(value) in self.harmless
        # 0 == False, yet `daemon = 0` and `daemon = False` mean the same here.
        return any(value == one for one in (*self.harmless, None, ""))


def _f(
    name: str, flags: str, advice: str, takes: str = "value", harmless: Any = (), needless: bool = False
) -> Foreign:
    many = harmless if isinstance(harmless, tuple) else (harmless,)
    return Foreign(name, tuple(flags.split()), advice, takes, many, needless)


FOREIGN: tuple[Foreign, ...] = (
    _f(
        "reload_engine",
        "--reload-engine",
        "--reload chooses by itself how it watches",
        harmless="auto",
        needless=True,
    ),
    _f(
        "reload_extra_files",
        "--reload-extra-file",
        "--reload watches Python code only; leave it out",
        harmless=[],
    ),
    _f("spew", "--spew", "trace the application with a debugger; leave it out", "flag", False),
    _f("sendfile", "--no-sendfile", "Portway always lets the kernel send files; leave it out", "flag", True),
    _f(
        "reuse_port",
        "--reuse-port",
        "all workers take requests from one listener; leave it out",
        "flag",
        False,
    ),
    _f(
        "daemon",
        "-D --daemon",
        "let systemd (or a container) run portway in the foreground, start it at boot and keep its log",
        "flag",
        False,
    ),
    _f("worker_tmp_dir", "--worker-tmp-dir", "workers beat in shared memory, not in files", needless=True),
    _f("initgroups", "--initgroups", "with --user the user's groups are always set", "flag", False, True),
    _f("tmp_upload_dir", "", "large request bodies go to the folder that the variable TMPDIR names"),
    _f(
        "secure_scheme_headers",
        "",
        "X-Forwarded-Proto from a trusted proxy is the one that counts; have the proxy send it",
        harmless=({"X-FORWARDED-PROTOCOL": "ssl", "X-FORWARDED-PROTO": "https", "X-FORWARDED-SSL": "on"},),
    ),
    _f(
        "disable_redirect_access_to_syslog",
        "--disable-redirect-access-to-syslog",
        _SYSLOG,
        "flag",
        False,
        True,
    ),
    _f(
        "capture_output",
        "--capture-output",
        "the application's own output stays what it is; leave it out",
        "flag",
        False,
    ),
    _f("logger_class", "--logger-class", _LOGGING, harmless="gunicorn.glogging.Logger"),
    _f("logconfig", "--log-config", _LOGGING),
    _f("logconfig_dict", "", _LOGGING, harmless=({},)),
    _f("logconfig_json", "--log-config-json", _LOGGING),
    _f("syslog_addr", "--log-syslog-to", _SYSLOG),
    _f("syslog", "--log-syslog", _SYSLOG, "flag", False),
    _f("syslog_prefix", "--log-syslog-prefix", _SYSLOG),
    _f("syslog_facility", "--log-syslog-facility", _SYSLOG, harmless="user"),
    _f("statsd_host", "--statsd-host", _STATSD),
    _f("dogstatsd_tags", "--dogstatsd-tags", _STATSD),
    _f("statsd_prefix", "--statsd-prefix", _STATSD),
    _f("enable_backlog_metric", "--enable-backlog-metric", _STATSD, "flag", False),
    _f(
        "enable_stdio_inheritance",
        "-R --enable-stdio-inheritance",
        "Portway keeps its standard streams anyway",
        "flag",
        False,
        True,
    ),
    _f("default_proc_name", "", "use --name", harmless="gunicorn"),
    _f("paste", "--paste --paster", _PASTE),
    _f("raw_paste_global_conf", "--paste-global", _PASTE, harmless=[]),
    _f("proxy_protocol", "--proxy-protocol", _PROXY, "optional", ("off", False)),
    _f("proxy_allow_ips", "--proxy-allow-from", _PROXY, harmless=("127.0.0.1,::1", "127.0.0.1")),
    _f("protocol", "--protocol", "have Nginx speak HTTP: proxy_pass instead of uwsgi_pass", harmless="http"),
    _f("uwsgi_allow_ips", "--uwsgi-allow-from", "have Nginx speak HTTP: proxy_pass instead of uwsgi_pass"),
    _f("keyfile", "--keyfile", _TLS),
    _f("certfile", "--certfile", _TLS),
    _f("ssl_version", "--ssl-version", _TLS),
    _f("cert_reqs", "--cert-reqs", _TLS, harmless=0),
    _f("ca_certs", "--ca-certs", _TLS),
    _f("ciphers", "--ciphers", _TLS),
    _f("suppress_ragged_eofs", "--suppress-ragged-eofs", _TLS, "flag", True, True),
    _f("do_handshake_on_connect", "--do-handshake-on-connect", _TLS, "flag", False, True),
    _f("http_protocols", "--http-protocols", _HTTP2, harmless="h1"),
    _f("http2_cleartext", "--http2-cleartext", _HTTP2, harmless="off"),
    _f("http2_max_concurrent_streams", "--http2-max-concurrent-streams", _HTTP2),
    _f("http2_initial_window_size", "--http2-initial-window-size", _HTTP2),
    _f("http2_max_frame_size", "--http2-max-frame-size", _HTTP2),
    _f("http2_max_header_list_size", "--http2-max-header-list-size", _HTTP2),
    _f("permit_obsolete_folding", "--permit-obsolete-folding", _LAX, "flag", False),
    _f("strip_header_spaces", "--strip-header-spaces", _LAX, "flag", False),
    _f("permit_unconventional_http_method", "--permit-unconventional-http-method", _LAX, "flag", False),
    _f("permit_unconventional_http_version", "--permit-unconventional-http-version", _LAX, "flag", False),
    _f("casefold_http_method", "--casefold-http-method", _LAX, "flag", False),
    _f("tolerate_dangerous_framing", "--tolerate-dangerous-framing", _LAX, "flag", False),
    _f(
        "forwarder_headers",
        "--forwarder-headers",
        "a proxy cannot set environ's own keys; give the path with --script-name",
        harmless=("SCRIPT_NAME,PATH_INFO", "SCRIPT_NAME", ""),
    ),
    _f(
        "header_map",
        "--header-map",
        "names with underscores are always dropped; leave it out",
        harmless="drop",
    ),
    _f("asgi_loop", "--asgi-loop", _ASGI, harmless="auto"),
    _f("asgi_lifespan", "--asgi-lifespan", _ASGI, harmless="auto"),
    _f("asgi_disconnect_grace_period", "--asgi-disconnect-grace-period", _ASGI),
    _f("websocket_max_message_size", "--websocket-max-message-size", _ASGI),
    _f("http_parser", "--http-parser", "Portway has one parser", harmless="auto", needless=True),
    _f("root_path", "--root-path", "it is for ASGI; use --script-name"),
    _f("dirty_apps", "--dirty-app", _DIRTY, harmless=[]),
    _f("dirty_workers", "--dirty-workers", _DIRTY, harmless=0),
    _f("dirty_timeout", "--dirty-timeout", _DIRTY),
    _f("dirty_threads", "--dirty-threads", _DIRTY),
    _f("dirty_graceful_timeout", "--dirty-graceful-timeout", _DIRTY),
    _f(
        "x_forwarded_for_header",
        "--x-forwarded-for-header",
        "X-Forwarded-For from a trusted proxy is always read",
    ),
    _f("django_settings", "--settings", "set the variable: --env DJANGO_SETTINGS_MODULE=mysite.settings"),
    _f("debug", "--debug", "use --log-level debug", "flag", False),
)

BY_NAME = {foreign.name: foreign for foreign in FOREIGN}

#: Functions that Gunicorn calls when a configuration file defines them.
HOOKS = (
    "on_starting",
    "on_reload",
    "when_ready",
    "pre_fork",
    "post_fork",
    "post_worker_init",
    "worker_int",
    "worker_abort",
    "pre_exec",
    "pre_request",
    "post_request",
    "child_exit",
    "worker_exit",
    "nworkers_changed",
    "on_exit",
    "ssl_context",
    "on_dirty_starting",
    "dirty_post_fork",
    "dirty_worker_init",
    "dirty_worker_exit",
)
