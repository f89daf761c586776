// The linear mixed model and its estimate.
#include <pybind11/eigen.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings.hpp"
#include "general.hpp"
#include "interrupt.hpp"
#include "members.hpp"
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

bool plan_is_iterative(const ranef::Lmm& self) { return self.plan().is_iterative; }
double plan_flops(const ranef::Lmm& self) { return self.plan().flops; }
double plan_bytes(const ranef::Lmm& self) { return self.plan().bytes; }

}  // namespace

void bind_lmm(py::module_& m) {
  using ranef::Curvature;
  using ranef::Estimate;
  using ranef::Lmm;

  add_record<Estimate>(
      m, "Estimate", "A fit, in the user's basis.",
      {copied<&status_of<Estimate>>("status"), viewed<&Estimate::objective>("objective"),
       viewed<&Estimate::sigma>("sigma"), viewed<&Estimate::pwrss>("pwrss"),
       viewed<&Estimate::logdet_L>("logdet_L"), viewed<&Estimate::logdet_RX>("logdet_RX"),
       viewed<&Estimate::beta>("beta"), viewed<&Estimate::cov_beta_root>("cov_beta_root"),
       viewed<&Estimate::lambda>("lambda_"), viewed<&Estimate::modes>("modes"),
       viewed<&Estimate::lambda_standard>("lambda_standard"),
       viewed<&Estimate::decrement>("decrement"), viewed<&Estimate::cone>("cone"),
       viewed<&Estimate::smallest_sd>("smallest_sd"), viewed<&Estimate::n_objective>("n_objective"),
       viewed<&Estimate::n_gradient>("n_gradient"), viewed<&Estimate::path>("path"),
       viewed<&Estimate::approximation>("approximation")});

  add_record<ranef::Approximation>(
      m, "Approximation", "What an approximate objective says of itself.",
      {viewed<&ranef::Approximation::value_sd>("value_sd"),
       viewed<&ranef::Approximation::theta_sd>("theta_sd"),
       viewed<&ranef::Approximation::residual>("residual"),
       viewed<&ranef::Approximation::is_reached>("is_reached"),
       viewed<&ranef::Approximation::n_probes>("n_probes"),
       viewed<&ranef::Approximation::n_deflated>("n_deflated"),
       viewed<&ranef::Approximation::degree>("degree"),
       viewed<&ranef::Approximation::exact_second>("exact_second"),
       viewed<&ranef::Approximation::deflated_at>("deflated_at"),
       viewed<&ranef::Approximation::low>("low"), viewed<&ranef::Approximation::high>("high")});

  add_record<Curvature>(
      m, "Curvature", "Derivatives at one covariance.",
      {viewed<&Curvature::objective>("objective"), viewed<&Curvature::logdet_L>("logdet_L"),
       viewed<&Curvature::logdet_RX>("logdet_RX"), viewed<&Curvature::pwrss>("pwrss"),
       viewed<&Curvature::gradient>("gradient"), viewed<&Curvature::quadratic>("quadratic"),
       viewed<&Curvature::hessian>("hessian"), viewed<&Curvature::score>("score"),
       viewed<&Curvature::misfit>("misfit"), viewed<&Curvature::G>("G")});

  add_record<ranef::FixedDerivatives>(
      m, "FixedDerivatives", "How the precision of the fixed effects depends on Sigma.",
      {viewed<&ranef::FixedDerivatives::G>("G"), viewed<&ranef::FixedDerivatives::Q>("Q")});

  add_record<ranef::PairTraces>(
      m, "PairTraces", "Traces of H^-1 V_a H^-1 V_b and H^-1 V_a.",
      {viewed<&ranef::PairTraces::pairs>("pairs"), viewed<&ranef::PairTraces::single>("single")});

  py::class_<Lmm> cls(m, "Lmm", py::module_local(),
                      "Cross products and plan of one linear mixed model.");
  cls.def(py::init(&make_lmm), "y"_a.noconvert(), "columns"_a, "fixed"_a, "terms"_a,
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
      .def("draw", asking(&Lmm::draw), "lambda_"_a, "beta"_a, "sigma"_a, "noise"_a)
      .def("conditional_covariances", asking(&Lmm::conditional_covariances), "lambda_standard"_a)
      .def("resume", &resume_lmm, "n_probes"_a, "exact_second"_a, "deflated_at"_a, "low"_a,
           "high"_a)
      .def("term_basis", &Lmm::term_basis, "term"_a)
      .def("natural_parameters", &Lmm::natural_parameters, "term"_a, "state"_a);
  add_kept(cls);
  add_members(cls,
              {copied<&Lmm::parameters>("parameters"), copied<&Lmm::n_root>("n_root"),
               copied<&Lmm::is_sparse>("is_sparse"), copied<&plan_is_iterative>("is_iterative"),
               copied<&plan_flops>("exact_flops"), copied<&plan_bytes>("exact_bytes")});

  m.def("free_memory", &ranef::free_memory, "Bytes of memory that this process may still ask for.");
}
