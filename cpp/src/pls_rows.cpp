// What new rows ask of a factored model.
#include <algorithm>
#include <numeric>

#include "ranef/interrupt.hpp"
#include "ranef/pls.hpp"

namespace ranef {
namespace {

constexpr Index kRowsTogether = 64;  // rows solved for together

// Rows in an order in which those of the same levels, of the leading term first, are neighbours.
std::vector<Index> by_level(const std::vector<const std::int32_t*>& codes, Index n) {
  std::vector<Index> rows(static_cast<std::size_t>(n));
  std::iota(rows.begin(), rows.end(), Index{0});
  std::stable_sort(rows.begin(), rows.end(), [&](Index a, Index b) {
    for (const std::int32_t* code : codes)
      if (code && code[a] != code[b]) return code[a] < code[b];
    return false;
  });
  return rows;
}

}  // namespace

std::vector<RowMatrix> Pls::fixed_rows() const {
  const Index p = n_fixef();
  const RootLayout& layout = root_.layout();
  std::vector<RowMatrix> out(n_terms());
  out[0] = leading_.xy.leftCols(p);
  for (std::size_t t = 0; t < layout.k.size(); ++t)
    out[t + 1] = xy_.middleRows(layout.offset[t], layout.n_levels[t] * layout.k[t]).leftCols(p);
  return out;
}

template <class Put>
void Pls::right_side(const std::vector<const std::int32_t*>& codes, const std::vector<RowMatrix>& z,
                     Index i, Put&& put) const {
  const RootLayout& layout = root_.layout();
  for (std::size_t t = 1; t < codes.size(); ++t) {
    if (!codes[t] || codes[t][i] < 0) continue;
    const Index k = k_[t], first = layout.offset[t - 1] + codes[t][i] * k;
    for (Index j = 0; j < k; ++j) {  // lambda is lower triangular
      double sum = 0.0;
      for (Index r = j; r < k; ++r) sum += lambda_[t](r, j) * z[t](i, r);
      put(static_cast<std::int32_t>(first + j), sum);
    }
  }
  if (!codes[0] || codes[0][i] < 0) return;
  const Index k = k_[0], level = codes[0][i];
  const Eigen::Map<const Matrix> K(K_.data() + level * k * k, k, k);
  const Vector Kz = K * z[0].row(i).transpose();
  coupling_.for_level(level, Kz.data(),
                      [&](std::int32_t column, double value) { put(column, -value); });
}

// |L^-1 right|^2 of each row, some rows at a time and only where they lead.
void Pls::add_root_variances(const std::vector<const std::int32_t*>& codes,
                             const std::vector<RowMatrix>& z, const std::vector<Index>& rows,
                             Vector& out) const {
  const Index n = static_cast<Index>(rows.size());
  std::vector<std::int32_t> slot(static_cast<std::size_t>(root_.size())), met;
  RowMatrix right;
  for (Index start = 0; start < n; start += kRowsTogether) {
    pause();
    const Index count = std::min(kRowsTogether, n - start);
    met.clear();
    for (Index c = 0; c < count; ++c)
      right_side(codes, z, rows[start + c],
                 [&](std::int32_t column, double) { met.push_back(column); });
    std::sort(met.begin(), met.end());
    met.erase(std::unique(met.begin(), met.end()), met.end());
    right.setZero(root_.reach(met, slot), count);
    for (Index c = 0; c < count; ++c)
      right_side(codes, z, rows[start + c],
                 [&](std::int32_t column, double value) { right(slot[column], c) += value; });
    root_.solve_reached(right);
    const Vector squares = right.colwise().squaredNorm();
    for (Index c = 0; c < count; ++c) out(rows[start + c]) += squares(c);
  }
}

Vector Pls::variances(const std::vector<const std::int32_t*>& codes,
                      const std::vector<RowMatrix>& z, Index n) {
  Vector out = Vector::Zero(n);
  keep_levels();
  const Index k = k_[0];
  for (Index i = 0; codes[0] && i < n; ++i) {
    if (codes[0][i] < 0) continue;
    const Eigen::Map<const Matrix> K(K_.data() + codes[0][i] * k * k, k, k);
    out(i) = z[0].row(i).dot(K * z[0].row(i).transpose());
  }
  if (root_.size() > 0) add_root_variances(codes, z, by_level(codes, n), out);
  return out;
}

}  // namespace ranef
