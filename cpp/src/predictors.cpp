#include "ranef/predictors.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "ranef/laplace.hpp"
#include "ranef/search.hpp"

namespace ranef {
namespace {

constexpr int kMaxSteps = 300;
constexpr int kMaxHalvings = 40;
// As in glmm.cpp: squared length of a Newton step at which the mode stands to rounding, and below
// which a step is taken as it is. After one below kLastStep the next would be its square.
constexpr double kModeTolerance = 1e-18;
constexpr double kSmallStep = 1e-7;
constexpr double kLastStep = 1e-10;
// Ratio of standard deviations up to which an effect is kept.
constexpr double kMostRatio = 10.0;

int pair_of(int a, int b) { return a <= b ? b * (b + 1) / 2 + a : a * (a + 1) / 2 + b; }

Matrix block(const Matrix& packed, Index row, int r) {
  Matrix out(r, r);
  for (int b = 0; b < r; ++b)
    for (int a = 0; a <= b; ++a) out(a, b) = out(b, a) = packed(row, pair_of(a, b));
  return out;
}

// Each row's weights with their negative eigenvalues put to zero.
Matrix positive_part(const Matrix& packed, int r) {
  if (r == 1) return packed.cwiseMax(0.0);
  Matrix out = packed;
  for (Index i = 0; i < packed.rows(); ++i) {
    const Eigen::SelfAdjointEigenSolver<Matrix> eigen(block(packed, i, r));
    if (eigen.eigenvalues()(0) >= 0.0) continue;
    const Matrix positive = eigen.eigenvectors() * eigen.eigenvalues().cwiseMax(0.0).asDiagonal() *
                            eigen.eigenvectors().transpose();
    for (int b = 0; b < r; ++b)
      for (int a = 0; a <= b; ++a) out(i, pair_of(a, b)) = positive(a, b);
  }
  return out;
}

}  // namespace

StandardColumns standard_columns(const Input& input) {
  Input with_response = input;
  const Vector y = stand_in(input.n);
  with_response.y = y.data();
  const RefinedInput refined = refine(with_response, choose_shifts(with_response));
  const auto column = [&](int reference) {
    return Eigen::Map<const Vector>(refined.input.columns[reference], input.n);
  };
  StandardColumns out;
  const Index p = static_cast<Index>(refined.input.fixed.size());
  out.X.resize(input.n, p);
  for (Index j = 0; j < p; ++j) out.X.col(j) = column(refined.input.fixed[j]);
  out.T = refined.basis.T.topLeftCorner(p, p);
  out.kept = refined.basis.kept;
  out.aliased = refined.basis.aliased;
  out.alias = refined.basis.alias;
  out.Tz = refined.basis.Tz;
  for (const TermInput& term : refined.input.terms) {
    out.z.emplace_back(input.n, static_cast<Index>(term.columns.size()));
    for (Index j = 0; j < out.z.back().cols(); ++j) out.z.back().col(j) = column(term.columns[j]);
  }
  return out;
}

struct Predictors::Step {
  std::vector<RowMatrix> u;
  Matrix eta;              // (n, r)
  double decrement = 0.0;  // squared length in the metric of M
};

Predictors::Predictors(std::unique_ptr<RowModel> rows, std::vector<PredictorInput> inputs,
                       std::vector<PredictorTerm> terms, Index n_beta)
    : rows_(std::move(rows)), inputs_(std::move(inputs)), n_beta_(n_beta) {
  const Index n = rows_->n_obs();
  if (static_cast<int>(inputs_.size()) != rows_->n_inputs())
    throw std::invalid_argument("inputs: not one for each predictor of the family");
  for (const PredictorInput& input : inputs_) {
    if (input.X.rows() != n || input.X.cols() != static_cast<Index>(input.index.size()) ||
        (input.offset.size() != 0 && input.offset.size() != n))
      throw std::invalid_argument("inputs: X, index and offset do not fit the rows");
    for (int j : input.index)
      if (j < 0 || j >= n_beta_) throw std::invalid_argument("inputs: index out of range");
  }
  for (const PredictorTerm& term : terms)
    if (static_cast<Index>(term.codes.size()) != n || term.z.rows() != n || term.predictor < 0 ||
        term.predictor >= rows_->n_inputs() ||
        static_cast<Index>(term.blocks.size()) != term.z.cols())
      throw std::invalid_argument("terms: codes, z, blocks or predictor do not fit the rows");
  if (!terms.empty()) plan(terms);
}

// Levels and their meetings once; the term with the most random effects leads.
void Predictors::plan(const std::vector<PredictorTerm>& terms) {
  std::vector<Matrix> columns;  // whose data must not move
  columns.reserve(terms.size());
  Input input;
  input.n = rows_->n_obs();
  for (const PredictorTerm& term : terms) {
    TermInput of_term{term.codes.data(), term.n_levels, {}, term.blocks, term.structures};
    columns.push_back(term.z);
    for (Index j = 0; j < term.z.cols(); ++j) {
      of_term.columns.push_back(static_cast<int>(input.columns.size()));
      input.columns.push_back(columns.back().col(j).data());
    }
    input.terms.push_back(std::move(of_term));
    active_.push_back(term.predictor);
  }
  std::sort(active_.begin(), active_.end());
  active_.erase(std::unique(active_.begin(), active_.end()), active_.end());
  if (static_cast<int>(active_.size()) > kMostActive)
    throw std::invalid_argument("terms: of too many predictors");
  place_ = elimination_order(input);
  order_.resize(place_.size());
  Input ordered = input;
  std::vector<RowMatrix> z;
  std::vector<std::vector<int>> blocks;
  std::vector<BlockStructures> structures;
  for (std::size_t i = 0; i < place_.size(); ++i) {
    const PredictorTerm& term = terms[place_[i]];
    ordered.terms[i] = input.terms[place_[i]];
    order_[place_[i]] = i;
    z.push_back(term.z);
    blocks.push_back(term.blocks);
    structures.push_back(term.structures);
    const auto at = std::find(active_.begin(), active_.end(), term.predictor);
    owner_.push_back(static_cast<int>(at - active_.begin()));
  }
  products_ = std::make_unique<RowProducts>(ordered, std::move(z));
  products_->assign(owner_, static_cast<int>(active_.size()));
  pls_ = std::make_unique<Pls>(products_->products(), std::move(blocks), std::move(structures));
  restart();
}

void Predictors::restart() {
  known_ = false;
  if (!has_terms()) return;
  u_.clear();
  for (const TermProducts& term : products_->products().terms)
    u_.push_back(RowMatrix::Zero(term.n_levels * term.k, 1));
}

std::vector<std::tuple<std::size_t, int, int>> Predictors::parameters() const {
  std::vector<std::tuple<std::size_t, int, int>> out;
  if (!has_terms()) return out;
  for (const Parameter& a : pls_->parameters()) out.emplace_back(place_[a.term], a.i, a.j);
  return out;
}

std::vector<Matrix> Predictors::lambda(const Vector& theta) const {
  std::vector<Matrix> out;
  if (!has_terms()) return out;
  const std::vector<Matrix> of_kernel = pls_->factors(theta);
  for (std::size_t kernel : order_) out.push_back(lower_factor(of_kernel[kernel]));
  return out;
}

Matrix Predictors::fixed_part(const Vector& beta) const {
  if (beta.size() != n_beta_) throw std::invalid_argument("beta: not one value for each column");
  Matrix out = Matrix::Zero(rows_->n_obs(), static_cast<Index>(inputs_.size()));
  for (std::size_t a = 0; a < inputs_.size(); ++a) {
    const PredictorInput& input = inputs_[a];
    const Vector own = Vector::NullaryExpr(static_cast<Index>(input.index.size()),
                                           [&](Index j) { return beta(input.index[j]); });
    out.col(static_cast<Index>(a)).noalias() = input.X * own;
    if (input.offset.size() != 0) out.col(static_cast<Index>(a)) += input.offset;
  }
  return out;
}

void Predictors::set_eta(const std::vector<RowMatrix>& u) {
  eta_ = fixed_;
  const Matrix random = products_->multiply_own(times_lambda(lambda_, u, false));
  for (std::size_t k = 0; k < active_.size(); ++k)
    eta_.col(active_[k]) += random.col(static_cast<Index>(k));
}

// The leading term's blocks, which its factor does not look at one by one.
bool Predictors::leading_is_positive() const {
  const TermProducts& A = products_->products().terms[0];
  const Matrix& lambda = lambda_[0];
  if (A.k == 1) return (1.0 + A.own.array() * lambda(0, 0) * lambda(0, 0)).minCoeff() > 0.0;
  Eigen::LLT<Matrix> llt(A.k);
  for (Index l = 0; l < A.n_levels; ++l) {
    const Eigen::Map<const Matrix> own(A.own.data() + l * A.k * A.k, A.k, A.k);
    llt.compute(Matrix::Identity(A.k, A.k) + lambda.transpose() * own * lambda);
    if (llt.info() != Eigen::Success) return false;
  }
  return true;
}

// log|M| under these weights, NaN where it is not positive definite.
double Predictors::factor(const Matrix& weight) {
  is_solvable_ = is_invertible_ = false;
  products_->renew_pairs(weight);
  if (!leading_is_positive()) return std::numeric_limits<double>::quiet_NaN();
  pls_->renew(products_->products());
  return pls_->factor(lambda_);
}

// W rows, (n, r).
Matrix Predictors::weighted(const Matrix& weight, const Matrix& rows) const {
  const int r = static_cast<int>(active_.size());
  Matrix out = Matrix::Zero(rows.rows(), r);
  for (int b = 0; b < r; ++b)
    for (int a = 0; a < r; ++a)
      out.col(a).array() += weight.col(pair_of(a, b)).array() * rows.col(b).array();
  return out;
}

// With D = Lambda M^-1 Lambda': new b = D Z'(W Z b + s).
Predictors::Step Predictors::newton_step(const Matrix& weight) const {
  const Matrix zb = products_->multiply_own(times_lambda(lambda_, u_, false));
  const Matrix right = weighted(weight, zb) + score_;
  Step step;
  step.eta = products_->multiply_own(pls_->solve(products_->transposed_own(right))) - zb;
  const Matrix moved = weighted(weight, step.eta), left = score_ - moved;
  step.u = times_lambda(lambda_, products_->transposed_own(left), true);
  for (std::size_t t = 0; t < u_.size(); ++t) step.u[t] -= u_[t];
  step.decrement = squared_norm(step.u) + moved.cwiseProduct(step.eta).sum();
  return step;
}

// Move along a step, halved until the penalised log-likelihood does not fall.
bool Predictors::take(const Step& step, bool check, double& log_likelihood, double& penalty) {
  const double before = -2.0 * log_likelihood + penalty;
  const std::vector<RowMatrix> u = u_;
  const Matrix eta = eta_;
  double length = 1.0;
  for (int halving = 0; halving < kMaxHalvings; ++halving, length *= 0.5) {
    for (std::size_t k = 0; k < active_.size(); ++k)
      eta_.col(active_[k]) = eta.col(active_[k]) + length * step.eta.col(static_cast<Index>(k));
    for (std::size_t t = 0; t < u.size(); ++t) u_[t] = u[t] + length * step.u[t];
    log_likelihood = rows_->search(eta_, active_, score_, weight_);
    penalty = squared_norm(u_);
    const double now = -2.0 * log_likelihood + penalty;
    if (std::isfinite(now) && (!check || now <= before + 1e-10 * (1.0 + std::abs(before))))
      return true;
  }
  return false;
}

// The last point serves again.
GlmmPoint Predictors::evaluate(const Vector& theta, const Vector& beta) {
  const bool same = known_ && theta.size() == theta_.size() && beta.size() == beta_.size() &&
                    theta == theta_ && beta == beta_;
  if (!same) {
    last_ = evaluate_anew(theta, beta);
    last_.beta = beta;
    known_ = last_.value < kInfeasible;
    has_gradient_ = false;
    theta_ = theta;
    beta_ = beta;
  } else {
    last_.steps = 0;
  }
  return last_;
}

GlmmPoint Predictors::evaluate_anew(const Vector& theta, const Vector& beta) {
  fixed_ = fixed_part(beta);
  if (!has_terms()) {
    if (theta.size() != 0) throw std::invalid_argument("theta: there are no terms");
    return without_effects();
  }
  theta_ = theta;
  const std::vector<Matrix> before = std::move(lambda_);
  lambda_ = pls_->factors(theta);
  is_solvable_ = is_invertible_ = false;
  if (nothing_varies()) {
    for (RowMatrix& u : u_) u.setZero();
    return without_effects();
  }
  if (before.size() == lambda_.size()) keep_effects(before);
  GlmmPoint out = find_mode();
  if (out.value >= kInfeasible) {
    restart();  // the last mode was no place to start from
    out = find_mode();
    if (out.value >= kInfeasible) restart();
  }
  return out;
}

// Intercepts start where they were: what rows say of them moves less than their spread.
void Predictors::keep_effects(const std::vector<Matrix>& before) {
  for (std::size_t t = 0; t < u_.size(); ++t) {
    if (lambda_[t].size() != 1 || lambda_[t](0, 0) == 0.0) continue;
    const double ratio = before[t](0, 0) / lambda_[t](0, 0);
    if (std::abs(ratio) < kMostRatio) u_[t] *= ratio;
  }
}

bool Predictors::nothing_varies() const {
  return std::all_of(lambda_.begin(), lambda_.end(),
                     [](const Matrix& block) { return block.isZero(0.0); });
}

GlmmPoint Predictors::without_effects() {
  GlmmPoint out;
  eta_ = fixed_;
  out.log_likelihood = rows_->total(eta_);
  if (std::isfinite(out.log_likelihood)) out.value = -2.0 * out.log_likelihood;
  return out;
}

// The factor at the last point, which an evaluation without effects has not made.
void Predictors::prepare(bool inverse) {
  if (inverse ? is_invertible_ : is_solvable_) return;
  if (nothing_varies()) rows_->search(eta_, active_, score_, weight_);
  factor(weight_);
  is_solvable_ = is_invertible_ = true;
}

void Predictors::invert(InverseBlocks& out) {
  prepare(true);
  pls_->inverse_blocks(out);
  is_invertible_ = false;
}

// The log-likelihood with the constants that search() leaves out: they change with the inactive
// predictors alone.
double Predictors::whole(double log_likelihood) {
  Matrix shapes(eta_.rows(), eta_.cols() - static_cast<Index>(active_.size()));
  Index to = 0;
  for (Index a = 0; a < eta_.cols(); ++a)
    if (std::find(active_.begin(), active_.end(), static_cast<int>(a)) == active_.end())
      shapes.col(to++) = eta_.col(a);
  if (shapes_.rows() != shapes.rows() || shapes_ != shapes) {
    constant_ = rows_->total(eta_) - log_likelihood;
    shapes_ = std::move(shapes);
  }
  return log_likelihood + constant_;
}

// Newton's method from u_ on; infeasible where it breaks down.
GlmmPoint Predictors::find_mode() {
  GlmmPoint out;
  const int r = static_cast<int>(active_.size());
  set_eta(u_);
  double log_likelihood = rows_->search(eta_, active_, score_, weight_);
  if (!std::isfinite(log_likelihood)) return out;
  double penalty = squared_norm(u_), before = std::numeric_limits<double>::infinity();
  for (out.steps = 0; out.steps < kMaxSteps; ++out.steps) {
    out.logdet = factor(weight_);
    const bool exact = std::isfinite(out.logdet);
    const Matrix used = exact ? weight_ : positive_part(weight_, r);
    if (!exact && !std::isfinite(factor(used))) return out;
    const Step step = newton_step(used);
    if (!std::isfinite(step.decrement)) return out;
    const bool stands = step.decrement < kSmallStep && step.decrement > 0.25 * before;
    if (step.decrement < kModeTolerance || stands) {
      if (exact) finish(out, log_likelihood, penalty);
      return out;
    }
    if (!take(step, step.decrement > kSmallStep, log_likelihood, penalty)) return out;
    before = step.decrement;
    if (!exact || before > kLastStep) continue;
    out.logdet = factor(weight_);
    if (std::isfinite(out.logdet)) {
      finish(out, log_likelihood, penalty);
      return out;
    }
  }
  return out;
}

void Predictors::finish(GlmmPoint& out, double log_likelihood, double penalty) {
  is_solvable_ = is_invertible_ = true;
  out.log_likelihood = whole(log_likelihood);
  out.penalty = penalty;
  const double value = -2.0 * out.log_likelihood + penalty + out.logdet;
  if (std::isfinite(value)) out.value = value;
}

std::vector<Matrix> Predictors::modes() const {
  std::vector<Matrix> out;
  if (!has_terms()) return out;
  const std::vector<RowMatrix> b = times_lambda(lambda_, u_, false);
  for (std::size_t kernel : order_)
    out.push_back(
        Eigen::Map<const Matrix>(b[kernel].data(), pls_->k(kernel), pls_->n_levels(kernel)));
  return out;
}

std::vector<Matrix> Predictors::conditional_covariances() {
  std::vector<Matrix> out;
  if (!has_terms()) return out;
  InverseBlocks blocks;
  invert(blocks);
  to_random_effects(lambda_, blocks);
  for (std::size_t kernel : order_) out.push_back(std::move(blocks.own[kernel]));
  return out;
}

}  // namespace ranef
