#include "ranef/tweedie.hpp"

namespace ranef {
namespace {

constexpr double kNegligible = 37.0;
constexpr double kMostTerms = 20000;

double log_term(double j, double log_z, double A) {
  return j * log_z - log_gamma(j + 1.0) - log_gamma(j * A);
}

// Derivatives by A of a term's logarithm, -log Gamma(j A).
struct ByShape {
  double one, two, three;
};
ByShape by_shape(double j, double A) {
  const LogGamma g = log_gamma_derivatives(j * A);
  return {-j * g.digamma, -j * j * g.trigamma, -j * j * j * g.tetragamma};
}

// Add w exp(l x + d.one y + d.two y^2 / 2 + d.three y^3 / 6) by its Taylor coefficients.
void add_exponential(double w, double l, const ByShape& d, double sum[4][4]) {
  const double y2 = 0.5 * (d.one * d.one + d.two);
  const double y3 = (d.one * d.one * d.one + 3.0 * d.one * d.two + d.three) / 6.0;
  sum[0][0] += w;
  sum[1][0] += w * l;
  sum[0][1] += w * d.one;
  sum[2][0] += w * 0.5 * l * l;
  sum[1][1] += w * l * d.one;
  sum[0][2] += w * y2;
  sum[3][0] += w * l * l * l / 6.0;
  sum[2][1] += w * 0.5 * l * l * d.one;
  sum[1][2] += w * l * y2;
  sum[0][3] += w * y3;
}

// Taylor coefficients of the logarithm of a series whose first coefficient is s[0][0].
void take_log(const double s[4][4], double out[4][4]) {
  double x[4][4];
  for (int a = 0; a <= 3; ++a)
    for (int b = 0; a + b <= 3; ++b) x[a][b] = s[a][b] / s[0][0];
  x[0][0] = 0.0;
  const auto product = [](const double p[4][4], const double q[4][4], double r[4][4]) {
    for (int a = 0; a <= 3; ++a)
      for (int b = 0; a + b <= 3; ++b) {
        r[a][b] = 0.0;
        for (int c = 0; c <= a; ++c)
          for (int d = 0; d <= b; ++d) r[a][b] += p[c][d] * q[a - c][b - d];
      }
  };
  double x2[4][4], x3[4][4];
  product(x, x, x2);
  product(x2, x, x3);
  for (int a = 0; a <= 3; ++a)
    for (int b = 0; a + b <= 3; ++b) out[a][b] = x[a][b] - 0.5 * x2[a][b] + x3[a][b] / 3.0;
  out[0][0] = std::log(s[0][0]);
}

}  // namespace

// Terms are relative to the largest, j0, whose own exponent is added at the end: so the
// coefficients are those of differences, and lose no digits where many terms count.
TweedieSeries tweedie_at(double log_z, double A, double largest, bool derivatives) {
  TweedieSeries out;
  const double j0 = std::max(1.0, std::floor(largest + 0.5));
  if (!(j0 < 1e7) || !(A > 0.0) || !(A < 1e7)) {
    out.taylor[0][0] = std::numeric_limits<double>::quiet_NaN();
    return out;
  }
  const double top = log_term(j0, log_z, A);
  const ByShape at = derivatives ? by_shape(j0, A) : ByShape{0.0, 0.0, 0.0};
  double sum[4][4] = {}, count = 0.0;
  for (const double direction : {1.0, -1.0})
    for (double j = direction > 0.0 ? j0 : j0 - 1.0; j >= 1.0; j += direction) {
      const double e = log_term(j, log_z, A) - top;
      if (e < -kNegligible) break;
      if (++count > kMostTerms) {
        out.taylor[0][0] = std::numeric_limits<double>::quiet_NaN();
        return out;
      }
      if (!derivatives) {
        sum[0][0] += std::exp(e);
        continue;
      }
      const ByShape d = by_shape(j, A);
      add_exponential(std::exp(e), j - j0, {d.one - at.one, d.two - at.two, d.three - at.three},
                      sum);
    }
  if (derivatives)
    take_log(sum, out.taylor);
  else
    out.taylor[0][0] = std::log(sum[0][0]);
  out.taylor[0][0] += top;
  out.taylor[1][0] += j0;
  out.taylor[0][1] += at.one;
  out.taylor[0][2] += 0.5 * at.two;
  out.taylor[0][3] += at.three / 6.0;
  return out;
}

}  // namespace ranef
