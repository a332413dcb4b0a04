cdef class Sink:
    cpdef object send(self, bytes data)
    cpdef object send_file(self, int fd, object offset, object count)
    cpdef bint is_last(self) noexcept
