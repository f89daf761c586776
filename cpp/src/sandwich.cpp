#include "ranef/sandwich.hpp"

#include <cstdint>
#include <numeric>
#include <stdexcept>
#include <vector>

namespace ranef {
namespace {

void check_codes(ConstMatrixRef X, CodesRef codes, Index n_clusters) {
  if (codes.size() != X.rows()) throw std::invalid_argument("codes: one entry for each row of X");
  if (codes.size() > 0 && (codes.minCoeff() < 0 || codes.maxCoeff() >= n_clusters)) {
    throw std::invalid_argument("codes: an entry is outside 0 to n_clusters - 1");
  }
}

}  // namespace

RowMatrix sum_by_cluster(ConstMatrixRef X, CodesRef codes, Index n_clusters) {
  check_codes(X, codes, n_clusters);
  RowMatrix out = RowMatrix::Zero(n_clusters, X.cols());
  for (Index j = 0; j < X.cols(); ++j) {
    for (Index i = 0; i < X.rows(); ++i) out(codes[i], j) += X(i, j);
  }
  return out;
}

RowMatrix gram_by_cluster(ConstMatrixRef X, CodesRef codes, Index first, Index last) {
  if (first < 0 || last < first) throw std::invalid_argument("first, last: not a range");
  if (codes.size() != X.rows()) throw std::invalid_argument("codes: one entry for each row of X");
  const Index p = X.cols();
  RowMatrix out = RowMatrix::Zero(last - first, p * p);
  std::vector<double> row(static_cast<std::size_t>(p));
  for (Index i = 0; i < X.rows(); ++i) {
    if (codes[i] < first || codes[i] >= last) continue;
    for (Index j = 0; j < p; ++j) row[static_cast<std::size_t>(j)] = X(i, j);
    double* gram = out.row(codes[i] - first).data();
    for (Index j = 0; j < p; ++j) {
      const double x = row[static_cast<std::size_t>(j)];
      double* target = gram + j * p;
      for (Index k = 0; k < p; ++k) target[k] += x * row[static_cast<std::size_t>(k)];
    }
  }
  return out;
}

Eigen::Matrix<std::int32_t, Eigen::Dynamic, 1> order_by_cluster(CodesRef codes, Index n_clusters) {
  if (codes.size() > 0 && (codes.minCoeff() < 0 || codes.maxCoeff() >= n_clusters)) {
    throw std::invalid_argument("codes: an entry is outside 0 to n_clusters - 1");
  }
  std::vector<Index> next(static_cast<std::size_t>(n_clusters) + 1, 0);
  for (const std::int32_t code : codes) ++next[static_cast<std::size_t>(code) + 1];
  std::partial_sum(next.begin(), next.end(), next.begin());
  Eigen::Matrix<std::int32_t, Eigen::Dynamic, 1> order(codes.size());
  for (Index i = 0; i < codes.size(); ++i) {
    order[next[static_cast<std::size_t>(codes[i])]++] = static_cast<std::int32_t>(i);
  }
  return order;
}

}  // namespace ranef
