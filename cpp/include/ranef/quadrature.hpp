// The product rule of Gauss and Hermite.
#pragma once

#include "ranef/eigen.hpp"

namespace ranef {

// Nodes of a Gauss-Hermite rule for the weight exp(-x^2).
struct HermiteRule {
  Vector nodes, weights;
};

// Nodes (k, points), and log weights with pi^(-k/2) and exp(x'x) in them.
struct QuadratureGrid {
  Matrix x;
  Vector log_weight;
};

QuadratureGrid product_rule(const HermiteRule& rule, Index k);

// Half of the lower triangle mirrored: what the factor of a symmetric matrix does to a derivative.
Matrix symmetric_half(const Matrix& A);

}  // namespace ranef
