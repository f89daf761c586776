// The extension module: exceptions and the registration of each concept.
#include <pybind11/pybind11.h>

#include "ranef/eigen.hpp"

namespace py = pybind11;

void bind_absorb(py::module_& m);
void bind_gee(py::module_& m);
void bind_sandwich(py::module_& m);

#define RANEF_STR_(x) #x
#define RANEF_STR(x) RANEF_STR_(x)

PYBIND11_MODULE(RANEF_MODULE, m, py::mod_gil_not_used()) {
  m.doc() = "Numeric core of ranef; every array argument is taken as it is, without a copy.";
  m.attr("isa") = RANEF_STR(RANEF_MODULE);
  m.attr("simd") = Eigen::SimdInstructionSetsInUse();
  bind_absorb(m);
  bind_gee(m);
  bind_sandwich(m);
}
