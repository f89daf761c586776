#include "ranef/counted.hpp"

#include <algorithm>
#include <cmath>

#include "ranef/special.hpp"

namespace ranef {
namespace {

// Sums have no more terms than these; beyond, Stirling's series is exact to rounding.
constexpr Index kMostTerms = 4096;

// What Stirling's series for log Gamma adds to (x - 1/2) log x - x + log(2 pi) / 2, x >= 15.
double stirling(double x) {
  const double r = 1.0 / (x * x);
  return (1.0 / 12.0 - r * (1.0 / 360.0 - r * (1.0 / 1260.0 - r / 1680.0))) / x;
}

// What the asymptotic series for digamma adds to log x, x >= 15.
double digamma_series(double x) {
  const double r = 1.0 / (x * x);
  return -0.5 / x - r * (1.0 / 12.0 - r * (1.0 / 120.0 - r * (1.0 / 252.0 - r / 240.0)));
}

// log Gamma(b + d) - log Gamma(b) - d log k, and its derivative by log k where b is k and more;
// b >= 15. Differences of logarithms are taken before k multiplies them.
Rising far_sum(double b, double d, double k) {
  const double x = b + d, further = std::log1p(d / b);
  const double value =
      (b - 0.5) * further + d * std::log1p((x - k) / k) - d + stirling(x) - stirling(b);
  return {value, k * (further + digamma_series(x) - digamma_series(b)) - d};
}

}  // namespace

Rising rising_sum(double y, double k) {
  double value = 0.0, by_log = 0.0, j = 0.0;
  for (; j + 1.0 <= y && j < 64.0; j += 1.0) {
    value += std::log1p(j / k);
    by_log -= j / (k + j);
  }
  const double left = y - j;
  if (left <= 0.0) return {value, by_log};
  double b = k + j, product = 1.0, top = b + left;
  for (; b < 15.0; b += 1.0, top += 1.0) {  // up to where the series serves
    product *= b / top;
    by_log += k * (1.0 / b - 1.0 / top);
  }
  const Rising far = far_sum(b, left, k);
  return {value + far.value + std::log(product), by_log + far.by_log};
}

Counted::Counted(const Vector& y, const Vector& weights) {
  const double most = y.size() == 0 ? 0.0 : y.maxCoeff();
  if (!(most < 9e15) || !(y.minCoeff() >= 0.0)) return;
  const Index terms = std::min(kMostTerms, static_cast<Index>(most) + 1);
  Eigen::ArrayXd at = Eigen::ArrayXd::Zero(terms + 1);  // weight of the rows with y = j
  std::vector<double> far, far_weight;
  double beyond = 0.0, factorials = 0.0;
  for (Index i = 0; i < y.size(); ++i) {
    if (y(i) != std::floor(y(i))) return;
    if (y(i) <= static_cast<double>(terms)) {
      at(static_cast<Index>(y(i))) += weights(i);
      continue;
    }
    far.push_back(y(i));
    far_weight.push_back(weights(i));
    beyond += weights(i);
    factorials += weights(i) * log_gamma(y(i) + 1.0);
  }
  above_.resize(terms);
  place_ = Eigen::ArrayXd::LinSpaced(terms, 0.0, static_cast<double>(terms - 1));
  double sum = beyond;
  for (Index j = terms - 1; j >= 0; --j) above_(j) = sum += at(j + 1);
  log_factorials_ = factorials + (above_ * place_.log1p()).sum() -
                    beyond * log_gamma(static_cast<double>(terms) + 1.0);
  far_ = std::move(far);
  far_weight_ = std::move(far_weight);
}

Rising Counted::rising(double k) const {
  Rising out{(above_ * (place_ / k).log1p()).sum(), -(above_ * place_ / (k + place_)).sum()};
  const double base = static_cast<double>(above_.size());
  for (std::size_t i = 0; i < far_.size(); ++i) {
    const Rising far = far_sum(k + base, far_[i] - base, k);
    out.value += far_weight_[i] * far.value;
    out.by_log += far_weight_[i] * far.by_log;
  }
  return out;
}

}  // namespace ranef
