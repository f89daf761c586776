// Many fits in one call.
#include <pybind11/eigen.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "bindings.hpp"
#include "interrupt.hpp"
#include "members.hpp"
#include "ranef/batch.hpp"
#include "rows.hpp"

namespace py = pybind11;
using namespace pybind11::literals;

namespace {

using Responses = Eigen::Ref<const ranef::Matrix>;

}  // namespace

void bind_batch(py::module_& m) {
  using ranef::Batch;
  using ranef::BatchRows;
  using ranef::BatchSettings;
  using ranef::Team;

  py::class_<BatchSettings>(m, "BatchSettings", py::module_local(), "How a batch is fitted.")
      .def(py::init([](bool reml, bool satterthwaite, int max_steps, double tolerance,
                       const ranef::Matrix& contrasts) {
             return BatchSettings{reml, satterthwaite, {max_steps, tolerance}, contrasts};
           }),
           "reml"_a = true, "satterthwaite"_a = false, "max_steps"_a = 200, "tolerance"_a = 1e-9,
           "contrasts"_a = ranef::Matrix());

  py::class_<Team>(m, "Team", py::module_local(), "Threads that stand by for pieces of work.")
      .def(py::init<int>(), "size"_a)
      .def("close", &Team::close, py::call_guard<py::gil_scoped_release>());

  add_record<BatchRows>(
      m, "BatchRows", "A column for each fit.",
      {viewed<&BatchRows::outcome>("outcome"), viewed<&BatchRows::n_objective>("n_objective"),
       viewed<&BatchRows::n_gradient>("n_gradient"), viewed<&BatchRows::n_obs>("n_obs"),
       viewed<&BatchRows::objective>("objective"), viewed<&BatchRows::sigma>("sigma"),
       viewed<&BatchRows::smallest_sd>("smallest_sd"), viewed<&BatchRows::decrement>("decrement"),
       viewed<&BatchRows::cone>("cone"), viewed<&BatchRows::beta>("beta"),
       viewed<&BatchRows::cov_root>("cov_root"), viewed<&BatchRows::factors>("factors"),
       viewed<&BatchRows::df>("df")});

  py::class_<Batch>(m, "Batch", py::module_local(), "One design, many responses.")
      .def(py::init([](ranef::Index n, const std::vector<Column>& columns,
                       const std::vector<int>& fixed, const std::vector<Term>& terms,
                       const std::optional<Column>& weights, const Structures& structures) {
             return std::make_unique<Batch>(
                 read_rows(n, columns, fixed, terms, weights, structures));
           }),
           "n"_a, "columns"_a, "fixed"_a, "terms"_a, "weights"_a.none(true) = py::none(),
           "structures"_a = Structures{})
      .def("fit", &Batch::fit, "Y"_a.noconvert(), "settings"_a, "team"_a,
           py::call_guard<WithoutLock>());

  m.def(
      "fit_slices",
      [](const Column& y, const std::vector<Column>& columns, const std::vector<int>& fixed,
         const std::vector<Term>& terms, const std::optional<Column>& weights,
         const std::vector<ranef::Index>& start, const BatchSettings& settings, Team& team) {
        ranef::Input rows = read_rows(y.size(), columns, fixed, terms, weights);
        rows.y = rows_of(y, rows.n, "y");
        const WithoutLock release;
        return ranef::fit_slices(rows, start, settings, team);
      },
      "y"_a.noconvert(), "columns"_a, "fixed"_a, "terms"_a, "weights"_a.none(true), "start"_a,
      "settings"_a, "team"_a);

  m.def(
      "fit_weighted",
      [](const Responses& Y, const Responses& W, const std::vector<Column>& columns,
         const std::vector<int>& fixed, const std::vector<Term>& terms,
         const BatchSettings& settings, Team& team, const Structures& structures) {
        const ranef::Input rows =
            read_rows(Y.rows(), columns, fixed, terms, std::nullopt, structures);
        const WithoutLock release;
        return ranef::fit_weighted(rows, Y, W, settings, team);
      },
      "Y"_a.noconvert(), "W"_a.noconvert(), "columns"_a, "fixed"_a, "terms"_a, "settings"_a,
      "team"_a, "structures"_a = Structures{});
}
