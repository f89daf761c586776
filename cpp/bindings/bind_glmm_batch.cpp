// Many generalised models on one design.
#include <pybind11/eigen.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings.hpp"
#include "interrupt.hpp"
#include "ranef/glmm_search.hpp"
#include "rows.hpp"

namespace py = pybind11;
using namespace pybind11::literals;

void bind_glmm_batch(py::module_& m) {
  using ranef::GlmmBatch;
  using ranef::GlmmBatchRows;

  py::class_<GlmmBatchRows>(m, "GlmmBatchRows", py::module_local(), "A column for each fit.")
      .def_readonly("outcome", &GlmmBatchRows::outcome)
      .def_readonly("n_objective", &GlmmBatchRows::n_objective)
      .def_readonly("n_gradient", &GlmmBatchRows::n_gradient)
      .def_readonly("separated", &GlmmBatchRows::separated)
      .def_readonly("objective", &GlmmBatchRows::objective)
      .def_readonly("dispersion", &GlmmBatchRows::dispersion)
      .def_readonly("dispersion_error", &GlmmBatchRows::dispersion_error)
      .def_readonly("by_dispersion", &GlmmBatchRows::by_dispersion)
      .def_readonly("smallest_sd", &GlmmBatchRows::smallest_sd)
      .def_readonly("decrement", &GlmmBatchRows::decrement)
      .def_readonly("beta", &GlmmBatchRows::beta)
      .def_readonly("cov", &GlmmBatchRows::cov)
      .def_readonly("factors", &GlmmBatchRows::factors);

  py::class_<GlmmBatch>(m, "GlmmBatch", py::module_local(), "One design, many responses.")
      .def(py::init([](ranef::Index n, const std::vector<Column>& columns,
                       const std::vector<int>& fixed, const std::vector<Term>& terms,
                       const ranef::Vector& weights, const ranef::Vector& offset,
                       const std::string& family, const std::string& link,
                       const Structures& structures) {
             return std::make_unique<GlmmBatch>(
                 read_rows(n, columns, fixed, terms, std::nullopt, structures),
                 ranef::parse_likelihood(family, link), weights, offset);
           }),
           "n"_a, "columns"_a, "fixed"_a, "terms"_a, "weights"_a, "offset"_a, "family"_a, "link"_a,
           "structures"_a = Structures{})
      .def(
          "fit",
          [](GlmmBatch& self, const Eigen::Ref<const ranef::Matrix>& Y, int max_steps,
             double tolerance, ranef::Team& team, const ranef::Vector& dispersions) {
            return self.fit(Y, {max_steps, tolerance}, team, dispersions);
          },
          "Y"_a.noconvert(), "max_steps"_a, "tolerance"_a, "team"_a,
          "dispersions"_a = ranef::Vector(), py::call_guard<WithoutLock>())
      .def_property_readonly("n_distinct", &GlmmBatch::n_distinct);
}
