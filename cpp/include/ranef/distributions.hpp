// Distributions of a response given its linear predictors.
//
// A switch over distributions has no default: a distribution without a case does not compile.
#pragma once

#include <string>

#if defined(__GNUC__)
#pragma GCC diagnostic error "-Wswitch"
#endif

namespace ranef {

enum class Distribution {
  gaussian,
  binomial,
  poisson,
  gamma,
  negative_binomial,
  betabinomial,
  nbinom1,
  generalized_poisson,
  compois,
  truncated_poisson,
  truncated_negative_binomial,
  truncated_nbinom1,
  lognormal,
  beta,
  ordered_beta,
  tweedie,
  student,
  ordinal
};

// Throws std::invalid_argument for a name that is none.
Distribution parse_distribution(const std::string& name);

// The variance function of those that generalised estimating equations take; not positive where the
// mean is outside the range. Throws std::invalid_argument for the others.
double variance(Distribution distribution, double mu);

// A mean inside the range, near y.
double starting_mean(Distribution distribution, double y, double weight);

}  // namespace ranef
