#include "ranef/least_squares.hpp"

#include <stdexcept>

namespace ranef {

LeastSquares::LeastSquares(const CrossProducts& products, std::vector<std::vector<int>> blocks)
    : n_(products.n), blocks_(std::move(blocks)), gram_(products.gram) {
  if (products.terms.empty()) throw std::invalid_argument("terms: there is none");
  for (std::size_t t = 0; t < products.terms.size(); ++t) {
    const int k = static_cast<int>(products.terms[t].k);
    n_levels_.push_back(products.terms[t].n_levels);
    k_.push_back(k);
    for (int j = 0; j < k; ++j)
      for (int i = j; i < k; ++i)
        if (blocks_[t][i] == blocks_[t][j]) parameters_.push_back({t, i, j});
  }
}

std::vector<std::vector<int>> LeastSquares::block_columns(std::size_t t) const {
  std::vector<std::vector<int>> out;
  for (int j = 0; j < static_cast<int>(blocks_[t].size()); ++j) {
    if (blocks_[t][j] >= static_cast<int>(out.size())) out.resize(blocks_[t][j] + 1);
    out[blocks_[t][j]].push_back(j);
  }
  return out;
}

}  // namespace ranef
