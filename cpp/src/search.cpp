#include "ranef/search.hpp"

#include <algorithm>
#include <cmath>
#include <functional>

#include "ranef/dense.hpp"
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

bool near_boundary(const Matrix& lambda) {
  if (lambda.cols() == 1) return std::abs(lambda(0, 0)) < kRidge;
  return smallest_singular_value(lambda) < kRidge;
}

class Search {
 public:
  Search(LeastSquares& pls, bool reml, const SearchSettings& settings, const SearchResult* known)
      : pls_(pls), reml_(reml), settings_(settings), nu_(pls.degrees(reml)), known_(known) {}

  SearchResult run(const Lambdas& start) {
    Vector theta = pls_.pack(start);
    for (int restart = 0;; ++restart) {
      descend(theta);
      if (result_.is_known) return result_;
      rectify(theta);
      snap(theta);
      if (result_.status != Status::kConverged || restart == kMaxRestarts) break;
      if (!step_off(theta)) break;
    }
    result_.theta = theta;
    result_.lambda = pls_.factors(theta);
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

  // Columns of a free block.
  struct FreeBlock {
    std::size_t term;
    std::vector<int> columns;
  };
  // A block with a structure, and where its parameters begin.
  struct OwnBlock {
    std::vector<int> columns;
    const Structure* structure;
    Index first;
  };

  Objective value(const Vector& theta) {
    pause();
    ++result_.n_objective;
    const Lambdas lambda = pls_.factors(theta);
    if (pls_.is_structured() && !all_finite(lambda)) return infeasible();
    stands_ = std::none_of(lambda.begin() + 1, lambda.end(), near_boundary);
    return pls_.objective(with_ridge(lambda), reml_);
  }

  // Without a ridge; the factor is that of theta then.
  Objective exact_value(const Vector& theta) {
    ++result_.n_objective;
    stands_ = false;
    const Lambdas lambda = pls_.factors(theta);
    if (pls_.is_structured() && !all_finite(lambda)) return infeasible();
    return pls_.objective(lambda, reml_);
  }

  static Objective infeasible() {
    Objective out;
    out.value = kInfeasible;
    return out;
  }

  static bool all_finite(const Lambdas& lambda) {
    return std::all_of(lambda.begin(), lambda.end(), [](const Matrix& m) { return m.allFinite(); });
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
      differentiate(pls_, theta, reml_, derivatives_);
      ++result_.n_gradient;
      const Lambdas lambda = pls_.factors(theta);
      const Quadratic model(gradient_by_theta(pls_, lambda, derivatives_),
                            hessian_by_theta(pls_, theta, lambda, derivatives_, nu_));
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
    const Lambdas lambda = pls_.factors(theta + step.s);
    for (std::size_t t = 0; t < lambda.size(); ++t) {
      const Matrix known = tcrossprod(known_->lambda[t], known_->lambda[t]);
      const double away = (tcrossprod(lambda[t], lambda[t]) - known).norm();
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

  // The same covariances with factors whose diagonals are not negative.
  void rectify(Vector& theta) const {
    Lambdas lambda = pls_.factors(theta);
    for (std::size_t t = 0; t < lambda.size(); ++t) {
      for (const FreeBlock& free : free_blocks(t)) write(lower_factor(lambda[t]), free, theta);
      for (const OwnBlock& own : own_blocks(t)) own.structure->rectify(segment(own, theta));
    }
  }

  // Put directions that are all but zero at zero where the objective does not object.
  void snap(Vector& theta) {
    for (std::size_t t = 0; t < pls_.n_terms(); ++t) {
      for (const FreeBlock& free : free_blocks(t)) snap(t, free, theta);
      for (const OwnBlock& own : own_blocks(t))
        for (Index a : own.structure->vanishing(segment(own, theta), kSnap * kSnap)) {
          Vector moved = theta;
          moved(own.first + a) = 0.0;
          accept(moved, theta);
        }
    }
  }

  void snap(std::size_t t, const FreeBlock& free, Vector& theta) {
    const Matrix whole = pls_.factors(theta)[t](free.columns, free.columns);
    const Eigen::SelfAdjointEigenSolver<Matrix> eigen(tcrossprod(whole, whole));
    for (Index i = 0; i < whole.cols(); ++i) {
      const double variance = eigen.eigenvalues()(i);
      if (variance <= 0.0 || variance > kSnap * kSnap) continue;
      const Vector v = eigen.eigenvectors().col(i);
      Matrix lambda = pls_.factors(theta)[t];
      const Matrix sub = lambda(free.columns, free.columns);
      lambda(free.columns, free.columns) = lower_factor(sub - product(v, crossprod(v, sub)));
      Vector moved = theta;
      write(lambda, free, moved);
      accept(moved, theta);
    }
  }

  void accept(const Vector& moved, Vector& theta) {
    if (moved == theta) return;
    const Objective trial = exact_value(moved);
    if (trial.value > current_.value + tolerance()) return;
    current_ = trial;
    theta = moved;
  }

  // Where the score along a null direction of Sigma_t is negative, zero is not the optimum: move.
  bool step_off(Vector& theta) {
    result_.cone = 0.0;
    const Lambdas lambda = pls_.factors(theta);
    if (std::none_of(lambda.begin(), lambda.end(), near_boundary)) return false;
    current_ = value(theta);
    if (current_.value >= kInfeasible) return false;
    stands_ = false;
    differentiate(pls_, theta, reml_, derivatives_);
    ++result_.n_gradient;
    std::function<Vector(double)> moved;  // theta with a variance of e more
    for (std::size_t t = 0; t < lambda.size(); ++t) {
      for (const FreeBlock& free : free_blocks(t)) {
        const Matrix N = null_space(lambda[t](free.columns, free.columns));
        if (N.cols() == 0) continue;
        const Matrix S = derivatives_.S[t](free.columns, free.columns);
        const Eigen::SelfAdjointEigenSolver<Matrix> eigen(product(crossprod(N, S), N));
        if (eigen.eigenvalues()(0) >= result_.cone) continue;
        result_.cone = eigen.eigenvalues()(0);
        Vector direction = Vector::Zero(lambda[t].rows());
        direction(free.columns) = product(N, eigen.eigenvectors().col(0));
        moved = [this, theta, free, direction, factor = lambda[t]](double e) {
          Matrix B(factor.rows(), factor.cols() + 1);
          B << factor, std::sqrt(e) * direction;
          Vector out = theta;
          write(lower_factor(B), free, out);
          return out;
        };
      }
      for (const OwnBlock& own : own_blocks(t)) {
        const Matrix S = derivatives_.S[t](own.columns, own.columns);
        const Vector psi = segment(own, theta);
        for (Index a : own.structure->vanishing(psi, kRidge * kRidge))
          for (const Departure& off : own.structure->departures(psi, a)) {
            const double slope =
                off.direction.cwiseProduct(S).sum() / off.direction.diagonal().sum();
            if (slope >= result_.cone) continue;
            result_.cone = slope;
            moved = [theta, own, off](double e) {
              Vector out = theta, at = off.psi;
              at(off.parameter) = std::sqrt(e);
              segment(own, out) = at;
              return out;
            };
          }
      }
    }
    if (!moved) return false;
    // d(Sigma + e v v') is about cone * e: find an e that shows a decrease worth having.
    for (double e = 1.0; e > 1e-10; e *= 0.25) {
      if (-result_.cone * e < tolerance()) return false;
      const Vector at = moved(e);
      if (exact_value(at).value < current_.value - tolerance()) {
        theta = at;
        return true;
      }
    }
    return false;
  }

  std::vector<FreeBlock> free_blocks(std::size_t t) const {
    std::vector<FreeBlock> out;
    const std::vector<std::vector<int>> columns = pls_.block_columns(t);
    for (std::size_t b = 0; b < columns.size(); ++b)
      if (!pls_.structure(t, b)) out.push_back({t, columns[b]});
    return out;
  }

  std::vector<OwnBlock> own_blocks(std::size_t t) const {
    std::vector<OwnBlock> out;
    if (!pls_.is_structured(t)) return out;
    const std::vector<std::vector<int>> columns = pls_.block_columns(t);
    for (std::size_t b = 0; b < columns.size(); ++b)
      if (const Structure* structure = pls_.structure(t, b))
        out.push_back({columns[b], structure, pls_.first_parameter(t, b)});
    return out;
  }

  static Eigen::Ref<Vector> segment(const OwnBlock& own, Vector& theta) {
    return theta.segment(own.first, own.structure->n_parameters());
  }

  // Take a free block of a term's factor into theta.
  void write(const Matrix& lambda, const FreeBlock& free, Vector& theta) const {
    const auto& parameters = pls_.parameters();
    const auto has = [&](int j) {
      return std::find(free.columns.begin(), free.columns.end(), j) != free.columns.end();
    };
    for (std::size_t a = 0; a < parameters.size(); ++a) {
      const Parameter& e = parameters[a];
      if (e.term == free.term && !e.is_structured() && has(e.j))
        theta(static_cast<Index>(a)) = lambda(e.i, e.j);
    }
  }

  static Matrix null_space(const Matrix& lambda) {
    const Eigen::SelfAdjointEigenSolver<Matrix> eigen(tcrossprod(lambda, lambda));
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

void differentiate(LeastSquares& pls, const Vector& theta, bool reml, Derivatives& out) {
  pls.aim(theta);
  pls.derivatives(reml, out);
}

Vector gradient_by_theta(const LeastSquares& pls, const std::vector<Matrix>& lambda,
                         const Derivatives& derivatives) {
  const auto& parameters = pls.parameters();
  std::vector<Matrix> half;
  for (std::size_t t = 0; t < lambda.size(); ++t)
    half.push_back(product(derivatives.S[t], lambda[t]));
  Vector g(static_cast<Index>(parameters.size()));
  for (std::size_t a = 0; a < parameters.size(); ++a) {
    const Parameter& e = parameters[a];
    g(static_cast<Index>(a)) = e.is_structured()
                                   ? derivatives.S[e.term].cwiseProduct(pls.direction(a)).sum()
                                   : 2.0 * half[e.term](e.i, e.j);
  }
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
      if (sigma.is_structured() || by.is_structured()) {
        J(a, b) = a == b ? 1.0 : 0.0;
        continue;
      }
      if (sigma.term != by.term) continue;
      const Matrix& L = lambda[by.term];
      if (sigma.i == by.i) J(a, b) += L(sigma.j, by.j);
      if (sigma.j == by.i) J(a, b) += L(sigma.i, by.j);
    }
  return J;
}

Matrix hessian_by_theta(const LeastSquares& pls, const Vector& theta,
                        const std::vector<Matrix>& lambda, const Derivatives& derivatives,
                        double nu) {
  const auto& parameters = pls.parameters();
  const Index m = static_cast<Index>(parameters.size());
  const Matrix J = covariance_jacobian(pls, lambda);
  Matrix H = Matrix::Zero(m, m);
  for (Index a = 0; a < m; ++a) {
    const Parameter& e = parameters[a];
    if (e.is_structured()) {
      if (e.i != 0) continue;
      const Structure& structure = *pls.structure(e.term, e.block());
      const std::vector<int> columns = pls.block_columns(e.term)[e.block()];
      const Index count = structure.n_parameters();
      H.block(a, a, count, count) =
          structure.bends(theta.segment(a, count), Matrix(derivatives.S[e.term](columns, columns)));
      continue;
    }
    for (Index b = 0; b < m; ++b)
      if (!parameters[b].is_structured() && e.term == parameters[b].term && e.j == parameters[b].j)
        H(a, b) = 2.0 * derivatives.S[e.term](e.i, parameters[b].i);
  }
  Matrix middle = derivatives.information;
  middle -= tcrossprod(derivatives.quadratic, derivatives.quadratic) / nu;
  H += product(crossprod(J, middle), J);
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
