#include <pybind11/eigen.h>
#include <pybind11/pybind11.h>

#include "bindings.hpp"
#include "interrupt.hpp"
#include "members.hpp"
#include "ranef/absorb.hpp"

namespace py = pybind11;
using namespace pybind11::literals;

void bind_absorb(py::module_& m) {
  using ranef::Absorbed;
  add_record<Absorbed>(
      m, "Absorbed", "Residuals and effects of `absorb`.",
      {viewed<&Absorbed::residual>("residual"), viewed<&Absorbed::effects>("effects"),
       viewed<&Absorbed::iterations>("iterations"), viewed<&Absorbed::converged>("converged")});
  m.def("absorb", &ranef::absorb, py::arg("X").noconvert(), py::arg("codes").noconvert(),
        py::arg("n_levels").noconvert(), py::arg("weights").noconvert(), "tolerance"_a = 1e-10,
        "max_iterations"_a = 10000, py::call_guard<WithoutLock>(),
        "Residuals of the columns of X (n, m) from all factors of codes (n, K).");
  m.def("count_components", &ranef::count_components, py::arg("codes").noconvert(),
        py::arg("n_levels").noconvert(), py::call_guard<WithoutLock>(),
        "Connected components of the graph that links the levels of two factors.");
}
