#include "ranef/conway_maxwell.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "ranef/eigen.hpp"

namespace ranef {
namespace {

constexpr double kNegligible = 4e-18;  // weight, relative to the mode's, that does not count
constexpr int kMostTerms = 20000;
constexpr int kMostSteps = 100;
// Distance to a mean, in standard deviations, within which one step of the fourth order ends it.
constexpr double kClose = 1e-3;
// Log odds at which a third count does not matter.
constexpr double kTwoCounts = 6.0;
// Variance, relative to the mean, of a count that is always the same.
constexpr double kNoSpread = 1e-12;
constexpr double kHuge = 1e300, kMinusHuge = -1e300;
// Counts whose logarithms and powers are kept, and exponents that cannot overflow.
constexpr std::size_t kKept = 4096;
constexpr double kMostExponent = 300.0, kMostNu = 30.0;
// Counts that a block of a sum has at least, as powers of two at most, and nodes that stand for it.
constexpr double kLeastBlock = 128.0, kLargestBlock = 67108864.0;
constexpr int kNodes = 10, kBlockSizes = 27;
// What the logarithm of the terms may change within a block.
constexpr double kBlockChange = 1.5;
// Counts from which Stirling's series is exact.
constexpr double kLarge = 64.0;

struct Moments {
  double log_z = 0.0, mean = 0.0, mean_g = 0.0;  // of y and of g = -log y!
  double central[5][5] = {};                     // E (y - mean)^a (g - mean_g)^b, a + b <= 4
  bool is_finite = false;
};

// Logarithms of counts, and their powers of nu and -nu: rows that share nu share them.
class Powers {
 public:
  struct Of {
    double log, up, down;  // log y, y^-nu, y^nu
  };

  void set(double nu) {
    if (nu == nu_) return;
    nu_ = nu;
    for (Of& one : known_) one.up = kUnknown;
  }
  Of at(double y) {
    if (!(y < static_cast<double>(kKept))) return of(std::log(y));
    const auto place = static_cast<std::size_t>(y);
    while (known_.size() <= place)
      known_.push_back({std::log(static_cast<double>(known_.size())), kUnknown, kUnknown});
    Of& one = known_[place];
    if (one.up == kUnknown) one = of(one.log);
    return one;
  }

 private:
  static constexpr double kUnknown = -1.0;
  double nu_ = -1.0;
  std::vector<Of> known_;

  Of of(double log) const {
    const double up = std::exp(-nu_ * log);
    return {log, up, 1.0 / up};
  }
};

// Sums of w d^a g^b over the counts, a + b <= Most, where d and g are y and -log y! less those of
// the mode and w is relative to its weight. Without g (kJoint) for b = 0 alone.
template <int Most, bool kJoint>
struct Sums {
  double of[Most + 1][Most + 1] = {};

  void add(double w, double d, double g) {
    double power = w;
    for (int a = 0; a <= Most; ++a, power *= d) {
      if constexpr (kJoint) {
        double term = power;
        for (int b = 0; b <= Most - a; ++b, term *= g) of[a][b] += term;
      } else {
        of[a][0] += power;
      }
    }
  }
};

// Gauss's rule of the sum over 0, 1, .., H - 1: exact for polynomials of degree 2 kNodes - 1.
struct BlockRule {
  double node[kNodes], weight[kNodes];
};

// From the recurrence of Gram's polynomials, Golub and Welsch (1969), Math. Comp. 23, 221-230.
BlockRule block_rule(double H) {
  Vector diagonal = Vector::Constant(kNodes, 0.5 * (H - 1.0)), beside(kNodes - 1);
  for (int k = 1; k < kNodes; ++k)
    beside(k - 1) = 0.5 * k * std::sqrt((H * H - k * k) / (4.0 * k * k - 1.0));
  Eigen::SelfAdjointEigenSolver<Matrix> eigen;
  eigen.computeFromTridiagonal(diagonal, beside);
  BlockRule out;
  for (int k = 0; k < kNodes; ++k) {
    const double first = eigen.eigenvectors()(0, k);
    out.node[k] = eigen.eigenvalues()(k);
    out.weight[k] = H * first * first;
  }
  return out;
}

const BlockRule& block_rule_of(double H) {
  static const std::vector<BlockRule> rules = [] {
    std::vector<BlockRule> out;
    for (int power = 0; power < kBlockSizes; ++power)
      out.push_back(block_rule(std::max(std::ldexp(1.0, power), kLeastBlock)));
    return out;
  }();
  return rules[static_cast<std::size_t>(std::ilogb(H))];
}

// Logarithm of a term relative to the mode's, and g = -log(y! / mode!), y any number from kLarge.
struct Relative {
  double log, g;
};

class Terms {
 public:
  Terms(double mode, double theta, double nu)
      : mode_(mode),
        theta_(theta),
        nu_(nu),
        log_m_(std::log(mode + 1.0)),
        log_factorial_(mode < kLarge ? log_gamma(mode + 1.0) : 0.0) {}

