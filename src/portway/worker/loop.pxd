cimport cython

from portway.net.system cimport Poller
from portway.worker.exchange cimport Exchange
from portway.worker.leadership cimport Leadership, Seat
from portway.worker.service cimport Service


@cython.final
cdef class Loop:
    cdef readonly Service service
    cdef readonly Leadership leadership
    cdef public object acceptor
    cdef public object slow
    cdef public double sweep
    cdef Poller _poller
    cdef list _thread_slots
    cdef dict _watched
    cdef int _wake_fd
    cdef object _resumed
    cdef Exchange _called
    cdef double _next_sweep
    cdef double _next_look
    cdef object _passing
    cdef bint _passing_paused
    cdef object _is_over

    cpdef object lead(self, Seat seat)
    cpdef object dispatch(self, Seat seat, object exchange)
    cpdef object serve(self, Seat seat, object exchange)
    cdef bint _run(self, object exchange, Seat seat)
    cdef object _finish(self, object exchange, bint is_leader)
    cdef double _sleep_at_most(self)
    cdef object _tick(self, double now)
