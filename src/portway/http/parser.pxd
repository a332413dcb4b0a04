cimport cython

from portway.http.head cimport HeadReader


@cython.final
cdef class RequestParser:
    cdef object _limits
    cdef bytes _data
    cdef Py_ssize_t _at
    cdef bint _eof
    cdef int _state
    cdef object _error
    cdef HeadReader _head
    cdef object _chunks
    cdef bint _chunked
    cdef Py_ssize_t _left
    cdef bint _keep_alive

    cpdef object receive_data(self, bytes data)
    cpdef object next_event(self)
    cpdef object start_next_cycle(self)
    cpdef bint has_buffered(self) noexcept
    cdef object _read_head(self)
    cdef object _read_body(self)
    cdef object _read_chunked_body(self)
    cdef object _release(self)
    cdef object _incomplete(self, str what)
