cimport cython


@cython.final
cdef class Seat:
    cdef readonly int index
    cdef readonly bint is_standby
    cdef public object ident
    cdef public object running
    cdef object _exchange
    cdef object _wake

    cpdef object take(self)


@cython.final
cdef class Leadership:
    cdef readonly Seat leader
    cdef readonly Seat standby
    cdef readonly bint stopping
    cdef readonly Py_ssize_t max_queue
    cdef public double average
    cdef object _tell
    cdef object _acquire
    cdef object _release
    cdef list _idle
    cdef object _queue
    cdef unsigned long _call
    cdef bint _watch_parked

    cpdef bint leads(self, Seat seat) noexcept
    cpdef int free_threads(self) except -1
    cpdef bint expects_slow_call(self) noexcept
    cpdef void note_call_time(self, double seconds) noexcept
    cpdef void enter_call(self)
    cpdef bint leave_call(self, Seat seat)
    cpdef bint queue_is_full(self)
