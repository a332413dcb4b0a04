"""The chain under test: a real Nginx with deploy/nginx.conf, a real Portway or Gunicorn, the real site.

Nginx's sockets are opened here, on ports that the system chooses, and handed down to it as it hands them down
to itself when its binary is replaced (the variable NGINX): so no port is guessed. Everything lies in folders
of the tests' own and ends with them.
"""

import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
DEPLOY = REPOSITORY / "deploy"
PROBE = Path(__file__).parent / "probe"
#: How long anything may take that a test waits for. Seconds; reached only when a test fails.
PATIENCE = 30.0
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
EDITOR = ("editor", "a-password-for-tests")

NGINX_MAIN = """
{user}
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr notice;
events {{ worker_connections 256; }}
http {{
    include /etc/nginx/mime.types;
    client_body_temp_path {folder}/client_body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""


@dataclass
class Site:
    """The markup site in a folder of its own: database, static files, uploads, and the pipes of the probe."""

    folder: Path
    env: dict = field(default_factory=dict)

    @property
    def static(self):
        return self.folder / "static"

    @property
    def media(self):
        return self.folder / "media"

    def manage(self, *arguments, **env):
        """Run a command of manage.py; return what it printed."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=REPOSITORY / "markup",
            env={**os.environ, **self.env, **env},
            capture_output=True,
            text=True,
            timeout=90,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def pipe(self, name):
        """Make a named pipe for a view of the probe."""
        os.mkfifo(self.folder / "probe" / name)
        return self.folder / "probe" / name

    def calls(self):
        """Return the names that the view `digest` was called with."""
        calls = self.folder / "probe" / "calls"
        return calls.read_text().split() if calls.exists() else []


@dataclass
class Answer:
    """A response: status, fields (http.client's, which know no case) and the whole body."""

    status: int
    fields: http.client.HTTPMessage
    body: bytes

    def __getitem__(self, name):
        return self.fields[name]

    @property
    def text(self):
        return self.body.decode()

    @property
    def json(self):
        return json.loads(self.body)


class Chain:
    """Nginx and the server behind it. server: "portway" or "gunicorn"; transport: "tcp" or "unix"."""

    def __init__(self, site, server, transport, address, upstream, nginx, port, tls_port, certificate):
        self.site = site
        self.server = server
        self.transport = transport
        self.address = address
        self.upstream = upstream
        self.nginx = nginx
        self.port = port
        self.tls_port = tls_port
        self._certificate = certificate

    def connect(self, *, tls=False, source=None):
        """Return a connection to Nginx, opened when it is first used; source: the client's address."""
        source_address = (source, 0) if source else None
        if tls:
            context = ssl.create_default_context(cafile=self._certificate)
            return http.client.HTTPSConnection(
                "127.0.0.1", self.tls_port, timeout=PATIENCE, source_address=source_address, context=context
            )
        return http.client.HTTPConnection(
            "127.0.0.1", self.port, timeout=PATIENCE, source_address=source_address
        )

    def ask(self, path, *, method="GET", body=None, fields=(), tls=False, source=None):
        """Send one request on a connection of its own; return the Answer."""
        connection = self.connect(tls=tls, source=source)
        try:
            return exchange(connection, path, method=method, body=body, fields=fields)
        finally:
            connection.close()

    def raw(self, data):
        """Open a plain connection to Nginx and send bytes as they are; the caller closes the socket."""
        client = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        client.sendall(data)
        return client

    @property
    def authority(self):
        return f"127.0.0.1:{self.port}"


def exchange(connection, path, *, method="GET", body=None, fields=()):
    """Send a request on a connection; return the Answer."""
    chunked = body is not None and not isinstance(body, bytes)
    headers = dict(fields)
    if chunked:
        headers["Transfer-Encoding"] = "chunked"
    connection.request(method, path, body, headers, encode_chunked=chunked)
    response = connection.getresponse()
    return Answer(response.status, response.headers, response.read())


def render_site(text, changes):
    """Return deploy/nginx.conf with other values; no line that is marked to be changed is left as it was."""
    for shipped, wanted in changes.items():
        pattern = rf"(?m)^( *){re.escape(shipped)}(?: *# CHANGE)?$"
        assert len(re.findall(pattern, text)) == 1, f"not once in deploy/nginx.conf: {shipped}"
        text = re.sub(pattern, lambda match, wanted=wanted: match[1] + wanted, text)
    left = [line for line in text.splitlines() if line.endswith("# CHANGE") and line.strip()[0] != "#"]
    assert not left, left
    return text


