#include "ranef/likelihood.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <stdexcept>
#include <type_traits>

#include "ranef/special.hpp"
#include "ranef/threads.hpp"

namespace ranef {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kMaxExponent = 700.0, kMaxRatio = 1e300;
// Rows that are worked on together: what they need stays in the nearest cache.
constexpr Index kRowsTogether = 512;

// Value without what does not depend on eta; first, minus second, minus third derivative by eta.
struct Point {
  double value, score, weight, slope;
};

Point operator+(const Point& a, const Point& b) {
  return {a.value + b.value, a.score + b.score, a.weight + b.weight, a.slope + b.slope};
}
Point operator*(double m, const Point& a) {
  return {m * a.value, m * a.score, m * a.weight, m * a.slope};
}

// The same function of -eta.
Point mirrored(const Point& a) { return {a.value, -a.score, a.weight, -a.slope}; }

// What does not depend on eta: a part shared by all rows, and that of a row of weight m.
struct Binomial {
  static double shared(double) { return 0.0; }
  static double constant(double y, double m, double, double) {
    return log_gamma(m + 1.0) - log_gamma(m * y + 1.0) - log_gamma(m * (1.0 - y) + 1.0);
  }
};

struct Gamma {
  static double shared(double phi) { return -std::log(phi) / phi - log_gamma(1.0 / phi); }
  static double constant(double y, double m, double phi, double shape) {
    return m * (shape + (1.0 / phi - 1.0) * std::log(y));
  }
};

struct Logit : Binomial {
  static Point at(double y, double eta, double) {
    const double t = std::exp(-std::abs(eta)), d = 1.0 + t;
    const double mu = eta >= 0.0 ? 1.0 / d : t / d, w = t / (d * d);
    const double value = -std::log1p(t) - (eta >= 0.0 ? (1.0 - y) * eta : -y * eta);
    return {value, y - mu, w, w * (eta >= 0.0 ? t - 1.0 : 1.0 - t) / d};
  }
};

// log Phi(eta). r = phi / Phi is the inverse Mills ratio: r' = -r (eta + r).
struct Probit : Binomial {
  static Point log_normal(double eta) {
    const LogNormal at = log_normal_cdf(eta);
    return {at.value, at.first, -at.second, -at.third};
  }
  static Point at(double y, double eta, double) {
    Point out{0.0, 0.0, 0.0, 0.0};
    if (y > 0.0) out = out + y * log_normal(eta);
    if (y < 1.0) out = out + (1.0 - y) * mirrored(log_normal(-eta));
    return out;
  }
};

// mu = 1 - exp(-t), t = exp(eta). With B = t / (exp(t) - 1): d log mu / d eta = B,
// dB / d eta = B C, C = 1 - t - B.
struct Cloglog : Binomial {
  static Point at(double y, double eta, double) {
    const double t = std::exp(std::min(eta, kMaxExponent));
    Point out{0.0, 0.0, 0.0, 0.0};
    if (y < 1.0) out = out + (1.0 - y) * Point{-t, -t, t, t};
    if (y > 0.0) {
      const bool small = t < 1e-2;
      const double rest = small ? t * (0.5 - t * (1.0 / 12.0 - t * t / 720.0)) : 0.0;  // 1 - B
      const double B = small ? 1.0 - rest : t / std::expm1(t);
      const double C = small ? rest - t : 1.0 - t - B;
      const double second = B * C;
      const double value =
          small ? eta - t * (0.5 - t * (1.0 - t * t / 120.0) / 24.0) : std::log(-std::expm1(-t));
      out = out + y * Point{value, B, -second, -second * C + B * (t + second)};
    }
    return out;
  }
};

struct PoissonLog {
  static double shared(double) { return 0.0; }
  static double constant(double y, double m, double, double) { return -m * log_gamma(y + 1.0); }
  static Point at(double y, double eta, double) {
    const double mu = std::exp(std::min(eta, kMaxExponent));
    return {y * eta - mu, y - mu, mu, mu};
  }
};

struct GammaLog : Gamma {
  static Point at(double y, double eta, double phi) {
    const double nu = 1.0 / phi, ratio = nu * y * std::exp(std::min(-eta, kMaxExponent));
    return {-nu * eta - ratio, ratio - nu, ratio, -ratio};
  }
};

struct GammaInverse : Gamma {
  static Point at(double y, double eta, double phi) {
    if (!(eta > 0.0)) return {-kInfinity, 0.0, 0.0, 0.0};
    const double nu = 1.0 / phi;
    return {nu * (std::log(eta) - y * eta), nu * (1.0 / eta - y), nu / (eta * eta),
            -2.0 * nu / (eta * eta * eta)};
  }
};

// With r = mu / k, p = r / (1 + r) and q = 1 - p. The part y log k counts as constant, so that
// nothing cancels where k runs to infinity.
struct NegativeBinomialLog {
  static double shared(double) { return 0.0; }
  static double constant(double y, double m, double k, double) {
    return m * (rising_sum(y, k).value - log_gamma(y + 1.0));
  }
  static Point at(double y, double eta, double k) {
    const double mu = std::exp(std::min(eta, kMaxExponent)), r = std::min(mu / k, kMaxRatio);
    const double q = 1.0 / (1.0 + r), p = r * q, w = (y + k) * p * q;
    return {y * eta - (y + k) * std::log1p(r), q * (y - mu), w, w * (q - p)};
  }
};

// Call f with the row function of a likelihood.
template <class F>
decltype(auto) with_rows(const Likelihood& likelihood, F&& f) {
  switch (likelihood.distribution) {
    case Distribution::binomial:
      if (likelihood.link == Link::probit) return f(Probit{});
      if (likelihood.link == Link::cloglog) return f(Cloglog{});
      return f(Logit{});
    case Distribution::poisson:
      return f(PoissonLog{});
    case Distribution::gamma:
      if (likelihood.link == Link::inverse) return f(GammaInverse{});
      return f(GammaLog{});
    case Distribution::negative_binomial:
      return f(NegativeBinomialLog{});
    case Distribution::gaussian:
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
  throw std::invalid_argument("family: it has no hand-written form");
}

// Some rows, and what becomes of them: operations on whole arrays.
using Rows = Eigen::Map<const Eigen::ArrayXd>;
using Results = Eigen::Map<Eigen::ArrayXd>;
struct RowBlock {
  Rows y, m, eta;
  Results score, weight, slope;
};

using Work = Eigen::Array<double, Eigen::Dynamic, 1, Eigen::ColMajor, kRowsTogether, 1>;

// Logit::at of all rows.
double logit_derivatives(RowBlock& at) {
  Results &t = at.slope, &w = at.weight;
  const Rows &y = at.y, &m = at.m, &e = at.eta;
  t = (-e.abs()).exp();
  const Work q = (1.0 + t).inverse();
  const double total = (m * (y * e - e.cwiseMax(0.0) - (1.0 + t).log())).sum();
  at.score = m * (y - (e >= 0.0).select(q, t * q));
  w = m * t * q * q;
  t = w * q * (e >= 0.0).select(t - 1.0, 1.0 - t);
  return total;
}

// The same where all weights are one: the logarithms of factors between one and two are that of
// their product, which a block of rows does not let overflow.
double single_logit_derivatives(RowBlock& at) {
  Results& t = at.slope;
  const Rows &y = at.y, &e = at.eta;
  t = (-e.abs()).exp();
  const Work q = (1.0 + t).inverse();
  const double total = (y * e - e.cwiseMax(0.0)).sum() - std::log((1.0 + t).prod());
  at.score = y - (e >= 0.0).select(q, t * q);
  at.weight = t * q * q;
  t = at.weight * q * (e >= 0.0).select(t - 1.0, 1.0 - t);
  return total;
}

// PoissonLog::at.
double poisson_derivatives(RowBlock& at) {
  at.slope = at.eta.cwiseMin(kMaxExponent).exp();
  at.score = at.m * (at.y - at.slope);
  const double total = (at.m * (at.y * at.eta - at.slope)).sum();
  at.slope *= at.m;
  at.weight = at.slope;
  return total;
}

// log(1 + r), q being 1 / (1 + r): what 1 + r has lost is added again.
template <class R, class Q>
auto log_one_plus(const R& r, const Q& q) {
  return (1.0 + r).log() + (r - ((1.0 + r) - 1.0)) * q;
}

// NegativeBinomialLog::at.
double negative_binomial_derivatives(RowBlock& at, double k) {
  const Rows &y = at.y, &m = at.m;
  const Work mu = at.eta.cwiseMin(kMaxExponent).exp();
  const Work r = (mu * (1.0 / k)).cwiseMin(kMaxRatio);
  const Work q = 1.0 / (1.0 + r);
  const double total = (m * (y * at.eta - (y + k) * log_one_plus(r, q))).sum();
  at.score = m * (y - mu) * q;
  at.weight = m * (y + k) * r * q * q;
  at.slope = at.weight * (2.0 * q - 1.0);
  return total;
}

// GammaLog::at.
double gamma_derivatives(RowBlock& at, double phi) {
  const double nu = 1.0 / phi;
  at.weight = nu * at.m * at.y * (-at.eta).cwiseMin(kMaxExponent).exp();
  at.slope = -at.weight;
  at.score = at.weight - nu * at.m;
  return -nu * (at.m * at.eta).sum() - at.weight.sum();
}

// The sum over ranges of rows, in their order, of what add(begin, end) returns: a task each.
template <class Add>
double sum_of_ranges(Index n, Add&& add) {
  constexpr Index kRange = 1 << 15;
  const Index count = std::max<Index>(1, (n + kRange - 1) / kRange);
  if (count == 1) return add(Index{0}, n);
  Vector part(count);
  each_task(count, [&](Index range) {
    part(range) = add(range * kRange, std::min(n, (range + 1) * kRange));
  });
  double total = 0.0;
  for (Index range = 0; range < count; ++range) total += part(range);
  return total;
}

// Rows that have a form for whole arrays, block by block; false where there is none.
bool by_blocks(const Likelihood& likelihood, const ResponseRows& rows, const Vector& eta,
               double dispersion, RowDerivatives& out, double& total) {
  const auto with = [&](auto function) {
    total = sum_of_ranges(eta.size(), [&](Index begin, Index end) {
      double sum = 0.0;
      for (Index i = begin; i < end; i += kRowsTogether) {
        const Index count = std::min(kRowsTogether, end - i);
        RowBlock block{{rows.y.data() + i, count},     {rows.weights.data() + i, count},
                       {eta.data() + i, count},        {out.score.data() + i, count},
                       {out.weight.data() + i, count}, {out.slope.data() + i, count}};
        sum += function(block);
      }
      return sum;
    });
    return true;
  };
  const bool log = likelihood.link == Link::log;
  if (likelihood.distribution == Distribution::binomial && likelihood.link == Link::logit)
    return rows.are_single ? with(single_logit_derivatives) : with(logit_derivatives);
  if (log && likelihood.distribution == Distribution::poisson) return with(poisson_derivatives);
  if (log && likelihood.distribution == Distribution::negative_binomial)
    return with([&](RowBlock& at) { return negative_binomial_derivatives(at, dispersion); });
  if (log && likelihood.distribution == Distribution::gamma)
    return with([&](RowBlock& at) { return gamma_derivatives(at, dispersion); });
  return false;
}

}  // namespace

Likelihood parse_likelihood(const std::string& distribution, const std::string& link) {
  const Likelihood out{parse_distribution(distribution), parse_link(link)};
  const std::multimap<Distribution, Link> allowed = {{Distribution::binomial, Link::logit},
                                                     {Distribution::binomial, Link::probit},
                                                     {Distribution::binomial, Link::cloglog},
                                                     {Distribution::poisson, Link::log},
                                                     {Distribution::gamma, Link::log},
                                                     {Distribution::gamma, Link::inverse},
                                                     {Distribution::negative_binomial, Link::log}};
  const auto [first, last] = allowed.equal_range(out.distribution);
  if (first == last) throw std::invalid_argument("family: " + distribution);
  for (auto at = first; at != last; ++at)
    if (at->second == out.link) return out;
  throw std::invalid_argument("link: " + link + " is not one of " + distribution);
}

double constant_part(const Likelihood& likelihood, const ResponseRows& rows, double dispersion) {
  if (likelihood.distribution == Distribution::negative_binomial && !rows.counts.is_empty())
    return rows.counts.rising(dispersion).value - rows.counts.log_factorials();
  return with_rows(likelihood, [&](auto function) {
    const double shared = function.shared(dispersion);
    const Vector &y = rows.own_y(), &weights = rows.own_weights();
    return sum_of_ranges(y.size(), [&](Index begin, Index end) {
      double sum = 0.0;
      for (Index i = begin; i < end; ++i)
        sum += function.constant(y(i), weights(i), dispersion, shared);
      return sum;
    });
  });
}

double row_derivatives(const Likelihood& likelihood, const ResponseRows& rows, const Vector& eta,
                       double dispersion, RowDerivatives& out) {
  const Index n = eta.size();
  out.score.resize(n);
  out.weight.resize(n);
  out.slope.resize(n);
  double all = 0.0;
  if (by_blocks(likelihood, rows, eta, dispersion, out, all)) return all;
  return with_rows(likelihood, [&](auto function) {
    return sum_of_ranges(n, [&](Index begin, Index end) {
      double total = 0.0;
      for (Index i = begin; i < end; ++i) {
        const Point point = rows.weights(i) * function.at(rows.y(i), eta(i), dispersion);
        total += point.value;
        out.score(i) = point.score;
        out.weight(i) = point.weight;
        out.slope(i) = point.slope;
      }
      return total;
    });
  });
}

namespace {

// Predictors and shifts up to which exponentials of both are multiplied: no product overflows.
constexpr double kModest = 300.0;

// Rows of a block at their predictors; log-likelihood and scores.
struct ScoreBlock {
  Rows y, m;
  Results score;
};

// From t = exp(-|e|).
template <class T>
double logit_scores(bool are_single, ScoreBlock& at, const Work& e, const T& t) {
  const Work d = 1.0 + t, q = d.inverse();
  at.score = at.y - (e >= 0.0).select(q, t * q);
  if (are_single) return (at.y * e - e.cwiseMax(0.0)).sum() - std::log(d.prod());
  at.score *= at.m;
  return (at.m * (at.y * e - e.cwiseMax(0.0) - d.log())).sum();
}

double poisson_scores(ScoreBlock& at, const Work& e, const Work& mu) {
  at.score = at.m * (at.y - mu);
  return (at.m * (at.y * e - mu)).sum();
}

double negative_binomial_scores(ScoreBlock& at, const Work& e, double k) {
  const Work mu = e.cwiseMin(kMaxExponent).exp();
  const Work r = (mu * (1.0 / k)).cwiseMin(kMaxRatio), q = 1.0 / (1.0 + r);
  at.score = at.m * (at.y - mu) * q;
  return (at.m * (at.y * e - (at.y + k) * log_one_plus(r, q))).sum();
}

bool is_logit(const Likelihood& likelihood) {
  return likelihood.distribution == Distribution::binomial && likelihood.link == Link::logit;
}
bool is_poisson(const Likelihood& likelihood) {
  return likelihood.distribution == Distribution::poisson && likelihood.link == Link::log;
}

}  // namespace

ShiftedRows::ShiftedRows(const Likelihood& likelihood, const ResponseRows& rows, const Vector& eta,
                         double dispersion)
    : likelihood_(likelihood), rows_(rows), eta_(eta), dispersion_(dispersion) {
  const bool pays = is_logit(likelihood) || is_poisson(likelihood);
  if (!pays || !(eta.size() > 0 && eta.cwiseAbs().maxCoeff() < kModest)) return;
  up_ = eta.array().exp();
  if (is_logit(likelihood)) down_ = up_.inverse();
}

double ShiftedRows::at(Index first, Index count, double shift, double* score) const {
  if (up_.size() == 0 || !(std::abs(shift) < kModest)) return any(first, count, shift, score);
  const double more = std::exp(shift), less = 1.0 / more;
  double total = 0.0;
  for (Index i = first; i < first + count; i += kRowsTogether) {
    const Index some = std::min(kRowsTogether, first + count - i);
    ScoreBlock block{
        {rows_.y.data() + i, some}, {rows_.weights.data() + i, some}, {score + (i - first), some}};
    const Work e = eta_.segment(i, some).array() + shift;
    if (down_.size() > 0) {
      const Work t = (up_.segment(i, some) * more).cwiseMin(down_.segment(i, some) * less);
      total += logit_scores(rows_.are_single, block, e, t);
    } else {
      total += poisson_scores(block, e, up_.segment(i, some) * more);
    }
  }
  return total;
}

double ShiftedRows::at(Index first, Index count, const double* shifts, double* score) const {
  return any(first, count, shifts, score);
}

template <class Shift>
double ShiftedRows::any(Index first, Index count, const Shift& shift, double* score) const {
  double total = 0.0;
  for (Index i = first; i < first + count; i += kRowsTogether) {
    const Index some = std::min(kRowsTogether, first + count - i);
    ScoreBlock block{
        {rows_.y.data() + i, some}, {rows_.weights.data() + i, some}, {score + (i - first), some}};
    Work e = eta_.segment(i, some).array();
    if constexpr (std::is_same_v<Shift, double>)
      e += shift;
    else
      e += Rows(shift + (i - first), some);
    if (is_logit(likelihood_)) {
      const Work t = (-e.abs()).exp();
      total += logit_scores(rows_.are_single, block, e, t);
    } else if (is_poisson(likelihood_)) {
      total += poisson_scores(block, e, e.cwiseMin(kMaxExponent).exp());
    } else if (likelihood_.distribution == Distribution::negative_binomial) {
      total += negative_binomial_scores(block, e, dispersion_);
    } else {
      with_rows(likelihood_, [&](auto function) {
        for (Index r = 0; r < some; ++r) {
          const Point point = function.at(block.y(r), e(r), dispersion_);
          total += block.m(r) * point.value;
          block.score(r) = block.m(r) * point.score;
        }
      });
    }
  }
  return total;
}

// The part of a row's derivative by log(dispersion) that depends on its linear predictor.
double dispersion_part(const Likelihood& likelihood, double y, double eta, double dispersion) {
  if (likelihood.distribution == Distribution::gamma) {
    const double log_mu = likelihood.link == Link::log ? eta : -std::log(eta);
    return (log_mu + y * std::exp(-log_mu)) / dispersion;
  }
  const double k = dispersion;
  const double r = std::min(std::exp(std::min(eta, kMaxExponent)) / k, kMaxRatio);
  const double p = r / (1.0 + r);  // mu over k + mu
  return k * (p - std::log1p(r)) + y * p;
}

void dispersion_derivatives(const Likelihood& likelihood, const ResponseRows& rows,
                            const Vector& eta, double dispersion, DispersionDerivatives& out) {
  const Index n = eta.size();
  out.score.resize(n);
  out.weight.resize(n);
  if (likelihood.distribution == Distribution::gamma) {
    RowDerivatives at;
    row_derivatives(likelihood, rows, eta, dispersion, at);
    const double nu = 1.0 / dispersion, log_part = std::log(nu) + 1.0 - digamma(nu);
    out.score = -at.score;  // both are proportional to nu
    out.weight = -at.weight;
    out.log_likelihood = 0.0;
    for (Index i = 0; i < n; ++i)
      out.log_likelihood +=
          rows.weights(i) * dispersion_part(likelihood, rows.y(i), eta(i), dispersion);
    const Vector &each = rows.own_y(), &weights = rows.own_weights();
    for (Index i = 0; i < each.size(); ++i)
      out.log_likelihood -= weights(i) * nu * (log_part + std::log(each(i)));
    return;
  }
  const double k = dispersion;
  if (!rows.counts.is_empty()) {
    out.log_likelihood = rows.counts.rising(k).by_log;
  } else {
    out.log_likelihood = 0.0;
    const Vector &each = rows.own_y(), &weights = rows.own_weights();
    for (Index i = 0; i < each.size(); ++i)
      out.log_likelihood += weights(i) * rising_sum(each(i), k).by_log;
  }
  for (Index i = 0; i < n; i += kRowsTogether) {
    const Index count = std::min(kRowsTogether, n - i);
    const Rows y(rows.y.data() + i, count), m(rows.weights.data() + i, count),
        e(eta.data() + i, count);
    const Work r = (e.cwiseMin(kMaxExponent).exp() * (1.0 / k)).cwiseMin(kMaxRatio);
    const Work q = 1.0 / (1.0 + r), p = r * q;
    out.log_likelihood += (m * (k * (p - log_one_plus(r, q)) + y * p)).sum();
    // derivatives by log k of q (y - mu) and of (y + k) p q
    out.score.segment(i, count) = m * p * (y - k * r) * q;
    out.weight.segment(i, count) = m * p * q * (k - (y + k) * (q - p));
  }
}

Vector starting_predictor(const Likelihood& likelihood, const ResponseRows& rows) {
  return Vector::NullaryExpr(rows.y.size(), [&](Index i) {
    const double mean = starting_mean(likelihood.distribution, rows.y(i), rows.weights(i));
    return link_of(likelihood.link, mean);
  });
}

}  // namespace ranef
