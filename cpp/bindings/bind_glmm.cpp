// The generalised linear mixed model.
#include <pybind11/eigen.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings.hpp"
#include "interrupt.hpp"
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

  py::class_<GlmmPoint>(m, "GlmmPoint", py::module_local(), "The criterion at given parameters.")
      .def_readonly("value", &GlmmPoint::value)
      .def_readonly("log_likelihood", &GlmmPoint::log_likelihood)
      .def_readonly("penalty", &GlmmPoint::penalty)
      .def_readonly("logdet", &GlmmPoint::logdet)
      .def_readonly("beta", &GlmmPoint::beta)
      .def_readonly("steps", &GlmmPoint::steps);

  py::class_<ranef::GlmmQuadrature>(m, "GlmmQuadrature", py::module_local(),
                                    "What quadrature adds to the criterion.")
      .def_readonly("value", &ranef::GlmmQuadrature::value)
      .def_readonly("gradient", &ranef::GlmmQuadrature::gradient);

  using ranef::GlmmOptimum;
  py::class_<GlmmOptimum>(m, "GlmmOptimum", py::module_local(), "Where a search ended.")
      .def_property_readonly("status",
                             [](const GlmmOptimum& self) { return static_cast<int>(self.status); })
      .def_readonly("value", &GlmmOptimum::value)
      .def_readonly("decrement", &GlmmOptimum::decrement)
      .def_readonly("n_values", &GlmmOptimum::n_values)
      .def_readonly("n_gradients", &GlmmOptimum::n_gradients)
      .def_readonly("x", &GlmmOptimum::x)
      .def_readonly("gradient", &GlmmOptimum::gradient)
      .def_readonly("hessian", &GlmmOptimum::hessian)
      .def_readonly("eigenvalues", &GlmmOptimum::eigenvalues)
      .def_readonly("cov", &GlmmOptimum::cov)
      .def_readonly("dispersion_error", &GlmmOptimum::dispersion_error)
      .def_readonly("beta", &GlmmOptimum::beta)
      .def_readonly("log_likelihood", &GlmmOptimum::log_likelihood)
      .def_readonly("is_separated", &GlmmOptimum::is_separated)
      .def_readonly("centre", &GlmmOptimum::centre)
      .def_readonly("root", &GlmmOptimum::root)
      .def_readonly("path", &GlmmOptimum::path);

  py::class_<Glmm>(m, "Glmm", py::module_local(),
                   "Rows and plan of one generalised linear mixed model.")
      .def(py::init(&make_glmm), "y"_a, "columns"_a, "fixed"_a, "terms"_a, "weights"_a, "offset"_a,
           "family"_a, "link"_a, "structures"_a = Structures{})
      .def(
          "evaluate",
          [](Glmm& self, const ranef::Vector& theta, const ranef::Vector& beta, double dispersion) {
            return self.evaluate({theta, beta, dispersion});
          },
          "theta"_a, "beta"_a, "dispersion"_a = 1.0, release())
      .def("gradient", &Glmm::gradient, release())
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
      .def("gradient_by_factors", &Glmm::gradient_by_factors, release())
      .def("information_beta", &Glmm::information_beta, release())
      .def("hessian_beta", &Glmm::hessian_beta, release())
      .def("modes", &Glmm::modes, release())
      .def("conditional_covariances", &Glmm::conditional_covariances, release())
      .def(
          "prediction_variances",
          [](Glmm& self, const ranef::Matrix& X, const ranef::Matrix& cov_beta,
             const std::vector<NewRows>& terms) {
            const std::vector<ranef::NewTerm> rows = new_terms(terms, X.rows());
            const WithoutLock without_lock;
            return self.prediction_variances(X, cov_beta, rows);
          },
          "X"_a, "cov_beta"_a, "terms"_a)
      .def_property_readonly("eta", [](const Glmm& self) { return self.eta(); })
      .def("restart", &Glmm::restart, release())
      .def("factors", &Glmm::lambda, "theta"_a, "standard"_a = false, release())
      .def_property_readonly("parameters", &Glmm::parameters)
      .def_property_readonly("T", [](const Glmm& self) { return self.basis().T; })
      .def_property_readonly("kept", [](const Glmm& self) { return self.basis().kept; })
      .def_property_readonly("aliased", [](const Glmm& self) { return self.basis().aliased; })
      .def_property_readonly("alias", [](const Glmm& self) { return self.basis().alias; })
      .def("natural_parameters", &Glmm::natural_parameters, "term"_a, "theta"_a)
      .def("term_basis", &Glmm::term_basis, "term"_a);
}
