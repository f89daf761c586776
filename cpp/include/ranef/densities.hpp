// Log densities of one row as functions of its linear predictors, for jets.
//
// A density has kInputs predictors: the location first, then the logarithm of its dispersion, then
// what else shapes it. With a zero part the logit of a zero comes last. Every constant is in, but
// for those that a search at given shapes does not need: jets of order 2 leave them out, but not
// where the response is 0, whose whole density a zero part needs.
//
// What depends on the dispersion and the other shapes alone is a density's Shape. It is renewed at
// each row, and computed where they are not those of the row before.
#pragma once

#include <type_traits>

#include "ranef/distributions.hpp"
#include "ranef/jet.hpp"
#include "ranef/links.hpp"
#include "ranef/slope_jet.hpp"

namespace ranef {

constexpr double kMinusInfinity = -std::numeric_limits<double>::infinity();
constexpr double kHalfLogTwoPi = 0.9189385332046727418;

struct RowValue {
  double y;         // the response; the category, from 0, of an ordinal one
  double trials;    // of a share of successes
  double top;       // the last category
  double log_y;     // log y and log(1 - y), where they are finite
  double log_rest;  //
  double constant;  // log y!, or the logarithm of the ways to place the successes
};

inline RowValue row_value(double y, double trials, double top, bool has_trials) {
  RowValue out{y, trials, top, 0.0, 0.0, 0.0};
  if (has_trials) {
    const double successes = y * trials;
    if (trials != 1.0)
      out.constant = log_gamma(trials + 1.0) - log_gamma(successes + 1.0) -
                     log_gamma(trials - successes + 1.0);
    return out;
  }
  if (y > 0.0) out.log_y = std::log(y);
  if (y > 0.0 && y < 1.0) out.log_rest = std::log1p(-y);
  if (y > 0.0 && y != 1.0) out.constant = log_gamma(y + 1.0);
  return out;
}

// What a density keeps of a row: its Row where it has one.
template <class Density, class = void>
struct RowOf {
  using type = RowValue;
};
template <class Density>
struct RowOf<Density, std::void_t<typename Density::Row>> {
  using type = typename Density::Row;
};

// Whether a value is that of the time before.
class Last {
 public:
  bool is(double x) {
    const bool same = x == value_;
    value_ = x;
    return same;
  }

 private:
  double value_ = std::numeric_limits<double>::quiet_NaN();
};

// Of a density without shapes, or with none that is worth keeping.
struct NoShape {
  template <class J>
  void renew(const J*) {}
};

// exp(sign * in[1]).
template <class J, int Sign>
struct ExponentialShape {
  J of{0.0};
  void renew(const J* in) {
    if (!last_.is(in[1].value())) of = exp(static_cast<double>(Sign) * in[1]);
  }

 private:
  Last last_;
};

// log Gamma(a + y) / Gamma(a) of one a and many counts y, which share their sums.
template <class J>
class RisingProduct {
 public:
  void renew(const J& a) {
    a_ = a;
    known_ = -1;  // one row may be all
  }
  void again() {
    if (known_ < 0) known_ = 0;
  }
  J at(double y) {
    if (known_ < 0 || !(y < kKept)) return log_rising(y, a_);
    for (; known_ <= static_cast<int>(y); ++known_) extend();
    const Sum& s = of_[static_cast<std::size_t>(y)];
    return compose(a_, s.value, s.one, s.two, s.three);
  }

 private:
  static constexpr int kKept = 128;
  struct Sum {
    double value, one, two, three;
  };
  J a_{0.0};
  int known_ = -1;
  std::array<Sum, kKept> of_;

  void extend() {
    const auto at = static_cast<std::size_t>(known_);
    if (at == 0) {
      of_[0] = {0.0, 0.0, 0.0, 0.0};
      return;
    }
    const Sum& s = of_[at - 1];
    const double x = a_.value() + (static_cast<double>(known_) - 1.0), i = 1.0 / x;
    of_[at] = {s.value + std::log(x), s.one + i, s.two - i * i, s.three + 2.0 * i * i * i};
  }
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

template <class J>
J probability(Link link, const J& eta, bool success) {
  return link == Link::logit ? expit(success ? eta : -eta)
                             : exp(log_probability(link, eta, success));
}

// Whether constants may be left out.
template <class J>
constexpr bool searches() {
  return J::kOrder == 2;
}

// A density with a probability of zero: a hurdle where the density has no zeros of its own.
template <class Density>
struct WithZero {
  using Row = typename RowOf<Density>::type;
  static constexpr int kInputs = Density::kInputs + 1;
  static constexpr bool kTrials = Density::kTrials;
  template <class J>
  struct Shape {
    typename Density::template Shape<J> of;
    J none{0.0};
    void renew(const J* in) {
      of.renew(in);
      const J& z = in[Density::kInputs];
      if (!last_.is(z.value())) none = log_expit(-z);
    }

   private:
    Last last_;
  };
  template <class J>
  static J at(const Row& row, Link link, const J* in, Shape<J>& shape) {
    const J& z = in[Density::kInputs];
    if (row.y != 0.0) return shape.none + Density::at(row, link, in, shape.of);
    if (Density::kHurdle) return shape.none + z;
    return shape.none + log_sum(z, Density::at(row, link, in, shape.of));
  }
};

}  // namespace ranef
