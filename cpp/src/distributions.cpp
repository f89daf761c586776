#include "ranef/distributions.hpp"

#include <cmath>
#include <map>
#include <stdexcept>

#include "ranef/links.hpp"

namespace ranef {
namespace {

template <class T>
T parse(const std::string& name, const std::map<std::string, T>& known, const char* what) {
  const auto found = known.find(name);
  if (found == known.end()) throw std::invalid_argument(std::string(what) + ": " + name);
  return found->second;
}

}  // namespace

Link parse_link(const std::string& name) {
  return parse<Link>(name,
                     {{"identity", Link::identity},
                      {"logit", Link::logit},
                      {"probit", Link::probit},
                      {"cloglog", Link::cloglog},
                      {"loglog", Link::loglog},
                      {"cauchit", Link::cauchit},
                      {"log", Link::log},
                      {"inverse", Link::inverse},
                      {"sqrt", Link::sqrt}},
                     "link");
}

Distribution parse_distribution(const std::string& name) {
  return parse<Distribution>(
      name,
      {{"gaussian", Distribution::gaussian},
       {"binomial", Distribution::binomial},
       {"poisson", Distribution::poisson},
       {"gamma", Distribution::gamma},
       {"negative_binomial", Distribution::negative_binomial},
       {"betabinomial", Distribution::betabinomial},
       {"nbinom1", Distribution::nbinom1},
       {"generalized_poisson", Distribution::generalized_poisson},
       {"compois", Distribution::compois},
       {"truncated_poisson", Distribution::truncated_poisson},
       {"truncated_negative_binomial", Distribution::truncated_negative_binomial},
       {"truncated_nbinom1", Distribution::truncated_nbinom1},
       {"lognormal", Distribution::lognormal},
       {"beta", Distribution::beta},
       {"ordered_beta", Distribution::ordered_beta},
       {"tweedie", Distribution::tweedie},
       {"student", Distribution::student},
       {"ordinal", Distribution::ordinal}},
      "family");
}

double variance(Distribution distribution, double mu) {
  switch (distribution) {
    case Distribution::gaussian:
      return 1.0;
    case Distribution::binomial:
      return mu > 0.0 && mu < 1.0 ? mu * (1.0 - mu) : 0.0;
    case Distribution::poisson:
      return mu;
    case Distribution::gamma:
      return mu > 0.0 ? mu * mu : 0.0;
    case Distribution::negative_binomial:
    case Distribution::betabinomial:
    case Distribution::nbinom1:
    case Distribution::generalized_poisson:
    case Distribution::compois:
    case Distribution::truncated_poisson:
    case Distribution::truncated_negative_binomial:
    case Distribution::truncated_nbinom1:
    case Distribution::lognormal:
    case Distribution::beta:
    case Distribution::ordered_beta:
    case Distribution::tweedie:
    case Distribution::student:
    case Distribution::ordinal:
      break;
  }
  throw std::invalid_argument("family: its variance is not a function of the mean alone");
}

double starting_mean(Distribution distribution, double y, double weight) {
  switch (distribution) {
    case Distribution::binomial:
    case Distribution::betabinomial:
    case Distribution::beta:
    case Distribution::ordered_beta:
      return (weight * y + 0.5) / (weight + 1.0);
    case Distribution::poisson:
    case Distribution::negative_binomial:
    case Distribution::nbinom1:
    case Distribution::generalized_poisson:
    case Distribution::compois:
    case Distribution::truncated_poisson:
    case Distribution::truncated_negative_binomial:
    case Distribution::truncated_nbinom1:
    case Distribution::tweedie:
      return y + 0.1;
    case Distribution::gaussian:
    case Distribution::gamma:
    case Distribution::lognormal:
    case Distribution::student:
    case Distribution::ordinal:
      return y;
  }
  return y;
}

}  // namespace ranef
