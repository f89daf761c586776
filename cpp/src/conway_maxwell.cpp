#include "ranef/conway_maxwell.hpp"

#include <vector>

namespace ranef {
namespace {

constexpr double kNegligible = 40.0;  // logarithm of a term that does not count
constexpr int kMostTerms = 200000;
constexpr int kMostSteps = 100;
constexpr double kClose = 1e-7;
constexpr double kHuge = 1e300, kMinusHuge = -1e300;

struct Moments {
  double log_z = 0.0, mean = 0.0, mean_g = 0.0;  // of y and of g = -log y!
  double central[5][5] = {};                     // E (y - mean)^a (g - mean_g)^b, a + b <= 4
  bool is_finite = false;
};

// Sums over the counts around the mode, outwards to where they no longer count.
Moments moments(double theta, double nu, bool all) {
  Moments out;
  const double peak = theta / nu;
  if (!(peak < std::log(1e8))) return out;
  const double mode = std::floor(std::exp(peak));
  const double g_mode = -log_gamma(mode + 1.0), top = mode * theta + nu * g_mode;
  std::vector<std::array<double, 3>> terms;  // y, g - g_mode, weight
  for (const bool up : {true, false}) {
    double y = mode, g = 0.0;
    while (true) {
      if (up || y != mode) {
        const double e = y * theta + nu * (g + g_mode) - top;
        if (e < -kNegligible) break;
        terms.push_back({y, g, std::exp(e)});
        if (static_cast<int>(terms.size()) > kMostTerms) return out;
      }
      if (up) {
        y += 1.0;
        g -= std::log(y);
      } else {
        if (y <= 0.0) break;
        g += std::log(y);
        y -= 1.0;
      }
    }
  }
  double z = 0.0, sum_y = 0.0, sum_g = 0.0;
  for (const auto& [y, g, w] : terms) {
    z += w;
    sum_y += w * (y - mode);
    sum_g += w * g;
  }
  out.log_z = top + std::log(z);
  out.mean = mode + sum_y / z;
  out.mean_g = g_mode + sum_g / z;
  for (const auto& [y, g, w] : terms) {
    const double d = y - mode - sum_y / z, e = g - sum_g / z;
    double power = w / z;
    for (int a = 0; a <= (all ? 4 : 2); ++a, power *= d) {
      double term = power;
      for (int b = 0; b <= (all ? 4 - a : 0); ++b, term *= e) out.central[a][b] += term;
    }
  }
  out.is_finite = true;
  return out;
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

// Newton's method for theta by the logarithm of the mean, which is close to linear in it.
ConwayMaxwell conway_maxwell_at(double log_mu, double nu) {
  ConwayMaxwell out;
  const double mu = std::exp(log_mu);
  if (!(mu > 0.0) || !(mu < 1e8) || !(nu > 0.0) || !(nu < 1e8)) return out;
  const double shifted = mu + 0.5 * (nu - 1.0) / nu;
  double theta = shifted > 0.05 * mu ? nu * std::log(shifted) : log_mu;
  double low = kMinusHuge, high = kHuge;
  for (int step = 0; step < kMostSteps; ++step) {
    const Moments m = moments(theta, nu, false);
    if (!m.is_finite) {
      high = theta;
      theta = low > kMinusHuge ? 0.5 * (low + high) : theta - 1.0;
      continue;
    }
    (m.mean < mu ? low : high) = theta;
    const double gap = log_mu - std::log(m.mean);
    double next = theta + gap * m.mean / m.central[2][0];
    if (std::abs(gap) < kClose) {  // after this step it is that squared
      theta = next;
      break;
    }
    if (!(next > low && next < high))
      next =
          low > kMinusHuge && high < kHuge ? 0.5 * (low + high) : theta + (gap > 0.0 ? 1.0 : -1.0);
    theta = next;
  }
  const Moments m = moments(theta, nu, true);
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
