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
  using Shape = NoShape;
  template <class J>
  static J at(const RowValue& row, Link link, const J* in, Shape<J>&) {
    const double successes = row.y * row.trials, failures = row.trials - successes;
    J out(0.0);
    if (successes > 0.0) out += successes * log_probability(link, in[0], true);
    if (failures > 0.0) out += failures * log_probability(link, in[0], false);
    if (searches<J>() || row.trials == 1.0) return out;
    return out + row.constant;
  }
};

struct BetabinomialDensity {
  static constexpr int kInputs = 2;
  static constexpr bool kTrials = true, kHurdle = false;
  template <class J>
  struct Shape {
    J phi{0.0};
    RisingProduct<J> rising;  // of phi
    void renew(const J* in) {
      if (last_.is(in[1].value())) return rising.again();
      phi = exp(in[1]);
      rising.renew(phi);
    }

   private:
    Last last_;
  };
  template <class J>
  static J at(const RowValue& row, Link link, const J* in, Shape<J>& shape) {
    const double successes = std::round(row.y * row.trials), failures = row.trials - successes;
    const J a = probability(link, in[0], true) * shape.phi;
    const J b = probability(link, in[0], false) * shape.phi;
    const J out = log_rising(successes, a) + log_rising(failures, b);
    // a zero part needs all of the density of none
    if (searches<J>() && shape.phi.is_constant() && row.y != 0.0) return out;
    return out - shape.rising.at(row.trials) + row.constant;
  }
};

// phi and log Gamma(phi).
template <class J>
struct BetaShape {
  J phi{0.0}, log_gamma_phi{0.0};
  void renew(const J* in) {
    if (last_.is(in[1].value())) return;
    phi = exp(in[1]);
    log_gamma_phi = log_gamma(phi);
  }

 private:
  Last last_;
};

template <class J>
J log_beta_density(const RowValue& row, Link link, const J& eta, const BetaShape<J>& shape) {
  const J a = probability(link, eta, true) * shape.phi;
  const J b = probability(link, eta, false) * shape.phi;
  const J out = a * row.log_y + b * row.log_rest - log_gamma(a) - log_gamma(b);
  if (searches<J>() && shape.phi.is_constant()) return out;
  return out + shape.log_gamma_phi - (row.log_y + row.log_rest);
}

struct BetaDensity {
  static constexpr int kInputs = 2;
  static constexpr bool kTrials = false, kHurdle = true;
  template <class J>
  using Shape = BetaShape<J>;
  template <class J>
  static J at(const RowValue& row, Link link, const J* in, Shape<J>& shape) {
    if (!(row.y > 0.0 && row.y < 1.0)) return J(kMinusInfinity);
    return log_beta_density(row, link, in[0], shape);
  }
};

struct OrderedBetaDensity {
  static constexpr int kInputs = 4;
  static constexpr bool kTrials = false, kHurdle = false;
  template <class J>
  struct Shape {
    BetaShape<J> beta;
    J gap{0.0}, log_gap{0.0};
    void renew(const J* in) {
      beta.renew(in);
      if (last_.is(in[3].value())) return;
      gap = exp(in[3]);
      log_gap = log1m_exp(-gap);
    }

   private:
    Last last_;
  };
  template <class J>
  static J at(const RowValue& row, Link link, const J* in, Shape<J>& shape) {
    const J low = in[0] - in[2];
    const J& gap = shape.gap;
    if (row.y == 0.0) return log_expit(-low);
    if (row.y == 1.0) return log_expit(low - gap);
    return log_expit(low) + log_expit(gap - low) + shape.log_gap +
           log_beta_density(row, link, in[0], shape.beta);
  }
};

}  // namespace ranef
