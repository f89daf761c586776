// Densities against what defines them: they add up to one, have the mean and the variance that
// their parameters name, and every derivative is that of differences.
#include <functional>
#include <string>

#include "check.hpp"
#include "ranef/jet.hpp"
#include "ranef/row_model.hpp"
#include "ranef/special.hpp"

using namespace ranef;
using namespace ranef::test;

namespace {

struct Case {
  Distribution distribution;
  Link link;
  bool zero;
  std::vector<double> eta;
  std::vector<double> y;
  double trials = 1.0;
};

Matrix one_row(const std::vector<double>& eta) {
  return Eigen::Map<const Eigen::RowVectorXd>(eta.data(), static_cast<Index>(eta.size()));
}

double log_density(const Case& of, double y) {
  const auto model = make_row_model(of.distribution, of.link, of.zero,
                                    {Vector::Constant(1, y), Vector::Constant(1, of.trials)});
  return model->total(one_row(of.eta));
}

struct Moments {
  double total, mean, variance;
};

Moments count_moments(const Case& of, double step, double stop) {
  double total = 0.0, one = 0.0, two = 0.0;
  for (double y = 0.0; y <= stop + 1e-9; y += step) {
    const double p = std::exp(log_density(of, y));
    total += p;
    one += p * y;
    two += p * y * y;
  }
  return {total, one, two - one * one};
}

// Midpoint rule on a transform of the range that flattens its ends; zeros and ones by themselves.
Moments measure_moments(const Case& of, bool share, bool real) {
  const int points = 20000;
  double total = 0.0, one = 0.0, two = 0.0;
  const auto add = [&](double y, double p) {
    total += p;
    one += p * y;
    two += p * y * y;
  };
  for (int i = 0; i < points; ++i) {
    const double span = share || real ? 60.0 : 40.0;
    const double t = -30.0 + span * (i + 0.5) / points, h = span / points;
    const double s = 1.0 / (1.0 + std::exp(-t));
    const double y = share ? s : real ? std::sinh(0.5 * t) : std::exp(t);
    const double slope = share ? s * (1.0 - s) : real ? 0.5 * std::cosh(0.5 * t) : y;
    if (!share || (y > 0.0 && y < 1.0 - 1e-15)) add(y, std::exp(log_density(of, y)) * slope * h);
  }
  const bool zeros = of.zero || of.distribution == Distribution::tweedie ||
                     of.distribution == Distribution::ordered_beta;
  if (zeros) add(0.0, std::exp(log_density(of, 0.0)));
  if (of.distribution == Distribution::ordered_beta) add(1.0, std::exp(log_density(of, 1.0)));
  return {total, one, two - one * one};
}

void check_moments(const Moments& found, double mean, double variance, double tolerance) {
  CHECK_CLOSE(found.total, 1.0, tolerance);
  CHECK_CLOSE(found.mean, mean, tolerance);
  CHECK_CLOSE(found.variance, variance, 10.0 * tolerance);
}

double expit(double x) { return 1.0 / (1.0 + std::exp(-x)); }

void check_counts() {
  const double mu = 3.7, s = 0.6, l = std::log(mu), log_s = std::log(s);
  using D = Distribution;
  const auto of = [&](D d, std::vector<double> eta, bool zero = false) {
    return Case{d, Link::log, zero, std::move(eta), {}};
  };
  check_moments(count_moments(of(D::poisson, {l}), 1.0, 60.0), mu, mu, 1e-10);
  check_moments(count_moments(of(D::negative_binomial, {l, log_s}), 1.0, 600.0), mu,
                mu + mu * mu / s, 1e-8);
  check_moments(count_moments(of(D::nbinom1, {l, log_s}), 1.0, 200.0), mu, mu * (1.0 + s), 1e-9);
  for (double phi : {1.0, 1.7, 2.5})  // below 1 the distribution is cut off
    check_moments(count_moments(of(D::generalized_poisson, {l, std::log(phi)}), 1.0, 500.0), mu,
                  phi * mu, 1e-8);
  for (double phi : {0.3, 1.0, 2.5}) {
    const Moments found = count_moments(of(D::compois, {l, std::log(phi)}), 1.0, 300.0);
    CHECK_CLOSE(found.total, 1.0, 1e-10);
    CHECK_CLOSE(found.mean, mu, 1e-10);
    if (phi == 1.0) CHECK_CLOSE(found.variance, mu, 1e-9);
    CHECK(phi < 1.0 ? found.variance < mu : found.variance > mu - 1e-9);
  }
  const double p0 = std::pow(s / (s + mu), s);
  for (bool zero : {false, true}) {
    Case truncated = of(D::truncated_negative_binomial, {l, log_s}, zero);
    if (zero) truncated.eta.push_back(-0.4);
    const Moments found = count_moments(truncated, 1.0, 600.0);
    CHECK_CLOSE(found.total, 1.0, 1e-9);
    CHECK_CLOSE(found.mean, mu / (1.0 - p0) * (zero ? 1.0 - expit(-0.4) : 1.0), 1e-9);
  }
  const Moments inflated = count_moments(of(D::nbinom1, {l, log_s, 0.3}, true), 1.0, 200.0);
  CHECK_CLOSE(inflated.total, 1.0, 1e-10);
  CHECK_CLOSE(inflated.mean, (1.0 - expit(0.3)) * mu, 1e-9);
}

void check_measures() {
  using D = Distribution;
  const double l = 0.4, mu = std::exp(l), s = 0.7, log_s = std::log(s), p = expit(l);
  check_moments(measure_moments({D::gaussian, Link::identity, false, {l, log_s}, {}}, false, true),
                l, s * s, 1e-8);
  check_moments(measure_moments({D::student, Link::identity, false, {l, log_s, std::log(6.0)}, {}},
                                false, true),
                l, s * s * 6.0 / 4.0, 1e-5);
  check_moments(measure_moments({D::gamma, Link::log, false, {l, log_s}, {}}, false, false), mu,
                s * mu * mu, 1e-8);
  check_moments(
      measure_moments({D::lognormal, Link::identity, false, {l, log_s}, {}}, false, false),
      std::exp(l + 0.5 * s * s), (std::exp(s * s) - 1.0) * std::exp(2.0 * l + s * s), 1e-8);
  for (double logit : {-2.0, 0.1})
    check_moments(
        measure_moments({D::tweedie, Link::log, false, {l, log_s, logit}, {}}, false, false), mu,
        s * std::pow(mu, 1.0 + expit(logit)), 1e-7);
  check_moments(measure_moments({D::beta, Link::logit, false, {l, std::log(5.0)}, {}}, true, false),
                p, p * (1.0 - p) / 6.0, 1e-8);
  const double low = 1.0 - expit(l + 1.0), high = expit(l - 1.5), both = low + high;
  const Moments ordered = measure_moments(
      {D::ordered_beta, Link::logit, false, {l, std::log(5.0), -1.0, std::log(2.5)}, {}}, true,
      false);
  CHECK_CLOSE(ordered.total, 1.0, 1e-8);
  CHECK_CLOSE(ordered.mean, high + (1.0 - both) * p, 1e-8);
  const double n = 12.0;
  const Moments shares =
      count_moments({D::betabinomial, Link::logit, false, {l, std::log(5.0)}, {}, n}, 1.0 / n, 1.0);
  check_moments(shares, p, p * (1.0 - p) / n * (1.0 + (n - 1.0) / 6.0), 1e-9);
  check_moments(count_moments({D::binomial, Link::cauchit, false, {l}, {}, n}, 1.0 / n, 1.0),
                0.5 + std::atan(l) / M_PI, (0.25 - std::pow(std::atan(l) / M_PI, 2)) / n, 1e-10);
}

void check_ordinal() {
  for (Link link : {Link::logit, Link::probit, Link::cloglog, Link::loglog, Link::cauchit}) {
    const std::vector<double> cuts = {-1.2, 0.1, 0.9};
    const double eta = 0.3, zeta = 0.4;
    const auto cdf = [&](double x) { return mean_point(link, (x - eta) / std::exp(zeta)).mu; };
    Vector y(4);
    y << 0.0, 1.0, 2.0, 3.0;
    const auto model = make_row_model(Distribution::ordinal, link, false, {y, Vector::Ones(4)});
    double total = 0.0;
    for (int category = 0; category < 4; ++category) {
      // every row has its own thresholds; those past the ends are not looked at
      Matrix eta4 = Matrix::Zero(4, 4);
      eta4.col(0).setConstant(eta);
      eta4.col(3).setConstant(zeta);
      for (int i = 0; i < 4; ++i) {
        eta4(i, 1) = cuts[std::min(i, 2)];
        eta4(i, 2) = cuts[std::max(i - 1, 0)];
      }
      Matrix score;
      const std::int32_t row = category;
      const double p = std::exp(model->at_rows(&row, eta4.row(category), score));
      const double above = category == 3 ? 1.0 : cdf(cuts[category]);
      const double below = category == 0 ? 0.0 : cdf(cuts[category - 1]);
      CHECK_CLOSE(p, above - below, 1e-13);
      total += p;
    }
    CHECK_CLOSE(total, 1.0, 1e-13);
  }
}

// Scores against differences of the total, second derivatives against those of scores, slopes
// against those of second derivatives; the search's against the full ones.
void check_derivatives(const Case& of, const std::vector<int>& active) {
  const Index n = static_cast<Index>(of.y.size()), N = static_cast<Index>(of.eta.size());
  const auto model =
      make_row_model(of.distribution, of.link, of.zero,
                     {Eigen::Map<const Vector>(of.y.data(), n), Vector::Constant(n, of.trials)});
  CHECK(model->n_inputs() == N);
  const Index r = static_cast<Index>(active.size());
  std::mt19937 random(4);
  std::normal_distribution<double> normal;
  const Matrix h = Matrix::NullaryExpr(n, r * (r + 1) / 2, [&] { return normal(random); });
  const Matrix eta = one_row(of.eta).replicate(n, 1);
  Matrix score, second, slope;
  model->slopes(eta, active, h, score, second, slope);
  Matrix all;
  model->seconds(eta, all);
  const auto traced = [&](const Matrix& at) {
    Vector out = Vector::Zero(n);
    for (int b = 0; b < r; ++b)
      for (int a = 0; a <= b; ++a)
        out.array() -= (a == b ? 1.0 : 2.0) * h.col(pair_index(a, b)).array() *
                       at.col(pair_index(active[a], active[b])).array();
    return out;
  };
  const double step = 1e-4;
  for (Index m = 0; m < N; ++m) {
    Matrix up = eta, down = eta, s_up, s_down, w_up, w_down, unused;
    up.col(m).array() += step;
    down.col(m).array() -= step;
    model->slopes(up, active, h, s_up, w_up, unused);
    model->slopes(down, active, h, s_down, w_down, unused);
    const auto slopes = [&](const Matrix& a, const Matrix& b) -> Matrix {
      return (a - b) / (2.0 * step);
    };
    CHECK_CLOSE(score.col(m).sum(), (model->total(up) - model->total(down)) / (2.0 * step), 1e-6);
    const Matrix of_score = slopes(s_up, s_down), of_second = slopes(traced(w_up), traced(w_down));
    for (int a : active) {
      const int at = symmetric_index(a, static_cast<int>(m));
      CHECK((of_score.col(a) - second.col(at)).norm() < 1e-6 * (1.0 + second.col(at).norm()));
      CHECK((all.col(at) - second.col(at)).norm() < 1e-11 * (1.0 + second.col(at).norm()));
    }
    CHECK((of_second - slope.col(m)).norm() < 1e-6 * (1.0 + slope.norm()));
  }
  Matrix fast, weight;
  model->search(eta, active, fast, weight);
  for (int b = 0; b < r; ++b) {
    CHECK((fast.col(b) - score.col(active[b])).norm() < 1e-11 * (1.0 + score.norm()));
    for (int a = 0; a <= b; ++a)
      CHECK((weight.col(pair_index(a, b)) + second.col(pair_index(active[a], active[b]))).norm() <
            1e-11 * (1.0 + weight.norm()));
  }
  Matrix at;
  std::vector<std::int32_t> rows(n);
  for (Index i = 0; i < n; ++i) rows[i] = static_cast<std::int32_t>(i);
  CHECK_CLOSE(model->at_rows(rows.data(), eta, at), model->total(eta), 1e-12);
  CHECK((at - score).norm() < 1e-11 * (1.0 + score.norm()));
}

void check_derivatives(const Case& of) {
  const int N = static_cast<int>(of.eta.size());
  std::vector<int> several = {0};
  if (N > 1) several.push_back(1);
  if (N > 2) several.push_back(N - 1);
  check_derivatives(of, several);
  for (int one = 0; one < N; ++one) check_derivatives(of, {one});
}

void check_all_derivatives() {
  using D = Distribution;
  const std::vector<double> counts = {0, 1, 2, 5, 17, 140}, positive = {1, 2, 5, 17, 140};
  const std::vector<double> measures = {0.02, 0.7, 1.3, 9.0}, with_zero = {0.0, 0.02, 1.3, 9.0};
  for (bool zero : {false, true}) {
    const auto with = [&](std::vector<double> eta) {
      if (zero) eta.push_back(-0.3);
      return eta;
    };
    const std::vector<double>& of_measures = zero ? with_zero : measures;
    const std::vector<double>& of_truncated = zero ? counts : positive;
    for (Link link : {Link::log, Link::identity, Link::inverse, Link::sqrt}) {
      check_derivatives({D::poisson, link, zero, with({0.8}), counts});
      check_derivatives({D::negative_binomial, link, zero, with({0.8, 0.2}), counts});
      check_derivatives({D::gamma, link, zero, with({0.8, 0.2}), of_measures});
    }
    check_derivatives({D::nbinom1, Link::log, zero, with({0.8, -0.7}), counts});
    check_derivatives({D::generalized_poisson, Link::log, zero, with({0.8, 0.7}), counts});
    check_derivatives({D::compois, Link::log, zero, with({0.8, 0.7}), {0, 1, 2, 5, 17}});
    check_derivatives({D::compois, Link::log, zero, with({1.8, -0.7}), {0, 1, 2, 5, 17}});
    check_derivatives({D::truncated_poisson, Link::log, zero, with({0.8}), of_truncated});
    check_derivatives(
        {D::truncated_negative_binomial, Link::log, zero, with({0.8, 0.3}), of_truncated});
    check_derivatives({D::truncated_nbinom1, Link::log, zero, with({0.8, 0.3}), of_truncated});
    check_derivatives({D::lognormal, Link::identity, zero, with({0.8, 0.3}), of_measures});
    check_derivatives({D::tweedie, Link::log, zero, with({0.8, 0.3, 0.4}), with_zero});
    check_derivatives({D::tweedie, Link::log, zero, with({5.8, -2.3, -0.4}), {0.0, 220.0, 900.0}});
    for (Link link : {Link::logit, Link::probit, Link::cloglog, Link::loglog, Link::cauchit}) {
      check_derivatives({D::binomial, link, zero, with({0.4}), {0.0, 0.3, 1.0}, 10.0});
      check_derivatives({D::betabinomial, link, zero, with({0.4, 1.1}), {0.0, 0.3, 1.0}, 10.0});
      check_derivatives(
          {D::beta, link, zero, with({0.4, 1.1}),
           zero ? std::vector<double>{0.0, 0.3, 0.9} : std::vector<double>{0.3, 0.9}});
    }
  }
  check_derivatives({D::gaussian, Link::identity, false, {0.8, 0.3}, measures});
  check_derivatives({D::student, Link::identity, false, {0.8, 0.3, 1.2}, measures});
  check_derivatives(
      {D::ordered_beta, Link::logit, false, {0.4, 1.1, -1.0, 0.6}, {0.0, 0.2, 0.9, 1.0}});
  for (Link link : {Link::logit, Link::probit, Link::cloglog, Link::loglog, Link::cauchit})
    check_derivatives({D::ordinal, link, false, {0.4, 1.1, -0.2, 0.3}, {0.0, 1.0, 1.0, 2.0}});
}

// Recurrence and duplication tie values at small arguments to those of the asymptotic series.
void check_log_gamma() {
  const LogGamma half = log_gamma_derivatives(0.5), one = log_gamma_derivatives(1.0);
  CHECK_CLOSE(half.value, 0.5 * std::log(M_PI), 1e-14);
  CHECK_CLOSE(one.digamma, -0.57721566490153286061, 1e-14);
  CHECK_CLOSE(one.trigamma, M_PI * M_PI / 6.0, 1e-14);
  CHECK_CLOSE(one.tetragamma, -2.0 * 1.2020569031595942854, 1e-14);
  CHECK_CLOSE(half.trigamma, M_PI * M_PI / 2.0, 1e-14);
  CHECK_CLOSE(half.tetragamma, -14.0 * 1.2020569031595942854, 1e-14);
  for (double x : {0.03, 0.7, 3.3, 8.9, 9.1, 40.0, 1e4}) {
    const LogGamma a = log_gamma_derivatives(x), b = log_gamma_derivatives(x + 40.0);
    double log_product = 0.0, s = 0.0, s2 = 0.0, s3 = 0.0;
    for (int j = 0; j < 40; ++j) {
      log_product += std::log(x + j);
      s += 1.0 / (x + j);
      s2 += 1.0 / ((x + j) * (x + j));
      s3 += 2.0 / std::pow(x + j, 3);
    }
    CHECK_CLOSE(b.value - a.value, log_product, 1e-13);
    CHECK_CLOSE(b.digamma - a.digamma, s, 1e-13);
    CHECK_CLOSE(a.trigamma - b.trigamma, s2, 1e-13);
    CHECK_CLOSE(b.tetragamma - a.tetragamma, s3, 1e-13);
    CHECK_CLOSE(log_gamma(x), a.value, 1e-14);
  }
}

bool refuses(const std::function<void()>& act) {
  try {
    act();
  } catch (const std::invalid_argument&) {
    return true;
  }
  return false;
}

void check_refusals() {
  const RowModelRows rows{Vector::Ones(1), Vector::Ones(1)};
  const auto make = [&](Distribution d, Link link, bool zero) {
    return [=] { make_row_model(d, link, zero, rows); };
  };
  CHECK(refuses(make(Distribution::poisson, Link::logit, false)));
  CHECK(refuses(make(Distribution::gaussian, Link::identity, true)));
  CHECK(refuses([] { parse_distribution("weibull"); }));
  CHECK(refuses([] { parse_link("logarithm"); }));
}

}  // namespace

int main() {
  check_log_gamma();
  check_counts();
  check_measures();
  check_ordinal();
  check_all_derivatives();
  check_refusals();
  std::puts("densities: passed");
}
