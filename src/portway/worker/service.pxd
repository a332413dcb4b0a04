cimport cython

from portway.observe.scoreboard cimport WorkerSlot
from portway.worker.leadership cimport Leadership
from portway.wsgi.environ cimport EnvironBuilder
from portway.wsgi.gateway cimport Gateway


@cython.final
cdef class Service:
    cdef readonly Leadership leadership
    cdef readonly object epoll
    cdef readonly dict connections
    cdef readonly EnvironBuilder environ
    cdef readonly Gateway gateway
    cdef readonly object limits
    cdef readonly object deadlines
    cdef readonly double keep_alive
    cdef readonly double application_timeout
    cdef readonly WorkerSlot slot
    cdef readonly object trusted
    cdef readonly bytes server
    cdef readonly bytes date
    cdef readonly object body_memory
    cdef readonly object body_directory
    cdef readonly object body_room
    cdef public object local
    cdef public object access_log
    cdef public object overload
    cdef public bint leaving
    cdef public bint draining
    cdef public bint accept_paused
    cdef public object on_room
    cdef public object retire
    cdef long long _request_id
    cdef double _next_second

    cpdef object forget(self, object connection)
    cpdef long long next_request_id(self) noexcept
    cpdef bint keeps_alive(self) noexcept
    cpdef object tell_time(self, double now)
