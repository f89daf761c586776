// Families and links, one number at a time.
#pragma once

#include <cmath>

#include "ranef/gee.hpp"

namespace ranef {

struct MeanPoint {
  double mu, slope;  // the mean and its derivative by the linear predictor
};

// Probabilities are kept this far from 0 and 1, so that a fitted 0 or 1 still has a variance.
constexpr double kEdge = 2.220446049250313e-16;

inline double inside(double mu) { return std::min(std::max(mu, kEdge), 1.0 - kEdge); }

inline MeanPoint mean_point(Link link, double eta) {
  switch (link) {
    case Link::identity:
      return {eta, 1.0};
    case Link::logit: {
      const double t = std::exp(-std::abs(eta)), d = 1.0 + t;
      return {inside(eta >= 0.0 ? 1.0 / d : t / d), std::max(t / (d * d), kEdge)};
    }
    case Link::probit:
      return {inside(0.5 * std::erfc(-eta * 0.7071067811865475244)),
              std::max(0.3989422804014326779 * std::exp(-0.5 * eta * eta), kEdge)};
    case Link::cloglog: {
      const double t = std::exp(std::min(eta, 700.0));
      return {inside(-std::expm1(-t)), std::max(t * std::exp(-t), kEdge)};
    }
    case Link::log: {
      const double mu = std::max(std::exp(std::min(eta, 700.0)), kEdge);
      return {mu, mu};
    }
    case Link::inverse:
      return {1.0 / eta, -1.0 / (eta * eta)};
  }
  return {eta, 1.0};
}

inline double link_of(Link link, double mu) {
  switch (link) {
    case Link::identity:
      return mu;
    case Link::logit:
      return std::log(mu / (1.0 - mu));
    case Link::probit: {
      // A start is all that is asked of it: the logistic scaled to the normal.
      return std::log(mu / (1.0 - mu)) / 1.7;
    }
    case Link::cloglog:
      return std::log(-std::log1p(-mu));
    case Link::log:
      return std::log(mu);
    case Link::inverse:
      return 1.0 / mu;
  }
  return mu;
}

// Variance function; not positive where the mean is outside the family's range.
inline double variance(Family family, double mu) {
  switch (family) {
    case Family::gaussian:
      return 1.0;
    case Family::binomial:
      return mu > 0.0 && mu < 1.0 ? mu * (1.0 - mu) : 0.0;
    case Family::poisson:
      return mu;
    case Family::gamma:
      return mu > 0.0 ? mu * mu : 0.0;
  }
  return 1.0;
}

// A mean inside the family's range, near y.
inline double starting_mean(Family family, double y, double weight) {
  switch (family) {
    case Family::gaussian:
      return y;
    case Family::binomial:
      return (weight * y + 0.5) / (weight + 1.0);
    case Family::poisson:
      return y + 0.1;
    case Family::gamma:
      return y;
  }
  return y;
}

}  // namespace ranef
