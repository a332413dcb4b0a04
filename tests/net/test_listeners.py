"""Listeners: where they are, what stands in their way, and what is left when they are gone."""

import os
import socket
import stat

import pytest

from portway.net.addresses import parse_address
from portway.net.listeners import BindError, activated_addresses, open_listeners


@pytest.fixture
def listen():
    """Return a function that opens listeners from texts; they are closed and removed afterwards."""
    opened = []

    def listen(*texts, **options):
        listeners = open_listeners([parse_address(text) for text in texts], **options)
        opened.extend(listeners)
        return listeners

    yield listen
    for listener in opened:
        listener.close()
        listener.remove()


@pytest.fixture
def ipv6():
    try:
        with socket.socket(socket.AF_INET6) as sock:
            sock.bind(("::1", 0))
    except OSError:
        pytest.skip("this machine has no IPv6")


def connects(address, family=socket.AF_INET):
    with socket.socket(family) as client:
        client.settimeout(10)
        return client.connect_ex(address) == 0


def test_port_0_is_listened_on_where_the_system_chose(listen):
    (listener,) = listen("127.0.0.1:0")
    assert listener.port > 0
    assert listener.url == f"http://127.0.0.1:{listener.port}"
    assert connects(("127.0.0.1", listener.port))


def test_a_listener_does_not_block_and_is_closed_by_exec(listen):
    (listener,) = listen("127.0.0.1:0")
    assert listener.socket.getblocking() is False
    assert not listener.socket.get_inheritable()
    with pytest.raises(BlockingIOError):
        listener.socket.accept()


def test_a_host_name_is_bound_by_its_ipv4_address(listen):
    (listener,) = listen("localhost:0")
    assert listener.socket.family == socket.AF_INET


@pytest.mark.usefixtures("ipv6")
def test_ipv6(listen):
    (listener,) = listen("[::1]:0")
    assert listener.url == f"http://[::1]:{listener.port}"
    assert connects(("::1", listener.port), socket.AF_INET6)


@pytest.mark.usefixtures("ipv6")
@pytest.mark.parametrize("order", [("0.0.0.0", "[::]"), ("[::]", "0.0.0.0")])
def test_all_ipv4_and_all_ipv6_addresses_can_share_a_port(listen, order):
    free = listen("127.0.0.1:0")[0]
    port = free.port
    free.close()
    listeners = listen(*(f"{host}:{port}" for host in order))
    assert [listener.port for listener in listeners] == [port, port]
    assert connects(("127.0.0.1", port))
    assert connects(("::1", port), socket.AF_INET6)


@pytest.mark.usefixtures("ipv6")
def test_all_ipv6_addresses_alone_take_ipv4_as_well(listen):
    (listener,) = listen("[::]:0")
    assert connects(("127.0.0.1", listener.port))


def test_an_address_in_use_is_named_with_what_to_do(listen):
    (listener,) = listen("127.0.0.1:0")
    with pytest.raises(BindError) as caught:
        listen(f"127.0.0.1:{listener.port}")
    assert str(caught.value).startswith(f"Cannot listen on 127.0.0.1:{listener.port}: the address is in use.")
    assert "--bind" in str(caught.value)


def test_if_one_address_fails_none_stays_open(listen, tmp_path):
    path = tmp_path / "s.sock"
    (taken,) = listen("127.0.0.1:0")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(BindError):
        listen("127.0.0.1:0", f"unix:{path}", f"127.0.0.1:{taken.port}")
    assert len(os.listdir("/proc/self/fd")) == before
    assert not path.exists()


def test_an_address_of_another_machine(listen):
    with pytest.raises(BindError, match="no network interface of this machine has this address"):
        listen("192.0.2.1:0")


def test_a_host_name_that_does_not_exist(listen):
    with pytest.raises(BindError, match="the host name cannot be found"):
        listen("no-such-host.invalid:8000")


def ports_for_root():
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start", encoding="ascii") as file:
        return int(file.read())


@pytest.mark.skipif(ports_for_root() <= 81, reason="here every user may use every port")
def test_a_port_for_root(listen):
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            if os.geteuid() == 0:
                os.setuid(65534)
            listen("127.0.0.1:81")
        except BindError as error:
            os.write(writer, str(error).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, encoding="utf-8") as answer:
        said = answer.read()
    os.waitpid(pid, 0)
    assert said.startswith("Cannot listen on 127.0.0.1:81: permission denied; ports below 1024 are for root.")


def test_a_unix_socket_is_for_everybody_unless_the_umask_says_otherwise(listen, tmp_path):
    (listener,) = listen(f"unix:{tmp_path}/a.sock")
    assert listener.url == f"unix:{tmp_path}/a.sock"
    assert listener.port == 0
    assert stat.S_IMODE(os.stat(tmp_path / "a.sock").st_mode) == 0o777
    listen(f"unix:{tmp_path}/b.sock", umask=0o117)
    assert stat.S_IMODE(os.stat(tmp_path / "b.sock").st_mode) == 0o660
    assert connects(f"{tmp_path}/a.sock", socket.AF_UNIX)


