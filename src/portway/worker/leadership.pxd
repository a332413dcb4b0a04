cimport cython


@cython.final
cdef class Seat:
    cdef readonly int index
    cdef readonly bint is_standby
    cdef readonly bint is_extra
    cdef readonly bint marked
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
    cdef Py_ssize_t _threads
    cdef Py_ssize_t _present
    cdef Py_ssize_t _marked
    cdef Py_ssize_t _max_extra
    cdef object _start
    cdef list _parked
    cdef list _spare
    cdef Py_ssize_t _extra

    cdef Py_ssize_t _allowed(self)
    cdef object _admit(self)
    cdef object _hire(self, Seat seat)
    cdef bint _step_back(self, Seat seat) except -1

    cpdef bint leads(self, Seat seat) noexcept
    cpdef int free_threads(self) except -1
    cpdef bint expects_slow_call(self) noexcept
    cpdef void note_call_time(self, double seconds) noexcept
    cpdef void enter_call(self)
    cpdef bint leave_call(self, Seat seat)
    cpdef bint queue_is_full(self)