@pytest.fixture(scope="session")
def repository():
    return REPOSITORY


@pytest.fixture(scope="session")
def server_process(request):
    """The class of real processes that the other tests use (tests/conftest.py)."""
    return request.config.pluginmanager.get_plugin(str(REPOSITORY / "tests" / "conftest.py")).ServerProcess


@pytest.fixture(scope="session")
def nginx_program():
    if NGINX is None:
        pytest.fail("nginx is not installed: deploy/install-nginx, or make test-chain, does that")
    return NGINX


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The site as deploy/portway.service prepares it, with samples, an editor, and the probe."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "probe").mkdir()
    # An empty variable counts as none: what is set where the tests run is not to reach the site.
    ours = ("DJANGO_", "PORTWAY_CMD", "GUNICORN_CMD")
    env = {name: "" for name in os.environ if name.startswith(ours)}
    env |= {
        "DJANGO_SETTINGS_MODULE": "probe_settings",
        "DJANGO_SECRET_KEY": "a-key-for-tests-that-is-long-enough-and-has-many-signs-0123456789",
        "DJANGO_ALLOWED_HOSTS": "127.0.0.1,localhost",
        "DJANGO_STATIC_ROOT": str(folder / "static"),
        "DJANGO_MEDIA_ROOT": str(folder / "media"),
        "DATABASE_URL": f"sqlite:///{folder}/markup.sqlite3",
        "PYTHONPATH": str(PROBE),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PROBE_FOLDER": str(folder / "probe"),
        "WEB_CONCURRENCY": "2",
    }
    site = Site(folder, env)
    site.manage("migrate", "--noinput", "--verbosity", "0")
    site.manage("load_samples")
    site.manage("collectstatic", "--noinput", "--verbosity", "0")
    name, password = EDITOR
    site.manage(
        "createsuperuser",
        "--noinput",
        f"--username={name}",
        "--email=editor@example.org",
        DJANGO_SUPERUSER_PASSWORD=password,
    )
    return site


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1, signed by itself: (certificate file, key file)."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    options = "-x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
    names = "subjectAltName=IP:127.0.0.1,DNS:localhost"
    subprocess.run(
        ["openssl", "req", *options.split(), "-addext", names, "-keyout", key, "-out", certificate],
        check=True,
        capture_output=True,
    )
    return certificate, key


@pytest.fixture(scope="session")
def start_server(server_process, site):
    """Return a function that starts Portway or Gunicorn with its file in deploy/; the caller closes it."""

    def start(server, bind, *arguments, pass_fds=(), program=(sys.executable,), **env):
        command = [*program, "-m", server, "-c", DEPLOY / f"{server}.conf.py"]
        if bind:
            command += ["--bind", bind]
        process = server_process(
            [*map(str, command), "--access-logfile", "-", *arguments, "markup.wsgi:application"],
            cwd=REPOSITORY / "markup",
            env={**site.env, **env},
            pass_fds=pass_fds,
        )
        try:
            process.wait_for_log("Stop with" if server == "portway" else "Booting worker")
        except BaseException:
            process.close()
            raise
        return process

    return start


