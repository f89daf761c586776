// Known precisions and members of terms, from Python.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <cstdint>
#include <optional>
#include <tuple>
#include <vector>

#include "ranef/general_terms.hpp"

// Lower triangle of a matrix, by columns: (start, row, value)
using Triangle = std::tuple<pybind11::array_t<std::int64_t, pybind11::array::c_style>,
                            pybind11::array_t<std::int32_t, pybind11::array::c_style>,
                            pybind11::array_t<double, pybind11::array::c_style>>;

// (number of members, blocks, size, precision)
using GeneralTerm = std::tuple<int, std::vector<int>, double, std::optional<Triangle>>;

inline ranef::SparseLower sparse_lower(const Triangle& triangle) {
  const auto& [start, row, value] = triangle;
  ranef::SparseLower out;
  out.start.assign(start.data(), start.data() + start.size());
  out.row.assign(row.data(), row.data() + row.size());
  out.value.assign(value.data(), value.data() + value.size());
  return out;
}

inline ranef::GeneralTerms general_terms(const std::vector<GeneralTerm>& terms) {
  ranef::GeneralTerms out;
  for (std::size_t t = 0; t < terms.size(); ++t) {
    const auto& [members, blocks, size, precision] = terms[t];
    out.term.insert(out.term.end(), static_cast<std::size_t>(members), t);
    out.blocks.push_back(blocks);
    out.size.push_back(size);
    out.precision.push_back(precision ? sparse_lower(*precision) : ranef::SparseLower{});
  }
  return out;
}
