cimport cython

cimport portway.worker.connection
from portway.observe.scoreboard cimport ThreadSlot
from portway.worker.leadership cimport Seat


@cython.final
cdef class Exchange:
    cdef readonly portway.worker.connection.Connection connection
    cdef readonly object request
    cdef public object body
    cdef readonly double arrived
    cdef public double ready
    cdef readonly double started
    cdef readonly bint began
    cdef readonly bint keep_alive
    cdef readonly bint aborted
    cdef readonly double ended
    cdef bint expired
    cdef Seat seat
    cdef object thread

    cpdef object run(self, Seat seat, ThreadSlot slot)
    cpdef object finish(self, bint is_leader)
    cpdef object refuse(self, int status, double now)
    cpdef object drop(self)
    cpdef object send(self, bytes data)
    cpdef object send_file(self, int fd, object offset, object count)
    cpdef object release_gathered(self)
    cpdef double application_deadline(self)
    cdef object _begin(self)
    cdef object _wait_for_client(self)
    cdef object _log_access(self, object outcome, dict environ)
