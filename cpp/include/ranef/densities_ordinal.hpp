// Log probabilities of ordered categories:  P(Y <= j) = F((threshold_j - eta) / exp(zeta)).
//
// Predictors: eta, the thresholds above and below the row's category, and zeta.
//
// References: McCullagh (1980), J. R. Stat. Soc. B 42, 109-142; Agresti (2010), Analysis of Ordinal
// Categorical Data, 2nd ed.
#pragma once

#include "ranef/densities.hpp"

namespace ranef {

// log(F(high) - F(low)) without cancellation in the tails.
template <class J>
J log_between(Link link, const J& high, const J& low) {
  if (!(high.value() > low.value())) return J(kMinusInfinity);
  switch (link) {
    case Link::logit:
      return log_expit(high) + log_expit(-low) + log1m_exp(low - high);
    case Link::probit: {
      const bool upper = low.value() > 0.0;
      const J a = log_normal_cdf(upper ? -low : high), b = log_normal_cdf(upper ? -high : low);
      return a + log1m_exp(b - a);
    }
    case Link::cloglog:
      return -exp(low) + log1m_exp(exp(low) - exp(high));
    case Link::loglog:
      return -exp(-high) + log1m_exp(exp(-high) - exp(-low));
    case Link::cauchit: {
      J angle = cauchy_angle(high) - cauchy_angle(low);
      angle.set_value(std::atan2(high.value() - low.value(), 1.0 + high.value() * low.value()));
      return log(angle) - 1.1447298858494002;
    }
    case Link::identity:
    case Link::log:
    case Link::inverse:
    case Link::sqrt:
      break;
  }
  return J(kMinusInfinity);
}

struct OrdinalDensity {
  static constexpr int kInputs = 4;
  static constexpr bool kTrials = false, kHurdle = false;
  template <class J>
  struct Shape {
    J scale{0.0};
    void renew(const J* in) {
      if (!last_.is(in[3].value())) scale = exp(-in[3]);
    }

   private:
    Last last_;
  };
  template <class J>
  static J at(const RowValue& row, Link link, const J* in, Shape<J>& shape) {
    const J high = (in[1] - in[0]) * shape.scale, low = (in[2] - in[0]) * shape.scale;
    if (row.y <= 0.0) return log_probability(link, high, true);
    if (row.y >= row.top) return log_probability(link, low, false);
    return log_between(link, high, low);
  }
};

}  // namespace ranef
