#include <pybind11/eigen.h>
#include <pybind11/native_enum.h>
#include <pybind11/pybind11.h>

#include "bindings.hpp"
#include "interrupt.hpp"
#include "members.hpp"
#include "ranef/gee.hpp"

namespace py = pybind11;
using namespace pybind11::literals;

void bind_gee(py::module_& m) {
  using namespace ranef;
  py::native_enum<GeeStatus>(m, "GeeStatus", "enum.Enum",
                             "How a fit of estimating equations ended.")
      .value("converged", GeeStatus::converged)
      .value("iterations", GeeStatus::iterations)
      .value("not_positive_definite", GeeStatus::not_positive_definite)
      .value("invalid_mean", GeeStatus::invalid_mean)
      .value("singular", GeeStatus::singular)
      .finalize();
  add_record<GeeFit>(
      m, "GeeFit", "Result of `fit_gee`.",
      {viewed<&GeeFit::beta>("beta"), viewed<&GeeFit::alpha>("alpha"), viewed<&GeeFit::phi>("phi"),
       viewed<&GeeFit::bread>("bread"), viewed<&GeeFit::columns>("columns"),
       viewed<&GeeFit::resid>("resid"), viewed<&GeeFit::mu>("mu"),
       viewed<&GeeFit::iterations>("iterations"), viewed<&GeeFit::alpha_at_bound>("alpha_at_bound"),
       viewed<&GeeFit::status>("status")});
  m.def(
      "fit_gee",
      [](ConstVectorRef y, ConstMatrixRef X, ConstVectorRef offset, ConstVectorRef weights,
         Int32Ref start, Int32Ref wave, ConstVectorRef time, ConstMatrixRef fixed,
         const std::string& family, const std::string& link, const std::string& corr, int lags,
         double tolerance, int max_iterations) {
        return fit_gee({y, X, offset, weights, start, wave, time, fixed},
                       {parse_distribution(family), parse_link(link), parse_corr(corr), lags,
                        tolerance, max_iterations});
      },
      py::arg("y").noconvert(), py::arg("X").noconvert(), py::arg("offset").noconvert(),
      py::arg("weights").noconvert(), py::arg("start").noconvert(), py::arg("wave").noconvert(),
      py::arg("time").noconvert(), py::arg("fixed").noconvert(), "family"_a, "link"_a, "corr"_a,
      "lags"_a = 1, "tolerance"_a = 1e-8, "max_iterations"_a = 200, py::call_guard<WithoutLock>(),
      "Solve generalised estimating equations.");
  m.def(
      "mean_of",
      [](const std::string& link, ConstVectorRef eta) { return mean_of(parse_link(link), eta); },
      "link"_a, py::arg("eta").noconvert(), py::call_guard<WithoutLock>(),
      "Inverse link of a linear predictor.");
  m.def(
      "mean_slope",
      [](const std::string& link, ConstVectorRef eta) { return mean_slope(parse_link(link), eta); },
      "link"_a, py::arg("eta").noconvert(), py::call_guard<WithoutLock>(),
      "Derivative of the mean by the linear predictor.");
}
