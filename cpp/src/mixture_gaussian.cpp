// Classes of normal growth curves, from the cross products of each unit.
#include <cmath>

#include "ranef/dense.hpp"
#include "ranef/mixture.hpp"

namespace ranef {

namespace {

constexpr double kLog2Pi = 1.8378770664093454835606594728112;

using Small = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor, 4, 4>;
using Short = Eigen::Matrix<double, Eigen::Dynamic, 1, Eigen::ColMajor, 4, 1>;

// Units whose X'X is the same: those that were observed at the same times.
struct Pattern {
  Small A;  // (p, p) X'X
  double n = 0.0;
  std::vector<Index> units;
};

// With V = sigma2 (I + Z L L' Z' / sigma2) and M = I + L' Z'Z L / sigma2:
//   log|V| = n log sigma2 + log|M|,  V^-1 = (I - Z P Z' / sigma2) / sigma2,  P = L M^-1 L'.
struct Class {
  Short beta;
  Small L;
  double variance = 1.0;
};

// What a class makes of a pattern.
struct Inner {
  Small P;  // (r, r)
  double logdet = 0.0;
};

class GaussianClasses final : public MixtureFamily {
 public:
  GaussianClasses(const MixtureRows& rows, const MixtureLayout& layout, bool equal, double smallest)
      : layout_(layout),
        equal_(equal),
        smallest_(smallest),
        c_(layout.p, rows.units()),
        q_(rows.units()) {
    for (Index u = 0; u < rows.units(); ++u) {
      const Index from = rows.start[u], n = rows.start[u + 1] - from;
      const auto X = rows.X.middleRows(from, n);
      const auto y = rows.y.segment(from, n);
      c_.col(u) = crossprod(X, y);
      q_(u) = y.squaredNorm();
      pattern_of(crossprod(X, X), n).units.push_back(u);
    }
  }

  void density(const Vector& at, Matrix& D) const override {
    for (Index k = 0; k < layout_.classes; ++k) {
      const Class now = read(at, k);
      for (const Pattern& pattern : patterns_) {
        const Inner inner = inner_of(pattern, now);
        const double constant =
            -0.5 * (pattern.n * (kLog2Pi + std::log(now.variance)) + inner.logdet);
        const Short Ab = pattern.A.lazyProduct(now.beta);
        const double bAb = now.beta.dot(Ab);
        for (const Index u : pattern.units) {
          double squares = q_(u) + bAb, left[4];
          for (Index i = 0; i < layout_.p; ++i) {
            squares -= 2.0 * now.beta(i) * c_(i, u);
            left[i] = c_(i, u) - Ab(i);
          }
          for (Index i = 0; i < layout_.r; ++i)
            for (Index j = 0; j < layout_.r; ++j)
              squares -= left[i] * inner.P(i, j) * left[j] / now.variance;
          D(u, k) = constant - 0.5 * squares / now.variance;
        }
      }
    }
  }

  MixtureStatus maximise(const Matrix& R, const Vector& at, Vector& next) const override {
    const Index K = layout_.classes, r = layout_.r;
    double squares = 0.0, rows = 0.0;
    Small spread = Small::Zero(r, r);
    for (Index k = 0; k < K; ++k) {
      Class now = read(at, k);
      if (!solve_beta(R, k, now)) return MixtureStatus::empty;
      next.segment(layout_.beta(k), layout_.p) = now.beta;
      const Sums sums = expected(R, k, now);
      squares += sums.squares;
      rows += sums.rows;
      spread += sums.spread;
      if (!equal_) write(next, k, sums.squares / sums.rows, sums.spread / sums.units);
    }
    if (equal_)
      for (Index k = 0; k < K; ++k)
        write(next, k, squares / rows, spread / static_cast<double>(R.rows()));
    for (Index k = 0; k < K; ++k)
      if (!(std::exp(next(layout_.log_variance(k))) > smallest_)) return MixtureStatus::collapsed;
    return MixtureStatus::converged;
  }

 private:
  MixtureLayout layout_;
  bool equal_;
  double smallest_;
  Matrix c_;  // (p, units) X'y
  Vector q_;  // (units,) y'y
  std::vector<Pattern> patterns_;

  Pattern& pattern_of(const Small& A, Index n) {
    for (Pattern& known : patterns_)
      if (known.n == static_cast<double>(n) && known.A == A) return known;
    patterns_.push_back({A, static_cast<double>(n), {}});
    return patterns_.back();
  }

  Class read(const Vector& at, Index k) const {
    Class out;
    out.beta = at.segment(layout_.beta(k), layout_.p);
    out.variance = std::exp(at(layout_.log_variance(k)));
    out.L = Small::Zero(layout_.r, layout_.r);
    Index place = layout_.root(k);
    for (Index i = 0; i < layout_.r; ++i)
      for (Index j = 0; j <= i; ++j) out.L(i, j) = at(place++);
    return out;
  }

