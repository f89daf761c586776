// Many generalised models on one design.
#include <pybind11/eigen.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings.hpp"
#include "interrupt.hpp"
#include "members.hpp"
#include "ranef/glmm_search.hpp"
#include "rows.hpp"

namespace py = pybind11;
using namespace pybind11::literals;

void bind_glmm_batch(py::module_& m) {
  using ranef::GlmmBatch;
  using ranef::GlmmBatchRows;

  add_record<GlmmBatchRows>(
      m, "GlmmBatchRows", "A column for each fit.",
      {viewed<&GlmmBatchRows::outcome>("outcome"),
       viewed<&GlmmBatchRows::n_objective>("n_objective"),
       viewed<&GlmmBatchRows::n_gradient>("n_gradient"),
       viewed<&GlmmBatchRows::separated>("separated"),
       viewed<&GlmmBatchRows::objective>("objective"),
       viewed<&GlmmBatchRows::dispersion>("dispersion"),
       viewed<&GlmmBatchRows::dispersion_error>("dispersion_error"),
       viewed<&GlmmBatchRows::by_dispersion>("by_dispersion"),
       viewed<&GlmmBatchRows::smallest_sd>("smallest_sd"),
       viewed<&GlmmBatchRows::decrement>("decrement"), viewed<&GlmmBatchRows::beta>("beta"),
       viewed<&GlmmBatchRows::cov>("cov"), viewed<&GlmmBatchRows::factors>("factors")});

  py::class_<GlmmBatch> cls(m, "GlmmBatch", py::module_local(), "One design, many responses.");
  cls.def(py::init([](ranef::Index n, const std::vector<Column>& columns,
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
          "dispersions"_a = ranef::Vector(), py::call_guard<WithoutLock>());
  add_members(cls, {copied<&GlmmBatch::n_distinct>("n_distinct")});
}
