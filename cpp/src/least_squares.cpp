#include "ranef/least_squares.hpp"

#include <algorithm>
#include <stdexcept>

namespace ranef {

LeastSquares::LeastSquares(const CrossProducts& products, std::vector<std::vector<int>> blocks,
                           std::vector<BlockStructures> structures)
    : n_(products.n),
      blocks_(std::move(blocks)),
      structures_(std::move(structures)),
      gram_(products.gram) {
  if (products.terms.empty()) throw std::invalid_argument("terms: there is none");
  for (std::size_t t = 0; t < products.terms.size(); ++t) {
    const int k = static_cast<int>(products.terms[t].k);
    n_levels_.push_back(products.terms[t].n_levels);
    k_.push_back(k);
    for (int j = 0; j < k; ++j)
      for (int i = j; i < k; ++i)
        if (blocks_[t][i] == blocks_[t][j] &&
            !structure(t, static_cast<std::size_t>(blocks_[t][j])))
          parameters_.push_back({t, i, j});
    const std::vector<std::vector<int>> columns = block_columns(t);
    for (std::size_t b = 0; b < columns.size(); ++b) {
      const Structure* of_block = structure(t, b);
      if (!of_block) continue;
      if (of_block->n_columns() != static_cast<Index>(columns[b].size()))
        throw std::invalid_argument("structure: not the columns of its block");
      for (int i = 0; i < of_block->n_parameters(); ++i)
        parameters_.push_back({t, i, -1 - static_cast<int>(b)});
    }
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

bool LeastSquares::is_structured(std::size_t t) const {
  return t < structures_.size() && std::any_of(
                                       structures_[t].begin(), structures_[t].end(),
                                       [](const auto& structure) { return structure != nullptr; });
}

bool LeastSquares::is_structured() const {
  for (std::size_t t = 0; t < structures_.size(); ++t)
    if (is_structured(t)) return true;
  return false;
}

Vector LeastSquares::pack(const std::vector<Matrix>& states) const {
  if (states.size() != n_terms()) throw std::invalid_argument("state: not one for each term");
  Vector theta(static_cast<Index>(parameters_.size()));
  std::vector<Index> next(n_terms(), 0);
  for (std::size_t t = 0; t < n_terms(); ++t)
    if (!is_structured(t) && (states[t].rows() != k_[t] || states[t].cols() != k_[t]))
      throw std::invalid_argument("lambda: a factor has the wrong shape");
  for (std::size_t a = 0; a < parameters_.size(); ++a) {
    const Parameter& e = parameters_[a];
    const Matrix& state = states[e.term];
    if (!is_structured(e.term)) {
      theta(static_cast<Index>(a)) = state(e.i, e.j);
      continue;
    }
    if (state.cols() != 1 || next[e.term] >= state.rows())
      throw std::invalid_argument(
          "state: of a term with a structure, not one column of its "
          "parameters");
    theta(static_cast<Index>(a)) = state(next[e.term]++, 0);
  }
  return theta;
}

std::vector<Matrix> LeastSquares::states(const Vector& theta) const {
  std::vector<Matrix> out = factors(theta);
  for (std::size_t t = 0; t < n_terms(); ++t) {
    if (!is_structured(t)) continue;
    std::vector<double> values;
    for (std::size_t a = 0; a < parameters_.size(); ++a)
      if (parameters_[a].term == t) values.push_back(theta(static_cast<Index>(a)));
    out[t] = Eigen::Map<const Vector>(values.data(), static_cast<Index>(values.size()));
  }
  return out;
}

Index LeastSquares::first_parameter(std::size_t t, std::size_t block) const {
  for (std::size_t a = 0; a < parameters_.size(); ++a)
    if (parameters_[a].term == t && parameters_[a].is_structured() &&
        parameters_[a].block() == block)
      return static_cast<Index>(a);
  throw std::invalid_argument("block: it has no structure");
}

std::vector<Matrix> LeastSquares::factors(const Vector& theta) const {
  if (theta.size() != static_cast<Index>(parameters_.size()))
    throw std::invalid_argument("theta: not one value for each covariance parameter");
  std::vector<Matrix> out;
  for (std::size_t t = 0; t < n_terms(); ++t) out.push_back(Matrix::Zero(k_[t], k_[t]));
  for (std::size_t a = 0; a < parameters_.size(); ++a) {
    const Parameter& e = parameters_[a];
    if (!e.is_structured()) {
      out[e.term](e.i, e.j) = theta(static_cast<Index>(a));
    } else if (e.i == 0) {
      const Structure& of_block = *structure(e.term, e.block());
      const std::vector<int> columns = block_columns(e.term)[e.block()];
      out[e.term](columns, columns) =
          of_block.factor(theta.segment(static_cast<Index>(a), of_block.n_parameters()));
    }
  }
  return out;
}

std::vector<Vector> LeastSquares::natural(const Vector& theta, std::size_t t,
                                          const Vector& scale) const {
  std::vector<Vector> out;
  const std::vector<std::vector<int>> columns = block_columns(t);
  for (std::size_t b = 0; b < columns.size(); ++b) {
    out.emplace_back();
    if (const Structure* of_block = structure(t, b))
      out.back() = of_block->natural(theta.segment(first_parameter(t, b), of_block->n_parameters()),
                                     scale(columns[b]));
  }
  return out;
}

void LeastSquares::aim(const Vector& theta) {
  if (!is_structured()) return;
  directions_.assign(parameters_.size(), Matrix());
  for (std::size_t a = 0; a < parameters_.size(); ++a) {
    const Parameter& e = parameters_[a];
    if (!e.is_structured() || e.i != 0) continue;
    const Structure& of_block = *structure(e.term, e.block());
    const std::vector<int> columns = block_columns(e.term)[e.block()];
    const std::vector<Matrix> slopes =
        of_block.slopes(theta.segment(static_cast<Index>(a), of_block.n_parameters()));
    for (std::size_t i = 0; i < slopes.size(); ++i) {
      directions_[a + i] = Matrix::Zero(k_[e.term], k_[e.term]);
      directions_[a + i](columns, columns) = slopes[i];
    }
  }
}

Matrix LeastSquares::direction(std::size_t a) const {
  const Parameter& e = parameters_[a];
  if (e.is_structured()) return directions_.at(a);
  Matrix out = Matrix::Zero(k_[e.term], k_[e.term]);
  out(e.i, e.j) = out(e.j, e.i) = 1.0;
  return out;
}

}  // namespace ranef
