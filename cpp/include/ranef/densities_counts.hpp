// Log densities of counts. With mu the mean (before truncation) and the second predictor's
// exponential as named:
//
//   poisson              variance mu
//   negative_binomial    mu + mu^2 / size
//   nbinom1              mu (1 + phi): a negative binomial of size mu / phi
//   generalized_poisson  phi mu: theta (theta + lambda y)^(y - 1) exp(-theta - lambda y) / y!,
//                        theta = mu / sqrt(phi), lambda = 1 - 1 / sqrt(phi)
//   compois              lambda^y / y!^nu / Z(lambda, nu), nu = 1 / phi, lambda from the mean
//
// References: Consul and Jain (1973), Technometrics 15, 791-799; Huang (2017), Stat. Model. 17,
// 359-380; Brooks et al. (2017), R Journal 9(2), 378-400.
#pragma once

#include "ranef/conway_maxwell.hpp"
#include "ranef/densities.hpp"

namespace ranef {

struct PoissonDensity {
  static constexpr int kInputs = 1;
  static constexpr bool kTrials = false, kHurdle = false;
  template <class J>
  using Shape = NoShape;
  template <class J>
  static J at(const RowValue& row, Link link, const J* in, Shape<J>&) {
    const J log_mu = log_mean(link, in[0]);
    const J out = row.y * log_mu - exp(log_mu);
    return searches<J>() ? out : out - row.constant;
  }
  template <class J>
  static J log_zero(Link link, const J* in, Shape<J>&) {
    return -exp(log_mean(link, in[0]));
  }
};

struct NegativeBinomialDensity {
  static constexpr int kInputs = 2;
  static constexpr bool kTrials = false, kHurdle = false;
  template <class J>
  struct Shape {
    J size{0.0};
    RisingProduct<J> rising;  // of size
    void renew(const J* in) {
      if (last_.is(in[1].value())) return rising.again();
      size = exp(in[1]);
      rising.renew(size);
    }

   private:
    Last last_;
  };
  template <class J>
  static J at(const RowValue& row, Link link, const J* in, Shape<J>& shape) {
    const J log_mu = log_mean(link, in[0]);
    const J& size = shape.size;
    const J away = in[1] - log_mu, failure = log_expit(away);
    const J out = (size + row.y) * failure - row.y * away;
    if (row.y == 0.0 || (searches<J>() && size.is_constant())) return out;
    return out + shape.rising.at(row.y) - row.constant;
  }
  template <class J>
  static J log_zero(Link link, const J* in, Shape<J>& shape) {
    return shape.size * log_expit(in[1] - log_mean(link, in[0]));
  }
};

struct Nbinom1Density {
  static constexpr int kInputs = 2;
  static constexpr bool kTrials = false, kHurdle = false;
  template <class J>
  using Shape = NoShape;
  template <class J>
  static J at(const RowValue& row, Link link, const J* in, Shape<J>&) {
    const J size = exp(log_mean(link, in[0]) - in[1]);
    const J out = (size + row.y) * log_expit(-in[1]) + row.y * in[1];
    if (row.y == 0.0) return out;
    return out + log_rising(row.y, size) - (searches<J>() ? 0.0 : row.constant);
  }
  template <class J>
  static J log_zero(Link link, const J* in, Shape<J>&) {
    return exp(log_mean(link, in[0]) - in[1]) * log_expit(-in[1]);
  }
};

struct GeneralizedPoissonDensity {
  static constexpr int kInputs = 2;
  static constexpr bool kTrials = false, kHurdle = false;
  template <class J>
  using Shape = NoShape;
  template <class J>
  static J at(const RowValue& row, Link link, const J* in, Shape<J>&) {
    const J log_mu = log_mean(link, in[0]), inverse_root = exp(-0.5 * in[1]);
    const J log_theta = log_mu - 0.5 * in[1];
    if (row.y == 0.0) return -exp(log_theta);
    const J sum = exp(log_theta) + row.y * (1.0 - inverse_root);
    const J out = log_theta + (row.y - 1.0) * log(sum) - sum;
    return searches<J>() ? out : out - row.constant;
  }
};

struct ConwayMaxwellDensity {
  static constexpr int kInputs = 2;
  static constexpr bool kTrials = false, kHurdle = false;
  template <class J>
  using Shape = ExponentialShape<J, -1>;
  template <class J>
  static J at(const RowValue& row, Link link, const J* in, Shape<J>& shape) {
    return conway_maxwell(row.y, log_mean(link, in[0]), shape.of);
  }
};

// Given that the count is not zero.
template <class Density>
struct Truncated {
  static constexpr int kInputs = Density::kInputs;
  static constexpr bool kTrials = false, kHurdle = true;
  template <class J>
  using Shape = typename Density::template Shape<J>;
  template <class J>
  static J at(const RowValue& row, Link link, const J* in, Shape<J>& shape) {
    if (row.y == 0.0) return J(kMinusInfinity);
    return Density::at(row, link, in, shape) - log1m_exp(Density::log_zero(link, in, shape));
  }
};

}  // namespace ranef
