"""Who the client is and how it came, as Django sees it at the end of the chain."""

from pathlib import Path

import pytest

from portway.wsgi.proxy import FORWARDING_FIELDS

pytestmark = pytest.mark.chain

#: Not the address that Nginx itself comes from.
CLIENT = "127.0.0.2"

#: Fields that some proxy or other uses to speak of its client, as a client would forge them.
FORGED = {
    **dict.fromkeys(FORWARDING_FIELDS, "forged.example"),
    "x-forwarded-for": "203.0.113.66",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "forged.example",
    "x-forwarded-port": "666",
    "x-forwarded-by": "forged.example",
    "x-forwarded-prefix": "/forged.example",
    "x-forwarded-protocol": "ssl",
    "x-forwarded-scheme": "https",
    "x-forwarded-server": "forged.example",
    "x-forwarded-ssl": "on",
    "x-forwarded-user": "forged.example",
    "forwarded": "for=203.0.113.66;proto=https;host=forged.example",
    "x-real-ip": "203.0.113.66",
    "x-request-id": "forged.example",
    "x-request-start": "forged.example",
    "proxy": "http://forged.example",
}


def client_as_seen(chain, seen):
    """Return the client's address: Portway says it in REMOTE_ADDR, Gunicorn only passes on the field."""
    if chain.server == "portway":
        return seen["client"]
    assert seen["client"] == ("127.0.0.1" if chain.transport == "tcp" else "")
    return seen["fields"]["HTTP_X_FORWARDED_FOR"]


def test_django_sees_the_client_and_not_the_proxy(chain):
    seen = chain.ask("/-probe/seen/", source=CLIENT).json
    assert client_as_seen(chain, seen) == CLIENT
    assert seen["host"] == chain.authority
    assert (seen["secure"], seen["scheme"]) == (False, "http")
    assert seen["url"] == f"http://{chain.authority}/-probe/seen/"


def test_django_sees_https_without_a_setting_for_it(chain):
    seen = chain.ask("/-probe/seen/", source=CLIENT, tls=True).json
    assert client_as_seen(chain, seen) == CLIENT
    assert (seen["secure"], seen["scheme"]) == (True, "https")
    assert seen["url"] == f"https://127.0.0.1:{chain.tls_port}/-probe/seen/"


def test_a_client_is_not_believed_what_it_says_of_itself(chain):
    seen = chain.ask("/-probe/seen/", source=CLIENT, fields=FORGED).json
    assert client_as_seen(chain, seen) == CLIENT
    assert (seen["secure"], seen["host"]) == (False, chain.authority)
    assert seen["script"] == ""
    values = seen["fields"].items()
    assert [(name, value) for name, value in values if "forged" in value or "203.0.113.66" in value] == []
    endings = ("_IP", "_PROTO", "_SSL")
    told = {name for name in seen["fields"] if "FORWARDED" in name or name.endswith(endings)}
    assert told == {"HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_PROTO", "HTTP_X_REAL_IP"}


def test_a_client_is_not_believed_over_tls_either(chain):
    fields = {"X-Forwarded-Proto": "http", "X-Forwarded-Port": "80", "X-Forwarded-For": "203.0.113.66"}
    seen = chain.ask("/-probe/seen/", source=CLIENT, fields=fields, tls=True).json
    assert client_as_seen(chain, seen) == CLIENT
    assert seen["secure"] is True
    assert seen["port"] != "80"


def test_fields_that_differ_from_a_trusted_one_in_an_underscore_are_dropped(chain):
    fields = {"X_Forwarded_For": "203.0.113.66", "X_Forwarded_Proto": "https", "SCRIPT_NAME": "/forged"}
    seen = chain.ask("/-probe/seen/", source=CLIENT, fields=fields).json
    assert client_as_seen(chain, seen) == CLIENT
    assert (seen["secure"], seen["script"]) == (False, "")


def test_each_request_has_an_id_that_the_log_has_too(chain):
    ids = [chain.ask("/-probe/seen/").json["fields"]["HTTP_X_REQUEST_ID"] for _ in range(2)]
    assert len(set(ids)) == 2
    chain.nginx.wait_for_log(rf'"GET /-probe/seen/ HTTP/1.1" 200 .* id={ids[1]} rt=\d.* urt=\d')


def test_a_name_that_is_not_the_sites_is_refused_by_the_site(chain):
    assert chain.ask("/about/", fields={"Host": "somebody-else.example"}).status == 400


def test_an_old_client_without_a_host_gets_its_page(chain):
    with chain.raw(b"GET /about/ HTTP/1.0\r\n\r\n") as client:
        head, _, body = client.makefile("rb").read().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert body.rstrip().endswith(b"</html>")


def test_connections_to_the_server_are_used_again(chain):
    """Many clients, one after the other, travel on one connection between Nginx and the server."""
    chain.ask("/about/")
    before = connections_to(chain.address)
    for _ in range(20):
        assert chain.ask("/about/").status == 200
    after = connections_to(chain.address)
    assert after
    assert len(after - before) <= 1


def connections_to(address):
    """Return what the kernel calls the open connections to an address: ports, or inodes of Unix sockets."""
    if address.startswith("unix:"):
        rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
        connected = "03"
        return {row[6] for row in rows if row[7:] == [address.removeprefix("unix:")] and row[5] == connected}
    wanted = f"0100007F:{int(address.removeprefix('127.0.0.1:')):04X}"
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    established = "01"
    return {row[1] for row in rows if row[2] == wanted and row[3] == established}
