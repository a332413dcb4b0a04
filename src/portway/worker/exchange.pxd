cimport cython

cimport portway.worker.connection
from portway.observe.scoreboard cimport ThreadSlot
from portway.worker.leadership cimport Seat
from portway.http.request cimport Request
from portway.wsgi.gateway cimport Response
from portway.wsgi.sink cimport Sink


cdef class Exchange(Sink):
    cdef readonly portway.worker.connection.Connection connection
    cdef readonly Request request
    cdef public object body
    cdef readonly double arrived
    cdef public double ready
    cdef readonly double started
    cdef readonly bint began
    cdef readonly bint keep_alive
    cdef readonly bint aborted
    cdef readonly double ended
    cdef readonly double deadline
    cdef readonly bint guarded
    cdef bint overdue
    cdef bint logged
    cdef readonly object expiry
    cdef readonly Seat seat
    cdef double patience

    cdef object prepare(self, object connection, Request request, double now)
    cpdef object run(self, Seat seat, ThreadSlot slot)
    cpdef object finish(self, bint is_leader)
    cpdef object refuse(self, int status, double now)
    cpdef object drop(self)
    cpdef object release_gathered(self)
    cpdef double application_deadline(self)
    cpdef object send(self, bytes data)
    cpdef object send_file(self, int fd, object offset, object count)
    cpdef bint is_last(self) noexcept
    cdef object _settle(self)
    cpdef object break_off(self, ThreadSlot slot)
    cdef object _begin(self)
    cdef object _wait_for_client(self)
    cdef object _keep_pace(self, bytes data)
    cdef bint _wait_a_moment(self)
    cdef object _log_access(self, Response response, dict environ)
