// Log-likelihoods of rows as functions of the linear predictor, with exact derivatives.
//
// Distribution and link      log-likelihood of a row of weight m, constants included
//   binomial                 m [y log mu + (1 - y) log(1 - mu)] + log C(m, m y)    m trials
//   poisson                  m [y log mu - mu - log y!]
//   gamma, 1/nu = phi        m [nu log(nu / mu) - nu y / mu + (nu - 1) log y - log Gamma(nu)]
//   negative binomial, k     m [log Gamma(y + k) / (Gamma(k) y!) + k log(k / (k + mu))
//                               + y log(mu / (k + mu))]
//
// All of these are concave in eta for the links allowed, so the observed weights are never
// negative.
#pragma once

#include <string>

#include "ranef/counted.hpp"
#include "ranef/distributions.hpp"
#include "ranef/eigen.hpp"
#include "ranef/links.hpp"

namespace ranef {

struct Likelihood {
  Distribution distribution = Distribution::binomial;
  Link link = Link::logit;

  bool has_dispersion() const {
    return distribution == Distribution::gamma || distribution == Distribution::negative_binomial;
  }
};

// Throws std::invalid_argument for a name or a pair that is not supported.
Likelihood parse_likelihood(const std::string& distribution, const std::string& link);

// Derivatives of each row's log-likelihood by its linear predictor.
struct RowDerivatives {
  Vector score;   // (n,) first
  Vector weight;  // (n,) minus the second: the observed weight
  Vector slope;   // (n,) minus the third: d weight / d eta
};

// The rows of a response and what is known of them; owned.
struct ResponseRows {
  Vector y;          // (n,)
  Vector weights;    // (n,) trials or frequencies
  Counted counts{};  // of y, where count() was called for a family that has a use for it
  // Where rows that differ in nothing but y were added up, y is their mean and the weights are
  // their sums: all that the parts that depend on eta need. The constant ones need each row's own.
  Vector each_y{}, each_weight{};
  bool are_single = false;  // all weights are one, which count() finds

  const Vector& own_y() const { return each_y.size() > 0 ? each_y : y; }
  const Vector& own_weights() const { return each_y.size() > 0 ? each_weight : weights; }
  void count(const Likelihood& likelihood) {
    are_single = (weights.array() == 1.0).all();
    if (likelihood.distribution == Distribution::negative_binomial)
      counts = Counted(own_y(), own_weights());
  }
};

// Part of the log-likelihood that does not depend on eta. `dispersion` is phi or k.
double constant_part(const Likelihood& likelihood, const ResponseRows& rows, double dispersion);

// The log-likelihood without constant_part, and the derivatives of each row. -infinity where a mean
// is out of range.
double row_derivatives(const Likelihood& likelihood, const ResponseRows& rows, const Vector& eta,
                       double dispersion, RowDerivatives& out);

// Rows near their linear predictors, as a quadrature needs them: what their exponentials have in
// common is computed once. The arguments must outlive it.
class ShiftedRows {
 public:
  ShiftedRows(const Likelihood& likelihood, const ResponseRows& rows, const Vector& eta,
              double dispersion);

  // Log-likelihood of rows first, first + 1, ..., without constant_part, their predictors moved by
  // `shift`; each one's score. `shifts` are those of each row.
  double at(Index first, Index count, double shift, double* score) const;
  double at(Index first, Index count, const double* shifts, double* score) const;

 private:
  const Likelihood& likelihood_;
  const ResponseRows& rows_;
  const Vector& eta_;
  double dispersion_;
  Eigen::ArrayXd up_, down_;  // exp(eta), exp(-eta); empty where they do not serve

  template <class Shift>
  double any(Index first, Index count, const Shift& shift, double* score) const;
};

// Derivatives by log(dispersion): of each row's score and weight, and of the log-likelihood. The
// part of the last that depends on eta is that of a row of weight one.
struct DispersionDerivatives {
  Vector score;   // (n,)
  Vector weight;  // (n,)
  double log_likelihood = 0.0;
};
double dispersion_part(const Likelihood& likelihood, double y, double eta, double dispersion);
void dispersion_derivatives(const Likelihood& likelihood, const ResponseRows& rows,
                            const Vector& eta, double dispersion, DispersionDerivatives& out);

// A linear predictor for each row, without the model: where the search begins.
Vector starting_predictor(const Likelihood& likelihood, const ResponseRows& rows);

}  // namespace ranef
