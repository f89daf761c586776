// Where the search begins: moment estimates from the cross products alone.
#pragma once

#include <vector>

#include "ranef/cross_products.hpp"
#include "ranef/eigen.hpp"

namespace ranef {

// Diagonal relative covariance factors by MINQUE(0), one variance a column of each term.
//
// In the standardised basis X'X = n I and X'y = 0, so that with M = I - X X'/n the estimates solve
// sum_b tr(M V_a M V_b) phi_b = y'M V_a M y, where V_a = Z_a Z_a' and the last V is I. Each
// variance, times the mean of Z_a'Z_a over levels, is kept within bounds: the search needs only the
// order of size.
//
// References: Rao (1971), J. Multivariate Anal. 1, 257-275.
class MomentStart {
 public:
  MomentStart() = default;
  explicit MomentStart(const CrossProducts& products);

  // For the response whose Z_t'y (l * k) are given by term.
  std::vector<Matrix> operator()(const std::vector<Vector>& zy) const;

 private:
  std::vector<Index> k_;
  Eigen::ColPivHouseholderQR<Matrix> system_;
  Vector mean_;  // (m,) mean of Z_a'Z_a over levels, a component a column of a term
  double n_ = 0.0;
};

}  // namespace ranef
