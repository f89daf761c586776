// Log densities of one row as functions of its linear predictors, for jets.
//
// A density has kInputs predictors: the location first, then the logarithm of its dispersion, then
// what else shapes it. With a zero part the logit of a zero comes last. Every constant is in, but
// for those that a search at given shapes does not need: jets of order 2 leave them out.
#pragma once

#include "ranef/distributions.hpp"
#include "ranef/jet.hpp"
#include "ranef/links.hpp"

namespace ranef {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();
constexpr double kHalfLogTwoPi = 0.9189385332046727418;

struct RowValue {
  double y;       // the response; the category, from 0, of an ordinal one
  double trials;  // of a share of successes
  double top;     // the last category
};

// Angle over the cumulative Cauchy distribution: pi F(x), without cancellation below.
template <class J>
J cauchy_angle(const J& a) {
  const double x = a.value(), d = 1.0 / (1.0 + x * x);
  return compose(a, std::atan2(1.0, -x), d, -2.0 * x * d * d, (6.0 * x * x - 2.0) * d * d * d);
}

template <class J>
J log_cauchy(const J& a) {
  return log(cauchy_angle(a)) - 1.1447298858494002;  // log pi
}

// log of a mean above zero.
template <class J>
J log_mean(Link link, const J& eta) {
  switch (link) {
    case Link::log:
      return eta;
    case Link::identity:
      return log(eta);
    case Link::inverse:
      return -log(eta);
    case Link::sqrt:
      return 2.0 * log(eta);
    case Link::logit:
    case Link::probit:
    case Link::cloglog:
    case Link::loglog:
    case Link::cauchit:
      break;
  }
  return J(kMinusInfinity);
}

// A mean of either sign.
template <class J>
J mean(Link link, const J& eta) {
  switch (link) {
    case Link::identity:
      return eta;
    case Link::log:
      return exp(eta);
    case Link::inverse:
      return reciprocal(eta);
    case Link::sqrt:
      return square(eta);
    case Link::logit:
    case Link::probit:
    case Link::cloglog:
    case Link::loglog:
    case Link::cauchit:
      break;
  }
  return J(kMinusInfinity);
}

// log of a probability, or of one minus it.
template <class J>
J log_probability(Link link, const J& eta, bool success) {
  switch (link) {
    case Link::logit:
      return log_expit(success ? eta : -eta);
    case Link::probit:
      return log_normal_cdf(success ? eta : -eta);
    case Link::cauchit:
      return log_cauchy(success ? eta : -eta);
    case Link::cloglog:
      return success ? log1m_exp(-exp(eta)) : -exp(eta);
    case Link::loglog:
      return success ? -exp(-eta) : log1m_exp(-exp(-eta));
    case Link::log:
      return success ? eta + (eta.value() < 0.0 ? 0.0 : kMinusInfinity) : log1m_exp(eta);
    case Link::identity:
      return success ? log(eta) : log(1.0 - eta);
    case Link::inverse:
    case Link::sqrt:
      break;
  }
  return J(kMinusInfinity);
}

// Whether constants may be left out.
template <class J>
constexpr bool searches() {
  return J::kOrder == 2;
}

// A density with a probability of zero: a hurdle where the density has no zeros of its own.
template <class Density>
struct WithZero {
  static constexpr int kInputs = Density::kInputs + 1;
  static constexpr bool kTrials = Density::kTrials;
  template <class J>
  static J at(const RowValue& row, Link link, const J* in) {
    const J &z = in[Density::kInputs], none = log_expit(-z);
    if (row.y != 0.0) return none + Density::at(row, link, in);
    if (Density::kHurdle) return none + z;
    return none + log_sum(z, Density::at(row, link, in));
  }
};

}  // namespace ranef
