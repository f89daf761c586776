// Cross products chunk by chunk.
#include <pybind11/eigen.h>
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <memory>

#include "bindings.hpp"
#include "interrupt.hpp"
#include "members.hpp"
#include "method.hpp"
#include "ranef/lmm.hpp"
#include "ranef/merge.hpp"
#include "ranef/structure.hpp"
#include "rows.hpp"

namespace py = pybind11;
using namespace pybind11::literals;

namespace {

// (columns, blocks) of each term
using TermLayout = std::tuple<std::vector<int>, std::vector<int>>;

// Of terms in `as_is` the structures come later; one that scales nothing holds their place.
std::unique_ptr<ranef::Accumulator> make_accumulator(const std::vector<int>& fixed,
                                                     const std::vector<TermLayout>& terms,
                                                     const std::vector<bool>& as_is) {
  ranef::Input layout;
  layout.fixed = fixed;
  for (const auto& [columns, blocks] : terms) {
    ranef::TermInput term{nullptr, 0, columns, blocks};
    if (layout.terms.size() < as_is.size() && as_is[layout.terms.size()]) {
      const ranef::Index k = static_cast<ranef::Index>(columns.size());
      const auto structure = std::make_shared<const ranef::Structure>(
          ranef::Shape::kIdentity, k, true, ranef::Matrix(), ranef::Matrix());
      const int last = *std::max_element(blocks.begin(), blocks.end());
      term.structures.assign(static_cast<std::size_t>(last) + 1, structure);
    }
    layout.terms.push_back(std::move(term));
  }
  return std::make_unique<ranef::Accumulator>(layout);
}

// (codes, n_levels) of each term
using ChunkTerm = std::tuple<Codes, ranef::Index>;

void add(ranef::Accumulator& self, const Column& y, const std::vector<Column>& columns,
         const std::vector<ChunkTerm>& terms, const std::optional<Column>& weights) {
  ranef::Input chunk = self.layout();
  if (terms.size() != chunk.terms.size()) throw std::invalid_argument("terms: not one each");
  chunk.n = y.size();
  chunk.y = rows_of(y, chunk.n, "y");
  for (const Column& column : columns) chunk.columns.push_back(rows_of(column, chunk.n, "columns"));
  for (std::size_t t = 0; t < terms.size(); ++t) {
    chunk.terms[t].codes = rows_of(std::get<0>(terms[t]), chunk.n, "codes");
    chunk.terms[t].n_levels = std::get<1>(terms[t]);
  }
  if (weights) chunk.weights = rows_of(*weights, chunk.n, "weights");
  const py::gil_scoped_release release;
  self.add(chunk);
}

py::tuple state_of(const ranef::Accumulator& self) {
  ranef::Accumulator::State s = self.state();
  std::vector<std::vector<int>> columns, blocks;
  std::vector<bool> as_is;
  for (const ranef::TermInput& term : self.layout().terms) {
    columns.push_back(term.columns);
    blocks.push_back(term.blocks);
    as_is.push_back(!term.structures.empty());
  }
  py::list start, level;
  for (const auto& v : s.start) start.append(py::array_t<std::int64_t>(v.size(), v.data()));
  for (const auto& v : s.level) level.append(py::array_t<std::int32_t>(v.size(), v.data()));
  return py::make_tuple(self.layout().fixed, columns, blocks, s.n, s.sum_log_w, s.shift, s.scale,
                        s.gram, s.own, s.xy, start, level, s.value, as_is);
}

std::unique_ptr<ranef::Accumulator> from_state(const py::tuple& t) {
  const auto columns = t[1].cast<std::vector<std::vector<int>>>();
  const auto blocks = t[2].cast<std::vector<std::vector<int>>>();
  std::vector<TermLayout> terms;
  for (std::size_t i = 0; i < columns.size(); ++i) terms.emplace_back(columns[i], blocks[i]);
  auto out =
      make_accumulator(t[0].cast<std::vector<int>>(), terms, t[13].cast<std::vector<bool>>());
  ranef::Accumulator::State s;
  s.n = t[3].cast<double>();
  s.sum_log_w = t[4].cast<double>();
  s.shift = t[5].cast<std::vector<double>>();
  s.scale = t[6].cast<std::vector<double>>();
  s.gram = t[7].cast<ranef::Matrix>();
  s.own = t[8].cast<std::vector<ranef::Matrix>>();
  s.xy = t[9].cast<std::vector<ranef::Matrix>>();
  s.start = t[10].cast<std::vector<std::vector<std::int64_t>>>();
  s.level = t[11].cast<std::vector<std::vector<std::int32_t>>>();
  s.value = t[12].cast<std::vector<ranef::Matrix>>();
  out->restore(s);
  return out;
}

std::unique_ptr<ranef::Lmm> model(const ranef::Accumulator& self, const std::string& method,
                                  std::uint64_t seed, int threads, double flops, double bytes,
                                  const Structures& structures) {
  const ranef::MethodSettings settings = method_settings(method, seed, threads, flops, bytes);
  std::vector<ranef::BlockStructures> of_terms;
  for (std::size_t i = 0; i < structures.size(); ++i)
    of_terms.push_back(structures_of(structures, i));
  const WithoutLock release;
  return self.model(settings, of_terms);
}

}  // namespace

void bind_merge(py::module_& m) {
  using ranef::Accumulator;
  using release = py::call_guard<py::gil_scoped_release>;
  py::class_<Accumulator> cls(m, "Accumulator", py::module_local(),
                              "Cross products of rows so far.");
  cls.def(py::init(&make_accumulator), "fixed"_a, "terms"_a, "as_is"_a = std::vector<bool>())
      .def("add", &add, "y"_a.noconvert(), "columns"_a, "terms"_a, "weights"_a.none(true))
      .def("add_within", &Accumulator::add_within, "n"_a, "sum_log_w"_a, "squares"_a, release())
      .def("renumber", &Accumulator::renumber, "number"_a, "n_levels"_a, release())
      .def("merge", &Accumulator::merge, "other"_a, release())
      .def("model", &model, "method"_a = "exact", "seed"_a = 0, "threads"_a = 1, "flops"_a = 0.0,
           "bytes"_a = 0.0, "structures"_a = Structures{})
      .def(py::pickle(&state_of, &from_state));
  add_members(cls, {copied<&Accumulator::n_obs>("n_obs")});
}
