#include <system_error>

#include "bindings/register.hpp"

namespace py = pybind11;

namespace {

// A failed system call becomes OSError with its errno, so that Python's subclasses apply. Errors of
// other kinds, as that a host name is unknown, have numbers of their own, which are none of errno.
// pybind11 says what the parameter is. NOLINTNEXTLINE(performance-unnecessary-value-param)
void translate_system_error(std::exception_ptr thrown) {
    try {
        if (thrown) std::rethrow_exception(thrown);
    } catch (const std::system_error& error) {
        const std::error_category& kind = error.code().category();
        const bool has_errno = kind == std::system_category() || kind == std::generic_category();
        py::object arguments = py::str(error.what());
        if (has_errno) arguments = py::make_tuple(error.code().value(), arguments);
        PyErr_SetObject(PyExc_OSError, arguments.ptr());
    }
}

}  // namespace

PYBIND11_MODULE(_core, module, py::mod_gil_not_used()) {
    module.doc() = "The C++ engine of amqtt.";
    py::register_local_exception_translator(translate_system_error);
    amqtt::register_codes(module);
    amqtt::register_broker(module);
    amqtt::register_client(module);
    amqtt::register_packets(module);
    amqtt::register_end_process(module);
}
