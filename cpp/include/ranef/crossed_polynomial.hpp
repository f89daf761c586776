// A polynomial in place of what the exact moments leave of -log(1 - x).
//
//   p(x) = x^r q(x),   q ~ (-log(1 - x) - x - [r = 3: x^2 / 2]) / x^r   on [low, high]
//
// in Chebyshev polynomials t_j of the interval mapped to [-1, 1], and its divided differences, of
// which the derivative of x'p(T)x is made: (p(x) - p(y)) / (x - y) = sum_jk D_jk t_j(x) t_k(y).
#pragma once

#include "ranef/eigen.hpp"

namespace ranef {

struct CrossedPolynomial {
  int order = 2;                 // r
  double low = 0.0, high = 0.5;  // low <= 0 <= high < 1
  double error = 0.0;            // |p(x) + log(1 - x) + ..| <= error |x|^r on the interval
  Vector coefficient;            // (J + 1,) of t_j
  Matrix difference;             // (J, J) D, symmetric

  Index degree() const { return coefficient.size() - 1; }
  double centre() const { return 0.5 * (low + high); }
  double half_width() const { return 0.5 * (high - low); }
};

// The polynomial of lowest degree whose error is below `tolerance`, or of degree `most`.
CrossedPolynomial fit_polynomial(int order, double low, double high, double tolerance, int most);

}  // namespace ranef
