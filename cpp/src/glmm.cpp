#include "ranef/glmm.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "ranef/dense.hpp"
#include "ranef/interrupt.hpp"
#include "ranef/laplace.hpp"
#include "ranef/search.hpp"

namespace ranef {
namespace {

constexpr int kMaxSteps = 1000;
constexpr int kMaxHalvings = 40;
// Below this a step is taken as it is: what it gains is lost in the rounding of the criterion.
constexpr double kSmallStep = 1e-7;
// Part of the last step's length squared from which products under other weights than the present
// ones no longer serve.
constexpr double kStale = 0.02;
// Share of that tolerance below which the next step need not be taken.
constexpr double kModeFar = 1e-2;
// Change of a linear predictor up to which the scores are taken to change linearly.
constexpr double kNear = 1.0;

// visit(first parameter, structure) of every block that has one.
template <class Visit>
void each_structure(const Pls& pls, Visit&& visit) {
  for (std::size_t t = 0; t < pls.n_terms(); ++t)
    for (std::size_t b = 0; b < pls.block_columns(t).size(); ++b)
      if (const Structure* structure = pls.structure(t, b))
        visit(pls.first_parameter(t, b), *structure);
}

}  // namespace

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
  Input sorted = refined.input;
  const std::vector<std::vector<std::int32_t>> codes = sort_rows(sorted);
  const auto column = [&](int reference) {
    return in_kernel_order(Eigen::Map<const Vector>(refined.input.columns[reference], input.n));
  };
  X_.resize(input.n, static_cast<Index>(refined.input.fixed.size()));
  for (Index j = 0; j < X_.cols(); ++j) X_.col(j) = column(refined.input.fixed[j]);
  std::vector<RowMatrix> z;
  for (const TermInput& term : refined.input.terms) {
    z.emplace_back(input.n, static_cast<Index>(term.columns.size()));
    for (Index j = 0; j < z.back().cols(); ++j) z.back().col(j) = column(term.columns[j]);
  }
  products_ = std::make_unique<RowProducts>(sorted, std::move(z));
  std::vector<std::vector<int>> blocks;
  std::vector<BlockStructures> structures;
  for (const TermInput& term : ordered.terms) {
    blocks.push_back(term.blocks);
    structures.push_back(term.structures);
  }
  pls_ = std::make_unique<Pls>(products_->products(), std::move(blocks), std::move(structures));
  rows_.count(likelihood_);
  restart();
}

// Put rows into the order of the leading term's levels; codes of the terms in that order, to which
// `input` points from now on. Empty, and nothing done, where they stand so already.
std::vector<std::vector<std::int32_t>> Glmm::sort_rows(Input& input) {
  const std::int32_t* leading = input.terms[0].codes;
  if (std::is_sorted(leading, leading + input.n)) return {};
  const LevelOrder order = order_by_level(input.terms[0], input.n);
  row_.assign(order.row.begin(), order.row.end());
  std::vector<std::vector<std::int32_t>> out;
  for (TermInput& term : input.terms) {
    out.emplace_back(static_cast<std::size_t>(input.n));
    for (std::size_t i = 0; i < row_.size(); ++i) out.back()[i] = term.codes[row_[i]];
    term.codes = out.back().data();
  }
  for (Vector* values : {&rows_.y, &rows_.weights, &offset_}) *values = in_kernel_order(*values);
  return out;
}

Vector Glmm::in_kernel_order(const Eigen::Ref<const Vector>& values) const {
  if (row_.empty()) return values;
  return Vector::NullaryExpr(values.size(), [&](Index i) { return values(row_[i]); });
}

Vector Glmm::eta() const {
  if (eta_.size() == 0) throw std::invalid_argument("eta: no criterion has been evaluated yet");
  Vector out = eta_ / unit_;
  for (std::size_t i = 0; i < row_.size(); ++i) out(row_[i]) = eta_(static_cast<Index>(i)) / unit_;
  return out;
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
  is_found_ = fixed_is_current_ = fixed_serves_ = false;
  by_dispersion_ = {};
  u_.clear();
  for (const TermProducts& term : products_->products().terms)
    u_.push_back(RowMatrix::Zero(term.n_levels * term.k, 1));
  beta_ = starting_beta();
}

