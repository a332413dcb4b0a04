"""How a mistake of the operator's is reported: a sentence and an exit status, no traceback."""


class SettingsError(Exception):
    """Settings that cannot be used.

    str() is the whole message: where the value came from, the value, and what is allowed. exit_code is what
    the command exits with: 2 for a bad flag or value, 1 for a configuration file that is missing or raises.
    """

    def __init__(self, message: str, exit_code: int = 2) -> None:
        super().__init__(message)
        self.exit_code = exit_code
