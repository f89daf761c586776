#include "ranef/search.hpp"

#include <algorithm>
#include <cmath>

#include "ranef/interrupt.hpp"
#include "ranef/quadratic.hpp"

namespace ranef {
namespace {

// Relative standard deviation below which derivatives are taken a ridge away from the boundary.
constexpr double kRidge = 1e-4;
// Directions with a smaller relative standard deviation are tried at exactly zero.
constexpr double kSnap = 0.02;
constexpr int kMaxRestarts = 6;
// A predicted decrease of this share of the tolerance is not worth another evaluation.
constexpr double kNothing = 1e-3;
// A step is the last where what it leaves is expected to be this share of the tolerance. Average
// information converges linearly at a small rate: the next predicted decrease is to the present one
// as that is to the one before, with a margin; kRate is expected before a rate is known.
constexpr double kLeft = 0.1;
constexpr double kRate = 1e-2;
constexpr double kRateMargin = 3.0;
// No step is the last from a point that promises more than this.
constexpr double kShort = 1e-4;
// Share of a predicted decrease by which the objective may differ from it for the model to hold.
constexpr double kAgreement = 0.1;
// The residual sum of squares is what a sum of n, the response's, leaves: rounding is such a share
// of n in it (its standard deviation, measured, a fifth of that), and below kNoResidual of n there
// is nothing else in it.
constexpr double kRounding = 4e-16;
constexpr double kNoResidual = 1e-12;
// Share of a known Sigma, or of this times sigma^2, within which a minimum is at the known place.
constexpr double kSamePlace = 0.1;

using Lambdas = std::vector<Matrix>;

Vector pack(const LeastSquares& pls, const Lambdas& lambda) {
  const auto& parameters = pls.parameters();
  Vector theta(static_cast<Index>(parameters.size()));
  for (std::size_t a = 0; a < parameters.size(); ++a)
    theta(static_cast<Index>(a)) = lambda[parameters[a].term](parameters[a].i, parameters[a].j);
  return theta;
}

Lambdas unpack(const LeastSquares& pls, const Vector& theta) {
  Lambdas lambda;
  for (std::size_t t = 0; t < pls.n_terms(); ++t)
    lambda.push_back(Matrix::Zero(pls.k(t), pls.k(t)));
  const auto& parameters = pls.parameters();
  for (std::size_t a = 0; a < parameters.size(); ++a)
    lambda[parameters[a].term](parameters[a].i, parameters[a].j) = theta(static_cast<Index>(a));
  return lambda;
}

bool near_boundary(const Matrix& lambda) {
  if (lambda.cols() == 1) return std::abs(lambda(0, 0)) < kRidge;
  return Eigen::JacobiSVD<Matrix>(lambda).singularValues().minCoeff() < kRidge;
}

class Search {
 public:
  Search(LeastSquares& pls, bool reml, const SearchSettings& settings, const SearchResult* known)
      : pls_(pls), reml_(reml), settings_(settings), nu_(pls.degrees(reml)), known_(known) {}

  SearchResult run(const Lambdas& start) {
    Vector theta = pack(pls_, start);
    for (int restart = 0;; ++restart) {
      descend(theta);
      if (result_.is_known) return result_;
      Lambdas lambda = unpack(pls_, theta);
      for (Matrix& block : lambda) block = lower_factor(block);
      snap(lambda);
      theta = pack(pls_, lambda);
      if (result_.status != Status::kConverged || restart == kMaxRestarts) break;
      if (!step_off(lambda)) break;
      theta = pack(pls_, lambda);
    }
    result_.lambda = unpack(pls_, theta);
    result_.objective = current_;
    if (!stands_) {
      result_.objective = pls_.objective(result_.lambda, reml_);
      ++result_.n_objective;
    }
    return result_;
  }

 private:
  LeastSquares& pls_;
  bool reml_;
  SearchSettings settings_;
  double nu_;
  const SearchResult* known_;
  SearchResult result_;
  Derivatives derivatives_;
  Objective current_;
  bool stands_ = false;  // the factor is that of current_, and no ridge is in it

