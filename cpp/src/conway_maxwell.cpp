#include "ranef/conway_maxwell.hpp"

#include <algorithm>
#include <limits>
#include <vector>

namespace ranef {
namespace {

constexpr double kNegligible = 4e-18;  // weight, relative to the mode's, that does not count
constexpr int kMostTerms = 200000;
constexpr int kMostSteps = 100;
// Distance to a mean, in standard deviations, within which one step of the fourth order ends it.
constexpr double kClose = 1e-3;
constexpr double kHuge = 1e300, kMinusHuge = -1e300;
// Counts whose logarithms and powers are kept, and exponents that cannot overflow.
constexpr std::size_t kKept = 4096;
constexpr double kMostExponent = 300.0;

struct Moments {
  double log_z = 0.0, mean = 0.0, mean_g = 0.0;  // of y and of g = -log y!
  double central[5][5] = {};                     // E (y - mean)^a (g - mean_g)^b, a + b <= 4
  bool is_finite = false;
};

// Logarithms of counts, and their powers of -nu: rows that share nu share them.
class Powers {
 public:
  void set(double nu) {
    if (nu == nu_) return;
    nu_ = nu;
    power_.assign(power_.size(), kUnknown);
  }
  double log(double y) {
    if (!(y < static_cast<double>(kKept))) return std::log(y);
    const auto at = static_cast<std::size_t>(y);
    for (std::size_t i = log_.size(); i <= at; ++i) log_.push_back(std::log(i));
    return log_[at];
  }
  double power(double y) {
    if (!(y < static_cast<double>(kKept))) return std::exp(-nu_ * std::log(y));
    const auto at = static_cast<std::size_t>(y);
    if (at >= power_.size()) power_.resize(std::min(kKept, 2 * at + 64), kUnknown);
    if (power_[at] == kUnknown) power_[at] = std::exp(-nu_ * log(y));
    return power_[at];
  }