  // The variance, and the Cholesky root of Psi, with zero columns where it is singular.
  void write(Vector& next, Index k, double variance, const Small& psi) const {
    next(layout_.log_variance(k)) = std::log(variance);
    Small L = psi;
    Index place = layout_.root(k);
    for (Index i = 0; i < layout_.r; ++i)
      for (Index j = 0; j <= i; ++j) {
        double left = psi(i, j);
        for (Index m = 0; m < j; ++m) left -= L(i, m) * L(j, m);
        if (i == j) {
          L(i, i) = std::sqrt(std::max(left, 0.0));
        } else {
          L(i, j) = L(j, j) > 0.0 ? left / L(j, j) : 0.0;
        }
        next(place++) = L(i, j);
      }
  }

  Inner inner_of(const Pattern& pattern, const Class& now) const {
    const Index r = layout_.r;
    Inner out;
    if (r == 0) return out;
    const Small AL = pattern.A.topLeftCorner(r, r).lazyProduct(now.L);
    Small M = now.L.transpose().lazyProduct(AL);
    M /= now.variance;
    M.diagonal().array() += 1.0;
    const Eigen::LLT<Small> factor(M);
    Small half = now.L.transpose();
    factor.matrixL().solveInPlace(half);
    out.P = half.transpose().lazyProduct(half);
    for (Index i = 0; i < r; ++i) out.logdet += 2.0 * std::log(factor.matrixLLT()(i, i));
    return out;
  }

  // beta_k = (sum R X'V^-1 X)^-1 sum R X'V^-1 y.
  bool solve_beta(const Matrix& R, Index k, Class& now) const {
    const Index p = layout_.p, r = layout_.r;
    Small H = Small::Zero(p, p);
    Short g = Short::Zero(p);
    for (const Pattern& pattern : patterns_) {
      double weight = 0.0;
      Short c = Short::Zero(p);
      for (const Index u : pattern.units) {
        weight += R(u, k);
        for (Index i = 0; i < p; ++i) c(i) += R(u, k) * c_(i, u);
      }
      H += weight * pattern.A;
      g += c;
      if (r == 0) continue;
      const Small P = inner_of(pattern, now).P / now.variance;
      const Small AzP = pattern.A.leftCols(r).lazyProduct(P);
      H -= weight * AzP.lazyProduct(pattern.A.topRows(r));
      g -= AzP.lazyProduct(c.head(r));
    }
    const Eigen::LDLT<Matrix> solver{Matrix(H)};
    const Vector D = solver.vectorD();
    if (!(D.minCoeff() > 1e-12 * D.maxCoeff())) return false;
    now.beta = solver.solve(Vector(g));
    return now.beta.allFinite();
  }

  struct Sums {
    double squares = 0.0, rows = 0.0, units = 0.0;
    Small spread;
  };

  // Expected squares of errors, and of random effects b, given the rows: with d = Z'(y - X beta)
  // E b = P d / sigma2 and cov b = P.
  Sums expected(const Matrix& R, Index k, const Class& now) const {
    const Index p = layout_.p, r = layout_.r;
    Sums out;
    out.spread = Small::Zero(r, r);
    for (const Pattern& pattern : patterns_) {
      const Short Ab = pattern.A.lazyProduct(now.beta);
      const double bAb = now.beta.dot(Ab);
      Small S = Small::Zero(r, r);  // sum R d d'
      double weight = 0.0;
      for (const Index u : pattern.units) {
        double squares = q_(u) + bAb, left[4];
        for (Index i = 0; i < p; ++i) {
          squares -= 2.0 * now.beta(i) * c_(i, u);
          left[i] = c_(i, u) - Ab(i);
        }
        weight += R(u, k);
        out.squares += R(u, k) * squares;
        for (Index i = 0; i < r; ++i)
          for (Index j = 0; j < r; ++j) S(i, j) += R(u, k) * left[i] * left[j];
      }
      out.rows += weight * pattern.n;
      out.units += weight;
      if (r == 0) continue;
      const Small P = inner_of(pattern, now).P;
      const Small SP = S.lazyProduct(P) / (now.variance * now.variance);
      const Small second = weight * P + P.lazyProduct(SP);
      out.spread += second;
      out.squares += pattern.A.topLeftCorner(r, r).cwiseProduct(second).sum() -
                     2.0 * P.cwiseProduct(S).sum() / now.variance;
    }
    return out;
  }
};

}  // namespace

std::unique_ptr<MixtureFamily> gaussian_classes(const MixtureRows& rows,
                                                const MixtureLayout& layout, bool equal,
                                                double smallest) {
  return std::make_unique<GaussianClasses>(rows, layout, equal, smallest);
}

}  // namespace ranef
