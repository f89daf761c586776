// Special functions with the derivatives that likelihoods need. None writes to a global.
#pragma once

namespace ranef {

double log_gamma(double x);  // x > 0
double digamma(double x);    // x > 0

// log Gamma and its first three derivatives, x > 0; the last may be left out.
struct LogGamma {
  double value, digamma, trigamma, tetragamma;
};
LogGamma log_gamma_derivatives(double x, bool third = true);

// log Phi and its first three derivatives.
struct LogNormal {
  double value, first, second, third;
};
LogNormal log_normal_cdf(double x);

}  // namespace ranef
