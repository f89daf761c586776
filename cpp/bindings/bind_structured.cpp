#include <pybind11/eigen.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>

#include "bindings.hpp"
#include "interrupt.hpp"
#include "ranef/structured_at.hpp"

namespace py = pybind11;
using namespace pybind11::literals;

void bind_structured(py::module_& m) {
  using namespace ranef;
  using Terms = std::vector<std::tuple<Int32Array, Matrix, std::vector<int>>>;
  const auto nogil = py::call_guard<WithoutLock>();
  py::class_<StructuredFit>(m, "StructuredFit", py::module_local(), "Result of `Structured.fit`.")
      .def_readonly("psi", &StructuredFit::psi)
      .def_readonly("gradient", &StructuredFit::gradient)
      .def_readonly("hessian", &StructuredFit::hessian)
      .def_readonly("decrement", &StructuredFit::decrement)
      .def_readonly("lowest", &StructuredFit::lowest)
      .def_readonly("highest", &StructuredFit::highest)
      .def_readonly("n_objective", &StructuredFit::n_objective)
      .def_readonly("n_gradient", &StructuredFit::n_gradient)
      .def_readonly("point", &StructuredFit::point)
      .def_property_readonly("status",
                             [](const StructuredFit& f) { return static_cast<int>(f.status); });
  py::class_<StructuredPoint>(m, "StructuredPoint", py::module_local(),
                              "What belongs to one value of the parameters.")
      .def_readonly("objective", &StructuredPoint::objective)
      .def_readonly("rss", &StructuredPoint::rss)
      .def_readonly("logdet_V", &StructuredPoint::logdet_V)
      .def_readonly("logdet_XVX", &StructuredPoint::logdet_XVX)
      .def_readonly("beta", &StructuredPoint::beta)
      .def_readonly("root", &StructuredPoint::root);
  py::class_<Structured>(m, "Structured", py::module_local(),
                         "Linear model with structured covariances within independent units.")
      .def(py::init([](ConstVectorRef y, ConstMatrixRef X, ConstInt32Ref start,
                       ConstInt32Ref cluster, ConstVectorRef place, Index n_places, Index largest,
                       const std::string& corr, ConstVectorRef log_scale, ConstMatrixRef D,
                       const Terms& terms) {
             StructuredInput input{y,         X,        start,   cluster,
                                   place,     n_places, largest, parse_correlation(corr),
                                   log_scale, D,        {}};
             for (const auto& [codes, z, blocks] : terms) input.terms.push_back({codes, z, blocks});
             return std::make_unique<Structured>(input);
           }),
           py::arg("y").noconvert(), py::arg("X").noconvert(), py::arg("start").noconvert(),
           py::arg("cluster").noconvert(), py::arg("place").noconvert(), "n_places"_a, "largest"_a,
           "corr"_a, py::arg("log_scale").noconvert(), py::arg("D").noconvert(), "terms"_a, nogil)
      .def_property_readonly("n_parameters", &Structured::n_parameters)
      .def_property_readonly("n_patterns", &Structured::n_patterns)
      .def_property_readonly("elements", &Structured::elements)
      .def_property_readonly("pattern_of_unit", &Structured::pattern_of_unit)
      .def("evaluate", &structured_point, py::arg("psi").noconvert(), "reml"_a, nogil)
      .def("gradient", &structured_gradient, py::arg("psi").noconvert(), "reml"_a, nogil)
      .def("natural_correlation", &structured_correlation, py::arg("psi").noconvert(), nogil)
      .def("covariances", &structured_covariances, "pattern"_a, py::arg("psi").noconvert(), nogil)
      .def("lambda_", &Structured::lambda, "term"_a, py::arg("psi").noconvert(), nogil)
      .def("fit", &structured_fit_shared, "starts"_a, "reml"_a, "max_steps"_a = 200,
           "tolerance"_a = 1e-9, nogil);
}
