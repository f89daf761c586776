// The series of the Tweedie density between powers 1 and 2:
//
//   log sum_j z^j / (j! Gamma(j A)),   A = (2 - p) / (p - 1)
//
// Reference: Dunn and Smyth (2005), Stat. Comput. 15, 267-280.
#pragma once

#include <algorithm>

#include "ranef/slope_jet.hpp"

namespace ranef {

// Taylor coefficients by log z and A up to an order of 3; NaN where too many terms count. Calls
// with one A after another share what terms have in common.
struct TweedieSeries {
  double taylor[4][4] = {};
};
// exp(log_largest) is near the term that is the largest.
TweedieSeries tweedie_at(double log_z, double A, double log_largest, int order);

template <int N, int Order>
int order_of(const Jet<N, Order>&) {
  return Order;
}
template <int N>
int order_of(const SlopeJet<N>& a) {
  return a.t[1] == 0.0 ? 1 : 3;
}

// The series of one row up to first order where it was last asked for: it serves while the row's
// mean alone moves.
struct TweedieKept {
  double log_z = 0.0, A = 0.0;
  double value = 0.0, by_log_z = 0.0, by_A = 0.0;
};

template <class J>
J tweedie_series(const J& log_z, const J& A, double log_largest, TweedieKept* kept) {
  const int order = std::max(order_of(log_z), order_of(A));
  if (order <= 1 && kept != nullptr) {
    if (log_z.value() != kept->log_z || A.value() != kept->A) {
      const TweedieSeries at = tweedie_at(log_z.value(), A.value(), log_largest, 1);
      *kept = {log_z.value(), A.value(), at.taylor[0][0], at.taylor[1][0], at.taylor[0][1]};
    }
    return kept->value + (kept->by_log_z * (log_z - kept->log_z) + kept->by_A * (A - kept->A));
  }
  const TweedieSeries at = tweedie_at(log_z.value(), A.value(), log_largest, order);
  const J x = log_z - log_z.value(), y = A - A.value();
  const auto& c = at.taylor;
  if (order <= 1) return c[0][0] + (c[1][0] * x + c[0][1] * y);
  if (order == 2)
    return c[0][0] + (c[1][0] * x + c[0][1] * y) + x * (c[2][0] * x + c[1][1] * y) +
           c[0][2] * square(y);
  return polynomial(at.taylor, x, y);
}

}  // namespace ranef
