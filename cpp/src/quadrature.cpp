#include "ranef/quadrature.hpp"

#include <cmath>

namespace ranef {
namespace {

constexpr double kRootPi = 1.7724538509055160273;

}  // namespace

QuadratureGrid product_rule(const HermiteRule& rule, Index k) {
  const Index nodes = rule.nodes.size();
  Index points = 1;
  for (Index j = 0; j < k; ++j) points *= nodes;
  QuadratureGrid out{Matrix(k, points), Vector::Zero(points)};
  for (Index point = 0; point < points; ++point)
    for (Index j = 0, rest = point; j < k; ++j, rest /= nodes) {
      const double x = rule.nodes(rest % nodes);
      out.x(j, point) = x;
      out.log_weight(point) += std::log(rule.weights(rest % nodes) / kRootPi) + x * x;
    }
  return out;
}

Matrix symmetric_half(const Matrix& A) {
  Matrix out = A.triangularView<Eigen::StrictlyLower>();
  out += out.transpose().eval();
  out.diagonal() = A.diagonal();
  return 0.5 * out;
}

}  // namespace ranef