  Objective value(const Vector& theta) {
    pause();
    ++result_.n_objective;
    const Lambdas lambda = unpack(pls_, theta);
    stands_ = std::none_of(lambda.begin() + 1, lambda.end(), near_boundary);
    return pls_.objective(with_ridge(lambda), reml_);
  }

  double tolerance() const {
    return std::max(settings_.tolerance, kRounding * std::abs(current_.value));
  }

  // A difference of objectives that rounding may make. The gradient is known better.
  double rounding() const {
    const double n = static_cast<double>(pls_.n_obs());
    return std::max(tolerance(), kRounding * nu_ * n / current_.pwrss);
  }

  // Newton steps until the model predicts no decrease worth having.
  void descend(Vector& theta) {
    current_ = value(theta);
    for (int i = 0; current_.value >= kInfeasible && i < 40; ++i) current_ = value(theta *= 0.5);
    if (current_.value >= kInfeasible) {
      result_.status = Status::kStalled;
      return;
    }
    double radius = 0.5 * std::max(1.0, theta.norm()), before = 0.0;
    for (int step = 0; step < settings_.max_steps; ++step) {
      pls_.derivatives(reml_, derivatives_);
      ++result_.n_gradient;
      const Lambdas lambda = unpack(pls_, theta);
      const Quadratic model(gradient_by_lambda(pls_, lambda, derivatives_),
                            hessian_by_lambda(pls_, lambda, derivatives_, nu_));
      const double decrement = model.decrement();
      result_.decrement = decrement;
      result_.path.push_back({current_.value, decrement, radius});
      if (current_.pwrss < kNoResidual * static_cast<double>(pls_.n_obs())) {
        result_.status = Status::kPerfectFit;
        return;
      }
      stands_ = false;
      if (decrement < kNothing * tolerance()) {
        result_.status = Status::kConverged;
        return;
      }
      if (known_ && leads_to_known(model, theta, radius)) {
        result_.is_known = true;
        return;
      }
      const double rate = before > 0.0 ? std::min(1.0, kRateMargin * decrement / before) : kRate;
      const double left = decrement * rate;
      const bool still = decrement < rounding() && rate > 0.5;  // rounding is all that moves
      const bool last = still || (decrement < kShort && left < kLeft * tolerance());
      const Advance done = advance(model, theta, radius, decrement < tolerance());
      if (done == Advance::kNone) {
        result_.status = decrement < rounding() ? Status::kConverged : Status::kStalled;
        return;
      }
      if (last && (done == Advance::kAsPredicted || decrement < rounding())) {
        result_.decrement = left;
        result_.status = Status::kConverged;
        return;
      }
      before = done == Advance::kAsPredicted ? decrement : 0.0;
    }
    result_.status = Status::kStepLimit;
  }

  // Whether the model has its minimum inside the radius and at the known optimum.
  bool leads_to_known(const Quadratic& model, const Vector& theta, double radius) const {
    const QuadraticStep step = model.minimise(radius);
    if (!step.inside) return false;
    const double height = current_.value - step.predicted - known_->objective.value;
    if (std::abs(height) > kAgreement * step.predicted + tolerance()) return false;
    const Lambdas lambda = unpack(pls_, theta + step.s);
    for (std::size_t t = 0; t < lambda.size(); ++t) {
      const Matrix known = known_->lambda[t] * known_->lambda[t].transpose();
      const double away = (lambda[t] * lambda[t].transpose() - known).norm();
      if (away > kSamePlace * std::max(kSamePlace, known.norm())) return false;
    }
    return true;
  }

  enum class Advance { kNone, kSome, kAsPredicted };

