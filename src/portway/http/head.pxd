cimport cython


@cython.final
cdef class HeadReader:
    cdef readonly Py_ssize_t position
    cdef readonly bint begun
    cdef Py_ssize_t _max_request_line
    cdef Py_ssize_t _max_fields
    cdef Py_ssize_t _max_field_size
    cdef Py_ssize_t _max_head
    cdef Py_ssize_t _max_empty_lines
    cdef Py_ssize_t _max_body
    cdef Py_ssize_t _scanned
    cdef Py_ssize_t _room
    cdef Py_ssize_t _lines
    cdef str _method
    cdef str _target
    cdef str _path
    cdef str _query
    cdef str _scheme
    cdef str _authority
    cdef int _minor
    cdef list _fields
    cdef tuple _dropped
    cdef str _host
    cdef Py_ssize_t _content_length
    cdef str _codings
    cdef str _expect
    cdef bint _close
    cdef bint _persist

    cpdef object read(self, bytes data, Py_ssize_t position)
    cdef Py_ssize_t _line(self, bytes data, Py_ssize_t limit, int status, str what)
    cdef object _begin(self, bytes data, Py_ssize_t start, Py_ssize_t end)
    cdef object _read_field(self, bytes data, Py_ssize_t start, Py_ssize_t end)
    cdef object _note_field(self, int meaning, str value)
    cdef object _complete(self)
