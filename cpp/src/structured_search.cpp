#include "ranef/structured_search.hpp"

#include <algorithm>
#include <cmath>

#include "ranef/quadratic.hpp"

namespace ranef {
namespace {

// Steps of differences, for parameters of order one: forward in the search, central at its end.
constexpr double kForward = 1e-6, kCentral = 1e-4;
// Directions with a smaller relative standard deviation are tried at exactly zero.
constexpr double kSnap = 0.02;
// A gradient this small beside the curvature does not show the way off a saddle.
constexpr double kFlat = 1e-7;
// A Hessian serves once more where it foretold the change of the gradient up to this share.
constexpr double kForetold = 0.3;
// A step from where less than this is promised is the last: what it leaves is of second order.
constexpr double kLast = 1e-7;
constexpr int kAttempts = 40;

class Search {
 public:
  Search(Structured& model, bool reml, const SearchSettings& settings)
      : model_(model), reml_(reml), settings_(settings), trial_(model.n_parameters()) {}

  StructuredFit run(const Vector& start) {
    fit_ = StructuredFit();
    psi_ = start;
    descend();
    for (Index t = 0; t < model_.n_terms(); ++t) snap(t);
    // A direction that was put to zero may have been on its way to another place.
    if (fit_.status == Status::kConverged) descend();
    for (Index t = 0; t < model_.n_terms(); ++t)
      model_.set_lambda(t, lower_factor(model_.lambda(t, psi_)), psi_);
    return finish();
  }

 private:
  Structured& model_;
  bool reml_;
  SearchSettings settings_;
  StructuredFit fit_;
  Vector psi_, trial_, psi_before_,
      g_;  // here; tried; before the last step, and the gradient there
  Matrix H_;
  bool stands_ = false;  // H_ may serve once more
  double value_ = 0.0;

  double value(const Vector& psi) {
    ++fit_.n_objective;
    model_.evaluate(psi, reml_);
    return model_.point().objective;
  }

  Vector gradient(const Vector& psi) {
    Vector g = Vector::Zero(psi.size());
    if (value(psi) < kInfeasible) model_.gradient(g);
    ++fit_.n_gradient;
    return g;
  }

  Matrix forward_hessian(const Vector& g) {
    const Index m = psi_.size();
    Matrix H(m, m);
    for (Index a = 0; a < m; ++a) {
      trial_ = psi_;
      trial_(a) += kForward;
      H.col(a) = (gradient(trial_) - g) / kForward;
    }
    return 0.5 * (H + H.transpose());
  }

  double tolerance() const { return std::max(settings_.tolerance, 1e-14 * std::abs(value_)); }

  void descend() {
    value_ = value(psi_);
    for (int i = 0; value_ >= kInfeasible && i < kAttempts; ++i) value_ = value(psi_ *= 0.5);
    if (value_ >= kInfeasible) return;
    if (psi_.size() == 0) {  // least squares
      fit_.status = Status::kConverged;
      return;
    }
    double radius = std::max(1.0, 0.5 * psi_.norm());
    stands_ = false;
    for (int step = 0; step < settings_.max_steps; ++step) {
      if (model_.point().rss < 1e-20 * double(model_.n_obs())) {
        fit_.status = Status::kPerfectFit;
        return;
      }
      const Vector g = gradient(psi_);
      if (step > 0) secant(g);
      const bool is_fresh = !stands_;
      if (is_fresh) H_ = forward_hessian(g);
      stands_ = true;
      g_ = g;
      const Quadratic quadratic(g, H_);
      fit_.status = Status::kConverged;
      const bool bends = quadratic.lowest() < -1e-6 * std::max(1.0, quadratic.highest());
      if (!bends && quadratic.decrement() < tolerance()) return;
      const bool is_last = !bends && quadratic.decrement() < kLast;
      if (!advance(quadratic, g, radius, bends)) {
        if (quadratic.decrement() < 1e-6) return;
        if (is_fresh) {
          fit_.status = Status::kStalled;
          return;
        }
        stands_ = false;
        psi_before_ = psi_;
      } else if (is_last) {
        return;
      }
    }
    fit_.status = Status::kStepLimit;
  }

