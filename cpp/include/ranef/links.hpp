// Links between a mean and its linear predictor, one number at a time.
//
// A switch over links has no default: a link without a case does not compile.
#pragma once

#include <cmath>
#include <string>

#if defined(__GNUC__)
#pragma GCC diagnostic error "-Wswitch"
#endif

namespace ranef {

enum class Link { identity, logit, probit, cloglog, loglog, cauchit, log, inverse, sqrt };

// Throws std::invalid_argument for a name that is none.
Link parse_link(const std::string& name);

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
    case Link::loglog: {
      const double t = std::exp(std::min(-eta, 700.0));
      return {inside(std::exp(-t)), std::max(t * std::exp(-t), kEdge)};
    }
    case Link::cauchit: {
      constexpr double kInversePi = 0.3183098861837906715;
      const double tail = kInversePi * std::atan2(1.0, std::abs(eta));
      return {inside(eta > 0.0 ? 1.0 - tail : tail), kInversePi / (1.0 + eta * eta)};
    }
    case Link::log: {
      const double mu = std::max(std::exp(std::min(eta, 700.0)), kEdge);
      return {mu, mu};
    }
    case Link::inverse:
      return {1.0 / eta, -1.0 / (eta * eta)};
    case Link::sqrt:
      return {eta * eta, 2.0 * eta};
  }
  return {eta, 1.0};
}

// A start is all that is asked of it: the logistic, scaled, stands for the normal.
inline double link_of(Link link, double mu) {
  switch (link) {
    case Link::identity:
      return mu;
    case Link::logit:
      return std::log(mu / (1.0 - mu));
    case Link::probit:
      return std::log(mu / (1.0 - mu)) / 1.7;
    case Link::cloglog:
      return std::log(-std::log1p(-mu));
    case Link::loglog:
      return -std::log(-std::log(mu));
    case Link::cauchit:
      return std::tan(3.141592653589793238 * (mu - 0.5));
    case Link::log:
      return std::log(mu);
    case Link::inverse:
      return 1.0 / mu;
    case Link::sqrt:
      return std::sqrt(mu);
  }
  return mu;
}

}  // namespace ranef
