#include "ranef/glmm_search.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "ranef/dense.hpp"

namespace ranef {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Steps are tried in units in which the criterion bends by about one or two.
constexpr double kFirstRadius = 1.0, kLargestRadius = 20.0;
// Differences of gradients are taken over this step, in those units.
constexpr double kDifference = 1e-3;
// Step of the differences that a search begins with.
constexpr double kGuess = 0.05;
// Relative error of second derivatives by differences to one side up to which these serve.
constexpr double kOneSided = 1e-6;
// What a polished optimum may still lose; what the rounding of the criterion hides at least; and
// the largest decrease after which a Hessian still serves.
constexpr double kPolished = 1e-14, kUnresolved = 1e-9, kShort = 1e-7;
// A decrease worth leaving a point where the Hessian is not positive definite, and one that makes
// another minimum the better.
constexpr double kNotable = 1e-6, kBetter = 1e-5;
// What the criterion may be off in the bowl of a minimum.
constexpr double kLevel = 1e-3;
// Standard deviation at which a second search starts; random effects up to which it is made, and
// up to which it is made when the first fit is singular.
constexpr double kWide = 5.0, kSingular = 1e-4;
constexpr Index kFew = 100, kMany = 5000;
// A size of counts that no data tell from infinity: the criterion is level from there on.
constexpr double kEndless = 5e7;
// Dispersions are sought between these, relative to 1.
constexpr double kSmallestDispersion = 1e-8, kLargestDispersion = 1e8;
// Pivots of a Hessian in units of its largest element that are far from zero.
constexpr double kPivot = 1e-8;
// Information on a combination of standardised columns, in units of the largest, that is none.
constexpr double kVanished = 1e-8;
constexpr double kSome = 1e-2;  // information that is not nil, whatever the others have

// Standard deviations that a search by quadrature starts from as well.
constexpr double kSizes[] = {0.5, 1.5, 4.0};
// Places closer than this are one.
constexpr double kSamePlace = 1e-3;

// -2 log-likelihood by theta, whitened beta unless it is at the joint mode, and log dispersion.
struct Criterion {
  Glmm& model;
  bool has_dispersion;  // that is sought
  double known;         // dispersion, where it is not
  Index m;
  bool joint = true;
  Vector centre, last;
  Matrix root;  // whitened to standardised
  GlmmPoint point;
  const HermiteRule* rule = nullptr;  // of the quadrature, where there is one
  GlmmQuadrature added{};             // by it at `last`
  int n_values = 0, n_gradients = 0;

  Criterion(Glmm& of, double dispersion, bool is_known)
      : model(of),
        has_dispersion(of.has_dispersion() && !is_known),
        known(of.has_dispersion() ? dispersion : 1.0),
        m(static_cast<Index>(of.parameters().size())) {}

  GlmmParameters at(const Vector& x) const {
    GlmmParameters out;
    out.theta = x.head(m);
    const Index stop = x.size() - (has_dispersion ? 1 : 0);
    out.dispersion = has_dispersion ? std::min(std::exp(x(stop)), kEndless) : known;
    if (!joint) out.beta = centre + root * x.segment(m, stop - m);
    return out;
  }

  double value(const Vector& x) {
    ++n_values;
    const bool is_again = added.gradient.size() > 0 && x == last;
    const double before = point.value;
    last = x;
    const GlmmParameters here = at(x);
    if (!(here.dispersion > kSmallestDispersion && here.dispersion < kLargestDispersion))
      return kInfinity;
    point = model.evaluate(here);
    if (!(point.value < kInfeasible)) return kInfinity;
    if (rule == nullptr) return point.value;
    if (!is_again || point.value != before)
      added = model.quadrature(*rule);  // its gradient comes at little extra cost
    const double total = point.value + added.value;
    return std::isfinite(total) ? total : kInfinity;
  }

  Vector gradient() {
    ++n_gradients;
    Vector out = rule == nullptr ? model.gradient() : added.gradient;
    if (model.has_dispersion() && !has_dispersion) out.conservativeResize(out.size() - 1);
    if (has_dispersion && last(last.size() - 1) > std::log(kEndless)) out(out.size() - 1) = 0.0;
    if (joint) return out;
    const Index stop = out.size() - (has_dispersion ? 1 : 0);
    out.segment(m, stop - m) = (root.transpose() * out.segment(m, stop - m)).eval();
    return out;
  }