  // With Stirling's series what is alike in both factorials is taken out first.
  Relative at(double y) const {
    const double d = y - mode_;
    if (mode_ < kLarge) {
      const double rise = log_gamma(y + 1.0) - log_factorial_;
      return {theta_ * d - nu_ * rise, -rise};
    }
    const double m = mode_ + 1.0, z = y + 1.0;
    const double rise = (z - 0.5) * std::log1p(d / m) - d + series(z) - series(m);
    return {(theta_ - nu_ * log_m_) * d - nu_ * rise, -(d * log_m_ + rise)};
  }

  // Counts of the next block beyond y, a power of two, or less than kLeastBlock where its terms
  // change too much.
  double block(double y, bool up) const {
    if (y < 2.0 * kLeastBlock) return 0.0;
    const double slope = std::abs(theta_ - nu_ * std::log(y)), bend = (up ? 1.0 : 1.5) * nu_ / y;
    const double steep = std::sqrt(slope * slope + 4.0 * kBlockChange * bend);
    const double by_change = 2.0 * kBlockChange / (slope + steep);
    const double most = std::min({by_change, y / (up ? 2.0 : 3.0), kLargestBlock});
    return most < kLeastBlock ? 0.0 : std::ldexp(1.0, std::ilogb(most));
  }

 private:
  double mode_, theta_, nu_, log_m_, log_factorial_;

  static double series(double x) {
    const double r = 1.0 / (x * x);
    return (1.0 / 12.0 - r * (1.0 / 360.0 - r * (1.0 / 1260.0 - r / 1680.0))) / x;
  }
};

// Terms upwards or downwards from the mode, the mode left out; false where there are too many.
// Where they are smooth a few nodes stand for many.
template <class S>
bool add_side(Powers& powers, double mode, double theta, double nu, bool up, S& sums) {
  const bool by_powers = std::abs(theta) < kMostExponent && nu < kMostNu;
  const double rate = by_powers ? std::exp(up ? theta : -theta) : 0.0;
  const Terms shape(mode, theta, nu);
  double y = mode, d = 0.0, g = 0.0, w = 1.0;
  for (int count = 0; up || y > 0.0; ++count) {
    if (count > kMostTerms) return false;
    const double H = shape.block(y, up);
    if (H > 0.0) {
      const BlockRule& rule = block_rule_of(H);
      const double first = up ? y + 1.0 : y - H;
      for (int k = 0; k < kNodes; ++k) {
        const Relative at = shape.at(first + rule.node[k]);
        sums.add(rule.weight[k] * std::exp(at.log), first + rule.node[k] - mode, at.g);
      }
      y += up ? H : -H;
      const Relative at = shape.at(y);
      w = std::exp(at.log), d = y - mode, g = at.g;
      if (!(w > kNegligible)) break;
      continue;
    }
    if (up) y += 1.0;
    const Powers::Of at = powers.at(y);  // of the count that is gained or lost
    if (by_powers)
      w *= rate * (up ? at.up : at.down);
    else
      w *= std::exp(up ? theta - nu * at.log : nu * at.log - theta);
    g += up ? -at.log : at.log;
    d += up ? 1.0 : -1.0;
    if (!up) y -= 1.0;
    if (!(w > kNegligible)) break;
    sums.add(w, d, g);
  }
  return true;
}

constexpr double kChoose[5][5] = {
    {1, 0, 0, 0, 0}, {1, 1, 0, 0, 0}, {1, 2, 1, 0, 0}, {1, 3, 3, 1, 0}, {1, 4, 6, 4, 1}};

// Moments around the mean from those around the mode, which is less than a standard deviation or
// one count away, so that nothing cancels.
template <int Most, bool kJoint>
void centre(const Sums<Most, kJoint>& sums, double mean, double mean_g, Moments& out) {
  double by_d[Most + 1] = {1.0}, by_g[Most + 1] = {1.0};
  for (int a = 1; a <= Most; ++a) {
    by_d[a] = -mean * by_d[a - 1];
    by_g[a] = -mean_g * by_g[a - 1];
  }
  for (int a = 0; a <= Most; ++a)
    for (int b = 0; b <= (kJoint ? Most - a : 0); ++b) {
      double sum = 0.0;
      for (int i = 0; i <= a; ++i)
        for (int j = 0; j <= b; ++j)
          sum += kChoose[a][i] * kChoose[b][j] * by_d[a - i] * by_g[b - j] * sums.of[i][j];
      out.central[a][b] = sum / sums.of[0][0];
    }
}

// Sums over the counts around the mode, outwards to where they no longer count.
template <int Most, bool kJoint>
Moments moments(double theta, double nu) {
  Moments out;
  const double peak = theta / nu;
  if (!(peak < std::log(1e8))) return out;
  thread_local Powers powers;
  powers.set(nu);
  const double mode = std::floor(std::exp(peak));
  Sums<Most, kJoint> sums;
  sums.add(1.0, 0.0, 0.0);
  for (const bool up : {true, false})
    if (!add_side(powers, mode, theta, nu, up, sums)) return out;
  const double z = sums.of[0][0], mean = sums.of[1][0] / z, mean_g = sums.of[0][1] / z;
  out.mean = mode + mean;
  if (kJoint) {
    const double g_mode = -log_gamma(mode + 1.0);
    out.log_z = mode * theta + nu * g_mode + std::log(z);
    out.mean_g = g_mode + mean_g;
  }
  centre(sums, mean, mean_g, out);
  out.is_finite = true;
  return out;
}

// What is close to linear in theta: the logarithm of the mean, or below nu = 1 its way to the
// geometric distribution of nu = 0, where theta = log(mean / (1 + mean)).
struct Scale {
  double bend;  // 1 - nu, or 0

