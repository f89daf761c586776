// The linear mixed model and its estimate.
#include <pybind11/eigen.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings.hpp"
#include "general.hpp"
#include "interrupt.hpp"
#include "method.hpp"
#include "ranef/lmm.hpp"
#include "ranef/memory.hpp"
#include "rows.hpp"

namespace py = pybind11;
using namespace pybind11::literals;

namespace {

std::unique_ptr<ranef::Lmm> make_lmm(const Column& y, const std::vector<Column>& columns,
                                     const std::vector<int>& fixed, const std::vector<Term>& terms,
                                     const std::optional<Column>& weights,
                                     const std::string& method, std::uint64_t seed, int threads,
                                     double flops, double bytes, const Structures& structures) {
  const ranef::MethodSettings settings = method_settings(method, seed, threads, flops, bytes);
  ranef::Input input = read_rows(y.size(), columns, fixed, terms, weights, structures);
  input.y = rows_of(y, input.n, "y");
  const WithoutLock release;
  return std::make_unique<ranef::Lmm>(input, settings);
}

ranef::Vector lmm_variances(ranef::Lmm& self, const std::vector<ranef::Matrix>& lambda,
                            const ranef::Matrix& X, const std::vector<NewRows>& terms) {
  const std::vector<ranef::NewTerm> rows = new_terms(terms, X.rows());
  const WithoutLock release;
  const std::lock_guard<std::mutex> lock(self.busy());
  return self.prediction_variances(lambda, X, rows);
}

std::unique_ptr<ranef::Lmm> make_general(const Column& y, const std::vector<Column>& columns,
                                         const std::vector<int>& fixed,
                                         const std::vector<Term>& members,
                                         const std::vector<GeneralTerm>& terms,
                                         const std::optional<Column>& weights) {
  ranef::Input input = read_rows(y.size(), columns, fixed, members, weights);
  input.y = rows_of(y, input.n, "y");
  const ranef::GeneralTerms general = general_terms(terms);
  const WithoutLock release;
  return std::make_unique<ranef::Lmm>(input, general);
}

ranef::Vector general_variances(ranef::Lmm& self, const std::vector<ranef::Matrix>& lambda,
                                const ranef::Matrix& X, const std::vector<ranef::Index>& start,
                                const std::vector<std::int32_t>& column,
                                const std::vector<double>& value) {
  const WithoutLock release;
  const std::lock_guard<std::mutex> lock(self.busy());
  return self.prediction_variances(lambda, X, ranef::SparseRowsOfZ{start, column, value});
}

void resume_lmm(ranef::Lmm& self, int n_probes, bool exact_second,
                const std::vector<double>& deflated_at, double low, double high) {
  ranef::Approximation former;
  former.n_probes = n_probes;
  former.exact_second = exact_second;
  former.deflated_at = deflated_at;
  former.low = low;
  former.high = high;
  const WithoutLock release;
  const std::lock_guard<std::mutex> lock(self.busy());
  self.resume(former);
}

// A question to the model: without the GIL, and one at a time.
template <class Result, class... Arguments>
auto asking(Result (ranef::Lmm::*question)(Arguments...)) {
  return [question](ranef::Lmm& self, Arguments... arguments) {
    const WithoutLock release;
    const std::lock_guard<std::mutex> lock(self.busy());
    return (self.*question)(arguments...);
  };
}

}  // namespace

