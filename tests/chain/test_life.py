"""The server behind Nginx is reloaded, restarted, taken down and brought back, while clients come and go."""

import http.client
import signal
import socket
import sys
import threading
from collections import Counter

import pytest

pytestmark = pytest.mark.chain

#: Becomes the server with a listening socket as descriptor 3, as systemd hands one down (sd_listen_fds(3)).
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


class Visitors:
    """Clients that read and write without a pause, each on a connection that it keeps, until stopped."""

    def __init__(self, chain, converse, count=4):
        self._chain = chain
        self._converse = converse
        self._enough = threading.Event()
        self._changed = threading.Condition()
        self.outcomes = Counter()
        self._threads = [threading.Thread(target=self._visit) for _ in range(count)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        self.wait_for_more()
        return self

    def __exit__(self, *error):
        self._enough.set()
        for thread in self._threads:
            thread.join()

    def wait_for_more(self, count=40):
        """Wait until so many more requests have been answered."""
        with self._changed:
            wanted = self.outcomes.total() + count
            assert self._changed.wait_for(lambda: self.outcomes.total() >= wanted, 60)

    def _visit(self):
        connection = self._chain.connect()
        while not self._enough.is_set():
            self._try(connection, "/-probe/seen/")
            self._try(connection, "/-probe/digest/", method="POST", body=b"x" * 1000)
        connection.close()

    def _try(self, connection, path, **request):
        try:
            outcome = self._converse(connection, path, **request).status
        except (OSError, http.client.HTTPException) as error:
            outcome = repr(error)
            connection.close()
        with self._changed:
            self.outcomes[request.get("method", "GET"), outcome] += 1
            self._changed.notify_all()


def everything_went_well(visitors):
    return set(visitors.outcomes) == {("GET", 200), ("POST", 200)}


@pytest.mark.parametrize("transport", ["tcp", "unix"])
def test_portway_reloads_and_no_request_fails(own_chain, converse, transport):
    chain = own_chain("portway", transport)
    first = chain.ask("/-probe/seen/").json["process"]
    with Visitors(chain, converse) as visitors:
        for generation in range(2, 6):
            chain.upstream.send(signal.SIGHUP)
            chain.upstream.wait_for_log(f"Reloaded: generation {generation} serves")
            visitors.wait_for_more()
    assert everything_went_well(visitors), visitors.outcomes
    assert first not in {chain.ask("/-probe/seen/").json["process"] for _ in range(8)}


def test_a_release_that_cannot_be_imported_is_not_served(own_chain, site):
    chain = own_chain("portway", "unix")
    flag = site.folder / "probe" / "broken-release"
    flag.touch()
    try:
        chain.upstream.send(signal.SIGHUP)
        chain.upstream.wait_for_log("Not reloaded, generation 1 keeps serving")
        chain.upstream.wait_for_log("ImportError: this release is broken on purpose")
        assert [chain.ask("/-probe/seen/").status for _ in range(4)] == [200] * 4
    finally:
        flag.unlink()
    chain.upstream.send(signal.SIGHUP)
    chain.upstream.wait_for_log("Reloaded: generation [0-9]+ serves")
    assert chain.ask("/-probe/seen/").status == 200


@pytest.mark.parametrize("transport", ["tcp", "unix"])
def test_portway_restarts_behind_a_socket_of_systemds_and_no_request_fails(
    start_server, start_nginx, converse, tmp_path, chain_of, transport
):
    kind, address = socket.AF_INET, ("127.0.0.1", 0)
    if transport == "unix":
        kind, address = socket.AF_UNIX, f"{tmp_path}/server.sock"
    with socket.socket(kind) as listening:
        listening.bind(address)
        listening.listen(128)
        name = listening.getsockname()
        program = (sys.executable, "-c", ACTIVATE, listening.fileno())

        def start():
            return start_server("portway", None, pass_fds=(listening.fileno(),), program=program)

        chain = chain_of("portway", f"unix:{name}" if transport == "unix" else f"{name[0]}:{name[1]}", start)
        with Visitors(chain, converse) as visitors:
            for _ in range(2):
                assert chain.upstream.stop() == 0
                chain.upstream.close()
                chain.upstream = start()
                visitors.wait_for_more()
        assert everything_went_well(visitors), visitors.outcomes


@pytest.mark.parametrize("server", ["portway", "gunicorn"])
def test_nginx_goes_on_while_the_server_is_down_and_finds_it_again(own_chain, start_server, server):
    chain = own_chain(server, "unix")
    assert chain.ask("/about/").status == 200
    chain.upstream.stop()
    chain.upstream.close()
    assert chain.ask("/about/").status == 502
    assert chain.ask("/-probe/digest/", method="POST", body=b"x").status == 502
    assert chain.ask("/static/site.css").status == 200
    assert chain.ask("/media/samples/dither.png").status == 200
    chain.upstream = start_server(server, chain.address)
    assert chain.ask("/about/").status == 200
    assert chain.ask("/-probe/digest/", method="POST", body=b"x").status == 200


def test_a_worker_that_is_killed_is_replaced_and_the_others_serve(own_chain):
    chain = own_chain("portway", "unix")
    worker = chain.ask("/-probe/seen/").json["process"]
    chain.upstream.send(signal.SIGKILL, worker)
    chain.upstream.wait_for_log(rf"\(process {worker}\) was killed by SIGKILL.*Another takes its place")
    assert [chain.ask("/about/").status for _ in range(20)] == [200] * 20


def test_nginx_ends_and_the_server_does_not_notice(own_chain, start_nginx):
    chain = own_chain("portway", "tcp")
    assert chain.ask("/about/").status == 200
    chain.nginx.stop(signal.SIGQUIT)
    chain.nginx.close()
    chain.nginx, chain.port, chain.tls_port = start_nginx(chain.address)
    assert chain.ask("/about/").status == 200
