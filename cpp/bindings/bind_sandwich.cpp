#include <pybind11/eigen.h>
#include <pybind11/pybind11.h>

#include "bindings.hpp"
#include "ranef/sandwich.hpp"

namespace py = pybind11;
using namespace pybind11::literals;

void bind_sandwich(py::module_& m) {
  m.def("sum_by_cluster", &ranef::sum_by_cluster, py::arg("X").noconvert(),
        py::arg("codes").noconvert(), "n_clusters"_a, py::call_guard<py::gil_scoped_release>(),
        "Add up the rows of X (n, p) by cluster, giving (n_clusters, p).");
  m.def("gram_by_cluster", &ranef::gram_by_cluster, py::arg("X").noconvert(),
        py::arg("codes").noconvert(), "first"_a, "last"_a, py::call_guard<py::gil_scoped_release>(),
        "Cross products X_g'X_g of the clusters first to last - 1, each one row of p * p numbers.");
}
