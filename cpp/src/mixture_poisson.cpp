// Classes of Poisson growth curves.
#include <cmath>

#include "ranef/mixture.hpp"

namespace ranef {

namespace {

// Newton steps of one maximisation, the longest of them, and where the linear predictor ends.
constexpr int kSteps = 25;
constexpr double kLongest = 3.0, kEnd = 30.0;

using Small = Eigen::Matrix<double, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor, 4, 4>;
using Short = Eigen::Matrix<double, Eigen::Dynamic, 1, Eigen::ColMajor, 4, 1>;

class PoissonClasses final : public MixtureFamily {
 public:
  PoissonClasses(const MixtureRows& rows, const MixtureLayout& layout)
      : layout_(layout), rows_(rows), constant_(Vector::Zero(rows.units())) {
    for (Index u = 0; u < rows.units(); ++u)
      for (Index i = rows.start[u]; i < rows.start[u + 1]; ++i)
        constant_(u) -= std::lgamma(rows.y(i) + 1.0);
  }

  void density(const Vector& at, Matrix& D) const override {
    for (Index k = 0; k < layout_.classes; ++k) {
      const Short beta = at.segment(layout_.beta(k), layout_.p);
      D.col(k) = constant_;
      for (Index u = 0; u < rows_.units(); ++u)
        for (Index i = rows_.start[u]; i < rows_.start[u + 1]; ++i) {
          const double eta = bounded(rows_.X.row(i).dot(beta));
          D(u, k) += rows_.y(i) * eta - std::exp(eta);
        }
    }
  }

  MixtureStatus maximise(const Matrix& R, const Vector& at, Vector& next) const override {
    for (Index k = 0; k < layout_.classes; ++k) {
      Short beta = at.segment(layout_.beta(k), layout_.p);
      if (!newton(R, k, beta)) return MixtureStatus::empty;
      next.segment(layout_.beta(k), layout_.p) = beta;
    }
    return MixtureStatus::converged;
  }

 private:
  MixtureLayout layout_;
  const MixtureRows& rows_;
  Vector constant_;

  static double bounded(double eta) { return std::min(std::max(eta, -kEnd), kEnd); }

  // Value, gradient and curvature of sum_u R_uk log f_k(y_u), without constants.
  double evaluate(const Matrix& R, Index k, const Short& beta, Short& g, Small& H) const {
    g.setZero(layout_.p);
    H.setZero(layout_.p, layout_.p);
    double value = 0.0;
    for (Index u = 0; u < rows_.units(); ++u) {
      const double weight = R(u, k);
      if (weight < 1e-300) continue;
      for (Index i = rows_.start[u]; i < rows_.start[u + 1]; ++i) {
        const Short x = rows_.X.row(i).transpose();
        const double eta = bounded(x.dot(beta)), mu = std::exp(eta);
        value += weight * (rows_.y(i) * eta - mu);
        g += weight * (rows_.y(i) - mu) * x;
        for (Index b = 0; b < layout_.p; ++b) H.col(b) += (weight * mu * x(b)) * x;
      }
    }
    return value;
  }

  bool newton(const Matrix& R, Index k, Short& beta) const {
    Short g(layout_.p), g_new(layout_.p);
    Small H(layout_.p, layout_.p), H_new(layout_.p, layout_.p);
    double value = evaluate(R, k, beta, g, H);
    for (int i = 0; i < kSteps; ++i) {
      H.diagonal().array() += 1e-12 * (1.0 + H.trace());
      const Eigen::LDLT<Matrix> solver{Matrix(H)};
      if (!(solver.vectorD().minCoeff() > 0.0)) return false;
      Short step = solver.solve(Vector(g));
      const double gain = step.dot(g), longest = step.cwiseAbs().maxCoeff();
      if (!std::isfinite(gain)) return false;
      if (gain < 1e-13 * (1.0 + std::abs(value))) return true;
      if (longest > kLongest) step *= kLongest / longest;
      bool better = false;
      for (int half = 0; half < 30 && !better; ++half, step *= 0.5) {
        const double tried = evaluate(R, k, beta + step, g_new, H_new);
        better = tried >= value;
        if (better) {
          beta += step;
          value = tried;
          g = g_new;
          H = H_new;
        }
      }
      if (!better) return true;
    }
    return true;
  }
};

}  // namespace

std::unique_ptr<MixtureFamily> poisson_classes(const MixtureRows& rows,
                                               const MixtureLayout& layout) {
  return std::make_unique<PoissonClasses>(rows, layout);
}

}  // namespace ranef