 private:
  static constexpr double kUnknown = -1.0;
  double nu_ = -1.0;
  std::vector<double> log_, power_;
};

// What one thread needs for a sum, kept for the next one.
struct Terms {
  Powers powers;
  std::vector<double> y, g, w;  // y and g less those of the mode; weight
};

// Terms upwards or downwards from the mode, the mode left out; false where there are too many.
bool add_terms(Terms& terms, double mode, double theta, double nu, bool up) {
  const bool by_powers = std::abs(theta) < kMostExponent && nu < kMostExponent;
  const double rate = by_powers ? std::exp(theta) : 0.0;
  double y = mode, g = 0.0, w = 1.0;
  while (up || y > 0.0) {
    const double next = up ? y + 1.0 : y;  // the count that is gained or lost
    const double ratio =
        by_powers ? rate * terms.powers.power(next) : std::exp(theta - nu * terms.powers.log(next));
    w = up ? w * ratio : w / ratio;
    g += up ? -terms.powers.log(next) : terms.powers.log(next);
    y += up ? 1.0 : -1.0;
    if (!(w > kNegligible)) break;
    terms.y.push_back(y - mode);
    terms.g.push_back(g);
    terms.w.push_back(w);
    if (static_cast<int>(terms.y.size()) > kMostTerms) return false;
  }
  return true;
}

// Central moments of a + b <= Most.
template <int Most>
void add_central(const Terms& terms, double z, double mean, double mean_g, Moments& out) {
  double sums[Most + 1][Most + 1] = {};
  for (std::size_t i = 0; i < terms.y.size(); ++i) {
    const double d = terms.y[i] - mean, e = terms.g[i] - mean_g;
    double power = terms.w[i];
    for (int a = 0; a <= Most; ++a, power *= d) {
      double term = power;
      for (int b = 0; b <= Most - a; ++b, term *= e) sums[a][b] += term;
    }
  }
  for (int a = 0; a <= Most; ++a)
    for (int b = 0; b <= Most - a; ++b) out.central[a][b] = sums[a][b] / z;
}

// Those of y alone.
void add_central_of_counts(const Terms& terms, double z, double mean, Moments& out) {
  double second = 0.0, third = 0.0, fourth = 0.0;
  for (std::size_t i = 0; i < terms.y.size(); ++i) {
    const double d = terms.y[i] - mean, square = terms.w[i] * d * d;
    second += square;
    third += square * d;
    fourth += square * d * d;
  }
  out.central[2][0] = second / z;
  out.central[3][0] = third / z;
  out.central[4][0] = fourth / z;
}

// Sums over the counts around the mode, outwards to where they no longer count. `order`: of the
// joint moments that are asked for; 0 for those of the counts alone.
Moments moments(double theta, double nu, int order) {
  Moments out;
  const double peak = theta / nu;
  if (!(peak < std::log(1e8))) return out;
  thread_local Terms terms;
  terms.powers.set(nu);
  const double mode = std::floor(std::exp(peak));
  const double g_mode = -log_gamma(mode + 1.0), top = mode * theta + nu * g_mode;
  terms.y.assign(1, 0.0);
  terms.g.assign(1, 0.0);
  terms.w.assign(1, 1.0);
  for (const bool up : {true, false})
    if (!add_terms(terms, mode, theta, nu, up)) return out;
  double z = 0.0, sum_y = 0.0, sum_g = 0.0;
  for (std::size_t i = 0; i < terms.y.size(); ++i) {
    z += terms.w[i];
    sum_y += terms.w[i] * terms.y[i];
    sum_g += terms.w[i] * terms.g[i];
  }
  out.log_z = top + std::log(z);
  out.mean = mode + sum_y / z;
  out.mean_g = g_mode + sum_g / z;
  if (order == 0)
    add_central_of_counts(terms, z, sum_y / z, out);
  else if (order <= 3)
    add_central<3>(terms, z, sum_y / z, sum_g / z, out);
  else
    add_central<4>(terms, z, sum_y / z, sum_g / z, out);
  out.is_finite = true;
  return out;
}

// Where the mean comes close to mu: the first terms of its expansion for large rates, Gaunt,
// Iyengar, Olde Daalhuis and Simsek (2019), Ann. Inst. Stat. Math. 71, 163-180.
double first_theta(double log_mu, double nu) {
  const double mu = std::exp(log_mu);
  double rate = mu + 0.5 * (nu - 1.0) / nu;  // exp(theta / nu)
  if (!(rate > 0.05 * mu)) return log_mu;
  const double further = (nu * nu - 1.0) / (24.0 * nu * nu);
  const double better = rate + further / rate;
  if (std::abs(better - rate) < 0.2 * rate) rate = better;
  return nu * std::log(rate);
}

// The step in theta that takes the mean to mu, by its Taylor series.
double series_step(const Moments& m, double mu) {
  const double k2 = m.central[2][0], k3 = m.central[3][0] / k2;
  const double k4 = m.central[4][0] / k2 - 3.0 * k2, r = (mu - m.mean) / k2;
  return r - 0.5 * k3 * r * r + (0.5 * k3 * k3 - k4 / 6.0) * r * r * r;
}

// Joint cumulants from central moments; the first from the means.
void cumulants(const Moments& m, double k[5][5]) {
  const auto& c = m.central;
  for (int a = 0; a <= 4; ++a)
    for (int b = 0; a + b <= 4; ++b) k[a][b] = c[a][b];
  k[0][0] = m.log_z;
  k[1][0] = m.mean;
  k[0][1] = m.mean_g;
  k[4][0] -= 3.0 * c[2][0] * c[2][0];
  k[3][1] -= 3.0 * c[2][0] * c[1][1];
  k[2][2] -= c[2][0] * c[0][2] + 2.0 * c[1][1] * c[1][1];
  k[1][3] -= 3.0 * c[0][2] * c[1][1];
  k[0][4] -= 3.0 * c[0][2] * c[0][2];
}

}  // namespace

// Newton's method for theta by the logarithm of the mean, which is close to linear in it; near the
// end one step of the fourth order.
ConwayMaxwell conway_maxwell_at(double log_mu, double nu, int order) {
  ConwayMaxwell out;
  const double mu = std::exp(log_mu);
  if (!(mu > 0.0) || !(mu < 1e8) || !(nu > 0.0) || !(nu < 1e8)) return out;
  double theta = first_theta(log_mu, nu);
  double low = kMinusHuge, high = kHuge;
  for (int step = 0; step < kMostSteps; ++step) {
    const Moments m = moments(theta, nu, 0);
    if (!m.is_finite) {
      high = theta;
      theta = low > kMinusHuge ? 0.5 * (low + high) : theta - 1.0;
      continue;
    }
    if (std::abs(mu - m.mean) < kClose * std::min(m.central[2][0], std::sqrt(m.central[2][0]))) {
      theta += series_step(m, mu);
      break;
    }
    (m.mean < mu ? low : high) = theta;
    const double gap = log_mu - std::log(m.mean);
    double next = theta + gap * m.mean / m.central[2][0];
    if (!(next > low && next < high))
      next =
          low > kMinusHuge && high < kHuge ? 0.5 * (low + high) : theta + (gap > 0.0 ? 1.0 : -1.0);
    theta = next;
  }
  const Moments m = moments(theta, nu, order + 1);
  if (!m.is_finite || !(std::abs(std::log(m.mean) - log_mu) < 1e-9)) return out;
  double k[5][5];
  cumulants(m, k);
  constexpr double kFactorial[] = {1.0, 1.0, 2.0, 6.0};
  for (int a = 0; a <= 3; ++a)
    for (int b = 0; a + b <= 3; ++b) {
      out.log_z[a][b] = k[a][b] / (kFactorial[a] * kFactorial[b]);
      out.mean[a][b] = k[a + 1][b] / (kFactorial[a] * kFactorial[b]);
    }
  out.mean[0][0] = mu;
  out.theta = theta;
  out.curvature = m.central[2][0];
  out.is_finite = true;
  return out;
}

}  // namespace ranef