  // Keep a Hessian that foretold the last gradient, with what it missed as a term of rank one.
  void secant(const Vector& g) {
    const Vector moved = psi_ - psi_before_, missed = g - g_ - H_ * moved;
    const double along = missed.dot(moved);
    stands_ = stands_ && missed.norm() < kForetold * (g_ - g).norm();
    if (stands_ && std::abs(along) > 1e-8 * missed.norm() * moved.norm())
      H_ += missed * missed.transpose() / along;
  }

  // One step down; false when none is found.
  bool advance(const Quadratic& quadratic, const Vector& g, double& radius, bool bends) {
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
      QuadraticStep step = quadratic.minimise(radius);
      if (bends && g.norm() < kFlat * std::abs(quadratic.lowest())) {  // off a saddle
        step.s = radius * quadratic.downward();
        step.predicted = -0.5 * quadratic.lowest() * radius * radius;
      }
      trial_ = psi_ + step.s;
      const Vector tried = trial_;
      const double reached = value(tried);
      const double ratio = (value_ - reached) / std::max(step.predicted, 1e-300);
      if (reached < value_ && ratio > 1e-4) {
        psi_before_ = psi_;
        psi_ = tried;
        value_ = reached;
        if (ratio > 0.75 && !step.inside) radius *= 2.5;
        if (ratio < 0.25) radius = 0.5 * step.s.norm();
        return true;
      }
      if (step.predicted < tolerance()) return false;
      radius = 0.25 * step.s.norm();
    }
    return false;
  }

  // Put directions of Sigma_t that are all but zero at zero where the objective does not object.
  void snap(Index t) {
    const std::vector<int>& blocks = model_.blocks(t);
    for (int block = 0; block <= *std::max_element(blocks.begin(), blocks.end()); ++block) {
      std::vector<int> columns;
      for (int j = 0; j < static_cast<int>(blocks.size()); ++j)
        if (blocks[static_cast<std::size_t>(j)] == block) columns.push_back(j);
      const Matrix whole = model_.lambda(t, psi_)(columns, columns);
      const Eigen::SelfAdjointEigenSolver<Matrix> eigen(Matrix(whole * whole.transpose()));
      for (Index i = 0; i < whole.cols(); ++i) {
        const double variance = eigen.eigenvalues()(i);
        if (variance <= 0.0 || variance > kSnap * kSnap) continue;
        const Vector v = eigen.eigenvectors().col(i);
        Matrix lambda = model_.lambda(t, psi_);
        const Matrix part = lambda(columns, columns);
        lambda(columns, columns) = lower_factor(part - v * (v.transpose() * part));
        Vector moved = psi_;
        model_.set_lambda(t, lambda, moved);
        const double reached = value(moved);
        if (reached > value_ + tolerance()) continue;
        psi_ = moved;
        value_ = reached;
      }
    }
  }

  StructuredFit finish() {
    fit_.psi = psi_;
    fit_.hessian = structured_hessian(model_, psi_, reml_);
    fit_.gradient = gradient(psi_);
    fit_.point = model_.point();
    if (psi_.size() == 0) return fit_;
    const Quadratic quadratic(fit_.gradient, fit_.hessian);
    fit_.decrement = quadratic.decrement();
    fit_.lowest = quadratic.lowest();
    fit_.highest = quadratic.highest();
    return fit_;
  }
};

}  // namespace

Matrix structured_hessian(Structured& model, const Vector& psi, bool reml) {
  const Index m = psi.size();
  Matrix H = Matrix::Zero(m, m);
  Vector up = Vector::Zero(m), down = Vector::Zero(m);
  for (Index a = 0; a < m; ++a) {
    Vector at = psi;
    at(a) = psi(a) + kCentral;
    if (!model.evaluate(at, reml)) continue;
    model.gradient(up);
    at(a) = psi(a) - kCentral;
    if (!model.evaluate(at, reml)) continue;
    model.gradient(down);
    H.col(a) = (up - down) / (2.0 * kCentral);
  }
  return 0.5 * (H + H.transpose());
}

StructuredFit structured_fit(Structured& model, const std::vector<Vector>& starts, bool reml,
                             const SearchSettings& settings) {
  Search search(model, reml, settings);
  StructuredFit best;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    StructuredFit fit = search.run(starts[i]);
    const int objectives = best.n_objective + fit.n_objective;
    const int gradients = best.n_gradient + fit.n_gradient;
    if (i == 0 || fit.point.objective < best.point.objective - 1e-9) best = std::move(fit);
    best.n_objective = objectives;
    best.n_gradient = gradients;
  }
  return best;
}

}  // namespace ranef