  double at(double mean) const { return std::log(mean) - bend * std::log1p(mean); }
  double slope(double mean) const { return 1.0 / mean - bend / (1.0 + mean); }
};

// Where the mean comes close to mu: the first terms of its expansion for large rates, Gaunt,
// Iyengar, Olde Daalhuis and Simsek (2019), Ann. Inst. Stat. Math. 71, 163-180.
double first_theta(double mu, double nu, const Scale& scale) {
  // Where nu is large the counts are the two next to mu, with odds of theta - nu log(low + 1).
  const double low = std::floor(mu), to_next = nu * std::log1p(1.0 / (low + 1.0));
  if (to_next > kTwoCounts) {
    const double to_last = low > 0.0 ? nu * std::log1p(1.0 / low) : kHuge, share = mu - low;
    const double odds = share > 0.0 ? std::log(share / (1.0 - share)) : kMinusHuge;
    return nu * std::log(low + 1.0) + std::max(std::min(odds, 0.5 * to_next), -0.5 * to_last);
  }
  double rate = mu + 0.5 * (nu - 1.0) / nu;  // exp(theta / nu)
  if (!(rate > 0.5 * mu)) return scale.at(mu);
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

// Newton's method for theta on a scale on which the mean is close to linear in it; near the end one
// step of the fourth order.
ConwayMaxwell conway_maxwell_at(double log_mu, double nu, int order) {
  ConwayMaxwell out;
  const double mu = std::exp(log_mu);
  if (!(mu > 0.0) || !(mu < 1e8) || !(nu > 0.0) || !(nu < 1e8)) return out;
  const Scale scale{std::max(1.0 - nu, 0.0)};
  const double target = scale.at(mu), highest_peak = std::log(2.0 * mu + 10.0);
  double theta = first_theta(mu, nu, scale);
  double low = kMinusHuge, high = kHuge;
  for (int step = 0; step < kMostSteps; ++step) {
    // A mode so far above mu has no mean of mu, and may have a sum without end.
    const Moments m = theta > nu * highest_peak ? Moments() : moments<4, false>(theta, nu);
    if (!m.is_finite) {
      high = std::min(theta, nu * highest_peak);
      theta = low > kMinusHuge ? 0.5 * (low + high) : std::min(theta - 1.0, high - 0.1 * nu);
      continue;
    }
    const double k2 = m.central[2][0];
    if (std::abs(mu - m.mean) < kClose * std::min(k2, std::sqrt(k2))) {
      theta += series_step(m, mu);
      break;
    }
    (m.mean < mu ? low : high) = theta;
    const double gap = target - scale.at(m.mean);
    double next = theta + gap / (scale.slope(m.mean) * k2);
    if (!(next > low && next < high))
      next =
          low > kMinusHuge && high < kHuge ? 0.5 * (low + high) : theta + (gap > 0.0 ? 1.0 : -1.0);
    theta = next;
  }
  const Moments m = order < 3 ? moments<3, true>(theta, nu) : moments<4, true>(theta, nu);
  if (!m.is_finite || !(std::abs(std::log(m.mean) - log_mu) < 1e-9)) return out;
  if (!(m.central[2][0] > kNoSpread * mu)) return out;  // theta is anything
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
