// The series of the Tweedie density between powers 1 and 2:
//
//   log sum_j z^j / (j! Gamma(j A)),   A = (2 - p) / (p - 1)
//
// Reference: Dunn and Smyth (2005), Stat. Comput. 15, 267-280.
#pragma once

#include "ranef/jet.hpp"

namespace ranef {

// Taylor coefficients by log z and A up to order 3; NaN where too many terms count.
struct TweedieSeries {
  double taylor[4][4] = {};
};
TweedieSeries tweedie_at(double log_z, double A, double largest, bool derivatives);

template <class J>
J tweedie_series(const J& log_z, const J& A, double y, double log_phi, double below) {
  const double largest = std::exp(below * std::log(y) - log_phi) / below;
  const TweedieSeries at = tweedie_at(log_z.value(), A.value(), largest, J::kOrder > 0);
  return polynomial(at.taylor, log_z - log_z.value(), A - A.value());
}

}  // namespace ranef
