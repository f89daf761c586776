#include <pybind11/eigen.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <memory>

#include "bindings.hpp"
#include "interrupt.hpp"
#include "members.hpp"
#include "ranef/structured_at.hpp"

namespace py = pybind11;
using namespace pybind11::literals;

void bind_structured(py::module_& m) {
  using namespace ranef;
  using Terms = std::vector<std::tuple<Int32Array, Matrix, std::vector<int>>>;
  const auto nogil = py::call_guard<WithoutLock>();
  add_record<StructuredFit>(
      m, "StructuredFit", "Result of `Structured.fit`.",
      {viewed<&StructuredFit::psi>("psi"), viewed<&StructuredFit::gradient>("gradient"),
       viewed<&StructuredFit::hessian>("hessian"), viewed<&StructuredFit::decrement>("decrement"),
       viewed<&StructuredFit::lowest>("lowest"), viewed<&StructuredFit::highest>("highest"),
       viewed<&StructuredFit::n_objective>("n_objective"),
       viewed<&StructuredFit::n_gradient>("n_gradient"), viewed<&StructuredFit::point>("point"),
       copied<&status_of<StructuredFit>>("status")});
  add_record<StructuredPoint>(
      m, "StructuredPoint", "What belongs to one value of the parameters.",
      {viewed<&StructuredPoint::objective>("objective"), viewed<&StructuredPoint::rss>("rss"),
       viewed<&StructuredPoint::logdet_V>("logdet_V"),
       viewed<&StructuredPoint::logdet_XVX>("logdet_XVX"), viewed<&StructuredPoint::beta>("beta"),
       viewed<&StructuredPoint::root>("root")});
  py::class_<Structured> cls(m, "Structured", py::module_local(),
                             "Linear model with structured covariances within independent units.");
  cls.def(
         py::init([](ConstVectorRef y, ConstMatrixRef X, ConstInt32Ref start, ConstInt32Ref cluster,
                     ConstVectorRef place, Index n_places, Index largest, const std::string& corr,
                     ConstVectorRef log_scale, ConstMatrixRef D, const Terms& terms) {
           StructuredInput input{y,         X,        start,   cluster,
                                 place,     n_places, largest, parse_correlation(corr),
                                 log_scale, D,        {}};
           for (const auto& [codes, z, blocks] : terms) input.terms.push_back({codes, z, blocks});
           return std::make_unique<Structured>(input);
         }),
         py::arg("y").noconvert(), py::arg("X").noconvert(), py::arg("start").noconvert(),
         py::arg("cluster").noconvert(), py::arg("place").noconvert(), "n_places"_a, "largest"_a,
         "corr"_a, py::arg("log_scale").noconvert(), py::arg("D").noconvert(), "terms"_a, nogil)
      .def("evaluate", &structured_point, py::arg("psi").noconvert(), "reml"_a, nogil)
      .def("gradient", &structured_gradient, py::arg("psi").noconvert(), "reml"_a, nogil)
      .def("natural_correlation", &structured_correlation, py::arg("psi").noconvert(), nogil)
      .def("covariances", &structured_covariances, "pattern"_a, py::arg("psi").noconvert(), nogil)
      .def("lambda_", &Structured::lambda, "term"_a, py::arg("psi").noconvert(), nogil)
      .def("fit", &structured_fit_shared, "starts"_a, "reml"_a, "max_steps"_a = 200,
           "tolerance"_a = 1e-9, nogil);
  add_members(cls, {copied<&Structured::n_parameters>("n_parameters"),
                    copied<&Structured::n_patterns>("n_patterns"),
                    copied<&Structured::elements>("elements"),
                    copied<&Structured::pattern_of_unit>("pattern_of_unit")});
}
