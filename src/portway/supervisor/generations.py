"""What each generation is made of: its settings, its listeners, its mounts; and the listeners of them all.

Runs in the supervisor. A listener stays open as long as a generation that is needed has it, so an address
that a reload keeps is never closed, and one that a reload gives up is closed when the old generation has
gone.
"""

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from portway.net.listeners import Listener, open_listeners
from portway.settings.table import Settings

Mounts = list[tuple[str, str, str]]


@dataclass(slots=True)
class Generation:
    """One generation. mounts: what is served beside the application, known once its mold is ready."""

    settings: Settings
    listeners: list[Listener]
    mounts: Mounts = field(default_factory=list)


class Generations:
    """The generations that are needed, by number, and what the next one on trial is going to be made of."""

    def __init__(self, settings: Settings, listeners: list[Listener]) -> None:
        self._by_number: dict[int, Generation] = {}
        self.next = Generation(settings, listeners)
        #: All listeners that are open.
        self.listeners = list(listeners)

    def get(self, number: int) -> Generation:
        """Return a generation; before there is any, what the first is going to be."""
        return self._by_number.get(number, self.next)

    def begin(self, number: int, like: int = 0) -> Generation:
        """Make a generation of what is next, or of what the generation `like` is made of."""
        generation = replace(self.get(like), mounts=[])
        self._by_number[number] = generation
        return generation

    def prepare(self, settings: Settings) -> list[Listener]:
        """Open the listeners that the settings ask for and that are not open yet; return all of them.

        Raises BindError. Nothing is kept until `accept`.
        """
        return listen(settings, self.listeners)

    def accept(self, settings: Settings, listeners: list[Listener]) -> None:
        """Make what `prepare` returned the next generation."""
        self.next = Generation(settings, listeners)
        self.listeners += [listener for listener in listeners if listener not in self.listeners]
        self._close_unused()

    def refuse(self, listeners: list[Listener]) -> None:
        """Close of what `prepare` returned that which nobody else has."""
        for listener in listeners:
            if listener not in self.listeners:
                listener.close()
                listener.remove()

    def keep(self, numbers: Collection[int], next_like: int = 0) -> None:
        """Forget the other generations; the next one is to be like `next_like`, 0 to leave it as it is."""
        self._by_number = {n: generation for n, generation in self._by_number.items() if n in numbers}
        if next_like:
            self.next = replace(self.get(next_like), mounts=[])
        self._close_unused()

    def close_listeners(self) -> None:
        """Close all listeners here; workers go on with their own copies."""
        for listener in self.listeners:
            listener.close()
            listener.remove()
        self.listeners.clear()

    def _close_unused(self) -> None:
        used = [listener for one in (*self._by_number.values(), self.next) for listener in one.listeners]
        for listener in self.listeners[:]:
            if listener not in used:
                listener.close()
                listener.remove()
                self.listeners.remove(listener)


def listen(settings: Settings, opened: Collection[Listener] = ()) -> list[Listener]:
    """Return the listeners for the settings; those of `opened` that fit are used again. Raises BindError."""
    by_address = {listener.address: listener for listener in opened}
    missing = [address for address in settings.bind if address not in by_address]
    # As with Gunicorn, everybody may connect to a Unix socket unless the umask says otherwise.
    for listener in open_listeners(missing, settings.backlog, settings.umask or 0, owner(settings)):
        by_address[listener.address] = listener
    return [by_address[address] for address in settings.bind]


def owner(settings: Settings) -> tuple[int, int] | None:
    """Return the user and group that workers run as, -1 for what stays as it is; None if both do."""
    if settings.user is None and settings.group is None:
        return None
    return (
        -1 if settings.user is None else settings.user,
        -1 if settings.group is None else settings.group,
    )
