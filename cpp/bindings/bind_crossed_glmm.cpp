// The generalised linear mixed model of crossed intercepts without a factor.
#include <pybind11/eigen.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings.hpp"
#include "interrupt.hpp"
#include "members.hpp"
#include "method.hpp"
#include "ranef/crossed_glmm.hpp"
#include "rows.hpp"

namespace py = pybind11;
using namespace pybind11::literals;

namespace {

// Operations of one factor up to which a fit, which takes hundreds of them, is exact.
constexpr double kFlops = 3e9;

std::unique_ptr<ranef::CrossedGlmm> make_crossed_glmm(
    const ranef::Vector& y, const std::vector<Column>& columns, const std::vector<int>& fixed,
    const std::vector<Term>& terms, const ranef::Vector& weights, const ranef::Vector& offset,
    const std::string& family, const std::string& link, std::uint64_t seed, int threads) {
  const ranef::Input input = read_rows(y.size(), columns, fixed, terms, std::nullopt);
  ranef::CrossedSettings settings;
  settings.seed = seed;
  settings.threads = threads;
  const WithoutLock release;
  return std::make_unique<ranef::CrossedGlmm>(input, ranef::parse_likelihood(family, link),
                                              ranef::ResponseRows{y, weights}, offset, settings);
}

void resume_crossed_glmm(ranef::CrossedGlmm& self, int n_probes, bool exact_second,
                         const std::vector<double>& deflated_at, double low, double high,
                         const ranef::RowMatrix& deflation) {
  ranef::Approximation former;
  former.n_probes = n_probes;
  former.exact_second = exact_second;
  former.deflated_at = deflated_at;
  former.n_deflated = static_cast<int>(deflation.cols());
  former.low = low;
  former.high = high;
  const WithoutLock release;
  self.resume(former, deflation);
}

ranef::Vector crossed_variances(ranef::CrossedGlmm& self, const ranef::Matrix& X,
                                const ranef::Matrix& cov_beta, const std::vector<NewRows>& terms) {
  const std::vector<ranef::NewTerm> rows = new_terms(terms, X.rows());
  const WithoutLock release;
  return self.prediction_variances(X, cov_beta, rows);
}

}  // namespace

void bind_crossed_glmm(py::module_& m) {
  using ranef::CrossedGlmm;
  using release = py::call_guard<WithoutLock>;

  m.def(
      "plan_crossed",
      [](ranef::Index n, const std::vector<Column>& columns, const std::vector<int>& fixed,
         const std::vector<Term>& terms, const std::string& method) {
        const ranef::Input input = read_rows(n, columns, fixed, terms, std::nullopt);
        const ranef::MethodSettings settings = method_settings(method, 0, 1, kFlops, 0.0);
        const WithoutLock without_lock;
        const ranef::MethodPlan plan = ranef::plan_rows(input, settings);
        return std::make_tuple(plan.is_iterative, plan.flops, plan.bytes);
      },
      "n"_a, "columns"_a, "fixed"_a, "terms"_a, "method"_a);

  py::class_<CrossedGlmm> cls(m, "CrossedGlmm", py::module_local(),
                              "Rows of one generalised linear mixed model of crossed intercepts.");
  cls.def(py::init(&make_crossed_glmm), "y"_a, "columns"_a, "fixed"_a, "terms"_a, "weights"_a,
          "offset"_a, "family"_a, "link"_a, "seed"_a = 0, "threads"_a = 1)
      .def(
          "evaluate",
          [](CrossedGlmm& self, const ranef::Vector& theta, const ranef::Vector& beta,
             double dispersion) { return self.evaluate({theta, beta, dispersion}); },
          "theta"_a, "beta"_a, "dispersion"_a = 1.0, release())
      .def("gradient_parts", &CrossedGlmm::gradient_parts, "parts"_a, release())
      .def("start", &CrossedGlmm::start, "dispersion"_a = 1.0, release())
      .def("prediction_variances", &crossed_variances, "X"_a, "cov_beta"_a, "terms"_a)
      .def("improve", &CrossedGlmm::improve, "theta_sd"_a, release())
      .def("resume", &resume_crossed_glmm, "n_probes"_a, "exact_second"_a, "deflated_at"_a, "low"_a,
           "high"_a, "deflation"_a)
      .def("factors", &CrossedGlmm::lambda, "theta"_a, "standard"_a = false, release())
      .def("term_basis", &CrossedGlmm::term_basis, "term"_a);
  add_kept(cls);
  add_members(
      cls, {copied<&CrossedGlmm::approximation>("approximation"), copied<&CrossedGlmm::eta>("eta"),
            copied<&CrossedGlmm::parameters>("parameters"),
            copied<&CrossedGlmm::deflation>("deflation"), copied<&BasisOf<CrossedGlmm>::T>("T"),
            called<&CrossedGlmm::gradient, WithoutLock>("gradient"),
            called<&CrossedGlmm::gradient_by_factors, WithoutLock>("gradient_by_factors"),
            called<&CrossedGlmm::curvature, WithoutLock>("curvature"),
            called<&CrossedGlmm::information_beta, WithoutLock>("information_beta"),
            called<&CrossedGlmm::modes, WithoutLock>("modes"),
            called<&CrossedGlmm::conditional_covariances, WithoutLock>("conditional_covariances"),
            called<&CrossedGlmm::restart, WithoutLock>("restart")});
}
