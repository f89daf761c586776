// Log densities of shares. The second predictor is log phi:
//
//   betabinomial   successes out of trials whose probability is beta(mu phi, (1 - mu) phi)
//   beta           beta(mu phi, (1 - mu) phi), variance mu (1 - mu) / (1 + phi)
//   ordered_beta   0 with probability 1 - expit(eta - c0), 1 with expit(eta - c1), else beta; the
//                  third and fourth predictors are c0 and log(c1 - c0)
//
// Reference of the last: Kubinec (2023), Polit. Anal. 31, 519-536.
#pragma once

#include "ranef/densities.hpp"

namespace ranef {

struct BinomialDensity {
  static constexpr int kInputs = 1;
  static constexpr bool kTrials = true, kHurdle = false;
  template <class J>
  static J at(const RowValue& row, Link link, const J* in) {
    const double successes = row.y * row.trials, failures = row.trials - successes;
    J out(0.0);
    if (successes > 0.0) out += successes * log_probability(link, in[0], true);
    if (failures > 0.0) out += failures * log_probability(link, in[0], false);
    if (searches<J>() || row.trials == 1.0) return out;
    return out +
           (log_gamma(row.trials + 1.0) - log_gamma(successes + 1.0) - log_gamma(failures + 1.0));
  }
};

struct BetabinomialDensity {
  static constexpr int kInputs = 2;
  static constexpr bool kTrials = true, kHurdle = false;
  template <class J>
  static J at(const RowValue& row, Link link, const J* in) {
    const double successes = std::round(row.y * row.trials), failures = row.trials - successes;
    const J a = exp(log_probability(link, in[0], true) + in[1]);
    const J b = exp(log_probability(link, in[0], false) + in[1]);
    const J out =
        log_rising(successes, a) + log_rising(failures, b) - log_rising(row.trials, exp(in[1]));
    return out +
           (log_gamma(row.trials + 1.0) - log_gamma(successes + 1.0) - log_gamma(failures + 1.0));
  }
};

template <class J>
J log_beta_density(double y, Link link, const J& eta, const J& log_phi) {
  const J a = exp(log_probability(link, eta, true) + log_phi);
  const J b = exp(log_probability(link, eta, false) + log_phi);
  const J out = a * std::log(y) + b * std::log1p(-y) - log_gamma(a) - log_gamma(b);
  if (searches<J>() && log_phi.is_constant()) return out;
  return out + log_gamma(exp(log_phi)) - (std::log(y) + std::log1p(-y));
}

struct BetaDensity {
  static constexpr int kInputs = 2;
  static constexpr bool kTrials = false, kHurdle = true;
  template <class J>
  static J at(const RowValue& row, Link link, const J* in) {
    if (!(row.y > 0.0 && row.y < 1.0)) return J(kMinusInfinity);
    return log_beta_density(row.y, link, in[0], in[1]);
  }
};

struct OrderedBetaDensity {
  static constexpr int kInputs = 4;
  static constexpr bool kTrials = false, kHurdle = false;
  template <class J>
  static J at(const RowValue& row, Link link, const J* in) {
    const J low = in[0] - in[2], gap = exp(in[3]);
    if (row.y == 0.0) return log_expit(-low);
    if (row.y == 1.0) return log_expit(low - gap);
    return log_expit(low) + log_expit(gap - low) + log1m_exp(-gap) +
           log_beta_density(row.y, link, in[0], in[1]);
  }
};

}  // namespace ranef
