cimport cython

from portway.net.linux cimport epoll_event

cpdef double clock() noexcept
cpdef object give_way()
cpdef object receive(object sock, int fd, Py_ssize_t size)
cpdef Py_ssize_t transmit(object sock, int fd, bytes data) except -2


@cython.final
cdef class Poller:
    cdef readonly object epoll
    cdef int _fd
    cdef int _count
    cdef list _events
    cdef epoll_event _ready[64]

    cpdef int wait(self, double seconds, int wanted) except -1
    cpdef int fd_at(self, int index) noexcept
    cpdef int events_at(self, int index) noexcept
