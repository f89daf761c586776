#include "ranef/mixture.hpp"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <utility>

namespace ranef {

namespace {

// Units that a class needs at least, by the sum of their probabilities.
constexpr double kFewest = 1e-3;
// Change of a parameter, in standardised units, that counts as none.
constexpr double kStill = 1e-6;
// Rounds without a gain, one after the other, that end a search whose parameters still move: a
// variance or a rate that tends to zero moves for ever.
constexpr int kFlat = 4;

// log sum_k exp, of each row, and the rows turned into probabilities.
double responsibilities(const Vector& log_share, Matrix& D) {
  double total = 0.0;
  for (Index u = 0; u < D.rows(); ++u) {
    D.row(u) += log_share.transpose();
    const double most = D.row(u).maxCoeff();
    D.row(u) = (D.row(u).array() - most).exp();
    const double sum = D.row(u).sum();
    D.row(u) /= sum;
    total += most + std::log(sum);
  }
  return total;
}

}  // namespace

Mixture::Mixture(const ConstMatrixRef& X, const ConstVectorRef& y, std::vector<Index> start,
                 Index classes, Index n_random, bool equal, bool poisson,
                 const MixtureSettings& settings)
    : layout_{classes, X.cols(), n_random, poisson},
      settings_(settings),
      rows_{X, y, std::move(start)} {
  if (X.cols() < 1 || X.cols() > 4) throw std::invalid_argument("X: from 1 to 4 columns");
  if (y.size() != X.rows()) throw std::invalid_argument("y: not one value a row");
  if (rows_.start.size() < 2 || rows_.start.front() != 0 || rows_.start.back() != X.rows())
    throw std::invalid_argument("start: does not span the rows");
  for (std::size_t u = 1; u < rows_.start.size(); ++u)
    if (rows_.start[u] <= rows_.start[u - 1]) throw std::invalid_argument("start: not increasing");
  if (classes < 1) throw std::invalid_argument("classes: less than 1");
  if (n_random < 0 || n_random > X.cols() || (poisson && n_random > 0))
    throw std::invalid_argument("n_random: out of range");
  family_ = poisson ? poisson_classes(rows_, layout_)
                    : gaussian_classes(rows_, layout_, equal, settings.smallest);
}

// The EM map with the matrix that it needs.
struct Mixture::Run {
  const Mixture& of;
  Matrix R;

  // Log-likelihood at `at`; the next parameters into `next`.
  MixtureStatus step(const Vector& at, Vector& next, double& llf) {
    const Index K = of.layout_.classes;
    of.family_->density(at, R);
    llf = responsibilities(at.head(K), R);
    if (!std::isfinite(llf)) return MixtureStatus::broken;
    return maximise(at, next);
  }

  // New shares and classes from the probabilities in R.
  MixtureStatus maximise(const Vector& at, Vector& next) {
    const Index K = of.layout_.classes;
    const Vector units = R.colwise().sum();
    if (units.minCoeff() < kFewest) return MixtureStatus::empty;
    next.head(K) = (units.array() / static_cast<double>(R.rows())).log();
    return of.family_->maximise(R, at, next);
  }
};

void Mixture::climb(Vector at, Index start, MixtureRuns& runs) const {
  const Index K = layout_.classes;
  Run run{*this, Matrix(rows_.units(), K)};
  Vector first(at.size()), second(at.size()), far(at.size()), after(at.size());
  double before = 0.0, llf = -std::numeric_limits<double>::infinity(), beyond = 0.0;
  MixtureStatus status = MixtureStatus::stopped;
  int steps = 0, flat = 0;
  while (steps < settings_.max_steps) {
    pause();
    const MixtureStatus one = run.step(at, first, before);
    if (one != MixtureStatus::converged) {
      status = one;
      break;
    }
    const MixtureStatus two = run.step(first, second, llf);
    steps += 2;
    if (two != MixtureStatus::converged) {
      status = two;
      break;
    }
    const Vector change = first - at, bend = (second - first) - change;
    const double moved = change.cwiseAbs().maxCoeff();
    flat = llf - before <= settings_.tolerance * (1.0 + std::abs(llf)) ? flat + 1 : 0;
    if (flat > 0 && (moved < kStill || flat == kFlat)) {
      status = MixtureStatus::converged;
      at = second;
      break;
    }
    const double length = bend.norm();
    const double alpha = length > 0.0 ? -change.norm() / length : -1.0;
    at = second;
    if (alpha >= -1.0) continue;
    far = (second - bend - 2.0 * change) - 2.0 * alpha * change + alpha * alpha * bend;
    far.head(K).array() -= std::log(far.head(K).array().exp().sum());
    const MixtureStatus three = run.step(far, after, beyond);
    ++steps;
    if (three == MixtureStatus::converged && beyond >= llf) at = after;
  }
  runs.llf(start) = llf;
  runs.status(start) = static_cast<int>(status);
  runs.steps(start) = steps;
  runs.at.col(start) = at;
}

namespace {

MixtureRuns runs_of(Index size, Index starts) {
  return {Vector::Constant(starts, -std::numeric_limits<double>::infinity()),
          Eigen::VectorXi::Zero(starts), Eigen::VectorXi::Zero(starts), Matrix::Zero(size, starts)};
}

}  // namespace

MixtureRuns Mixture::fit(const Eigen::Ref<const Eigen::MatrixXi>& labels, Team& team) const {
  const Index units = rows_.units(), K = layout_.classes;
  if (labels.rows() != units) throw std::invalid_argument("labels: not one row a unit");
  if (labels.size() > 0 && (labels.minCoeff() < 0 || labels.maxCoeff() >= K))
    throw std::invalid_argument("labels: no such class");
  MixtureRuns runs = runs_of(layout_.size(), labels.cols());
  split(team, labels.cols(), [&](int, Index begin, Index end) {
    for (Index s = begin; s < end; ++s) {
      Run run{*this, Matrix::Zero(units, K)};
      for (Index u = 0; u < units; ++u) run.R(u, labels(u, s)) = 1.0;
      Vector at = Vector::Zero(layout_.size()), next = at;
      for (Index k = 0; k < K; ++k)
        for (Index i = 0; i < layout_.r; ++i) at(layout_.root(k) + i * (i + 1) / 2 + i) = 0.5;
      const MixtureStatus status = run.maximise(at, next);
      if (status == MixtureStatus::converged) {
        climb(next, s, runs);
      } else {
        runs.status(s) = static_cast<int>(status);
      }
    }
  });
  return runs;
}

MixtureRuns Mixture::refine(const ConstMatrixRef& at, Team& team) const {
  if (at.rows() != layout_.size()) throw std::invalid_argument("at: not one row a parameter");
  MixtureRuns runs = runs_of(layout_.size(), at.cols());
  split(team, at.cols(), [&](int, Index begin, Index end) {
    for (Index s = begin; s < end; ++s) climb(at.col(s), s, runs);
  });
  return runs;
}

Matrix Mixture::density(const ConstVectorRef& at) const {
  if (at.size() != layout_.size()) throw std::invalid_argument("at: not one value a parameter");
  Matrix D(rows_.units(), layout_.classes);
  family_->density(at, D);
  return D;
}

}  // namespace ranef
