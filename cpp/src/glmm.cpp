#include "ranef/glmm.hpp"

#include <cmath>
#include <limits>

#include "ranef/interrupt.hpp"
#include "ranef/laplace.hpp"
#include "ranef/search.hpp"

namespace ranef {
namespace {

constexpr int kMaxSteps = 1000;
constexpr int kMaxHalvings = 40;
// Squared length of a Newton step, in the metric of M, at which the mode stands to rounding.
constexpr double kModeTolerance = 1e-18;
// Below this a step is taken as it is: what it gains is lost in the rounding of the criterion.
constexpr double kSmallStep = 1e-7;

}  // namespace

// A Newton step, or a way back along it.
struct Glmm::Step {
  std::vector<RowMatrix> u;
  Vector eta, beta;
  double decrement = 0.0;  // squared length in the metric of M
};

Glmm::Glmm(const Input& input, const Likelihood& likelihood, ResponseRows rows, Vector offset)
    : likelihood_(likelihood),
      rows_(std::move(rows)),
      offset_(std::move(offset)),
      place_(elimination_order(input)) {
  if (rows_.y.size() != input.n || rows_.weights.size() != input.n || offset_.size() != input.n)
    throw std::invalid_argument("y, weights, offset: not one value a row");
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
  for (const TermInput& term : refined.input.terms) {
    z.emplace_back(input.n, static_cast<Index>(term.columns.size()));
    for (Index j = 0; j < z.back().cols(); ++j) z.back().col(j) = column(term.columns[j]);
  }
  products_ = std::make_unique<RowProducts>(refined.input, std::move(z));
  std::vector<std::vector<int>> blocks;
  std::vector<BlockStructures> structures;
  for (const TermInput& term : ordered.terms) {
    blocks.push_back(term.blocks);
    structures.push_back(term.structures);
  }
  pls_ = std::make_unique<Pls>(products_->products(), std::move(blocks), std::move(structures));
  restart();
}

// With the inverse link y in units of its mean takes the predictor in units of 1 / mean: both are
// near one, whatever the user's unit.
void Glmm::take_unit() {
  if (likelihood_.link != Link::inverse) return;
  unit_ = rows_.y.dot(rows_.weights) / rows_.weights.sum();
  rows_.y /= unit_;
  offset_ *= unit_;
}

void Glmm::restart() {
  u_.clear();
  for (const TermProducts& term : products_->products().terms)
    u_.push_back(RowMatrix::Zero(term.n_levels * term.k, 1));
  beta_ = starting_beta();
}

void Glmm::set_response(const Eigen::Ref<const Vector>& y) {
  if (y.size() != rows_.y.size()) throw std::invalid_argument("y: not one value a row");
  if (likelihood_.link == Link::inverse) throw std::invalid_argument("link: the unit is y's own");
  rows_.y = y;
  constant_dispersion_ = -1.0;
  restart();
}

// What least squares makes of a predictor for each row, or of their mean where that is out of
// range.
Vector Glmm::starting_beta() const {
  const Vector target = starting_predictor(likelihood_, rows_) - offset_;
  const double n = static_cast<double>(target.size());
  const Vector beta = X_.transpose() * target / n;
  RowDerivatives unused;
  if (std::isfinite(row_derivatives(likelihood_, rows_, offset_ + X_ * beta, 1.0, unused)))
    return beta;
  return X_.transpose() * Vector::Constant(target.size(), target.mean()) / n;
}

std::vector<std::tuple<std::size_t, int, int>> Glmm::parameters() const {
  std::vector<std::tuple<std::size_t, int, int>> out;
  for (const Parameter& a : pls_->parameters()) out.emplace_back(place_[a.term], a.i, a.j);
  return out;
}

std::vector<Matrix> Glmm::lambda(const Vector& theta, bool standard) const {
  const std::vector<Matrix> of_kernel = pls_->factors(theta);
  std::vector<Matrix> out;
  for (std::size_t kernel : order_)
    out.push_back(
        lower_factor(standard ? of_kernel[kernel] : Matrix(basis_.Tz[kernel] * of_kernel[kernel])));
  return out;
}

void Glmm::prepare(const GlmmParameters& at) {
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

// Factor M under the weights at eta_: log|M|.
double Glmm::renew_factor() {
  products_->renew(derivatives_.weight);
  pls_->renew(products_->products());
  return pls_->factor(lambda_);
}

// X'W X - X'W Z D Z'W X, where `solved` is D Z'W X.
Matrix Glmm::schur(const std::vector<RowMatrix>& solved) const {
  Matrix out = X_.transpose() * derivatives_.weight.asDiagonal() * X_;
  for (std::size_t t = 0; t < solved.size(); ++t) out.noalias() -= ZWX_[t].transpose() * solved[t];
  return out;
}

// With D = Lambda M^-1 Lambda': new b = D Z'(W eta + s), or together with beta by Schur's
// complement.
Glmm::Step Glmm::newton_step() {
  const Vector& w = derivatives_.weight;
  const std::vector<RowMatrix> b = times_lambda(lambda_, u_, false);
  const Vector zb = products_->multiply(b);
  Step step;
  if (joint_) {
    ZWX_ = products_->transposed(w.asDiagonal() * X_);
    const Vector right = (w.array() * (zb + X_ * beta_).array()).matrix() + derivatives_.score;
    const std::vector<RowMatrix> Zr = products_->transposed(right);
    const std::vector<RowMatrix> solved = pls_->solve(ZWX_);
    Vector reduced = X_.transpose() * right;
    for (std::size_t t = 0; t < Zr.size(); ++t)
      reduced.noalias() -= solved[t].transpose() * Zr[t].col(0);
    const Vector beta = schur(solved).ldlt().solve(reduced);
    std::vector<RowMatrix> next = pls_->solve(Zr);
    for (std::size_t t = 0; t < next.size(); ++t) next[t].noalias() -= solved[t] * beta;
    step.beta = beta - beta_;
    step.eta = products_->multiply(next) - zb + X_ * step.beta;
  } else {
    const Vector right = (w.array() * zb.array()).matrix() + derivatives_.score;
    step.beta = Vector::Zero(beta_.size());
    step.eta = products_->multiply(pls_->solve(products_->transposed(right))) - zb;
  }
  const Vector left = derivatives_.score - (w.array() * step.eta.array()).matrix();
  step.u = times_lambda(lambda_, products_->transposed(left), true);
  for (std::size_t t = 0; t < u_.size(); ++t) step.u[t] -= u_[t];
  step.decrement = squared_norm(step.u) + (w.array() * step.eta.array().square()).sum();
  return step;
}

// Move along a step, halved until the penalised log-likelihood does not fall.
bool Glmm::take(const Step& step, bool check, double& log_likelihood, double& penalty) {
  const double before = -2.0 * log_likelihood + penalty;
  const std::vector<RowMatrix> u = u_;
  const Vector eta = eta_, beta = beta_;
  double length = 1.0;
  for (int halving = 0; halving < kMaxHalvings; ++halving, length *= 0.5) {
    eta_ = eta + length * step.eta;
    beta_ = beta + length * step.beta;
    for (std::size_t t = 0; t < u.size(); ++t) u_[t] = u[t] + length * step.u[t];
    log_likelihood = row_derivatives(likelihood_, rows_, eta_, dispersion_, derivatives_);
    penalty = squared_norm(u_);
    const double now = -2.0 * log_likelihood + penalty;
    if (std::isfinite(now) && (!check || now <= before + 1e-10 * (1.0 + std::abs(before))))
      return true;
  }
  return false;
}

GlmmPoint Glmm::evaluate(const GlmmParameters& at) {
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
GlmmPoint Glmm::find_mode() {
  GlmmPoint out;
  eta_ = offset_ + X_ * beta_ + products_->multiply(times_lambda(lambda_, u_, false));
  double log_likelihood = row_derivatives(likelihood_, rows_, eta_, dispersion_, derivatives_);
  if (!std::isfinite(log_likelihood)) return out;
  double penalty = squared_norm(u_), before = std::numeric_limits<double>::infinity();
  for (out.steps = 0; out.steps < kMaxSteps; ++out.steps) {
    pause();
    out.logdet = renew_factor();
    if (!std::isfinite(out.logdet)) return out;
    const Step step = newton_step();
    if (!std::isfinite(step.decrement)) return out;
    const bool stands = step.decrement < kSmallStep && step.decrement > 0.25 * before;
    if (step.decrement < kModeTolerance || stands) {
      out.log_likelihood = log_likelihood + constant_;
      out.penalty = penalty;
      out.value = -2.0 * out.log_likelihood + penalty + out.logdet;
      out.beta = beta_;
      return out;
    }
    if (!take(step, step.decrement > kSmallStep, log_likelihood, penalty)) return out;
    before = step.decrement;
  }
  return out;
}

Matrix Glmm::information_beta() {
  ZWX_ = products_->transposed(derivatives_.weight.asDiagonal() * X_);
  return schur(pls_->solve(ZWX_));
}

std::vector<Matrix> Glmm::modes() const {
  const std::vector<RowMatrix> b = times_lambda(lambda_, u_, false);
  std::vector<Matrix> out;
  for (std::size_t kernel : order_)
    out.push_back(basis_.Tz[kernel] * Eigen::Map<const Matrix>(b[kernel].data(), pls_->k(kernel),
                                                               pls_->n_levels(kernel)));
  return out;
}

std::vector<Matrix> Glmm::conditional_covariances() {
  InverseBlocks blocks;
  renew_factor();
  pls_->inverse_blocks(blocks);
  to_random_effects(lambda_, blocks);
  std::vector<Matrix> out;
  for (std::size_t kernel : order_) {
    const Index k = pls_->k(kernel);
    const Matrix& T = basis_.Tz[kernel];
    out.push_back(std::move(blocks.own[kernel]));
    for (Index l = 0; l < out.back().cols(); ++l) {
      Eigen::Map<Matrix> block(out.back().data() + l * k * k, k, k);
      block = (T * block * T.transpose()).eval();
    }
  }
  return out;
}

Vector Glmm::prediction_variances(const Matrix& X, const Matrix& cov_beta,
                                  const std::vector<NewTerm>& terms) {
  const Index p = X_.cols();
  if (X.cols() != p || cov_beta.rows() != p || cov_beta.cols() != p)
    throw std::invalid_argument("X, cov_beta: not one column for each coefficient");
  const Matrix T = basis_.T.topLeftCorner(p, p);
  renew_factor();
  ZWX_ = products_->transposed(derivatives_.weight.asDiagonal() * X_);
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(cov_beta);
  const Vector scale = eigen.eigenvalues().cwiseMax(0.0).cwiseSqrt();
  const Matrix root = T.lu().solve(eigen.eigenvectors() * scale.asDiagonal());
  return error_variances(*pls_, {basis_.Tz, place_, lambda_, root}, X * T, terms, ZWX_);
}

}  // namespace ranef