void bind_lmm(py::module_& m) {
  using ranef::Curvature;
  using ranef::Estimate;
  using ranef::Lmm;

  py::class_<Estimate>(m, "Estimate", py::module_local(), "A fit, in the user's basis.")
      .def_property_readonly("status", [](const Estimate& e) { return static_cast<int>(e.status); })
      .def_readonly("objective", &Estimate::objective)
      .def_readonly("sigma", &Estimate::sigma)
      .def_readonly("pwrss", &Estimate::pwrss)
      .def_readonly("logdet_L", &Estimate::logdet_L)
      .def_readonly("logdet_RX", &Estimate::logdet_RX)
      .def_readonly("beta", &Estimate::beta)
      .def_readonly("cov_beta_root", &Estimate::cov_beta_root)
      .def_readonly("lambda_", &Estimate::lambda)
      .def_readonly("modes", &Estimate::modes)
      .def_readonly("lambda_standard", &Estimate::lambda_standard)
      .def_readonly("decrement", &Estimate::decrement)
      .def_readonly("cone", &Estimate::cone)
      .def_readonly("smallest_sd", &Estimate::smallest_sd)
      .def_readonly("n_objective", &Estimate::n_objective)
      .def_readonly("n_gradient", &Estimate::n_gradient)
      .def_readonly("path", &Estimate::path)
      .def_readonly("approximation", &Estimate::approximation);

  py::class_<ranef::Approximation>(m, "Approximation", py::module_local(),
                                   "What an approximate objective says of itself.")
      .def_readonly("value_sd", &ranef::Approximation::value_sd)
      .def_readonly("theta_sd", &ranef::Approximation::theta_sd)
      .def_readonly("residual", &ranef::Approximation::residual)
      .def_readonly("is_reached", &ranef::Approximation::is_reached)
      .def_readonly("n_probes", &ranef::Approximation::n_probes)
      .def_readonly("n_deflated", &ranef::Approximation::n_deflated)
      .def_readonly("degree", &ranef::Approximation::degree)
      .def_readonly("exact_second", &ranef::Approximation::exact_second)
      .def_readonly("deflated_at", &ranef::Approximation::deflated_at)
      .def_readonly("low", &ranef::Approximation::low)
      .def_readonly("high", &ranef::Approximation::high);

  py::class_<Curvature>(m, "Curvature", py::module_local(), "Derivatives at one covariance.")
      .def_readonly("objective", &Curvature::objective)
      .def_readonly("logdet_L", &Curvature::logdet_L)
      .def_readonly("logdet_RX", &Curvature::logdet_RX)
      .def_readonly("pwrss", &Curvature::pwrss)
      .def_readonly("gradient", &Curvature::gradient)
      .def_readonly("quadratic", &Curvature::quadratic)
      .def_readonly("hessian", &Curvature::hessian)
      .def_readonly("score", &Curvature::score)
      .def_readonly("misfit", &Curvature::misfit)
      .def_readonly("G", &Curvature::G);

  py::class_<ranef::FixedDerivatives>(m, "FixedDerivatives", py::module_local(),
                                      "How the precision of the fixed effects depends on Sigma.")
      .def_readonly("G", &ranef::FixedDerivatives::G)
      .def_readonly("Q", &ranef::FixedDerivatives::Q);

  py::class_<ranef::PairTraces>(m, "PairTraces", py::module_local(),
                                "Traces of H^-1 V_a H^-1 V_b and H^-1 V_a.")
      .def_readonly("pairs", &ranef::PairTraces::pairs)
      .def_readonly("single", &ranef::PairTraces::single);

  py::class_<Lmm>(m, "Lmm", py::module_local(),
                  "Cross products and plan of one linear mixed model.")
      .def(py::init(&make_lmm), "y"_a.noconvert(), "columns"_a, "fixed"_a, "terms"_a,
           "weights"_a.none(true) = py::none(), "method"_a = "exact", "seed"_a = 0, "threads"_a = 1,
           "flops"_a = 0.0, "bytes"_a = 0.0, "structures"_a = Structures{})
      .def(
          "fit",
          [](Lmm& self, bool reml, int max_steps, double tolerance,
             const std::vector<ranef::Matrix>& start) {
            return asking(&Lmm::fit)(self, reml, {max_steps, tolerance}, start);
          },
          "reml"_a, "max_steps"_a = 200, "tolerance"_a = 1e-9,
          "start"_a = std::vector<ranef::Matrix>{})
      .def("evaluate", asking(&Lmm::evaluate), "lambda_"_a, "reml"_a)
      .def("objective", asking(&Lmm::objective), "lambda_"_a, "reml"_a)
      .def("objective_standard", asking(&Lmm::objective_standard), "lambda_standard"_a, "reml"_a)
      .def("curvature", asking(&Lmm::curvature), "lambda_standard"_a, "reml"_a, "order"_a = 0,
           "with_G"_a = false)
      .def("fixed_derivatives", asking(&Lmm::fixed_derivatives), "lambda_standard"_a,
           "with_Q"_a = false)
      .def("pair_traces", asking(&Lmm::pair_traces), "lambda_standard"_a)
      .def("prediction_variances", &lmm_variances, "lambda_standard"_a, "X"_a, "terms"_a)
      .def_static("general", &make_general, "y"_a.noconvert(), "columns"_a, "fixed"_a, "members"_a,
                  "terms"_a, "weights"_a.none(true) = py::none())
      .def("general_variances", &general_variances, "lambda_standard"_a, "X"_a, "start"_a,
           "column"_a, "value"_a)
      .def_property_readonly("parameters", &Lmm::parameters)
      .def("draw", asking(&Lmm::draw), "lambda_"_a, "beta"_a, "sigma"_a, "noise"_a)
      .def("conditional_covariances", asking(&Lmm::conditional_covariances), "lambda_standard"_a)
      .def_property_readonly("kept", [](const Lmm& self) { return self.basis().kept; })
      .def_property_readonly("aliased", [](const Lmm& self) { return self.basis().aliased; })
      .def_property_readonly("alias", [](const Lmm& self) { return self.basis().alias; })
      .def("resume", &resume_lmm, "n_probes"_a, "exact_second"_a, "deflated_at"_a, "low"_a,
           "high"_a)
      .def("term_basis", &Lmm::term_basis, "term"_a)
      .def("natural_parameters", &Lmm::natural_parameters, "term"_a, "state"_a)
      .def_property_readonly("n_root", &Lmm::n_root)
      .def_property_readonly("is_sparse", &Lmm::is_sparse)
      .def_property_readonly("is_iterative",
                             [](const Lmm& self) { return self.plan().is_iterative; })
      .def_property_readonly("exact_flops", [](const Lmm& self) { return self.plan().flops; })
      .def_property_readonly("exact_bytes", [](const Lmm& self) { return self.plan().bytes; });

  m.def("free_memory", &ranef::free_memory, "Bytes of memory that this process may still ask for.");
}
