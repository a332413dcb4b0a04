cimport cython

from portway.http.request cimport Request
from portway.wsgi.sink cimport Sink


@cython.final
cdef class Response:
    cdef readonly int status_code
    cdef readonly list headers
    cdef readonly long long body_bytes
    cdef readonly bint keep_alive
    cdef readonly bint aborted
    cdef readonly str error
    cdef bytes _server
    cdef bytes _date
    cdef Request _request
    cdef Sink _sink
    cdef str _status
    cdef bytes _head
    cdef bint _composed
    cdef bint _began
    cdef bint _over
    cdef int _framing
    cdef long long _remaining
    cdef bint _full
    cdef bint _from_file

    cdef object _prepare(self, bytes server, Request request, Sink sink, bytes date, bint keep_alive)
    cdef object _send_body(self, object result)
    cdef object _send_pieces(self, list pieces)
    cdef object _send_iterable(self, object result)
    cdef bint _send_file(self, object filelike)
    cdef bint _has_no_body(self)
    cdef object _compose(self, long long length)
    cdef object _put(self, bytes piece)
    cdef object _emit(self, bytes data)
    cdef object _finish(self)
    cdef object _refuse(self, str reason)
    cdef object _fail(self, object error)


@cython.final
cdef class Gateway:
    cdef object _application
    cdef bytes _server

    cpdef Response respond(self, Request request, dict environ, Sink sink, bytes date, bint keep_alive)
