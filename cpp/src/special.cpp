#include "ranef/special.hpp"

#include <cmath>

namespace ranef {

// Recurrence up to 15, then Stirling's series: std::lgamma writes to a global.
double log_gamma(double x) {
  double product = 1.0;
  for (; x < 15.0; x += 1.0) product *= x;
  const double r = 1.0 / (x * x);
  const double series =
      (1.0 / 12.0 - r * (1.0 / 360.0 - r * (1.0 / 1260.0 - r * (1.0 / 1680.0 - r / 1188.0)))) / x;
  return (x - 0.5) * std::log(x) - x + 0.9189385332046727418 + series - std::log(product);
}

// Recurrence up to 10, then the asymptotic series.
double digamma(double x) {
  double out = 0.0;
  for (; x < 10.0; x += 1.0) out -= 1.0 / x;
  const double r = 1.0 / (x * x);
  return out + std::log(x) - 0.5 / x -
         r * (1.0 / 12.0 - r * (1.0 / 120.0 - r * (1.0 / 252.0 - r * (1.0 / 240.0 - r / 132.0))));
}

// Recurrence up to 9 by one product and sums of powers of 1 / x, two at a time; then the asymptotic
// series.
LogGamma log_gamma_derivatives(double x, bool third) {
  double product = 1.0, one = 0.0, two = 0.0, three = 0.0;
  for (; x < 9.0; x += 2.0) {
    const double y = x + 1.0, both = x * y, inverse = 1.0 / both, i = inverse * y, j = inverse * x;
    product *= both;
    one += i + j;
    two += i * i + j * j;
    if (third) three += i * i * i + j * j * j;
  }
  const double log_x = std::log(x), i = 1.0 / x, r = i * i;
  LogGamma out;
  // coefficients B_2k / (2k (2k - 1)), B_2k / (2k), B_2k and B_2k (2k + 1)
  out.value =
      (x - 0.5) * log_x - x + 0.9189385332046727418 - std::log(product) +
      i * (1.0 / 12.0 -
           r * (1.0 / 360.0 - r * (1.0 / 1260.0 -
                                   r * (1.0 / 1680.0 -
                                        r * (1.0 / 1188.0 - r * (691.0 / 360360.0 - r / 156.0))))));
  out.digamma =
      log_x - 0.5 * i - one -
      r * (1.0 / 12.0 -
           r * (1.0 / 120.0 -
                r * (1.0 / 252.0 -
                     r * (1.0 / 240.0 - r * (1.0 / 132.0 - r * (691.0 / 32760.0 - r / 12.0))))));
  out.trigamma =
      i + 0.5 * r + two +
      i * r *
          (1.0 / 6.0 -
           r * (1.0 / 30.0 -
                r * (1.0 / 42.0 -
                     r * (1.0 / 30.0 - r * (5.0 / 66.0 - r * (691.0 / 2730.0 - r * 7.0 / 6.0))))));
  out.tetragamma = 0.0;
  if (!third) return out;
  out.tetragamma =
      -r - i * r - 2.0 * three -
      r * r *
          (0.5 -
           r * (1.0 / 6.0 -
                r * (1.0 / 6.0 - r * (0.3 - r * (5.0 / 6.0 - r * (691.0 / 210.0 - r * 17.5))))));
  return out;
}

// r = phi / Phi is the inverse Mills ratio: r' = -r (x + r).
LogNormal log_normal_cdf(double eta) {
  constexpr double kRoot = 0.7071067811865475244, kDensity = 0.3989422804014326779;
  if (eta > -30.0) {
    const double cdf = 0.5 * std::erfc(-eta * kRoot);
    const double value = eta > 5.0 ? std::log1p(-0.5 * std::erfc(eta * kRoot)) : std::log(cdf);
    const double r = kDensity * std::exp(-0.5 * eta * eta) / cdf;
    const double g = r * (eta + r);
    return {value, r, -g, g * (eta + r) - r * (1.0 - g)};
  }
  // continued fraction of Mills' ratio
  const double x = -eta, x2 = 1.0 / (x * x);
  const double excess = (1.0 - x2 * (2.0 - x2 * (10.0 - 74.0 * x2))) / x;  // r - x
  const double r = x + excess;
  return {-0.5 * eta * eta + std::log(kDensity / r), r,
          -(1.0 - x2 * (1.0 - x2 * (6.0 - 50.0 * x2))), x2 / x * (2.0 - 24.0 * x2)};
}

}  // namespace ranef
