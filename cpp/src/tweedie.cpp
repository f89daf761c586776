#include "ranef/tweedie.hpp"

#include <limits>
#include <type_traits>
#include <vector>

namespace ranef {
namespace {

constexpr double kNegligible = 37.0;
constexpr double kMostTerms = 20000;
// Beyond which ratios of terms may overflow.
constexpr double kMostExponent = 300.0, kMostShape = 20.0;
// Number of the largest term up to which terms are kept.
constexpr double kKept = 4096.0;

// Derivatives by A of a term's logarithm, -log Gamma(j A).
struct ByShape {
  double one, two, three;
};

// Of the term j all but z^j: log(j! Gamma(j A)), its derivatives, and its ratio to the terms after
// and before it.
struct Term {
  double log, next, before;
  ByShape by;
};

// Terms that are computed once for all rows of one A.
class Terms {
 public:
  void set(double A) {
    if (A == A_) return;
    A_ = A;
    known_.clear();
  }
  // The first terms, j of them at least: term j at j - 1.
  const Term* first(double j) {
    while (static_cast<double>(known_.size()) < j)
      known_.push_back(made(static_cast<double>(known_.size()) + 1.0));
    return known_.data();
  }
  double size() const { return static_cast<double>(known_.size()); }
  Term made(double j) const {
    const LogGamma g = log_gamma_derivatives(j * A_);
    Term out;
    out.log = log_gamma(j + 1.0) + g.value;
    out.next = std::exp(out.log - log_of(j + 1.0));
    out.before = j > 1.0 ? std::exp(out.log - log_of(j - 1.0)) : 0.0;
    out.by = {-j * g.digamma, -j * j * g.trigamma, -j * j * j * g.tetragamma};
    return out;
  }

 private:
  double A_ = -1.0;
  std::vector<Term> known_;

  double log_of(double j) const { return log_gamma(j + 1.0) + log_gamma(j * A_); }
};

// Add w exp(l x + d.one y + d.two y^2 / 2 + d.three y^3 / 6) by its Taylor coefficients.
template <int Order>
void add_exponential(double w, double l, const ByShape& d, double sum[4][4]) {
  sum[0][0] += w;
  sum[1][0] += w * l;
  sum[0][1] += w * d.one;
  if constexpr (Order >= 2) {
    const double y2 = 0.5 * (d.one * d.one + d.two);
    sum[2][0] += w * 0.5 * l * l;
    sum[1][1] += w * l * d.one;
    sum[0][2] += w * y2;
    if constexpr (Order >= 3) {
      const double y3 = (d.one * d.one * d.one + 3.0 * d.one * d.two + d.three) / 6.0;
      sum[3][0] += w * l * l * l / 6.0;
      sum[2][1] += w * 0.5 * l * l * d.one;
      sum[1][2] += w * l * y2;
      sum[0][3] += w * y3;
    }
  }
}

// Taylor coefficients of the logarithm of a series whose first coefficient is s[0][0].
void take_log(const double s[4][4], int order, double out[4][4]) {
  double x[4][4] = {};
  for (int a = 0; a <= order; ++a)
    for (int b = 0; a + b <= order; ++b) x[a][b] = s[a][b] / s[0][0];
  x[0][0] = 0.0;
  const auto product = [order](const double p[4][4], const double q[4][4], double r[4][4]) {
    for (int a = 0; a <= order; ++a)
      for (int b = 0; a + b <= order; ++b)
        for (int c = 0; c <= a; ++c)
          for (int d = 0; d <= b; ++d) r[a][b] += p[c][d] * q[a - c][b - d];
  };
  double x2[4][4] = {}, x3[4][4] = {};
  if (order >= 2) product(x, x, x2);
  if (order >= 3) product(x2, x, x3);
  for (int a = 0; a <= order; ++a)
    for (int b = 0; a + b <= order; ++b) out[a][b] = x[a][b] - 0.5 * x2[a][b] + x3[a][b] / 3.0;
  out[0][0] = std::log(s[0][0]);
}

// Calls visit(j, term, w) for the terms that count, w relative to the term j0; whether they are
// few.
template <class Visit>
bool each_term(Terms& terms, double j0, const Term& top, double log_z, double A,
               const Visit& visit) {
  const bool by_ratios = std::abs(log_z) < kMostExponent && A < kMostShape && j0 < kKept;
  const double z = by_ratios ? std::exp(log_z) : 0.0, by_z = 1.0 / z;
  const double least = std::exp(-kNegligible);
  const Term* known = by_ratios ? terms.first(j0 + 1.0) : nullptr;
  double count = 0.0, last = terms.size();
  Term spare;
  visit(j0, top, 1.0);
  for (const bool up : {true, false}) {
    double w = 1.0;
    const Term* term = &top;
    for (double j = j0 + (up ? 1.0 : -1.0); j >= 1.0; j += up ? 1.0 : -1.0) {
      if (++count > kMostTerms) return false;
      if (by_ratios) {
        w *= up ? z * term->next : by_z * term->before;
        if (!(w > least)) break;
        if (j > last) known = terms.first(2.0 * j), last = terms.size();
        term = known + static_cast<std::size_t>(j - 1.0);
      } else {
        spare = terms.made(j);
        w = std::exp((j - j0) * log_z - (spare.log - top.log));
        if (!(w > least)) break;
        term = &spare;
      }
      visit(j, *term, w);
    }
  }
  return true;
}

}  // namespace

// Terms are relative to the largest, j0, whose own exponent is added at the end: so the
// coefficients are those of differences, and lose no digits where many terms count.
TweedieSeries tweedie_at(double log_z, double A, double log_largest, int order) {
  TweedieSeries out;
  const double j0 = std::max(1.0, std::floor(std::exp(log_largest) + 0.5));
  const auto none = [&out] {
    out.taylor[0][0] = std::numeric_limits<double>::quiet_NaN();
    return out;
  };
  if (!(j0 < 1e7) || !(A > 0.0) || !(A < 1e7)) return none();
  thread_local Terms terms;
  terms.set(A);
  const Term first =
      j0 < kKept ? terms.first(j0)[static_cast<std::size_t>(j0 - 1.0)] : terms.made(j0);
  double sum[4][4] = {};
  const auto add = [&](auto order_of) {
    return each_term(terms, j0, first, log_z, A, [&](double j, const Term& term, double w) {
      add_exponential<decltype(order_of)::value>(
          w, j - j0,
          {term.by.one - first.by.one, term.by.two - first.by.two, term.by.three - first.by.three},
          sum);
    });
  };
  const bool few = order <= 1   ? add(std::integral_constant<int, 1>())
                   : order == 2 ? add(std::integral_constant<int, 2>())
                                : add(std::integral_constant<int, 3>());
  if (!few) return none();
  take_log(sum, order, out.taylor);
  out.taylor[0][0] += j0 * log_z - first.log;
  out.taylor[1][0] += j0;
  out.taylor[0][1] += first.by.one;
  out.taylor[0][2] += 0.5 * first.by.two;
  out.taylor[0][3] += first.by.three / 6.0;
  return out;
}

}  // namespace ranef
