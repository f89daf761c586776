// Asks the processor which instruction sets it has, before any variant of the core is loaded.
#include "cpu.hpp"

#include <pybind11/pybind11.h>

namespace py = pybind11;

PYBIND11_MODULE(_cpu, m, py::mod_gil_not_used()) {
  m.doc() = "What this processor can run.";
  m.def("supports_x86_64_v3", &supports_x86_64_v3,
        "Whether this processor has AVX2, FMA and BMI2.");
}