@pytest.fixture(scope="session")
def start_nginx(server_process, nginx_program, site, certificate, tmp_path_factory):
    """Return a function that starts Nginx in front of an address: (process, port, port for TLS).

    changes: lines of deploy/nginx.conf, without their indentation, and what they become. The caller closes
    the process.
    """

    def start(address, changes=()):
        folder = tmp_path_factory.mktemp("nginx")
        plain, tls = _listening_socket(), _listening_socket()
        with plain, tls:
            port, tls_port = plain.getsockname()[1], tls.getsockname()[1]
            shipped = (DEPLOY / "nginx.conf").read_text()
            lines = {
                "server 127.0.0.1:8000;": f"server {address};",
                "listen 80;": f"listen 127.0.0.1:{port};",
                "listen [::]:80;": "",
                "# listen 443 ssl http2;": f"listen 127.0.0.1:{tls_port} ssl http2;",
                "# ssl_certificate     /etc/letsencrypt/live/example.org/fullchain.pem;": (
                    f"ssl_certificate {certificate[0]};"
                ),
                "# ssl_certificate_key /etc/letsencrypt/live/example.org/privkey.pem;": (
                    f"ssl_certificate_key {certificate[1]};"
                ),
                "# ssl_protocols TLSv1.2 TLSv1.3;": "ssl_protocols TLSv1.2 TLSv1.3;",
                "# ssl_session_cache shared:markup:10m;": "ssl_session_cache shared:markup:10m;",
                "server_name example.org www.example.org;": "server_name 127.0.0.1 localhost;",
                "access_log /var/log/nginx/markup.access.log markup;": "access_log /dev/stdout markup;",
                "error_log /var/log/nginx/markup.error.log warn;": "error_log stderr warn;",
                "root /var/www/letsencrypt;": f"root {folder};",
                "alias /var/lib/markup/static/;": f"alias {site.static}/;",
                "alias /var/lib/markup/media/;": f"alias {site.media}/;",
                **dict(changes),
            }
            (folder / "site.conf").write_text(render_site(shipped, lines))
            # Folders of tests are closed to other users: workers stay what the tests are.
            user = "user root;" if os.geteuid() == 0 else ""
            (folder / "nginx.conf").write_text(NGINX_MAIN.format(folder=folder, user=user))
            process = server_process(
                [nginx_program, "-e", "stderr", "-p", f"{folder}/", "-c", "nginx.conf", "-g", "daemon off;"],
                cwd=folder,
                env={"NGINX": f"{plain.fileno()};{tls.fileno()};"},
                pass_fds=(plain.fileno(), tls.fileno()),
            )
        try:
            process.wait_for_log("start worker process ")
        except BaseException:
            process.close()
            raise
        return process, port, tls_port

    return start


def _listening_socket():
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(128)
    return listening


@pytest.fixture(scope="session")
def build_chain(site, certificate, start_server, start_nginx, tmp_path_factory):
    """Return a function that starts a chain; the caller ends it by `close_chain`."""

    def build(server, transport, *arguments, changes=()):
        if transport == "unix":
            address = f"unix:{tmp_path_factory.mktemp('socket')}/server.sock"
            upstream = start_server(server, address, *arguments)
        else:
            upstream = start_server(server, "127.0.0.1:0", *arguments)
            found = upstream.wait_for_log(r"Listening (?:on|at:) http://(127\.0\.0\.1:\d+)")
            address = found[1]
        try:
            nginx, port, tls_port = start_nginx(address, changes)
        except BaseException:
            upstream.close()
            raise
        return Chain(site, server, transport, address, upstream, nginx, port, tls_port, certificate[0])

    return build


def close_chain(chain):
    """End both, the front first, and see that nothing is left of either."""
    try:
        chain.nginx.close()
    finally:
        chain.upstream.close()


@pytest.fixture(
    scope="session",
    params=[(server, transport) for server in ("portway", "gunicorn") for transport in ("tcp", "unix")],
    ids="-".join,
)
def chain(request, build_chain):
    """Each of the four chains in turn, for tests that leave it as it was."""
    chain = build_chain(*request.param)
    yield chain
    close_chain(chain)


@pytest.fixture
def own_chain(build_chain):
    """Return a function that starts a chain for one test: `own_chain("portway", "unix", changes={...})`."""
    chains = []

    def start(*arguments, **keywords):
        chains.append(build_chain(*arguments, **keywords))
        return chains[-1]

    yield start
    for chain in chains:
        close_chain(chain)


@pytest.fixture
def chain_of(site, certificate, start_nginx):
    """Return a function that puts Nginx before what `start` starts: `chain_of("portway", address, start)`."""
    chains = []

    def build(server, address, start):
        upstream = start()
        try:
            nginx, port, tls_port = start_nginx(address)
        except BaseException:
            upstream.close()
            raise
        transport = "unix" if address.startswith("unix:") else "tcp"
        chain = Chain(site, server, transport, address, upstream, nginx, port, tls_port, certificate[0])
        chains.append(chain)
        return chain

    yield build
    for chain in chains:
        close_chain(chain)


@pytest.fixture
def converse():
    """Return the function that sends a request on a connection that is kept."""
    return exchange
