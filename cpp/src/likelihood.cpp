#include "ranef/likelihood.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>

#include "ranef/gee_mean.hpp"

namespace ranef {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kMaxExponent = 700.0;

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

// log Gamma by recurrence up to 15, then Stirling's series: std::lgamma writes to a global.
double log_gamma(double x) {
  double product = 1.0;
  for (; x < 15.0; x += 1.0) product *= x;
  const double r = 1.0 / (x * x);
  const double series =
      (1.0 / 12.0 - r * (1.0 / 360.0 - r * (1.0 / 1260.0 - r * (1.0 / 1680.0 - r / 1188.0)))) / x;
  return (x - 0.5) * std::log(x) - x + 0.9189385332046727418 + series - std::log(product);
}

// Derivative of log Gamma: recurrence up to 10, then the asymptotic series.
double digamma(double x) {
  double out = 0.0;
  for (; x < 10.0; x += 1.0) out -= 1.0 / x;
  const double r = 1.0 / (x * x);
  return out + std::log(x) - 0.5 / x -
         r * (1.0 / 12.0 - r * (1.0 / 120.0 - r * (1.0 / 252.0 - r * (1.0 / 240.0 - r / 132.0))));
}

struct Logit {
  static Point at(double y, double eta, double) {
    const double t = std::exp(-std::abs(eta)), d = 1.0 + t;
    const double mu = eta >= 0.0 ? 1.0 / d : t / d, w = t / (d * d);
    const double value = -std::log1p(t) - (eta >= 0.0 ? (1.0 - y) * eta : -y * eta);
    return {value, y - mu, w, w * (eta >= 0.0 ? t - 1.0 : 1.0 - t) / d};
  }
};

// log Phi(eta). r = phi / Phi is the inverse Mills ratio: r' = -r (eta + r).
struct Probit {
  static Point log_normal(double eta) {
    constexpr double kRoot = 0.7071067811865475244, kDensity = 0.3989422804014326779;
    double value, r, g, slope;
    if (eta > -30.0) {
      const double cdf = 0.5 * std::erfc(-eta * kRoot);
      value = eta > 5.0 ? std::log1p(-0.5 * std::erfc(eta * kRoot)) : std::log(cdf);
      r = kDensity * std::exp(-0.5 * eta * eta) / cdf;
      g = r * (eta + r);
      slope = -g * (eta + r) + r * (1.0 - g);
    } else {  // continued fraction of Mills' ratio
      const double x = -eta, x2 = 1.0 / (x * x);
      const double excess = (1.0 - x2 * (2.0 - x2 * (10.0 - 74.0 * x2))) / x;  // r - x
      r = x + excess;
      value = -0.5 * eta * eta + std::log(kDensity / r);
      g = 1.0 - x2 * (1.0 - x2 * (6.0 - 50.0 * x2));
      slope = -x2 / x * (2.0 - 24.0 * x2);
    }
    return {value, r, g, slope};
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
struct Cloglog {
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
  static Point at(double y, double eta, double) {
    const double mu = std::exp(std::min(eta, kMaxExponent));
    return {y * eta - mu, y - mu, mu, mu};
  }
};

struct GammaLog {
  static Point at(double y, double eta, double phi) {
    const double nu = 1.0 / phi, ratio = nu * y * std::exp(std::min(-eta, kMaxExponent));
    return {-nu * eta - ratio, ratio - nu, ratio, -ratio};
  }
};

struct GammaInverse {
  static Point at(double y, double eta, double phi) {
    if (!(eta > 0.0)) return {-kInfinity, 0.0, 0.0, 0.0};
    const double nu = 1.0 / phi;
    return {nu * (std::log(eta) - y * eta), nu * (1.0 / eta - y), nu / (eta * eta),
            -2.0 * nu / (eta * eta * eta)};
  }
};

// p = mu / (k + mu), q = 1 - p.
struct NegativeBinomialLog {
  static Point at(double y, double eta, double k) {
    const double t = std::exp(-std::abs(eta - std::log(k))), d = 1.0 + t;
    const bool above = eta >= std::log(k);
    const double p = above ? 1.0 / d : t / d, q = above ? t / d : 1.0 / d;
    const double log_p = (above ? 0.0 : -std::abs(eta - std::log(k))) - std::log1p(t);
    const double log_q = (above ? -std::abs(eta - std::log(k)) : 0.0) - std::log1p(t);
    const double w = (y + k) * p * q;
    return {k * log_q + y * log_p, y * q - k * p, w, w * (q - p)};
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
  }
  return f(Logit{});
}

// Logit::at of all rows, in operations on whole arrays.
double logit_derivatives(const ResponseRows& rows, const Vector& eta, RowDerivatives& out) {
  const auto y = rows.y.array(), m = rows.weights.array(), e = eta.array();
  auto t = out.slope.array(), w = out.weight.array(), score = out.score.array();
  t = (-e.abs()).exp();
  const double total = (m * (y * e - e.cwiseMax(0.0) - (1.0 + t).log())).sum();
  score = m * (y - (e >= 0.0).select(1.0, t) / (1.0 + t));
  w = m * t / (1.0 + t).square();
  t = w * (e >= 0.0).select(t - 1.0, 1.0 - t) / (1.0 + t);
  return total;
}

}  // namespace

Likelihood parse_likelihood(const std::string& distribution, const std::string& link) {
  Likelihood out;
  out.link = parse_link(link);
  const auto allow = [&](Distribution named, std::initializer_list<Link> links) {
    out.distribution = named;
    for (const Link allowed : links)
      if (allowed == out.link) return out;
    throw std::invalid_argument("link: " + link + " is not one of " + distribution);
  };
  if (distribution == "binomial")
    return allow(Distribution::binomial, {Link::logit, Link::probit, Link::cloglog});
  if (distribution == "poisson") return allow(Distribution::poisson, {Link::log});
  if (distribution == "gamma") return allow(Distribution::gamma, {Link::log, Link::inverse});
  if (distribution == "negative_binomial")
    return allow(Distribution::negative_binomial, {Link::log});
  throw std::invalid_argument("family: " + distribution);
}

double constant_part(const Likelihood& likelihood, const ResponseRows& rows, double dispersion) {
  const double nu = 1.0 / dispersion, k = dispersion;
  const double shape = nu * std::log(nu) - log_gamma(nu);
  double sum = 0.0;
  for (Index i = 0; i < rows.y.size(); ++i) {
    const double y = rows.y(i), m = rows.weights(i);
    switch (likelihood.distribution) {
      case Distribution::binomial:
        sum += log_gamma(m + 1.0) - log_gamma(m * y + 1.0) - log_gamma(m * (1.0 - y) + 1.0);
        break;
      case Distribution::poisson:
        sum -= m * log_gamma(y + 1.0);
        break;
      case Distribution::gamma:
        sum += m * (shape + (nu - 1.0) * std::log(y));
        break;
      case Distribution::negative_binomial:
        sum += m * (log_gamma(y + k) - log_gamma(k) - log_gamma(y + 1.0));
        break;
    }
  }
  return sum;
}

double row_derivatives(const Likelihood& likelihood, const ResponseRows& rows, const Vector& eta,
                       double dispersion, RowDerivatives& out) {
  const Index n = eta.size();
  out.score.resize(n);
  out.weight.resize(n);
  out.slope.resize(n);
  if (likelihood.distribution == Distribution::binomial && likelihood.link == Link::logit)
    return logit_derivatives(rows, eta, out);
  return with_rows(likelihood, [&](auto function) {
    double total = 0.0;
    for (Index i = 0; i < n; ++i) {
      const Point point = rows.weights(i) * function.at(rows.y(i), eta(i), dispersion);
      total += point.value;
      out.score(i) = point.score;
      out.weight(i) = point.weight;
      out.slope(i) = point.slope;
    }
    return total;
  });
}

void log_likelihoods(const Likelihood& likelihood, const double* y, const double* eta, Index count,
                     double dispersion, double* value, double* score) {
  const Eigen::Map<const Eigen::ArrayXd> Y(y, count), E(eta, count);
  Eigen::Map<Eigen::ArrayXd> V(value, count), S(score, count);
  if (likelihood.distribution == Distribution::binomial && likelihood.link == Link::logit) {
    V = (-E.abs()).exp();
    S = Y - (E >= 0.0).select(1.0, V) / (1.0 + V);
    V = Y * E - E.cwiseMax(0.0) - (1.0 + V).log();
    return;
  }
  if (likelihood.distribution == Distribution::poisson && likelihood.link == Link::log) {
    S = E.cwiseMin(kMaxExponent).exp();
    V = Y * E - S;
    S = Y - S;
    return;
  }
  with_rows(likelihood, [&](auto function) {
    for (Index i = 0; i < count; ++i) {
      const Point point = function.at(y[i], eta[i], dispersion);
      value[i] = point.value;
      score[i] = point.score;
    }
  });
}

// The part of a row's derivative by log(dispersion) that depends on its linear predictor.
double dispersion_part(const Likelihood& likelihood, double y, double eta, double dispersion) {
  if (likelihood.distribution == Distribution::gamma) {
    const double log_mu = likelihood.link == Link::log ? eta : -std::log(eta);
    return (log_mu + y * std::exp(-log_mu)) / dispersion;
  }
  const double k = dispersion, far = eta - std::log(k);
  const double p = 1.0 / (1.0 + std::exp(-far));  // mu over k + mu
  const double log_q = -std::max(far, 0.0) - std::log1p(std::exp(-std::abs(far)));
  return k * (log_q + p) - y * (1.0 - p);
}

void dispersion_derivatives(const Likelihood& likelihood, const ResponseRows& rows,
                            const Vector& eta, double dispersion, DispersionDerivatives& out) {
  const Index n = eta.size();
  out.score.resize(n);
  out.weight.resize(n);
  out.log_likelihood = 0.0;
  for (Index i = 0; i < n; ++i)
    out.log_likelihood +=
        rows.weights(i) * dispersion_part(likelihood, rows.y(i), eta(i), dispersion);
  if (likelihood.distribution == Distribution::gamma) {
    RowDerivatives at;
    row_derivatives(likelihood, rows, eta, dispersion, at);
    const double nu = 1.0 / dispersion, log_part = std::log(nu) + 1.0 - digamma(nu);
    out.score = -at.score;  // both are proportional to nu
    out.weight = -at.weight;
    for (Index i = 0; i < n; ++i)
      out.log_likelihood -= nu * rows.weights(i) * (log_part + std::log(rows.y(i)));
    return;
  }
  const double k = dispersion, log_k = std::log(k), digamma_k = digamma(k);
  for (Index i = 0; i < n; ++i) {
    const double y = rows.y(i), m = rows.weights(i);
    const double p = 1.0 / (1.0 + std::exp(log_k - eta(i))), q = 1.0 - p;  // mu, k over k + mu
    // d/d log k of y q - k p and of (y + k) p q
    out.score(i) = m * ((y + k) * p * q - k * p);
    out.weight(i) = m * (k * p * q - (y + k) * p * q * (q - p));
    out.log_likelihood += m * k * (digamma(y + k) - digamma_k);
  }
}

Vector starting_predictor(const Likelihood& likelihood, const ResponseRows& rows) {
  const auto mean = [&](double y, double m) {
    switch (likelihood.distribution) {
      case Distribution::binomial:
        return starting_mean(Family::binomial, y, m);
      case Distribution::gamma:
        return starting_mean(Family::gamma, y, m);
      default:
        return starting_mean(Family::poisson, y, m);
    }
  };
  return Vector::NullaryExpr(rows.y.size(), [&](Index i) {
    return link_of(likelihood.link, mean(rows.y(i), rows.weights(i)));
  });
}

}  // namespace ranef
