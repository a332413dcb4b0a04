from portway.worker.service cimport Service


cdef class Transport:
    cdef readonly Service service
    cdef readonly object sock
    cdef readonly int fd
    cdef readonly object outbox
    cdef readonly double deadline
    cdef readonly bint gone
    cdef readonly object acquire
    cdef readonly object release
    cdef int interest
    cdef bint registered
    cdef bint answered
    cdef list batch
    cdef Py_ssize_t batch_size

    cpdef object transmit(self, bytes data)
    cpdef object transmit_at_once(self, object data)
    cpdef object put(self, object data)
    cpdef object end_gathering(self)
    cdef bint _gather(self, bytes data)
    cpdef object transmit_file(self, int fd, object offset, object count)
    cdef object _send(self, bytes data)
    cdef object _await_writable(self)
    cdef object _send_batch(self)
    cdef bint _flush_batch(self)
    cdef bint _flush_outbox(self, double now)
    cdef bint _takes_more(self, double now)
    cdef object _listen_for(self, int interest)
    cdef object _lost(self)
