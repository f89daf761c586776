// The generalised linear mixed model.
#include <pybind11/eigen.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings.hpp"
#include "interrupt.hpp"
#include "members.hpp"
#include "ranef/glmm.hpp"
#include "ranef/glmm_search.hpp"
#include "rows.hpp"

namespace py = pybind11;
using namespace pybind11::literals;

namespace {

std::unique_ptr<ranef::Glmm> make_glmm(const ranef::Vector& y, const std::vector<Column>& columns,
                                       const std::vector<int>& fixed,
                                       const std::vector<Term>& terms, const ranef::Vector& weights,
                                       const ranef::Vector& offset, const std::string& family,
                                       const std::string& link, const Structures& structures) {
  const ranef::Input input = read_rows(y.size(), columns, fixed, terms, std::nullopt, structures);
  const WithoutLock release;
  return std::make_unique<ranef::Glmm>(input, ranef::parse_likelihood(family, link),
                                       ranef::ResponseRows{y, weights}, offset);
}

}  // namespace

void bind_glmm(py::module_& m) {
  using ranef::Glmm;
  using ranef::GlmmPoint;
  using release = py::call_guard<WithoutLock>;

  add_record<GlmmPoint>(
      m, "GlmmPoint", "The criterion at given parameters.",
      {viewed<&GlmmPoint::value>("value"), viewed<&GlmmPoint::log_likelihood>("log_likelihood"),
       viewed<&GlmmPoint::penalty>("penalty"), viewed<&GlmmPoint::logdet>("logdet"),
       viewed<&GlmmPoint::beta>("beta"), viewed<&GlmmPoint::steps>("steps")});

  add_record<ranef::GlmmQuadrature>(m, "GlmmQuadrature", "What quadrature adds to the criterion.",
                                    {viewed<&ranef::GlmmQuadrature::value>("value"),
                                     viewed<&ranef::GlmmQuadrature::gradient>("gradient")});

  using ranef::GlmmOptimum;
  add_record<GlmmOptimum>(
      m, "GlmmOptimum", "Where a search ended.",
      {copied<&status_of<GlmmOptimum>>("status"), viewed<&GlmmOptimum::value>("value"),
       viewed<&GlmmOptimum::decrement>("decrement"), viewed<&GlmmOptimum::n_values>("n_values"),
       viewed<&GlmmOptimum::n_gradients>("n_gradients"), viewed<&GlmmOptimum::x>("x"),
       viewed<&GlmmOptimum::gradient>("gradient"), viewed<&GlmmOptimum::hessian>("hessian"),
       viewed<&GlmmOptimum::centre>("centre"), viewed<&GlmmOptimum::root>("root"),
       viewed<&GlmmOptimum::path>("path")});

  py::class_<Glmm> cls(m, "Glmm", py::module_local(),
                       "Rows and plan of one generalised linear mixed model.");
  cls.def(py::init(&make_glmm), "y"_a, "columns"_a, "fixed"_a, "terms"_a, "weights"_a, "offset"_a,
          "family"_a, "link"_a, "structures"_a = Structures{})
      .def(
          "evaluate",
          [](Glmm& self, const ranef::Vector& theta, const ranef::Vector& beta, double dispersion) {
            return self.evaluate({theta, beta, dispersion});
          },
          "theta"_a, "beta"_a, "dispersion"_a = 1.0, release())
      .def(
          "search",
          [](Glmm& self, double log_dispersion, int max_steps, double tolerance,
             const ranef::Vector& nodes, const ranef::Vector& weights) {
            return ranef::search(self, log_dispersion, {max_steps, tolerance, {nodes, weights}});
          },
          "log_dispersion"_a, "max_steps"_a, "tolerance"_a, "nodes"_a = ranef::Vector(),
          "weights"_a = ranef::Vector(), release())
      .def(
          "quadrature",
          [](Glmm& self, const ranef::Vector& nodes, const ranef::Vector& weights) {
            return self.quadrature({nodes, weights});
          },
          "nodes"_a, "weights"_a, release())
      .def(
          "prediction_variances",
          [](Glmm& self, const ranef::Matrix& X, const ranef::Matrix& cov_beta,
             const std::vector<NewRows>& terms) {
            const std::vector<ranef::NewTerm> rows = new_terms(terms, X.rows());
            const WithoutLock without_lock;
            return self.prediction_variances(X, cov_beta, rows);
          },
          "X"_a, "cov_beta"_a, "terms"_a)
      .def("factors", &Glmm::lambda, "theta"_a, "standard"_a = false, release())
      .def("natural_parameters", &Glmm::natural_parameters, "term"_a, "theta"_a)
      .def("term_basis", &Glmm::term_basis, "term"_a);
  add_kept(cls);
  add_members(cls, {called<&Glmm::gradient, WithoutLock>("gradient"),
                    called<&Glmm::gradient_by_factors, WithoutLock>("gradient_by_factors"),
                    called<&Glmm::information_beta, WithoutLock>("information_beta"),
                    called<&Glmm::modes, WithoutLock>("modes"),
                    called<&Glmm::conditional_covariances, WithoutLock>("conditional_covariances"),
                    called<&Glmm::restart, WithoutLock>("restart"), copied<&Glmm::eta>("eta"),
                    copied<&Glmm::parameters>("parameters"), copied<&BasisOf<Glmm>::T>("T")});
}
