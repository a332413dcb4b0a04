"""Which listeners stay open while generations come and go."""

import pytest

from portway.net.addresses import parse_address
from portway.net.listeners import BindError
from portway.settings.table import Settings
from portway.supervisor.generations import Generations, listen, owner


def settings(*bind, **values):
    return Settings(bind=tuple(parse_address(text) for text in bind), **values)


@pytest.fixture
def generations():
    first = settings("127.0.0.1:0")
    generations = Generations(first, listen(first))
    yield generations
    generations.close_listeners()


def opened(listeners):
    return [listener.socket.fileno() >= 0 for listener in listeners]


def test_the_first_generation_is_what_comes_next(generations):
    first = generations.begin(1)
    assert first.listeners == generations.listeners
    assert generations.get(1) is first
    assert generations.get(7) is generations.next


def test_a_replacement_is_made_of_what_it_replaces_but_its_mounts(generations):
    first = generations.begin(1)
    first.mounts = [("/static/", "/srv/static", "static")]
    again = generations.begin(2, like=1)
    assert again.settings is first.settings
    assert again.listeners is first.listeners
    assert again.mounts == []


def test_an_address_that_stays_is_not_opened_again(generations, tmp_path):
    generations.begin(1)
    wanted = settings(f"unix:{tmp_path}/a.sock", "127.0.0.1:0")
    listeners = generations.prepare(wanted)
    assert listeners[1] is generations.listeners[0]
    generations.accept(wanted, listeners)
    assert len(generations.listeners) == 2
    assert generations.begin(2).listeners == listeners


def test_an_address_that_is_given_up_is_closed_with_its_generation(generations, tmp_path):
    old = generations.begin(1).listeners
    wanted = settings(f"unix:{tmp_path}/a.sock")
    generations.accept(wanted, generations.prepare(wanted))
    generations.begin(2)
    assert opened(old) == [True]
    generations.keep({2}, next_like=2)
    assert opened(old) == [False]
    assert opened(generations.listeners) == [True]


def test_an_address_of_a_generation_that_is_dropped_is_closed(generations, tmp_path):
    generations.begin(1)
    wanted = settings("127.0.0.1:0", f"unix:{tmp_path}/a.sock")
    generations.accept(wanted, generations.prepare(wanted))
    second = generations.begin(2)
    generations.keep({1}, next_like=1)
    assert opened(second.listeners) == [True, False]
    assert not (tmp_path / "a.sock").exists()
    assert generations.next.settings.bind == generations.get(1).settings.bind


def test_a_reload_that_waits_keeps_its_addresses(generations, tmp_path):
    generations.begin(1)
    wanted = settings(f"unix:{tmp_path}/a.sock")
    listeners = generations.prepare(wanted)
    generations.accept(wanted, listeners)
    generations.keep({1})
    assert opened(listeners) == [True]
    assert generations.next.listeners == listeners


def test_a_reload_that_takes_the_place_of_another_closes_what_that_had_opened(generations, tmp_path):
    generations.begin(1)
    for name in ("a", "b"):
        wanted = settings(f"unix:{tmp_path}/{name}.sock")
        generations.accept(wanted, generations.prepare(wanted))
    assert not (tmp_path / "a.sock").exists()
    assert (tmp_path / "b.sock").exists()


def test_what_was_prepared_and_refused_is_closed_and_nothing_else(generations, tmp_path):
    listeners = generations.prepare(settings("127.0.0.1:0", f"unix:{tmp_path}/a.sock"))
    generations.refuse(listeners)
    assert opened(listeners) == [True, False]
    assert not (tmp_path / "a.sock").exists()


def test_an_address_that_cannot_be_opened_changes_nothing(generations):
    with pytest.raises(BindError):
        generations.prepare(settings("127.0.0.1:0", "192.0.2.1:0"))
    assert opened(generations.listeners) == [True]


@pytest.mark.parametrize(
    ("user", "group", "expected"),
    [(None, None, None), (5, None, (5, -1)), (None, 6, (-1, 6)), (5, 6, (5, 6)), (0, 0, (0, 0))],
)
def test_the_owner_of_files(user, group, expected):
    assert owner(Settings(user=user, group=group)) == expected
