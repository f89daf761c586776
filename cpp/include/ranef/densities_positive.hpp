// Log densities of measurements. The second predictor is the logarithm of
//
//   gaussian, student, lognormal   sigma: the residual standard deviation, the scale of t, the
//                                  standard deviation of log y
//   gamma, tweedie                 phi: variance phi mu^2, phi mu^power
//
// and the third that of t's degrees of freedom, or the logit of the power less 1.
#pragma once

#include "ranef/densities.hpp"
#include "ranef/tweedie.hpp"

namespace ranef {

struct GaussianDensity {
  static constexpr int kInputs = 2;
  static constexpr bool kTrials = false, kHurdle = true;
  template <class J>
  using Shape = ExponentialShape<J, -1>;
  template <class J>
  static J at(const RowValue& row, Link link, const J* in, Shape<J>& shape) {
    return -0.5 * square((row.y - mean(link, in[0])) * shape.of) - in[1] - kHalfLogTwoPi;
  }
};

struct LognormalDensity {
  static constexpr int kInputs = 2;
  static constexpr bool kTrials = false, kHurdle = true;
  template <class J>
  using Shape = ExponentialShape<J, -1>;
  template <class J>
  static J at(const RowValue& row, Link, const J* in, Shape<J>& shape) {
    if (!(row.y > 0.0)) return J(kMinusInfinity);
    return -0.5 * square((row.log_y - in[0]) * shape.of) - in[1] - (kHalfLogTwoPi + row.log_y);
  }
};

struct StudentDensity {
  static constexpr int kInputs = 3;
  static constexpr bool kTrials = false, kHurdle = true;
  // df, its inverse, and what depends on it alone
  template <class J>
  struct Shape {
    J df{0.0}, inverse{0.0}, constant{0.0};
    ExponentialShape<J, -1> precision;
    void renew(const J* in) {
      precision.renew(in);
      if (last_.is(in[2].value())) return;
      df = exp(in[2]);
      inverse = exp(-in[2]);
      constant = ratio(0.5 * df, in[2]) - 0.5 * in[2] - 0.5723649429247001;
    }

   private:
    Last last_;
    // log Gamma(df / 2 + 1 / 2) - log Gamma(df / 2), whose difference is lost for many degrees
    static J ratio(const J& half, const J& log_df) {
      if (half.value() < 1e5) return log_gamma(half + 0.5) - log_gamma(half);
      return 0.5 * (log_df - 0.6931471805599453) - 0.125 * reciprocal(half);
    }
  };
  template <class J>
  static J at(const RowValue& row, Link link, const J* in, Shape<J>& shape) {
    const J z = (row.y - mean(link, in[0])) * shape.precision.of;
    const J out = -0.5 * ((shape.df + 1.0) * log1p(square(z) * shape.inverse)) - in[1];
    return out + shape.constant;
  }
};

struct GammaDensity {
  static constexpr int kInputs = 2;
  static constexpr bool kTrials = false, kHurdle = true;
  template <class J>
  struct Shape {
    J nu{0.0}, constant{0.0};
    void renew(const J* in) {
      if (last_.is(in[1].value())) return;
      nu = exp(-in[1]);
      constant = -(nu * in[1]) - log_gamma(nu);
    }

   private:
    Last last_;
  };
  template <class J>
  static J at(const RowValue& row, Link link, const J* in, Shape<J>& shape) {
    if (!(row.y > 0.0)) return J(kMinusInfinity);
    const J log_ratio = row.log_y - log_mean(link, in[0]);
    return shape.nu * (log_ratio - exp(log_ratio)) + shape.constant - row.log_y;
  }
};

struct TweedieRow : RowValue {
  explicit TweedieRow(const RowValue& row) : RowValue(row) {}
  mutable TweedieKept kept;
};

struct TweedieDensity {
  using Row = TweedieRow;
  static constexpr int kInputs = 3;
  static constexpr bool kTrials = false, kHurdle = false;
  // 2 - power, A, log z = A log y + of_z, and the logarithms of the two exponentials, less what
  // the mean and y add
  template <class J>
  struct Shape {
    J below{0.0}, A{0.0}, of_z{0.0}, of_y{0.0}, of_rest{0.0};
    void renew(const J* in) {
      const bool same = dispersion_.is(in[1].value());
      if (power_.is(in[2].value()) && same) return;
      const J log_above = log_expit(in[2]), log_below = log_expit(-in[2]);
      below = exp(log_below);
      A = exp(log_below - log_above);
      of_z = -(A * log_above) - (1.0 + A) * in[1] - log_below;
      of_y = -in[1] - log_above;
      of_rest = -in[1] - log_below;
    }

   private:
    Last dispersion_, power_;
  };
  template <class J>
  static J at(const Row& row, Link link, const J* in, Shape<J>& shape) {
    const J log_mu = log_mean(link, in[0]);
    const J by_mean = shape.below * log_mu, rest = exp(by_mean + shape.of_rest);
    if (row.y == 0.0) return -rest;
    const J out = -exp(by_mean - log_mu + shape.of_y + row.log_y) - rest;
    if (searches<J>() && in[1].is_constant() && in[2].is_constant()) return out;
    const J log_z = shape.A * row.log_y + shape.of_z;
    // joint densities, of order 1, may be asked for by several threads at once
    TweedieKept* kept = J::kOrder == 1 ? nullptr : &row.kept;
    const double log_largest = shape.below.value() * row.log_y + shape.of_rest.value();
    return out + tweedie_series(log_z, shape.A, log_largest, kept) - row.log_y;
  }
};

}  // namespace ranef
