// Log densities of measurements. The second predictor is the logarithm of
//
//   gaussian, student, lognormal   sigma: the residual standard deviation, the scale of t, the
//                                  standard deviation of log y
//   gamma, tweedie                 phi: variance phi mu^2, phi mu^power
//
// and the third that of t's degrees of freedom, or the logit of the power less 1.
#pragma once

#include "ranef/densities.hpp"
#include "ranef/tweedie.hpp"

namespace ranef {

struct GaussianDensity {
  static constexpr int kInputs = 2;
  static constexpr bool kTrials = false, kHurdle = true;
  template <class J>
  static J at(const RowValue& row, Link link, const J* in) {
    return -0.5 * square((row.y - mean(link, in[0])) * exp(-in[1])) - in[1] - kHalfLogTwoPi;
  }
};

struct LognormalDensity {
  static constexpr int kInputs = 2;
  static constexpr bool kTrials = false, kHurdle = true;
  template <class J>
  static J at(const RowValue& row, Link, const J* in) {
    if (!(row.y > 0.0)) return J(kMinusInfinity);
    const double log_y = std::log(row.y);
    return -0.5 * square((log_y - in[0]) * exp(-in[1])) - in[1] - (kHalfLogTwoPi + log_y);
  }
};

struct StudentDensity {
  static constexpr int kInputs = 3;
  static constexpr bool kTrials = false, kHurdle = true;
  template <class J>
  static J at(const RowValue& row, Link link, const J* in) {
    const J df = exp(in[2]);
    const J z = (row.y - mean(link, in[0])) * exp(-in[1]);
    const J out = -0.5 * ((df + 1.0) * log1p(square(z) * exp(-in[2]))) - in[1];
    if (searches<J>() && df.is_constant()) return out;
    // log Gamma(df / 2 + 1 / 2) - log Gamma(df / 2), whose difference is lost for many degrees
    const J half = 0.5 * df;
    const double d = half.value();
    if (d < 1e5)
      return out + log_gamma(half + 0.5) - log_gamma(half) - 0.5 * in[2] - 0.5723649429247001;
    const J i = reciprocal(half);
    return out + 0.5 * (in[2] - 0.6931471805599453) - 0.125 * i - 0.5 * in[2] - 0.5723649429247001;
  }
};

struct GammaDensity {
  static constexpr int kInputs = 2;
  static constexpr bool kTrials = false, kHurdle = true;
  template <class J>
  static J at(const RowValue& row, Link link, const J* in) {
    if (!(row.y > 0.0)) return J(kMinusInfinity);
    const J nu = exp(-in[1]), log_ratio = std::log(row.y) - log_mean(link, in[0]);
    const J out = nu * (log_ratio - exp(log_ratio));
    if (searches<J>() && nu.is_constant()) return out;
    return out - nu * in[1] - log_gamma(nu) - std::log(row.y);
  }
};

struct TweedieDensity {
  static constexpr int kInputs = 3;
  static constexpr bool kTrials = false, kHurdle = false;
  template <class J>
  static J at(const RowValue& row, Link link, const J* in) {
    const J log_mu = log_mean(link, in[0]);
    const J above = exp(log_expit(in[2])), below = exp(log_expit(-in[2]));  // power - 1, 2 - power
    const J rest = exp(below * log_mu - in[1]) * reciprocal(below);
    if (row.y == 0.0) return -rest;
    const J out = -(row.y * exp(-(above * log_mu) - in[1]) * reciprocal(above)) - rest;
    if (searches<J>() && in[1].is_constant() && in[2].is_constant()) return out;
    const double log_y = std::log(row.y);
    const J A = below * reciprocal(above), log_below = log_expit(-in[2]);
    const J log_z = A * (log_y - log_expit(in[2])) - (1.0 + A) * in[1] - log_below;
    return out + tweedie_series(log_z, A, row.y, in[1].value(), below.value()) - log_y;
  }
};

}  // namespace ranef
