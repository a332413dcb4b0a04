cimport cython


@cython.final
cdef class ResponseHead:
    cdef readonly bytes data
    cdef readonly int framing
    cdef readonly Py_ssize_t content_length
    cdef readonly bint keep_alive
    cdef readonly int status_code


cpdef ResponseHead compose_head(
    object status,
    object headers,
    str method,
    int http_minor,
    bint keep_alive,
    Py_ssize_t body_length,
    bytes date,
    bytes server,
)