def test_the_umask_of_the_process_is_left_as_it_was(listen, tmp_path):
    before = os.umask(0o022)
    try:
        listen(f"unix:{tmp_path}/a.sock", umask=0o077)
        assert os.umask(0o022) == 0o022
    finally:
        os.umask(before)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_a_unix_socket_can_be_given_to_another_user(listen, tmp_path):
    listen(f"unix:{tmp_path}/a.sock", owner=(12345, 23456))
    found = os.stat(tmp_path / "a.sock")
    assert (found.st_uid, found.st_gid) == (12345, 23456)


def test_the_file_is_removed_on_request_and_not_by_closing(listen, tmp_path):
    path = tmp_path / "a.sock"
    (listener,) = listen(f"unix:{path}")
    listener.close()
    assert path.exists()
    listener.remove()
    assert not path.exists()
    listener.remove()


def test_the_file_of_a_successor_is_not_removed(listen, tmp_path):
    path = tmp_path / "a.sock"
    (first,) = listen(f"unix:{path}")
    first.close()
    listen(f"unix:{path}")
    os.utime(path, ns=(0, os.stat(path).st_mtime_ns + 10**9))  # as if made a second later
    first.remove()
    assert path.exists()
    assert connects(str(path), socket.AF_UNIX)


def test_a_socket_that_nobody_listens_on_is_replaced(listen, tmp_path):
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    listen(f"unix:{path}")
    assert connects(str(path), socket.AF_UNIX)


@pytest.mark.parametrize("full", [False, True])
def test_a_socket_that_somebody_listens_on_stays(listen, tmp_path, full):
    path = tmp_path / "a.sock"
    with socket.socket(socket.AF_UNIX) as other, socket.socket(socket.AF_UNIX) as client:
        other.bind(str(path))
        other.listen(0)
        if full:
            client.connect(str(path))
        with pytest.raises(BindError, match="the address is in use"):
            listen(f"unix:{path}")
        assert path.exists()


def test_a_file_that_is_no_socket_is_not_touched(listen, tmp_path):
    path = tmp_path / "precious"
    path.write_text("data")
    with pytest.raises(BindError, match="not a socket"):
        listen(f"unix:{path}")
    assert path.read_text() == "data"


def test_a_folder_that_does_not_exist(listen, tmp_path):
    with pytest.raises(BindError, match="its folder does not exist"):
        listen(f"unix:{tmp_path}/missing/a.sock")


def test_an_abstract_unix_socket_leaves_no_file(listen):
    name = f"portway-test-{os.getpid()}"
    (listener,) = listen(f"unix:\\0{name}")
    assert listener.url == f"unix:\\0{name}"
    assert connects(f"\0{name}", socket.AF_UNIX)
    with pytest.raises(BindError, match="the address is in use"):
        listen(f"unix:\\0{name}")
    listener.remove()


def test_an_inherited_descriptor_is_adopted(listen):
    with socket.create_server(("127.0.0.1", 0)) as parent:
        port = parent.getsockname()[1]
        copy = os.dup(parent.fileno())
        os.set_inheritable(copy, True)
    (listener,) = listen(f"fd://{copy}")
    assert listener.url == f"http://127.0.0.1:{port}"
    assert str(listener.address) == f"fd://{copy}"
    assert not listener.socket.get_inheritable()
    assert listener.socket.getblocking() is False
    assert connects(("127.0.0.1", port))


def test_descriptors_that_cannot_be_adopted_stay_open_and_say_why(listen, tmp_path):
    with open(tmp_path / "file", "wb") as file, pytest.raises(BindError, match="it is not a socket"):
        listen(f"fd://{file.fileno()}")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        with pytest.raises(BindError, match="it is no stream socket"):
            listen(f"fd://{sock.fileno()}")
        sock.getsockname()
    with socket.socket() as sock, pytest.raises(BindError, match="it is not listening"):
        listen(f"fd://{sock.fileno()}")
    closed = os.dup(0)
    os.close(closed)
    with pytest.raises(BindError, match="it is not open"):
        listen(f"fd://{closed}")


def test_the_repr_says_whether_it_is_closed(listen):
    (listener,) = listen("127.0.0.1:0")
    assert repr(listener) == f"<Listener http://127.0.0.1:{listener.port}>"
    listener.close()
    assert repr(listener).endswith(" closed>")


@pytest.mark.parametrize(
    ("environ", "descriptors"),
    [
        ({"LISTEN_PID": "77", "LISTEN_FDS": "2"}, [3, 4]),
        ({"LISTEN_PID": "78", "LISTEN_FDS": "2"}, []),
        ({"LISTEN_PID": "77", "LISTEN_FDS": "x"}, []),
        ({"LISTEN_PID": "77"}, []),
        ({}, []),
    ],
)
def test_socket_activation_counts_for_the_process_it_names(environ, descriptors):
    assert [address.fd for address in activated_addresses(environ, 77)] == descriptors
