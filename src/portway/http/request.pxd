cimport cython


@cython.final
cdef class Request:
    cdef readonly str method
    cdef readonly str target
    cdef readonly str path
    cdef readonly str query
    cdef readonly int http_minor
    cdef readonly list fields
    cdef readonly tuple dropped
    cdef readonly str host
    cdef readonly bint keep_alive
    cdef readonly Py_ssize_t content_length
    cdef readonly bint chunked
    cdef readonly bint has_body
    cdef readonly bint expect_continue
    cdef readonly str scheme
    cdef readonly str authority
