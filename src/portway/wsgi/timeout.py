"""RequestTimeout: what an application sees of its deadline. `from portway import RequestTimeout` is the public name.

Not compiled. It is raised in the application's thread by another one (portway.worker.expiry says how and when).
"""


class RequestTimeout(BaseException):
    """The request has had its time: the client was answered 504 or cut off, and the call is to end.

    It is raised once, wherever the application is at that moment. It derives from BaseException, as
    KeyboardInterrupt and asyncio.CancelledError do and for the same reason: `except Exception` means errors of the
    application's own, and frameworks make a response of them (Django a 500), which nobody would get. What has to
    be undone on the way out belongs into `finally`, `with` or `except BaseException` followed by `raise`.
    """

    def __str__(self) -> str:
        return super().__str__() or "the request has had its time (timeout)"
