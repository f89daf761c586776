// Arrays of Python as the rows of a model, without a copy.
#pragma once

#include <pybind11/eigen.h>
#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "ranef/cross_products.hpp"
#include "ranef/prediction.hpp"

using Column = pybind11::array_t<double, pybind11::array::c_style>;
using Codes = pybind11::array_t<std::int32_t, pybind11::array::c_style>;

// (codes, n_levels, columns, blocks)
using Term = std::tuple<Codes, ranef::Index, std::vector<int>, std::vector<int>>;
// Of each term a structure or None for each block; or nothing where all blocks are free.
using Structures = std::vector<std::vector<std::shared_ptr<ranef::Structure>>>;

inline ranef::BlockStructures structures_of(const Structures& structures, std::size_t t) {
  if (t >= structures.size()) return {};
  return ranef::BlockStructures(structures[t].begin(), structures[t].end());
}

template <class Array>
auto rows_of(const Array& a, ranef::Index n, const char* name) {
  if (a.ndim() != 1 || a.shape(0) != n)
    throw std::invalid_argument(std::string(name) + ": not one value a row");
  return a.data();
}

// Everything but the response.
inline ranef::Input read_rows(ranef::Index n, const std::vector<Column>& columns,
                              const std::vector<int>& fixed, const std::vector<Term>& terms,
                              const std::optional<Column>& weights,
                              const Structures& structures = {}) {
  ranef::Input input;
  input.n = n;
  for (const Column& column : columns) input.columns.push_back(rows_of(column, n, "columns"));
  input.fixed = fixed;
  for (const auto& [codes, n_levels, references, blocks] : terms)
    input.terms.push_back({rows_of(codes, n, "codes"), n_levels, references, blocks,
                           structures_of(structures, input.terms.size())});
  if (weights) input.weights = rows_of(*weights, n, "weights");
  return input;
}

// (codes, z) of each term; no codes where a term takes no part
using NewRows = std::tuple<std::optional<Codes>, ranef::Matrix>;

// New rows to predict.
inline std::vector<ranef::NewTerm> new_terms(const std::vector<NewRows>& terms, ranef::Index n) {
  std::vector<ranef::NewTerm> rows;
  for (const auto& [codes, z] : terms)
    rows.push_back({codes ? rows_of(*codes, n, "codes") : nullptr, z});
  return rows;
}
