// The Matern correlation with its derivatives.
#pragma once

namespace ranef {

struct Matern {
  double value;          // 2^(1 - k) / Gamma(k) x^k K_k(x)
  double by_distance;    // d value / d x
  double by_smoothness;  // d value / d k
};

// x >= 0, k > 0; by the integral K_k(x) = int_0^inf exp(-x cosh t) cosh(k t) dt.
Matern matern(double x, double k);

}  // namespace ranef
