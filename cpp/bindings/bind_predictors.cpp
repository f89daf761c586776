// Models of several linear predictors.
#include <pybind11/eigen.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings.hpp"
#include "members.hpp"
#include "ranef/predictors.hpp"
#include "rows.hpp"

namespace py = pybind11;
using namespace pybind11::literals;

namespace {

// (X, index, offset) and (codes, n_levels, z, blocks, predictor)
using InputOf = std::tuple<ranef::Matrix, std::vector<int>, ranef::Vector>;
using TermOf = std::tuple<Codes, ranef::Index, ranef::RowMatrix, std::vector<int>, int>;

std::unique_ptr<ranef::Predictors> make_predictors(
    const ranef::Vector& y, const ranef::Vector& weights, const std::string& family,
    const std::string& link, bool zero, std::vector<InputOf> inputs, std::vector<TermOf> terms,
    ranef::Index n_beta, const Structures& structures, double top) {
  std::vector<ranef::PredictorInput> of_inputs;
  for (auto& [X, index, offset] : inputs)
    of_inputs.push_back({std::move(X), std::move(index), std::move(offset)});
  std::vector<ranef::PredictorTerm> of_terms;
  for (auto& [codes, n_levels, z, blocks, predictor] : terms) {
    const std::int32_t* first = rows_of(codes, y.size(), "codes");
    of_terms.push_back({std::vector<std::int32_t>(first, first + y.size()), n_levels, std::move(z),
                        std::move(blocks), predictor, structures_of(structures, of_terms.size())});
  }
  const py::gil_scoped_release release;
  return std::make_unique<ranef::Predictors>(
      ranef::make_row_model(ranef::parse_distribution(family), ranef::parse_link(link), zero,
                            {y, weights, top}),
      std::move(of_inputs), std::move(of_terms), n_beta);
}

}  // namespace

void bind_predictors(py::module_& m) {
  using ranef::Predictors;
  using ranef::StandardColumns;
  using release = py::call_guard<py::gil_scoped_release>;

  add_record<StandardColumns>(
      m, "StandardColumns", "Columns of one predictor in the basis in which models are fitted.",
      {viewed<&StandardColumns::X>("X"), viewed<&StandardColumns::T>("T"),
       viewed<&StandardColumns::kept>("kept"), viewed<&StandardColumns::aliased>("aliased"),
       viewed<&StandardColumns::alias>("alias"), viewed<&StandardColumns::z>("z"),
       viewed<&StandardColumns::Tz>("Tz")});

  m.def(
      "link_start",
      [](const std::string& family, const std::string& link, const ranef::Vector& y,
         const ranef::Vector& trials) {
        const py::gil_scoped_release without_lock;
        return ranef::link_start(ranef::parse_distribution(family), ranef::parse_link(link), y,
                                 trials);
      },
      "family"_a, "link"_a, "y"_a, "trials"_a);

  m.def(
      "standard_columns",
      [](ranef::Index n, const std::vector<Column>& columns, const std::vector<int>& fixed,
         const std::vector<Term>& terms, const Structures& structures) {
        const ranef::Input input = read_rows(n, columns, fixed, terms, std::nullopt, structures);
        const py::gil_scoped_release without_lock;
        return ranef::standard_columns(input);
      },
      "n"_a, "columns"_a, "fixed"_a, "terms"_a, "structures"_a = Structures{});

  add_record<ranef::JointPoint>(m, "JointPoint",
                                "A likelihood given the random effects, and its gradient.",
                                {viewed<&ranef::JointPoint::log_likelihood>("log_likelihood"),
                                 viewed<&ranef::JointPoint::by_beta>("by_beta"),
                                 viewed<&ranef::JointPoint::by_effects>("by_effects")});

  py::class_<Predictors> cls(m, "Predictors", py::module_local(),
                             "Rows and plan of one model of several linear predictors.");
  cls.def(py::init(&make_predictors), "y"_a, "weights"_a, "family"_a, "link"_a, "zero"_a,
          "inputs"_a, "terms"_a, "n_beta"_a, "structures"_a = Structures{}, "top"_a = -1.0)
      .def("evaluate", &Predictors::evaluate, "theta"_a, "beta"_a, release())
      .def(
          "quadrature",
          [](Predictors& self, const ranef::Vector& nodes, const ranef::Vector& weights) {
            return self.quadrature({nodes, weights});
          },
          "nodes"_a, "weights"_a, release())
      .def("joint", &Predictors::joint, "beta"_a, "effects"_a, release())
      .def("row_densities", &Predictors::row_densities, "beta"_a, "effects"_a, release())
      .def(
          "prediction_variances",
          [](Predictors& self, const ranef::Matrix& X, const ranef::Matrix& cov_beta,
             const std::vector<NewRows>& terms) {
            const std::vector<ranef::NewTerm> rows = new_terms(terms, X.rows());
            const py::gil_scoped_release without_lock;
            return self.prediction_variances(X, cov_beta, rows);
          },
          "X"_a, "cov_beta"_a, "terms"_a)
      .def("factors", &Predictors::lambda, "theta"_a, release())
      .def("natural_parameters", &Predictors::natural_parameters, "term"_a, "theta"_a, "scale"_a);
  add_members(
      cls, {copied<&Predictors::parameters>("parameters"), copied<&Predictors::eta>("eta"),
            called<&Predictors::gradient, py::gil_scoped_release>("gradient"),
            called<&Predictors::gradient_by_factors, py::gil_scoped_release>("gradient_by_factors"),
            called<&Predictors::information_beta, py::gil_scoped_release>("information_beta"),
            called<&Predictors::modes, py::gil_scoped_release>("modes"),
            called<&Predictors::conditional_covariances, py::gil_scoped_release>(
                "conditional_covariances"),
            called<&Predictors::restart, py::gil_scoped_release>("restart")});
}