void Glmm::set_response(const Eigen::Ref<const Vector>& y, Vector each_y) {
  if (y.size() != rows_.y.size() || each_y.size() != rows_.each_weight.size())
    throw std::invalid_argument("y: not one value a row");
  if (likelihood_.link == Link::inverse) throw std::invalid_argument("link: the unit is y's own");
  rows_.y = in_kernel_order(y);
  rows_.each_y = std::move(each_y);
  rows_.count(likelihood_);
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

int Glmm::n_starts() const {
  int count = 1;
  each_structure(*pls_, [&](Index, const Structure& structure) {
    count = std::max(count, structure.n_starts());
  });
  return count;
}

Vector Glmm::start(double size, int number) const {
  const std::vector<Parameter>& parameters = pls_->parameters();
  Vector out(static_cast<Index>(parameters.size()));
  for (Index a = 0; a < out.size(); ++a) {
    const Parameter& e = parameters[static_cast<std::size_t>(a)];
    out(a) = !e.is_structured() && e.i == e.j ? size : 0.0;
  }
  each_structure(*pls_, [&](Index first, const Structure& structure) {
    const Index k = structure.n_columns();  // whose squares add up to k in a row
    out.segment(first, structure.n_parameters()) =
        structure.start(Vector::Constant(k, size * size / static_cast<double>(k)),
                        std::min(number, structure.n_starts() - 1));
  });
  return out;
}

double Glmm::margin(const Vector& theta) const {
  const std::vector<Matrix> lambda = pls_->factors(theta);
  double out = std::numeric_limits<double>::infinity();
  for (std::size_t t = 0; t < lambda.size(); ++t) {
    const std::vector<std::vector<int>> columns = pls_->block_columns(t);
    for (std::size_t b = 0; b < columns.size(); ++b) {
      if (pls_->structure(t, b)) continue;
      const Matrix block = lambda[t](columns[b], columns[b]);
      out = std::min(out, smallest_singular_value(block));
    }
  }
  each_structure(*pls_, [&](Index first, const Structure& structure) {
    out = std::min(out, structure.margin(theta.segment(first, structure.n_parameters())));
  });
  return out;
}

Vector Glmm::rectified(const Vector& theta) const {
  Vector out = theta;
  const std::vector<Parameter>& parameters = pls_->parameters();
  for (Index a = 0; a < out.size(); ++a)
    if (!parameters[static_cast<std::size_t>(a)].is_structured()) out(a) = std::abs(out(a));
  each_structure(*pls_, [&](Index first, const Structure& structure) {
    structure.rectify(out.segment(first, structure.n_parameters()));
  });
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
  if (!is_scalar()) pls_->renew(products_->products());
  return factor();
}

// The factor at the mode, which a gradient spends.
void Glmm::want_factor() {
  if (is_spent_) factor();
  is_spent_ = false;
}

// The same by lambda alone, under the weights of the last renewal.
double Glmm::factor() {
  if (!is_scalar()) return pls_->factor(lambda_);
  const double variance = lambda_[0](0, 0) * lambda_[0](0, 0);
  M_ = 1.0 + variance * products_->products().terms[0].own.row(0).transpose().array();
  D_ = variance * M_.cwiseInverse();
  return M_.array().log().sum();
}

// For what only Pls can do.
double Glmm::renew_pls() {
  products_->renew(derivatives_.weight);
  pls_->renew(products_->products());
  return pls_->factor(lambda_);
}

// D B.
std::vector<RowMatrix> Glmm::solve(std::vector<RowMatrix> B) const {
  if (!is_scalar()) return pls_->solve(std::move(B));
  B[0].array().colwise() *= D_.array();
  return B;
}

// Pls::inverse_blocks.
void Glmm::inverse_blocks(InverseBlocks& blocks) const {
  if (!is_scalar()) return pls_->inverse_blocks(blocks);
  blocks.own.resize(1);
  blocks.pairs.resize(1);
  blocks.own[0] = D_.transpose();
  blocks.leading.resize(1, 1);
  blocks.leading(0, 0) =
      products_->products().terms[0].own.row(0).transpose().cwiseQuotient(M_).sum();
}

// ZWX_ and XWX_ under the weights at eta_.
void Glmm::weigh_fixed() {
  if (fixed_is_current_) return;
  products_->weigh(X_, derivatives_.weight, ZWX_, XWX_);
  fixed_is_current_ = fixed_serves_ = true;
}

// derivatives_ at eta_: the log-likelihood.
double Glmm::weigh_rows() {
  fixed_is_current_ = false;
  return row_derivatives(likelihood_, rows_, eta_, dispersion_, derivatives_);
}

// X'W X - X'W Z D Z'W X, where `solved` is D Z'W X.
Matrix Glmm::schur(const std::vector<RowMatrix>& solved) const {
  Matrix out = XWX_;
  for (std::size_t t = 0; t < solved.size(); ++t) out.noalias() -= ZWX_[t].transpose() * solved[t];
  return out;
}

// From random effects b where the scores are given. With D = Lambda M^-1 Lambda' and A = Z'W Z:
// new b = D (A b + Z's), or together with beta by Schur's complement. Of the rows only Z's and the
// change of eta are taken.
void Glmm::newton_step(const std::vector<RowMatrix>& b, const Vector& score) {
  Step& step = room_.step;
  std::vector<RowMatrix>&Zs = room_.Zs, &change = room_.change, &left = room_.left;
  products_->transpose(score, Zs);
  products_->apply(b, change);
  for (std::size_t t = 0; t < b.size(); ++t) change[t] += Zs[t];
  if (joint_) {
    room_.solved = ZWX_;
    const std::vector<RowMatrix>& solved = room_.solved = solve(std::move(room_.solved));
    Vector reduced = X_.transpose() * score + XWX_ * beta_;
    for (std::size_t t = 0; t < b.size(); ++t) {
      reduced.noalias() += ZWX_[t].transpose() * b[t].col(0);
      change[t].noalias() += ZWX_[t] * beta_;
      reduced.noalias() -= solved[t].transpose() * change[t].col(0);
    }
    const Vector beta = schur(solved).ldlt().solve(reduced);
    step.beta = beta - beta_;
    change = solve(std::move(change));
    for (std::size_t t = 0; t < b.size(); ++t) change[t].noalias() -= solved[t] * beta;
  } else {
    step.beta.setZero(beta_.size());
    change = solve(std::move(change));
  }
  for (std::size_t t = 0; t < b.size(); ++t) change[t] -= b[t];
  products_->multiply(change, step.eta);
  step.decrement = 0.0;
  if (joint_) {
    step.eta.noalias() += X_ * step.beta;
    step.decrement = step.beta.dot(XWX_ * step.beta);
  }
  products_->apply(change, left);
  for (std::size_t t = 0; t < b.size(); ++t) {
    step.decrement += change[t].cwiseProduct(left[t]).sum();
    left[t] = Zs[t] - left[t];
    if (!joint_) continue;
    const Vector along = ZWX_[t] * step.beta;
    step.decrement += 2.0 * along.dot(change[t].col(0));
    left[t].col(0) -= along;
  }
  times_lambda(lambda_, left, true, step.u);
  for (std::size_t t = 0; t < u_.size(); ++t) step.u[t] -= u_[t];
  step.decrement = squared_norm(step.u) + std::max(step.decrement, 0.0);
}

// Move along the step, halved until the penalised log-likelihood does not fall.
bool Glmm::take(bool check, double& log_likelihood, double& penalty) {
  const Step& step = room_.step;
  const double before = -2.0 * log_likelihood + penalty;
  std::swap(room_.u, u_);
  std::swap(room_.eta, eta_);
  std::swap(room_.beta, beta_);
  u_.resize(room_.u.size());
  double length = 1.0;
  for (int halving = 0; halving < kMaxHalvings; ++halving, length *= 0.5) {
    eta_ = room_.eta + length * step.eta;
    beta_ = room_.beta + length * step.beta;
    for (std::size_t t = 0; t < u_.size(); ++t) u_[t] = room_.u[t] + length * step.u[t];
    log_likelihood = weigh_rows();
    penalty = squared_norm(u_);
    const double now = -2.0 * log_likelihood + penalty;
    if (std::isfinite(now) && (!check || now <= before + 1e-10 * (1.0 + std::abs(before))))
      return true;
  }
  return false;
}

GlmmPoint Glmm::evaluate(const GlmmParameters& at) {
  if (is_at(at)) return point_;
  is_spent_ = false;
  gradient_.resize(0);
  // At a joint mode what beta does to the rows is known only where the last one was joint, too.
  const bool follow = is_found_ && pls_->n_terms() == 1 && (joint_ || at.beta.size() > 0);
  const std::vector<RowMatrix> b = follow ? times_lambda(lambda_, u_, false) : u_;
  const Vector beta = beta_;
  const double dispersion = dispersion_;
  is_found_ = false;
  prepare(at);
  if (follow) foresee(b, beta, std::log(dispersion_ / dispersion));
  point_ = find_mode();
  if (point_.value >= kInfeasible) {
    restart();  // the last mode was no place to start from
    if (!joint_) beta_ = at.beta;
    point_ = find_mode();
  }
  is_found_ = point_.value < kInfeasible;
  if (!is_found_) restart();
  return point_;
}

// Whether the kernel stands at the mode of these parameters.
bool Glmm::is_at(const GlmmParameters& at) const {
  return is_found_ && joint_ == (at.beta.size() == 0) && at.theta == theta_ &&
         at.dispersion == dispersion_ && (joint_ || at.beta == beta_);
}

// Move u_ (and beta_, joint) to the mode at new parameters where the scores change linearly: from
// the random effects b and the coefficients `beta` of the last mode, log dispersion `further` away.
void Glmm::foresee(const std::vector<RowMatrix>& b, const Vector& beta, double further) {
  if (!std::isfinite(factor())) return;
  Vector &score = room_.score, &fixed = room_.moved;
  score = derivatives_.score;
  if (further != 0.0 && by_dispersion_.score.size() == score.size())
    score += further * by_dispersion_.score;
  if (joint_)
    fixed.setZero(eta_.size());
  else
    fixed.noalias() = X_ * (beta_ - beta);
  score -= derivatives_.weight.cwiseProduct(fixed);
  newton_step(b, score);
  const Step& step = room_.step;
  if (!((step.eta + fixed).cwiseAbs().maxCoeff() < kNear)) return;
  for (std::size_t t = 0; t < u_.size(); ++t) u_[t] += step.u[t];
  beta_ += step.beta;
}

// eta_ at beta_ and u_.
void Glmm::set_predictor() {
  times_lambda(lambda_, u_, false, room_.b);
  products_->multiply(room_.b, eta_);
  eta_ += offset_;
  eta_.noalias() += X_ * beta_;
}

// Newton's method from u_ (and beta_, joint) on; infeasible where it breaks down.
GlmmPoint Glmm::find_mode() {
  GlmmPoint out;
  set_predictor();
  double log_likelihood = weigh_rows();
  if (!std::isfinite(log_likelihood)) return out;
  double penalty = squared_norm(u_), before = std::numeric_limits<double>::infinity();
  for (out.steps = 0; out.steps < kMaxSteps; ++out.steps) {
    pause();
    out.logdet = renew_factor();
    if (!std::isfinite(out.logdet)) return out;
    if (joint_ && !fixed_serves_) weigh_fixed();
    times_lambda(lambda_, u_, false, room_.b);
    newton_step(room_.b, derivatives_.score);
    const Step& step = room_.step;
    if (joint_ && !fixed_is_current_ && !(step.decrement < kStale * before)) {
      weigh_fixed();
      newton_step(room_.b, derivatives_.score);
    }
    if (!std::isfinite(step.decrement)) return out;
    const bool stands = step.decrement < kSmallStep && step.decrement > 0.25 * before;
    if (step.decrement < mode_tolerance_ || stands) return finished(out, log_likelihood, penalty);
    const bool is_newton = !joint_ || fixed_is_current_;
    if (!take(step.decrement > kSmallStep, log_likelihood, penalty)) return out;
    // Errors of Newton's method are squared from step to step, times what the last two tell; those
    // of steps under other weights fall as they did.
    const double ratio = step.decrement / before, fall = is_newton ? ratio * ratio : ratio;
    if (step.decrement < kSmallStep && std::isfinite(before) &&
        step.decrement * fall < kModeFar * mode_tolerance_) {
      ++out.steps;
      out.logdet = renew_factor();
      return std::isfinite(out.logdet) ? finished(out, log_likelihood, penalty) : GlmmPoint();
    }
    before = step.decrement;
  }
  return out;
}

GlmmPoint Glmm::finished(GlmmPoint out, double log_likelihood, double penalty) const {
  out.log_likelihood = log_likelihood + constant_;
  out.penalty = penalty;
  out.value = -2.0 * out.log_likelihood + penalty + out.logdet;
  out.beta = beta_;
  return out;
}

Matrix Glmm::information_beta() {
  weigh_fixed();
  return schur(solve(ZWX_));
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
  renew_pls();
  pls_->inverse_blocks(blocks);
  is_spent_ = true;
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
  renew_pls();
  is_spent_ = true;
  weigh_fixed();
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(cov_beta);
  const Vector scale = eigen.eigenvalues().cwiseMax(0.0).cwiseSqrt();
  const Matrix root = T.lu().solve(eigen.eigenvectors() * scale.asDiagonal());
  return error_variances(*pls_, {basis_.Tz, place_, lambda_, root}, X * T, terms, ZWX_);
}

}  // namespace ranef
