#include <chrono>
#include <thread>
#include <unistd.h>

#include "bindings/convert.hpp"
#include "bindings/register.hpp"

namespace py = pybind11;

namespace amqtt {
namespace {

// On a thread that needs neither the interpreter's lock nor anything else of it.
void end_process(double seconds, int status) {
    std::thread([seconds, status] {
        std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
        ::_exit(status);
    }).detach();
}

}  // namespace

void register_end_process(py::module_& module) {
    module.def("end_process", &end_process, py::arg("seconds"), py::arg("status"),
               "End the process in some seconds, whatever it does then.");
}

}  // namespace amqtt