  // Make beta a coordinate, whitened by its information where the criterion stands.
  void release_beta() {
    centre = point.beta;
    joint = false;
    const Matrix information = model.information_beta();
    root.resize(information.rows(), information.cols());
    if (information.size() == 0) return;
    const Eigen::SelfAdjointEigenSolver<Matrix> eigen(information);
    const double floor = 1e-10 * std::max(0.0, eigen.eigenvalues().maxCoeff());
    const Vector scale = eigen.eigenvalues().cwiseMax(floor).cwiseSqrt().cwiseInverse();
    root = eigen.eigenvectors() * scale.asDiagonal();
  }
};

// Second derivatives by whitened beta, from twice the information and those of log|M|: exact, or
// by differences to one side over `steps` (p,) where these are far below that; else empty.
Matrix beta_hessian(Criterion& surface, const Vector& x, const Vector& steps) {
  if (surface.joint || surface.rule != nullptr || steps.size() == 0) return {};
  surface.value(x);
  Glmm& model = surface.model;
  const Matrix& root = surface.root;
  const Matrix known = model.hessian_beta();
  if (known.size() > 0) return product(crossprod(root, known), root);
  Matrix out = 2.0 * product(crossprod(root, model.information_beta()), root);
  const Vector base = model.logdet_gradient_beta();
  if (!(steps.maxCoeff() * model.logdet_roughness(root) < kOneSided)) return {};
  for (Index j = 0; j < steps.size(); ++j) {
    Vector moved = x;
    moved(surface.m + j) += steps(j);
    if (!std::isfinite(surface.value(moved))) return {};
    ++surface.n_gradients;
    out.col(j) += root.transpose() * ((model.logdet_gradient_beta() - base) / steps(j));
  }
  return 0.5 * (out + out.transpose());
}

struct Minimum {
  std::vector<double> path;
  Vector x, gradient;
  double value = kInfinity;
  Matrix hessian;
  double decrement = kInfinity;
  GlmmStatus status = GlmmStatus::kStalled;
  bool reached_bowl = false;  // of another minimum; nothing else is told then
};

struct TrustStep {
  Vector s;
  double predicted;
  bool inside;
};

// Whether a symmetric matrix is positive definite by a margin, and its factor then.
bool is_positive(const Matrix& hessian, Eigen::LLT<Matrix>& factor) {
  factor.compute(hessian);
  return factor.info() == Eigen::Success &&
         factor.matrixLLT().diagonal().cwiseAbs2().minCoeff() >
             kPivot * std::max(1.0, hessian.diagonal().maxCoeff());
}

// Minimise g's + s'B s / 2 over |s| <= radius.
TrustStep trust_step(const Vector& gradient, const Matrix& hessian, double radius) {
  Eigen::LLT<Matrix> factor;
  if (is_positive(hessian, factor)) {
    Vector s = -factor.solve(gradient);
    if (s.norm() <= radius) return {s, -0.5 * gradient.dot(s), true};
  }
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(hessian);
  const Vector& values = eigen.eigenvalues();
  const Vector along = eigen.eigenvectors().transpose() * gradient;
  const double floor = 1e-10 * std::max(1.0, values.cwiseAbs().maxCoeff());
  const auto step = [&](double shift) -> Vector {
    return -(along.array() / (values.array() + shift)).matrix();
  };
  Vector s;
  bool inside = false;
  if (values(0) > floor) {
    s = step(0.0);
    inside = s.norm() <= radius;
  }
  if (!inside) {
    double low = std::max(0.0, floor - values(0)), high = low + along.norm() / radius + floor;
    for (int i = 0; i < 60; ++i) {
      const double middle = 0.5 * (low + high);
      (step(middle).norm() > radius ? low : high) = middle;
    }
    s = step(high);
  }
  const double predicted = -(along.dot(s) + 0.5 * s.dot((values.array() * s.array()).matrix()));
  return {eigen.eigenvectors() * s, predicted, inside};
}

// Take what the change of the gradient says into the Hessian, by a symmetric rank-one correction.
void correct(Matrix& hessian, const Vector& step, const Vector& change) {
  const Vector missing = change - hessian * step;
  const double along = missing.dot(step);
  if (std::abs(along) > 1e-8 * step.norm() * missing.norm())
    hessian.noalias() += missing * missing.transpose() / along;
}

// Whether a point of this value lies in the bowl of a minimum: at a likely distance by its
// curvature, and as high as that says. The sign of a standard deviation is free.
bool is_in_bowl(const Glmm& model, const Minimum& bowl, const Vector& x, Index m, double value) {
  Vector away = x - bowl.x;
  away.head(m) = model.rectified(x.head(m)) - model.rectified(bowl.x.head(m));
  const double rise = 0.5 * away.dot(bowl.hessian * away);
  return rise >= 0.0 && rise < 0.5 && std::abs(value - bowl.value - rise) < kLevel + 0.1 * rise;
}

// Search from x in units of `scale`, until the quadratic model predicts a smaller decrease than the
// tolerance, or until the bowl of a known minimum is reached, where there is one.
Minimum minimise(Criterion& surface, const Vector& start, const Matrix& guess, const Vector& scale,
                 int max_steps, double tolerance, const Minimum* bowl = nullptr) {
  Minimum at;
  at.x = start.cwiseQuotient(scale);
  at.hessian = scale.asDiagonal() * guess * scale.asDiagonal();
  const auto value_at = [&](const Vector& x) { return surface.value(x.cwiseProduct(scale)); };
  at.value = value_at(at.x);
  if (!std::isfinite(at.value)) return at;
  at.gradient = surface.gradient().cwiseProduct(scale);
  double radius = kFirstRadius;
  at.status = GlmmStatus::kStepLimit;
  for (int i = 0; i < max_steps; ++i) {
    const TrustStep step = trust_step(at.gradient, at.hessian, radius);
    at.decrement = step.predicted;
    at.path.insert(at.path.end(), {at.value, step.predicted, radius});
    if (bowl != nullptr &&
        is_in_bowl(surface.model, *bowl, at.x.cwiseProduct(scale), surface.m, at.value)) {
      at.reached_bowl = true;
      return at;
    }
    if (step.inside && step.predicted < std::max(tolerance, 1e-14 * std::abs(at.value))) {
      at.status = GlmmStatus::kConverged;
      break;
    }
    const Vector moved = at.x + step.s;
    const double value = value_at(moved);
    const double ratio = std::isfinite(value) ? (at.value - value) / step.predicted : -1.0;
    if (ratio > 0.0) {
      const Vector gradient = surface.gradient().cwiseProduct(scale);
      correct(at.hessian, step.s, gradient - at.gradient);
      at.x = moved;
      at.value = value;
      at.gradient = gradient;
    }
    const double length = step.s.norm();
    if (ratio < 0.25)
      radius = 0.25 * length;
    else if (ratio > 0.75 && length > 0.8 * radius)
      radius = std::min(2.0 * radius, kLargestRadius);
    if (radius < 1e-9 * (1.0 + at.x.norm())) {
      at.status = GlmmStatus::kStalled;
      break;
    }
  }
  at.x = at.x.cwiseProduct(scale);
  at.gradient = at.gradient.cwiseQuotient(scale);
  const Vector inverse = scale.cwiseInverse();
  at.hessian = (inverse.asDiagonal() * at.hessian * inverse.asDiagonal()).eval();
  return at;
}

Vector units_of(const Matrix& hessian) {
  return hessian.diagonal().cwiseMax(1e-2).cwiseSqrt().cwiseInverse();
}

// Differentiate the gradient by central differences; NaN where a point is infeasible.
Matrix hessian_at(Criterion& surface, const Vector& x, const Vector& scale) {
  const Index k = x.size(), m = surface.m;
  const Index q = surface.joint ? 0 : surface.root.cols();
  const Matrix own = beta_hessian(surface, x, kDifference * scale.segment(m, q));
  const Index p = own.cols();
  Matrix out(k, k);
  for (Index j = 0; j < k; ++j) {
    if (j >= m && j < m + p) continue;
    const double h = kDifference * scale(j);
    Vector ends[2];
    for (int side = 0; side < 2; ++side) {
      Vector moved = x;
      moved(j) += side == 0 ? h : -h;
      if (!std::isfinite(surface.value(moved)))
        return Matrix::Constant(k, k, std::numeric_limits<double>::quiet_NaN());
      ends[side] = surface.gradient();
    }
    out.col(j) = (ends[0] - ends[1]) / (2.0 * h);
    out.row(j).segment(m, p) = out.col(j).segment(m, p).transpose();
  }
  if (p > 0) out.block(m, m, p, p) = own;
  return 0.5 * (out + out.transpose());
}

double unresolved(double value) { return std::max(kUnresolved, 1e-12 * std::abs(value)); }

// Try a step; whether it was taken. The radius is renewed.
bool attempt(Criterion& surface, Minimum& found, const Vector& step, double predicted,
             double& radius) {
  const double value = surface.value(found.x + step), lost = unresolved(found.value);
  const double ratio = std::isfinite(value) ? (found.value - value) / predicted : -1.0;
  const bool taken = ratio > 0.0 || (predicted < lost && value <= found.value + lost);
  if (taken) {
    const Vector gradient = surface.gradient();
    if (ratio <= 0.0 && gradient.norm() >= found.gradient.norm()) return false;
    found.x += step;
    found.value = value;
    found.gradient = gradient;
  }
  if (ratio < 0.25 && predicted >= lost)
    radius *= 0.25;
  else if (ratio > 0.75)
    radius = std::min(2.0 * radius, kLargestRadius);
  return taken;
}

// Go on from a minimum by Newton's method with the Hessian itself; the surface ends up there.
void polish(Criterion& surface, Minimum& found, const Vector& scale) {
  double radius = kFirstRadius;
  found.status = GlmmStatus::kStepLimit;
  for (int round = 0; round < 20; ++round) {
    surface.value(found.x);
    found.hessian = hessian_at(surface, found.x, scale);
    if (!found.hessian.allFinite()) {
      found.status = GlmmStatus::kStalled;
      found.decrement = kInfinity;
      break;
    }
    const Matrix bend = scale.asDiagonal() * found.hessian * scale.asDiagonal();
    for (int i = 0; i < 4; ++i) {
      const TrustStep step = trust_step(found.gradient.cwiseProduct(scale), bend, radius);
      found.decrement = step.predicted;
      const double lost = unresolved(found.value);
      if (step.predicted < (step.inside ? kPolished : lost)) {
        found.status = GlmmStatus::kConverged;
        break;
      }
      const bool moved =
          attempt(surface, found, step.s.cwiseProduct(scale), step.predicted, radius);
      if (step.predicted < lost && !moved) {
        found.status = GlmmStatus::kConverged;
        break;
      }
      if (step.predicted > std::max(kShort, lost) || !moved) break;
    }
    if (found.status == GlmmStatus::kConverged) break;
  }
  surface.value(found.x);
}

// A lower point along a direction in which the criterion bends down; false where there is none.
bool downhill(Criterion& surface, const Minimum& found, Vector& lower) {
  Eigen::LLT<Matrix> factor;
  if (is_positive(found.hessian, factor)) return false;
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(found.hessian);
  if (!(eigen.eigenvalues()(0) < 0.0)) return false;
  for (const double length : {1.0, 0.3, 0.1, 0.03})
    for (const double side : {length, -length}) {
      lower = found.x + side * eigen.eigenvectors().col(0);
      if (surface.value(lower) < found.value - kNotable) return true;
    }
  return false;
}

// Polish a minimum by its Hessian; step off it where the criterion falls away.
void prove(Criterion& surface, Minimum& found, const GlmmSearchSettings& settings) {
  for (int i = 0; i < 3; ++i) {
    const std::vector<double> path = found.path;
    const Vector bends = found.hessian.diagonal().cwiseAbs().cwiseMax(1e-2);
    polish(surface, found, bends.cwiseSqrt().cwiseInverse());
    if (!found.hessian.allFinite()) return;
    Vector lower;
    if (!downhill(surface, found, lower)) {
      surface.value(found.x);
      return;
    }
    const Eigen::SelfAdjointEigenSolver<Matrix> eigen(found.hessian);
    const Vector size = eigen.eigenvalues().cwiseAbs().cwiseMax(1e-2);
    const Matrix guess =
        eigen.eigenvectors() * size.asDiagonal() * eigen.eigenvectors().transpose();
    found =
        minimise(surface, lower, guess, units_of(guess), settings.max_steps, settings.tolerance);
    found.path.insert(found.path.begin(), path.begin(), path.end());
    if (!std::isfinite(found.value)) return;
  }
  found.status = GlmmStatus::kSaddle;
}

// Bend of the criterion along the first coordinates, by one difference of gradients each; 1 along
// the others. The surface ends up at x.
Matrix curvature_guess(Criterion& surface, const Vector& x, Index first) {
  Vector bends = Vector::Ones(x.size()), moved_to = Vector::Zero(x.size());
  std::vector<Index> told;
  for (Index j = 0; j < first; ++j) {
    Vector moved = x;
    moved(j) += kGuess;
    if (!std::isfinite(surface.value(moved))) continue;
    moved_to(j) = surface.gradient()(j);
    told.push_back(j);
  }
  if (!std::isfinite(surface.value(x))) return bends.asDiagonal();
  const Vector base = surface.gradient();
  for (const Index j : told) bends(j) = std::max(std::abs(moved_to(j) - base(j)) / kGuess, 1e-2);
  return bends.asDiagonal();
}

// Search at the joint mode from covariances `theta`.
Minimum search_joint(Criterion& surface, const Vector& theta, double log_dispersion,
                     const GlmmSearchSettings& settings, const Minimum* bowl = nullptr) {
  surface.model.restart();
  surface.model.set_mode_tolerance(Glmm::kRoughMode);
  Vector x(surface.m + (surface.has_dispersion ? 1 : 0));
  x.head(surface.m) = theta;
  if (surface.has_dispersion) x(surface.m) = log_dispersion;
  const Matrix guess = curvature_guess(surface, x, x.size());
  return minimise(surface, x, guess, units_of(guess), settings.max_steps,
                  std::max(1e-3, settings.tolerance), bowl);
}

// Go on over all parameters from a minimum at the joint mode.
Minimum search_all(Criterion& surface, const Minimum& from, const GlmmSearchSettings& settings) {
  surface.model.set_mode_tolerance(Glmm::kExactMode);
  if (!std::isfinite(surface.value(from.x))) return {};
  surface.release_beta();
  const Index m = surface.m, p = surface.centre.size(), rest = from.x.size() - m;
  Vector x = Vector::Zero(m + p + rest);
  x << from.x.head(m), Vector::Zero(p), from.x.tail(rest);
  Matrix hessian = 2.0 * Matrix::Identity(x.size(), x.size());
  hessian.topLeftCorner(m, m) = from.hessian.topLeftCorner(m, m);
  hessian.bottomRightCorner(rest, rest) = from.hessian.bottomRightCorner(rest, rest);
  hessian.block(0, m + p, m, rest) = from.hessian.topRightCorner(m, rest);
  hessian.block(m + p, 0, rest, m) = from.hessian.bottomLeftCorner(rest, m);
  return minimise(surface, x, hessian, units_of(hessian), settings.max_steps, settings.tolerance);
}

// A place in the coordinates of a surface: theta, standardised beta, and log dispersion.
Vector placed(const Criterion& surface, const Vector& theta, const Vector& beta,
              const Vector& rest) {
  const Index m = surface.m, p = surface.centre.size();
  Vector x(m + p + rest.size());
  x << theta, Vector::Zero(p), rest;
  if (p > 0) x.segment(m, p) = surface.root.partialPivLu().solve(Vector(beta - surface.centre));
  return x;
}

// Covariances of several sizes, with beta at the joint mode.
std::vector<Vector> places_of_sizes(Criterion& surface, const Vector& found) {
  std::vector<Vector> out;
  GlmmParameters at = surface.at(found);
  at.beta.resize(0);
  for (const double size : kSizes) {
    Index a = 0;
    for (const auto& [t, i, j] : surface.model.parameters()) at.theta(a++) = i == j ? size : 0.0;
    surface.model.restart();
    const GlmmPoint point = surface.model.evaluate(at);
    if (point.value < kInfeasible)
      out.push_back(
          placed(surface, at.theta, point.beta, found.tail(surface.has_dispersion ? 1 : 0)));
  }
  return out;
}

// Search by quadrature from every place that may lie in another basin than the proved minimum's;
// the lower one is proved in its turn.
void seek_lower(Criterion& surface, Minimum& best, std::vector<Vector> places,
                const GlmmSearchSettings& settings) {
  std::vector<Vector> ends = {best.x};
  for (const Vector& x : places) {
    const auto is_known = [&](const Vector& end) {
      return (x - end).cwiseAbs().maxCoeff() < kSamePlace * (1.0 + end.cwiseAbs().maxCoeff());
    };
    if (std::any_of(ends.begin(), ends.end(), is_known)) continue;
    surface.model.restart();
    const double value = surface.value(x);
    const bool has_bowl = best.hessian.allFinite();
    if (!std::isfinite(value) || (has_bowl && is_in_bowl(surface.model, best, x, surface.m, value)))
      continue;
    Matrix guess = curvature_guess(surface, x, surface.m);
    const Index rest = x.size() - surface.m;
    if (has_bowl)
      guess.diagonal().tail(rest) = best.hessian.diagonal().tail(rest).cwiseAbs().cwiseMax(1e-2);
    Minimum other = minimise(surface, x, guess, units_of(guess), settings.max_steps,
                             settings.tolerance, has_bowl ? &best : nullptr);
    if (!std::isfinite(other.value) || other.reached_bowl) continue;
    ends.push_back(other.x);
    if (!(other.value < best.value - kBetter)) continue;
    best = std::move(other);
    prove(surface, best, settings);
  }
  surface.model.restart();
  best.value = surface.value(best.x);
}

Index n_effects(const Glmm& model) {
  Index out = 0;
  for (const Matrix& b : model.modes()) out += b.size();
  return out;
}

// Whether two minima at the joint mode are one.
bool is_same(const Criterion& surface, const Minimum& a, const Minimum& b) {
  const Index m = surface.m;
  Vector away = a.x - b.x;
  away.head(m) = surface.model.rectified(a.x.head(m)) - surface.model.rectified(b.x.head(m));
  return std::isfinite(b.value) && std::abs(a.value - b.value) < 1e-2 &&
         away.cwiseAbs().maxCoeff() < 0.05 * (1.0 + a.x.cwiseAbs().maxCoeff());
}

// Other covariances that a search from pays: large ones where there are few effects or a fit at the
// edge, and other correlations of structures.
std::vector<Vector> other_starts(const Glmm& model, double margin) {
  std::vector<Vector> out;
  if (n_effects(model) <= (margin < kSingular ? kMany : kFew)) out.push_back(model.start(kWide, 0));
  for (int number = 1; number < model.n_starts(); ++number) out.push_back(model.start(1.0, number));
  return out;
}

// Covariance of the standardised coefficients, and the error of the log dispersion.
void set_covariance(const Criterion& surface, const Minimum& found, GlmmOptimum& out) {
  const Index p = surface.centre.size(), m = surface.m;
  const double nan = std::numeric_limits<double>::quiet_NaN();
  out.cov = Matrix::Constant(p, p, nan);
  out.eigenvalues = Vector::Constant(found.x.size(), nan);
  out.dispersion_error = nan;
  if (!found.hessian.allFinite()) return;
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(found.hessian);
  out.eigenvalues = eigen.eigenvalues();
  const double floor = 1e-12 * eigen.eigenvalues().cwiseAbs().maxCoeff();
  const Vector inverted =
      eigen.eigenvalues().unaryExpr([&](double v) { return std::abs(v) > floor ? 2.0 / v : 0.0; });
  const Matrix inverse =
      eigen.eigenvectors() * inverted.asDiagonal() * eigen.eigenvectors().transpose();
  out.cov = surface.root * inverse.block(m, m, p, p) * surface.root.transpose();
  if (surface.has_dispersion)
    out.dispersion_error =
        std::sqrt(std::max(inverse(inverse.rows() - 1, inverse.cols() - 1), 0.0));
}

}  // namespace

