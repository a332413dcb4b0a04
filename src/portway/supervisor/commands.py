"""What can be asked on the control socket, and how the supervisor answers.

A request names its command: `{"command": "status"}`. Every answer has "ok"; where it is false, "error" says
why in one sentence. The commands:

    status                  see portway.supervisor.status
    reload  wait (true)     answered when the new generation serves, or with the "report" of why it does not
    and those of SIGNALS    the same as the signal, answered at once
"""

import logging
import signal
from collections.abc import Callable
from typing import Any

from portway.supervisor.control import Client
from portway.supervisor.reloads import Reloads, Trouble
from portway.supervisor.report import compose
from portway.supervisor.status import StatusSource

log = logging.getLogger("portway.error")

#: The commands that are signals, too.
SIGNALS = {
    "stop": signal.SIGTERM,
    "quit": signal.SIGQUIT,
    "reopen": signal.SIGUSR1,
    "add-worker": signal.SIGTTIN,
    "remove-worker": signal.SIGTTOU,
}


class Commands:
    """Answers the requests of the control socket's clients. Runs in the supervisor.

    begin_reload: tries a new generation; False where that is refused. heed: does what a signal asks for.
    """

    def __init__(
        self,
        status: StatusSource,
        reloads: Reloads,
        begin_reload: Callable[[], bool],
        heed: Callable[[signal.Signals], None],
    ) -> None:
        self._source = status
        self._reloads = reloads
        self._begin_reload = begin_reload
        self._heed = heed
        self._commands: dict[str, Callable[[dict[str, Any], Client], None]] = {
            "status": self._status,
            "reload": self._reload,
            **dict.fromkeys(SIGNALS, self._signal),
        }

    def handle(self, request: dict[str, Any], client: Client) -> None:
        """Do what is asked, and answer now or later."""
        name = request.get("command")
        command = self._commands.get(name) if isinstance(name, str) else None
        if command is None:
            known = ", ".join(self._commands)
            client.answer({"ok": False, "error": f"there is no command {name!r:.80}; there are {known}"})
            return
        if name != "status":
            log.info("%s was asked for by %s.", name, client.who)
        command(request, client)

    def _status(self, _request: dict[str, Any], client: Client) -> None:
        client.answer({"ok": True, **self._source.gather()})

    def _signal(self, request: dict[str, Any], client: Client) -> None:
        self._heed(SIGNALS[request["command"]])
        client.answer({"ok": True})

    def _reload(self, request: dict[str, Any], client: Client) -> None:
        answered = False

        def tell(trouble: Trouble | None) -> None:
            nonlocal answered
            if answered:
                # Nobody waits; what the client waits for now may be something else.
                return
            answered = True
            if trouble is None:
                source = self._source
                serving = {"generation": source.children.current, "workers": source.strength.workers}
                client.answer({"ok": True, **serving})
            else:
                report = compose(trouble.headline, trouble.failure)
                client.answer({"ok": False, "error": str(trouble), "report": report})

        # What is refused at once is told even to those who do not wait.
        if self._source.stopping():
            self._reloads.when_done(tell)
            self._reloads.abandoned()
        elif self._source.strength.at_rest:
            # As by the signal: what was there before comes back.
            self._heed(signal.SIGHUP)
            answered = True
            client.answer({"ok": True})
        elif self._begin_reload():
            self._reloads.when_done(tell)
        else:
            tell(self._reloads.trouble)
        if request.get("wait", True) is False and not answered:
            answered = True
            client.answer({"ok": True})