  // One accepted step, and whether it was a Newton step that did as the model said; kNone when no
  // step down is found.
  Advance advance(const Quadratic& model, Vector& theta, double& radius, bool once) {
    for (int attempt = 0; attempt < (once ? 1 : 40); ++attempt) {
      const QuadraticStep step = model.minimise(radius);
      const Objective trial = value(theta + step.s);
      const double ratio = (current_.value - trial.value) / std::max(step.predicted, 1e-300);
      const bool blind =
          step.inside && step.predicted < rounding() && trial.value < current_.value + rounding();
      if (blind || (trial.value < current_.value && (ratio > 1e-4 || once))) {
        theta += step.s;
        current_ = trial;
        if (ratio > 0.75 && !step.inside) radius *= 2.5;
        if (ratio < 0.25 && !blind) radius = 0.5 * step.s.norm();
        const double noise = 100.0 * rounding() / std::max(step.predicted, 1e-300);
        const bool agrees = std::abs(ratio - 1.0) < std::max(kAgreement, noise);
        return step.inside && agrees ? Advance::kAsPredicted : Advance::kSome;
      }
      stands_ = false;
      if (step.predicted < tolerance()) return Advance::kNone;
      radius = 0.25 * step.s.norm();
    }
    return Advance::kNone;
  }

  // Put directions that are all but zero at zero where the objective does not object.
  void snap(Lambdas& lambda) {
    for (std::size_t t = 0; t < lambda.size(); ++t)
      for (const std::vector<int>& columns : pls_.block_columns(t)) {
        const Matrix whole = lambda[t](columns, columns);
        const Eigen::SelfAdjointEigenSolver<Matrix> eigen(Matrix(whole * whole.transpose()));
        for (Index i = 0; i < whole.cols(); ++i) {
          const double variance = eigen.eigenvalues()(i);
          if (variance <= 0.0 || variance > kSnap * kSnap) continue;
          const Vector v = eigen.eigenvectors().col(i);
          const Matrix before = lambda[t];
          const Matrix sub = before(columns, columns);
          lambda[t](columns, columns) = lower_factor(sub - v * (v.transpose() * sub));
          stands_ = false;
          ++result_.n_objective;
          const Objective trial = pls_.objective(lambda, reml_);
          if (trial.value <= current_.value + tolerance())
            current_ = trial;
          else
            lambda[t] = before;
        }
      }
  }

  // Where the score along a null direction of Sigma_t is negative, zero is not the optimum: move.
  bool step_off(Lambdas& lambda) {
    result_.cone = 0.0;
    bool singular = false;
    for (const Matrix& block : lambda) singular = singular || near_boundary(block);
    if (!singular) return false;
    current_ = value(pack(pls_, lambda));
    stands_ = false;
    pls_.derivatives(reml_, derivatives_);
    ++result_.n_gradient;
    std::size_t worst = 0;
    Vector direction;
    for (std::size_t t = 0; t < lambda.size(); ++t)
      for (const std::vector<int>& columns : pls_.block_columns(t)) {
        const Matrix N = null_space(lambda[t](columns, columns));
        if (N.cols() == 0) continue;
        const Matrix S = derivatives_.S[t](columns, columns);
        const Eigen::SelfAdjointEigenSolver<Matrix> eigen(Matrix(N.transpose() * S * N));
        if (eigen.eigenvalues()(0) >= result_.cone) continue;
        result_.cone = eigen.eigenvalues()(0);
        worst = t;
        direction = Vector::Zero(lambda[t].rows());
        direction(columns) = N * eigen.eigenvectors().col(0);
      }
    if (direction.size() == 0) return false;
    // d(Sigma + e v v') is about cone * e: find an e that shows a decrease worth having.
    const Matrix Sigma = lambda[worst] * lambda[worst].transpose();
    for (double e = 1.0; e > 1e-10; e *= 0.25) {
      if (-result_.cone * e < tolerance()) return false;
      Lambdas moved = lambda;
      Matrix B(Sigma.rows(), Sigma.cols() + 1);
      B << lambda[worst], std::sqrt(e) * direction;
      moved[worst] = lower_factor(B);
      stands_ = false;
      ++result_.n_objective;
      const Objective trial = pls_.objective(moved, reml_);
      if (trial.value < current_.value - tolerance()) {
        lambda = moved;
        return true;
      }
    }
    return false;
  }