double starting_dispersion(const Likelihood& likelihood, const Vector& y) {
  const double mean = y.mean(), variance = (y.array() - mean).square().mean();
  if (likelihood.distribution == Distribution::gamma)
    return std::clamp(0.5 * variance / (mean * mean), 1e-6, 10.0);
  if (likelihood.distribution == Distribution::negative_binomial)
    return std::clamp(2.0 * mean * mean / std::max(variance - mean, 0.01 * mean), 0.1, 1e3);
  return 1.0;
}

GlmmOptimum search(Glmm& model, double log_dispersion, const GlmmSearchSettings& settings,
                   bool is_known) {
  GlmmOptimum out;
  const double known = std::min(std::exp(log_dispersion), kEndless);
  Criterion surface(model, known, is_known);
  const Minimum first = search_joint(surface, model.start(1.0, 0), log_dispersion, settings);
  if (!std::isfinite(first.value)) return out;
  Minimum found = search_all(surface, first, settings);
  if (!std::isfinite(found.value)) return out;
  const Index m = surface.m, rest = surface.has_dispersion ? 1 : 0;
  const bool by_quadrature = settings.rule.nodes.size() > 1;
  std::vector<Vector> places;  // of other minima than Laplace's
  if (by_quadrature)
    places.push_back(placed(surface, first.x.head(m), surface.centre, first.x.tail(rest)));
  out.n_values = surface.n_values;
  out.n_gradients = surface.n_gradients;
  const std::vector<Vector> others = other_starts(model, model.margin(found.x.head(surface.m)));
  for (const Vector& theta : others) {  // there may be another maximum
    Criterion rival(model, known, is_known);
    const Minimum wide = search_joint(rival, theta, log_dispersion, settings, &first);
    if (std::isfinite(wide.value) && !wide.reached_bowl && !is_same(rival, first, wide)) {
      const Minimum other = search_all(rival, wide, settings);
      if (by_quadrature) {
        places.push_back(placed(surface, wide.x.head(m), rival.centre, wide.x.tail(rest)));
        if (std::isfinite(other.value)) {
          const GlmmParameters at = rival.at(other.x);
          places.push_back(placed(surface, at.theta, at.beta, other.x.tail(rest)));
        }
      } else if (other.value < found.value - kBetter) {
        found = other;
        surface.centre = rival.centre;
        surface.root = rival.root;
      }
    }
    out.n_values += rival.n_values;
    out.n_gradients += rival.n_gradients;
  }
  surface.n_values = surface.n_gradients = 0;
  if (!others.empty()) {
    model.restart();
    model.set_mode_tolerance(Glmm::kExactMode);
    if (!std::isfinite(surface.value(found.x))) return out;
  }
  if (by_quadrature) {
    surface.rule = &settings.rule;
    found = minimise(surface, found.x, found.hessian, units_of(found.hessian), settings.max_steps,
                     settings.tolerance);
    if (!std::isfinite(found.value)) return out;
  }
  prove(surface, found, settings);
  if (by_quadrature && n_effects(model) <= kMany) {
    for (Vector& place : places_of_sizes(surface, found.x)) places.push_back(std::move(place));
    seek_lower(surface, found, std::move(places), settings);
  }
  out.value = surface.value(found.x);
  out.n_values += surface.n_values;
  out.n_gradients += surface.n_gradients;
  if (!std::isfinite(out.value)) return out;
  const GlmmParameters at = surface.at(found.x);
  if (surface.has_dispersion) found.x(found.x.size() - 1) = std::log(at.dispersion);
  if (model.has_dispersion() && is_known) {
    const Vector gradient = model.gradient();
    out.by_dispersion = gradient(gradient.size() - 1);
  }
  out.status = found.status;
  out.decrement = found.decrement;
  out.theta = at.theta;
  out.beta = at.beta;
  out.log_likelihood = surface.point.log_likelihood;
  out.dispersion = at.dispersion;
  out.smallest_sd = model.margin(at.theta);
  out.x = found.x;
  out.gradient = found.gradient;
  out.hessian = found.hessian;
  out.centre = surface.centre;
  out.root = surface.root;
  out.path = found.path;
  set_covariance(surface, found, out);
  const Matrix information = model.information_beta();
  if (information.size() == 0) return out;  // no fixed effects
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(information);
  const double most = std::max(eigen.eigenvalues().maxCoeff(), 1e-2 * model.total_weight());
  out.is_separated = eigen.eigenvalues()(0) < std::min(kVanished * most, kSome);
  return out;
}

}  // namespace ranef
