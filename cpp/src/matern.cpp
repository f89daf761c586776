#include "ranef/matern.hpp"

#include <algorithm>
#include <cmath>

#include "ranef/special.hpp"

namespace ranef {
namespace {

// The integrand is analytic within pi / 2 of the real line: the trapezoidal rule errs by about
// exp(-pi^2 / step) where its peak, of width k^-1/2, is no narrower than that.
constexpr double kStep = 0.25;
constexpr double kNothing = -745.0;  // exp of it is zero

}  // namespace

Matern matern(double x, double k) {
  if (!(x > 1e-12)) return {1.0, 0.0, 0.0};
  const double log_half = std::log(0.5 * x);
  const double constant = std::log(2.0) - std::lgamma(k) + k * log_half;
  const double step = kStep / std::sqrt(std::max(1.0, 0.5 * k));
  double value = 0.0, below = 0.0, tilt = 0.0;
  for (int i = 0;; ++i) {
    const double t = step * i, weight = i == 0 ? 0.5 : 1.0;
    const double inside = constant - x * std::cosh(t);
    const double up = inside + k * t;
    if (up < kNothing && x * std::sinh(t) > k) break;
    const double grows = 0.5 * std::exp(up), falls = 0.5 * std::exp(inside - k * t);
    value += weight * (grows + falls);
    tilt += weight * t * (grows - falls);
    below += weight * (grows * std::exp(-t) + falls * std::exp(t));
  }
  value *= step;
  tilt *= step;
  below *= step;
  return {value, -below, value * (log_half - digamma(k)) + tilt};
}

}  // namespace ranef
