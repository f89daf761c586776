// What new rows ask of a model without a factor.
#include <algorithm>

#include "ranef/crossed_pls.hpp"

namespace ranef {
namespace {

constexpr Index kPanel = 64;  // rows solved for together

}  // namespace

std::vector<RowMatrix> CrossedPls::fixed_rows() const {
  const Index p = n_fixef();
  return by_term({xy_.leading.leftCols(p), xy_.root.leftCols(p)});
}

Vector CrossedPls::variances(const std::vector<const std::int32_t*>& codes,
                             const std::vector<RowMatrix>& z, Index m) {
  Vector out = Vector::Zero(m);
  for (Index start = 0; start < m; start += kPanel) {
    const Index count = std::min(kPanel, m - start);
    std::vector<RowMatrix> B;
    for (std::size_t t = 0; t < n_terms(); ++t) {
      B.push_back(RowMatrix::Zero(n_levels_[t], count));
      for (Index i = 0; codes[t] && i < count; ++i)
        if (codes[t][start + i] >= 0) B[t](codes[t][start + i], i) = z[t](start + i, 0);
    }
    const std::vector<RowMatrix> S = solve(B);
    for (std::size_t t = 0; t < n_terms(); ++t)
      out.segment(start, count) += B[t].cwiseProduct(S[t]).colwise().sum().transpose();
  }
  return out;
}

}  // namespace ranef
