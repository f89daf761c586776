#include "ranef/crossed_glmm.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <string>

#include "ranef/errors.hpp"
#include "ranef/interrupt.hpp"
#include "ranef/laplace.hpp"
#include "ranef/memory.hpp"

namespace ranef {
namespace {

using Halves = CrossedPls::Halves;

constexpr int kMaxSteps = 200;
constexpr int kMaxHalvings = 40;
// Squared length of a Newton step, in the metric of M, at which the mode is found.
constexpr double kModeTolerance = 1e-14;
// Below this a step is taken as it is: what it gains is lost in the rounding of the criterion.
constexpr double kSmallStep = 1e-7;
// A Newton step's solve reduces its residual to this share of it at most, but not below the second
// number of the right side; the solves of a derivative go down to the third.
constexpr double kReduction = 1e-2, kFine = 1e-12, kSolve = 1e-9;

double squared_norm(const Halves& u) { return u.leading.squaredNorm() + u.root.squaredNorm(); }

std::vector<RowMatrix> unit_columns(const Input& input) {
  return std::vector<RowMatrix>(input.terms.size(), RowMatrix::Ones(input.n, 1));
}

// Bytes of the rows, the pairs in which levels meet, and a batch of probes.
double needed_bytes(const Input& input) {
  const double n = static_cast<double>(input.n), terms = static_cast<double>(input.terms.size());
  double effects = 0.0;
  for (const TermInput& term : input.terms) effects += static_cast<double>(term.n_levels);
  const double columns = static_cast<double>(input.fixed.size()) + 12.0;
  const double pairs = 0.5 * terms * (terms - 1.0);
  return n * (8.0 * columns + 12.0 * terms + 60.0 * pairs) + 1000.0 * effects + 3e8;
}

void require_memory(const Input& input) {
  const double bytes = needed_bytes(input);
  if (bytes < 1e9) return;  // what any machine has
  const double free = free_memory();
  if (bytes < kMemoryShare * free) return;
  char text[160];
  std::snprintf(text, sizeof text,
                "the iterative method needs about %.1f GB for these rows; %.1f GB are free. ",
                bytes / 1e9, free / 1e9);
  throw ModelTooLarge(std::string(text) +
                      "Fit a sample of the rows, or use a machine with more memory.");
}

}  // namespace

MethodPlan plan_rows(const Input& input, const MethodSettings& settings) {
  const std::vector<std::size_t> place = elimination_order(input);
  Input ordered = input;
  for (std::size_t i = 0; i < place.size(); ++i) ordered.terms[i] = input.terms[place[i]];
  return plan_method(RowProducts(ordered, unit_columns(input)).products(), settings);
}

// A Newton step, or a way back along it.
struct CrossedGlmm::Step {
  Halves u;
  Vector eta, beta;
  double decrement = 0.0;  // squared length in the metric of M
};

CrossedGlmm::CrossedGlmm(const Input& input, const Likelihood& likelihood, ResponseRows rows,
                         Vector offset, const CrossedSettings& settings)
    : likelihood_(likelihood),
      rows_(std::move(rows)),
      offset_(std::move(offset)),
      place_(elimination_order(input)) {
  if (rows_.y.size() != input.n || rows_.weights.size() != input.n || offset_.size() != input.n)
    throw std::invalid_argument("y, weights, offset: not one value a row");
  require_memory(input);
  take_unit();
  order_.resize(place_.size());
  Input ordered = input;
  for (std::size_t i = 0; i < place_.size(); ++i) {
    ordered.terms[i] = input.terms[place_[i]];
    order_[place_[i]] = i;
  }
  const Vector y = stand_in(input.n);
  ordered.y = y.data();
  const RefinedInput refined = refine(ordered, choose_shifts(ordered));
  basis_ = refined.basis;
  basis_.T.topLeftCorner(basis_.T.rows() - 1, basis_.T.cols() - 1) /= unit_;
  for (Matrix& Tz : basis_.Tz) Tz /= unit_;
  const auto column = [&](int reference) {
    return Eigen::Map<const Vector>(refined.input.columns[reference], input.n);
  };
  X_.resize(input.n, static_cast<Index>(refined.input.fixed.size()));
  for (Index j = 0; j < X_.cols(); ++j) X_.col(j) = column(refined.input.fixed[j]);
  std::vector<RowMatrix> z;
  for (const TermInput& term : refined.input.terms) z.emplace_back(column(term.columns[0]));
  products_ = std::make_unique<RowProducts>(refined.input, std::move(z));
  std::vector<std::vector<int>> blocks;
  for (const TermInput& term : ordered.terms) blocks.push_back(term.blocks);
  pls_ = std::make_unique<CrossedPls>(products_->products(), std::move(blocks), settings);
  restart();
}

// With the inverse link y in units of its mean takes the predictor in units of 1 / mean.
void CrossedGlmm::take_unit() {
  if (likelihood_.link != Link::inverse) return;
  unit_ = rows_.y.dot(rows_.weights) / rows_.weights.sum();
  rows_.y /= unit_;
  offset_ *= unit_;
}

void CrossedGlmm::restart() {
  std::vector<RowMatrix> zero;
  for (const TermProducts& term : products_->products().terms)
    zero.push_back(RowMatrix::Zero(term.n_levels, 1));
  u_ = pls_->halves(zero);
  beta_ = starting_beta();
}

Vector CrossedGlmm::starting_beta() const {
  const Vector target = starting_predictor(likelihood_, rows_) - offset_;
  const double n = static_cast<double>(target.size());
  const Vector beta = X_.transpose() * target / n;
  RowDerivatives unused;
  if (std::isfinite(row_derivatives(likelihood_, rows_, offset_ + X_ * beta, 1.0, unused)))
    return beta;
  return X_.transpose() * Vector::Constant(target.size(), target.mean()) / n;
}

std::vector<std::tuple<std::size_t, int, int>> CrossedGlmm::parameters() const {
  std::vector<std::tuple<std::size_t, int, int>> out;
  for (const Parameter& a : pls_->parameters()) out.emplace_back(place_[a.term], a.i, a.j);
  return out;
}

std::vector<Matrix> CrossedGlmm::lambda(const Vector& theta, bool standard) const {
  const std::vector<Matrix> of_kernel = pls_->factors(theta);
  std::vector<Matrix> out;
  for (std::size_t kernel : order_)
    out.push_back(
        (standard ? of_kernel[kernel] : Matrix(basis_.Tz[kernel] * of_kernel[kernel])).cwiseAbs());
  return out;
}

void CrossedGlmm::prepare(const GlmmParameters& at) {
  if (at.beta.size() != 0 && at.beta.size() != X_.cols())
    throw std::invalid_argument("beta: not one value for each column");
  if (!(at.dispersion > 0.0)) throw std::invalid_argument("dispersion: not above zero");
  theta_ = at.theta;
  lambda_ = pls_->factors(theta_);
  joint_ = at.beta.size() == 0;
  if (!joint_) beta_ = at.beta;
  dispersion_ = at.dispersion;
  if (constant_dispersion_ != dispersion_) {
    constant_ = constant_part(likelihood_, rows_, dispersion_);
    if (unit_ != 1.0) constant_ -= std::log(unit_) * rows_.weights.sum();
    constant_dispersion_ = dispersion_;
  }
}

// Lambda u by term.
std::vector<RowMatrix> CrossedGlmm::to_effects(const Halves& u) const {
  std::vector<RowMatrix> out = pls_->by_term(u);
  for (std::size_t t = 0; t < out.size(); ++t) out[t] *= lambda_[t](0, 0);
  return out;
}

Vector CrossedGlmm::predictor(const Halves& u, const Vector& beta) const {
  return products_->multiply(to_effects(u)) + X_ * beta;
}

// X'W X - X'W Z D Z'W X, where `solved` is D Z'W X.
Matrix CrossedGlmm::schur(const std::vector<RowMatrix>& solved) const {
  Matrix out = X_.transpose() * derivatives_.weight.asDiagonal() * X_;
  for (std::size_t t = 0; t < solved.size(); ++t) out.noalias() -= ZWX_[t].transpose() * solved[t];
  return 0.5 * (out + out.transpose());
}

// New u = M^-1 Lambda'Z'(W Z Lambda u + s), or together with beta by Schur's complement. Solves
// start from what is known.
CrossedGlmm::Step CrossedGlmm::newton_step(double reduction) {
  const Vector& w = derivatives_.weight;
  Vector right = w.cwiseProduct(products_->multiply(to_effects(u_))) + derivatives_.score;
  Step step;
  step.u = u_;
  step.beta = Vector::Zero(beta_.size());
  if (joint_) {
    right.array() += w.array() * (X_ * beta_).array();
    ZWX_ = products_->transposed(RowMatrix(w.asDiagonal() * X_));
    pls_->solve_spherical(pls_->halves(ZWX_), kFine, reduction, solved_);
    Halves own = u_;  // with beta taken out
    own.leading.noalias() += solved_.leading * beta_;
    own.root.noalias() += solved_.root * beta_;
    pls_->solve_spherical(pls_->halves(products_->transposed(right)), kFine, reduction, own);
    const std::vector<RowMatrix> solved = to_effects(solved_);
    Vector reduced = X_.transpose() * right;
    const std::vector<RowMatrix> effects = to_effects(own);
    for (std::size_t t = 0; t < effects.size(); ++t)
      reduced.noalias() -= ZWX_[t].transpose() * effects[t].col(0);
    const Vector beta = schur(solved).ldlt().solve(reduced);
    step.beta = beta - beta_;
    step.u.leading = own.leading - solved_.leading * beta;
    step.u.root = own.root - solved_.root * beta;
  } else {
    pls_->solve_spherical(pls_->halves(products_->transposed(right)), kFine, reduction, step.u);
  }
  step.u.leading -= u_.leading;
  step.u.root -= u_.root;
  step.eta = predictor(step.u, step.beta);
  step.decrement = squared_norm(step.u) + (w.array() * step.eta.array().square()).sum();
  return step;
}

// Move along a step, halved until the penalised log-likelihood does not fall.
bool CrossedGlmm::take(const Step& step, bool check, double& log_likelihood, double& penalty) {
  const double before = -2.0 * log_likelihood + penalty;
  const Halves u = u_;
  const Vector eta = eta_, beta = beta_;
  double length = 1.0;
  for (int halving = 0; halving < kMaxHalvings; ++halving, length *= 0.5) {
    eta_ = eta + length * step.eta;
    beta_ = beta + length * step.beta;
    u_.leading = u.leading + length * step.u.leading;
    u_.root = u.root + length * step.u.root;
    log_likelihood = row_derivatives(likelihood_, rows_, eta_, dispersion_, derivatives_);
    penalty = squared_norm(u_);
    const double now = -2.0 * log_likelihood + penalty;
    if (std::isfinite(now) && (!check || now <= before + 1e-10 * (1.0 + std::abs(before))))
      return true;
  }
  return false;
}

GlmmPoint CrossedGlmm::evaluate(const GlmmParameters& at) {
  prepare(at);
  GlmmPoint out = find_mode();
  if (out.value < kInfeasible) return out;
  restart();  // the last mode was no place to start from
  if (!joint_) beta_ = at.beta;
  out = find_mode();
  if (out.value >= kInfeasible) restart();
  return out;
}

// Newton's method from u_ (and beta_, joint) on; infeasible where it breaks down.
GlmmPoint CrossedGlmm::find_mode() {
  GlmmPoint out;
  eta_ = offset_ + predictor(u_, beta_);
  double log_likelihood = row_derivatives(likelihood_, rows_, eta_, dispersion_, derivatives_);
  if (!std::isfinite(log_likelihood)) return out;
  double penalty = squared_norm(u_), before = std::numeric_limits<double>::infinity();
  double reduction = kReduction;
  for (out.steps = 0; out.steps < kMaxSteps; ++out.steps) {
    pause();
    products_->renew(derivatives_.weight);
    pls_->stand(products_->products(), lambda_);
    const Step step = newton_step(reduction);
    if (!std::isfinite(step.decrement)) return out;
    const bool stands = step.decrement < kSmallStep && step.decrement > 0.25 * before;
    if (step.decrement < kModeTolerance || stands) {
      out.logdet = pls_->log_determinant();
      if (!std::isfinite(out.logdet)) return out;
      out.log_likelihood = log_likelihood + constant_;
      out.penalty = penalty;
      out.value = -2.0 * out.log_likelihood + penalty + out.logdet;
      out.beta = beta_;
      return out;
    }
    if (!take(step, step.decrement > kSmallStep, log_likelihood, penalty)) return out;
    reduction = std::min(kReduction, std::sqrt(step.decrement / (1.0 + penalty)));
    before = step.decrement;
  }
  return out;
}

Matrix CrossedGlmm::information_beta() {
  ZWX_ = products_->transposed(RowMatrix(derivatives_.weight.asDiagonal() * X_));
  return schur(pls_->solve(ZWX_));
}

// How eta moves with the mode where the scores change by a.
Vector CrossedGlmm::implicit_change(const Vector& a) {
  Halves v;
  pls_->solve_spherical(pls_->halves(products_->transposed(a)), kSolve, 0.0, v);
  if (!joint_) return products_->multiply(to_effects(v));
  pls_->solve_spherical(pls_->halves(ZWX_), kSolve, 0.0, solved_);
  const Vector left = a - derivatives_.weight.cwiseProduct(products_->multiply(to_effects(v)));
  const Vector beta = schur(to_effects(solved_)).ldlt().solve(X_.transpose() * left);
  v.leading.noalias() -= solved_.leading * beta;
  v.root.noalias() -= solved_.root * beta;
  return predictor(v, beta);
}

Vector CrossedGlmm::gradient() {
  DeterminantSlopes slopes;
  pls_->determinant_slopes(products_->products(), slopes);
  const Vector h = products_->quadratic(slopes.own, slopes.pairs);
  const Vector a = h.cwiseProduct(derivatives_.slope);
  const Vector change = implicit_change(a);
  const Vector left = a - derivatives_.weight.cwiseProduct(change);
  const Vector r = left - 2.0 * derivatives_.score;
  const std::vector<RowMatrix> Zr = products_->transposed(r);
  const std::vector<RowMatrix> Zs = products_->transposed(derivatives_.score);
  const std::vector<RowMatrix> v = times_lambda(lambda_, products_->transposed(left), true);
  const std::vector<RowMatrix> u = pls_->by_term(u_);
  const Index m = static_cast<Index>(u.size()), p = joint_ ? 0 : X_.cols();
  by_lambda_.assign(u.size(), Matrix(1, 1));
  Vector out(m + p + (likelihood_.has_dispersion() ? 1 : 0));
  for (std::size_t t = 0; t < u.size(); ++t)
    by_lambda_[t](0, 0) = slopes.by_lambda(static_cast<Index>(t)) + Zr[t].col(0).dot(u[t].col(0)) +
                          Zs[t].col(0).dot(v[t].col(0));
  const std::vector<Parameter>& parameters = pls_->parameters();
  for (Index i = 0; i < m; ++i) out(i) = by_lambda_[parameters[i].term](0, 0);
  if (!joint_) out.segment(m, p).noalias() = X_.transpose() * r;
  if (likelihood_.has_dispersion()) {
    DispersionDerivatives by_dispersion;
    dispersion_derivatives(likelihood_, rows_, eta_, dispersion_, by_dispersion);
    out(m + p) = h.dot(by_dispersion.weight) + change.dot(by_dispersion.score) -
                 2.0 * by_dispersion.log_likelihood;
  }
  return out;
}

Matrix CrossedGlmm::gradient_parts(int parts) {
  Matrix out;
  for (int part = 0; part < parts; ++part) {
    pls_->take_part(part, parts);
    const Vector g = gradient();
    if (part == 0) out.resize(g.size(), parts);
    out.col(part) = g;
  }
  pls_->take_part(0, 1);
  return out;
}

std::vector<Matrix> CrossedGlmm::gradient_by_factors() const {
  std::vector<Matrix> out;
  for (std::size_t kernel : order_) out.push_back(by_lambda_.at(kernel));
  return out;
}

std::vector<Matrix> CrossedGlmm::modes() const {
  const std::vector<RowMatrix> b = to_effects(u_);
  std::vector<Matrix> out;
  for (std::size_t kernel : order_)
    out.push_back(basis_.Tz[kernel](0, 0) * Matrix(b[kernel].transpose()));
  return out;
}

std::vector<Matrix> CrossedGlmm::conditional_covariances() {
  const std::vector<Matrix> variances = pls_->conditional_covariances();
  std::vector<Matrix> out;
  for (std::size_t kernel : order_) {
    const double scale = basis_.Tz[kernel](0, 0);
    out.push_back(scale * scale * variances[kernel]);
  }
  return out;
}

Vector CrossedGlmm::prediction_variances(const Matrix& X, const Matrix& cov_beta,
                                         const std::vector<NewTerm>& terms) {
  const Index p = X_.cols();
  if (X.cols() != p || cov_beta.rows() != p || cov_beta.cols() != p)
    throw std::invalid_argument("X, cov_beta: not one column for each coefficient");
  const Matrix T = basis_.T.topLeftCorner(p, p);
  ZWX_ = products_->transposed(RowMatrix(derivatives_.weight.asDiagonal() * X_));
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(cov_beta);
  const Vector scale = eigen.eigenvalues().cwiseMax(0.0).cwiseSqrt();
  const Matrix root = T.lu().solve(eigen.eigenvectors() * scale.asDiagonal());
  return error_variances(*pls_, {basis_.Tz, place_, lambda_, root}, X * T, terms, ZWX_);
}

}  // namespace ranef
