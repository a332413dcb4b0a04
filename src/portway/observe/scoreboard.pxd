cimport cython


@cython.final
cdef class ThreadSlot:
    cdef long long[:] words
    cdef unsigned char[:] text

    cpdef object begin(self, long long request_id, long long now, str method, str path)
    cpdef object end(self, long long now, long long bytes_sent, bint error)


@cython.final
cdef class WorkerSlot:
    cdef readonly int nr
    cdef long long[:] board
    cdef Py_ssize_t base
    cdef Py_ssize_t stride
    cdef memoryview _bytes
    cdef Py_ssize_t _thread_limit

    cpdef object beat(self, long long now)
    cpdef object set_load(self, long long connections, long long queue)
