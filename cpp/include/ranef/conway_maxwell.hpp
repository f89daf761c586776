// The Conway-Maxwell-Poisson distribution by its mean:
//
//   P(y) = exp(y theta - nu log y! - A(theta, nu)),   theta solves dA / dtheta = mu
//
// A generates the cumulants of (y, -log y!), so its derivatives are sums over counts, and theta's
// by mu and nu follow from a Newton step of jets an order.
#pragma once

#include "ranef/jet.hpp"

namespace ranef {

// Taylor coefficients in (theta, nu) of A and of dA / dtheta up to an order of 3, at the theta of a
// mean.
struct ConwayMaxwell {
  double theta = 0.0, curvature = 0.0;  // d2A / dtheta2
  double log_z[4][4] = {}, mean[4][4] = {};
  bool is_finite = false;
};
ConwayMaxwell conway_maxwell_at(double log_mu, double nu, int order = 3);

template <class J>
J conway_maxwell(double y, const J& log_mu, const J& nu) {
  const ConwayMaxwell at = conway_maxwell_at(log_mu.value(), nu.value(), J::kOrder);
  if (!at.is_finite) return J(-std::numeric_limits<double>::infinity());
  const J d_nu = nu - nu.value(), mu = exp(log_mu);
  J d_theta(0.0);
  for (int step = 0; step < J::kOrder; ++step)
    d_theta -= (polynomial(at.mean, d_theta, d_nu) - mu) * (1.0 / at.curvature);
  d_theta.set_value(0.0);
  const J log_z = polynomial(at.log_z, d_theta, d_nu);
  return y * (d_theta + at.theta) - log_gamma(y + 1.0) * nu - log_z;
}

}  // namespace ranef
