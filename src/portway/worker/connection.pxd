cimport cython

from portway.http.parser cimport RequestParser
from portway.http.request cimport Request
from portway.worker.exchange cimport Exchange
from portway.worker.transport cimport Transport


@cython.final
cdef class Connection(Transport):
    cdef readonly object site
    cdef readonly object peer
    cdef readonly RequestParser parser
    cdef readonly int phase
    cdef readonly bint half_closed
    cdef public Py_ssize_t served
    cdef readonly Exchange exchange
    cdef object body
    cdef bint close_after
    cdef bint unread
    cdef Py_ssize_t lingered

    cpdef object on_event(self, int events, double now)
    cpdef object advance(self, double now)
    cpdef object finish(self, bint keep_alive, bint aborted, double now, bint is_leader)
    cdef object _on_readable(self, double now)
    cdef object _on_event_while_busy(self, int events, double now)
    cdef object _on_writable(self, double now)
    cdef object _on_linger(self)
    cdef object _begin(self, Request request, double now)
    cdef object _finish(self, bint keep_alive, double now)
    cdef object _settle(self, double now)
    cdef object _send_file(self, object request, object response, double now)
    cdef object _refuse(self, object error, double now)
    cdef object _answer_error(self, int status, double now)
    cdef double _head_began(self, double now)
    cdef object _end(self, double now)
    cdef object _drop(self)
    cpdef object close(self, bint reset=*)