  static Matrix null_space(const Matrix& lambda) {
    const Eigen::SelfAdjointEigenSolver<Matrix> eigen(Matrix(lambda * lambda.transpose()));
    Index count = 0;
    while (count < lambda.cols() && eigen.eigenvalues()(count) < kRidge * kRidge) ++count;
    return eigen.eigenvectors().leftCols(count);
  }
};

}  // namespace

Matrix lower_factor(const Matrix& B) {
  const Index k = B.rows();
  if (k == 1) return Matrix::Constant(1, 1, B.norm());
  // B B' = L L' with L' the triangle of B' = Q L'. A row of zeros (or of another block) stays
  // apart.
  const Eigen::HouseholderQR<Matrix> qr(B.transpose());
  Matrix L =
      qr.matrixQR().topRows(std::min(k, B.cols())).triangularView<Eigen::Upper>().transpose();
  if (L.cols() < k) L.conservativeResize(Eigen::NoChange, k);
  for (Index j = 0; j < k; ++j)
    if (L(j, j) < 0.0) L.col(j) *= -1.0;
  return L;
}

Vector gradient_by_lambda(const LeastSquares& pls, const std::vector<Matrix>& lambda,
                          const Derivatives& derivatives) {
  const auto& parameters = pls.parameters();
  std::vector<Matrix> product(lambda.size());
  for (std::size_t t = 0; t < lambda.size(); ++t) product[t] = 2.0 * derivatives.S[t] * lambda[t];
  Vector g(static_cast<Index>(parameters.size()));
  for (std::size_t a = 0; a < parameters.size(); ++a)
    g(static_cast<Index>(a)) = product[parameters[a].term](parameters[a].i, parameters[a].j);
  return g;
}

Matrix covariance_jacobian(const LeastSquares& pls, const std::vector<Matrix>& lambda) {
  const auto& parameters = pls.parameters();
  const Index m = static_cast<Index>(parameters.size());
  Matrix J = Matrix::Zero(m, m);
  for (Index a = 0; a < m; ++a)
    for (Index b = 0; b < m; ++b) {
      const Parameter& sigma = parameters[a];
      const Parameter& by = parameters[b];
      if (sigma.term != by.term) continue;
      const Matrix& L = lambda[by.term];
      if (sigma.i == by.i) J(a, b) += L(sigma.j, by.j);
      if (sigma.j == by.i) J(a, b) += L(sigma.i, by.j);
    }
  return J;
}

Matrix hessian_by_lambda(const LeastSquares& pls, const std::vector<Matrix>& lambda,
                         const Derivatives& derivatives, double nu) {
  const auto& parameters = pls.parameters();
  const Index m = static_cast<Index>(parameters.size());
  const Matrix J = covariance_jacobian(pls, lambda);
  Matrix H = Matrix::Zero(m, m);
  for (Index a = 0; a < m; ++a)
    for (Index b = 0; b < m; ++b)
      if (parameters[a].term == parameters[b].term && parameters[a].j == parameters[b].j)
        H(a, b) = 2.0 * derivatives.S[parameters[a].term](parameters[a].i, parameters[b].i);
  const Matrix middle =
      derivatives.information - derivatives.quadratic * derivatives.quadratic.transpose() / nu;
  H.noalias() += J.transpose() * middle * J;
  return 0.5 * (H + H.transpose());
}

std::vector<Matrix> with_ridge(const std::vector<Matrix>& lambda) {
  std::vector<Matrix> out = lambda;
  for (std::size_t t = 1; t < out.size(); ++t) {
    if (!near_boundary(out[t])) continue;
    const Index k = out[t].cols();
    Matrix B(k, 2 * k);
    B << out[t], kRidge * Matrix::Identity(k, k);
    out[t] = lower_factor(B);
  }
  return out;
}

SearchResult search(LeastSquares& pls, const std::vector<Matrix>& start, bool reml,
                    const SearchSettings& settings, const SearchResult* known) {
  return Search(pls, reml, settings, known).run(start);
}

}  // namespace ranef
