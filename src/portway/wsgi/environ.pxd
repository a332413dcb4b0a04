cimport cython

from portway.http.request cimport Request


@cython.final
cdef class EnvironBuilder:
    cdef dict _base
    cdef dict _keys
    cdef dict _forwarding
    cdef str _script_name
    cdef str _server_name
    cdef object _trusted
    cdef tuple _local
    cdef bint _warned

    cpdef dict build(self, Request request, object body, object peer, object local)
    cdef bint _add_fields(self, dict environ, list fields, str address)
    cdef str _learn(self, str name)
    cdef str _below_script_name(self, str path, Request request)
    cdef tuple _name_and_port(self, object local)
    cdef object _name_after_host(self, dict environ, str host)
    cdef object _apply_forwarding(self, dict environ)
    cdef object _warn(self, str name, str address)
