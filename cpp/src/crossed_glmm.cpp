#include "ranef/crossed_glmm.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <limits>
#include <string>

#include "ranef/errors.hpp"
#include "ranef/interrupt.hpp"
#include "ranef/memory.hpp"
#include "ranef/row_chunks.hpp"
#include "ranef/threads.hpp"

namespace ranef {
namespace {

using Halves = CrossedPls::Halves;

constexpr int kMaxSteps = 200;
constexpr int kMaxHalvings = 40;
// Squared length of a Newton step, in the metric of M, at which the mode is found; and that of the
// gradient, of which the step's is no more, since no eigenvalue of M is below one.
constexpr double kModeTolerance = 1e-14;
// Below this a step is taken as it is: what it gains is lost in the rounding of the criterion.
constexpr double kSmallStep = 1e-7;
// A Newton step's solve leaves at most this share of the gradient; those of a derivative the
// second.
constexpr double kReduction = 1e-3, kSolve = 1e-9;
// Standard deviations that a search starts from, by moments or where these tell nothing.
constexpr double kLeastStart = 0.05, kMostStart = 5.0, kUntold = 1.0;
constexpr int kFixedSteps = 20;

// work(begin, end) for ranges of rows, by the team at hand.
template <class Work>
void by_ranges(Index n, Work&& work) {
  constexpr Index kRange = 1 << 15;
  if (n <= kRange || team_at_hand().size() == 1) return work(Index{0}, n);
  each_task((n + kRange - 1) / kRange,
            [&](Index range) { work(range * kRange, std::min(n, (range + 1) * kRange)); });
}

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
  Team team(settings.threads);
  const WithTeam at_hand(&team);
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
  is_found_ = false;
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
  const std::vector<Matrix> before = lambda_;
  lambda_ = pls_->factors(theta_);
  if (is_found_) pls_->follow(products_->products(), before, lambda_, u_);
  is_found_ = false;
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
  Vector out = products_->multiply(to_effects(u));
  by_ranges(out.size(), [&](Index begin, Index end) {
    out.segment(begin, end - begin).noalias() += X_.middleRows(begin, end - begin) * beta;
  });
  return out;
}

// X'W X - X'W Z D Z'W X, where `solved` is D Z'W X.
Matrix CrossedGlmm::schur(const std::vector<RowMatrix>& solved) const {
  Matrix out = X_.transpose() * derivatives_.weight.asDiagonal() * X_;
  for (std::size_t t = 0; t < solved.size(); ++t) out.noalias() -= ZWX_[t].transpose() * solved[t];
  return 0.5 * (out + out.transpose());
}

// Lambda'Z's - u, by which the penalised log-likelihood rises.
Halves CrossedGlmm::mode_gradient() const {
  Halves g = pls_->halves(products_->transposed(derivatives_.score));
  pls_->make_spherical(g);
  g.leading -= u_.leading;
  g.root -= u_.root;
  return g;
}

// Columns of several right sides beside each other.
static Halves beside(const Halves& a, const Halves& b) {
  Halves out{RowMatrix(a.leading.rows(), a.leading.cols() + b.leading.cols()),
             RowMatrix(a.root.rows(), a.root.cols() + b.root.cols())};
  out.leading << a.leading, b.leading;
  out.root << a.root, b.root;
  return out;
}

static Halves columns_of(const Halves& a, Index first, Index count) {
  return {a.leading.middleCols(first, count), a.root.middleCols(first, count)};
}

// M^-1 of spherical right sides and, at a joint mode, of Lambda'Z'W X beside them, which goes to
// solved_.
Halves CrossedGlmm::solve_beside(const Halves& right, double tolerance) {
  const Index m = right.leading.cols(), p = joint_ ? X_.cols() : 0;
  if (!joint_) return pls_->solve_spherical(right, Vector::Constant(m, tolerance));
  Halves of_X = pls_->halves(ZWX_);
  pls_->make_spherical(of_X);
  const Halves both =
      pls_->solve_spherical(beside(right, of_X), Vector::Constant(m + p, tolerance));
  solved_ = columns_of(both, m, p);
  return columns_of(both, 0, m);
}

// What beta takes of right sides (r, of_X) of beta and u, where u = M^-1 r without beta; u loses
// it.
Vector CrossedGlmm::take_out_beta(Vector of_X, Halves& u) const {
  const std::vector<RowMatrix> effects = to_effects(u);
  for (std::size_t t = 0; t < effects.size(); ++t)
    of_X.noalias() -= ZWX_[t].transpose() * effects[t].col(0);
  const Vector beta = schur(to_effects(solved_)).ldlt().solve(of_X);
  u.leading.noalias() -= solved_.leading * beta;
  u.root.noalias() -= solved_.root * beta;
  return beta;
}

// u + M^-1 g, or together with beta by Schur's complement.
CrossedGlmm::Step CrossedGlmm::newton_step(const Halves& g, double reduction) {
  const Vector& w = derivatives_.weight;
  const Index n = w.size();
  if (joint_) ZWX_ = products_->transposed(RowMatrix(w.asDiagonal() * X_));
  Step step;
  step.u = solve_beside(g, reduction);
  step.beta = joint_ ? take_out_beta(X_.transpose() * derivatives_.score, step.u)
                     : Vector(Vector::Zero(beta_.size()));
  step.eta = products_->multiply(to_effects(step.u));
  if (joint_) step.eta.noalias() += X_ * step.beta;
  const auto add = [&](Index begin, Index end, double* sum) {
    const auto rows = [=](const Vector& x) { return x.segment(begin, end - begin).array(); };
    *sum += (rows(w) * rows(step.eta).square()).sum();
  };
  step.decrement =
      squared_norm(step.u) + chunk_sums(pls_->team(), n, 1, static_cast<double>(n), add)(0);
  return step;
}

// Move along a step, halved until the penalised log-likelihood does not fall.
bool CrossedGlmm::take(const Step& step, bool check, double& log_likelihood, double& penalty) {
  const double before = -2.0 * log_likelihood + penalty;
  const Halves u = u_;
  const Vector beta = beta_;
  eta_before_.swap(eta_);
  eta_.resize(eta_before_.size());
  double length = 1.0;
  for (int halving = 0; halving < kMaxHalvings; ++halving, length *= 0.5) {
    by_ranges(eta_.size(), [&](Index begin, Index end) {
      eta_.segment(begin, end - begin) =
          eta_before_.segment(begin, end - begin) + length * step.eta.segment(begin, end - begin);
    });
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

bool CrossedGlmm::stands_at(const GlmmParameters& at) const {
  return is_found_ && at.dispersion == dispersion_ && joint_ == (at.beta.size() == 0) &&
         at.theta.size() == theta_.size() && at.theta == theta_ && (joint_ || at.beta == beta_);
}

GlmmPoint CrossedGlmm::evaluate(const GlmmParameters& at) {
  const WithTeam team(&pls_->team());
  if (stands_at(at)) return point_;
  prepare(at);
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
    const Halves g = mode_gradient();
    Step step;
    if (joint_ || !(squared_norm(g) < kModeTolerance)) step = newton_step(g, reduction);
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
  const WithTeam team(&pls_->team());
  ZWX_ = products_->transposed(RowMatrix(derivatives_.weight.asDiagonal() * X_));
  return schur(pls_->solve(ZWX_));
}

Vector CrossedGlmm::gradient() {
  const WithTeam team(&pls_->team());
  std::vector<DeterminantSlopes> slopes(1);
  pls_->determinant_slopes(products_->products(), slopes[0]);
  return gradients(slopes);
}

Matrix CrossedGlmm::gradient_parts(int parts) {
  const WithTeam team(&pls_->team());
  const std::vector<Matrix> kept = by_lambda_;
  const Matrix out = gradients(pls_->slopes_of_parts(products_->products(), parts));
  by_lambda_ = kept;
  return out;
}

// A column for the slopes of each sample; by_lambda_ are those of the last.
Matrix CrossedGlmm::gradients(const std::vector<DeterminantSlopes>& slopes) {
  const Index count = static_cast<Index>(slopes.size()), n = X_.rows(), m = theta_.size();
  const Index p = joint_ ? 0 : X_.cols();
  Matrix h(n, count), a(n, count);
  Halves right;
  for (Index k = 0; k < count; ++k) {
    h.col(k) = products_->quadratic(slopes[k].own, slopes[k].pairs);
    by_ranges(n, [&](Index begin, Index end) {
      const auto rows = [=](const auto& x) { return x.segment(begin, end - begin).array(); };
      a.col(k).segment(begin, end - begin) = rows(h.col(k)) * rows(derivatives_.slope);
    });
    const Halves one = pls_->halves(products_->transposed(Vector(a.col(k))));
    right = k == 0 ? one : beside(right, one);
  }
  pls_->make_spherical(right);
  const Halves solved = solve_beside(right, kSolve);
  const std::vector<RowMatrix> Zs = products_->transposed(derivatives_.score);
  const std::vector<RowMatrix> u = pls_->by_term(u_);
  const std::vector<Parameter>& parameters = pls_->parameters();
  DispersionDerivatives by_dispersion;
  if (likelihood_.has_dispersion())
    dispersion_derivatives(likelihood_, rows_, eta_, dispersion_, by_dispersion);
  Matrix out(m + p + (likelihood_.has_dispersion() ? 1 : 0), count);
  by_lambda_.assign(u.size(), Matrix(1, 1));
  for (Index k = 0; k < count; ++k) {
    // How the mode moves where the scores change by a: v solves (I + Lambda'Z'W Z Lambda) v =
    // Lambda'Z'(a - W X beta), so that it is Lambda'Z' of what is left of a.
    Halves moved = columns_of(solved, k, 1);
    Vector beta;
    if (joint_) beta = take_out_beta(X_.transpose() * a.col(k), moved);
    Vector change = products_->multiply(to_effects(moved));
    if (joint_) change.noalias() += X_ * beta;
    Vector left(n);
    by_ranges(n, [&](Index begin, Index end) {
      const auto rows = [=](const auto& x) { return x.segment(begin, end - begin).array(); };
      left.segment(begin, end - begin) = rows(a.col(k)) - rows(derivatives_.weight) * rows(change);
    });
    const std::vector<RowMatrix> Zl = products_->transposed(left);
    const std::vector<RowMatrix> v = pls_->by_term(moved);
    for (std::size_t t = 0; t < u.size(); ++t)
      by_lambda_[t](0, 0) = slopes[k].by_lambda(static_cast<Index>(t)) +
                            (Zl[t].col(0) - 2.0 * Zs[t].col(0)).dot(u[t].col(0)) +
                            Zs[t].col(0).dot(v[t].col(0));
    for (Index i = 0; i < m; ++i) out(i, k) = by_lambda_[parameters[i].term](0, 0);
    if (!joint_)
      out.col(k).segment(m, p).noalias() = X_.transpose() * (left - 2.0 * derivatives_.score);
    if (likelihood_.has_dispersion())
      out(m + p, k) = h.col(k).dot(by_dispersion.weight) + change.dot(by_dispersion.score) -
                      2.0 * by_dispersion.log_likelihood;
  }
  return out;
}

// Newton's method without random effects; false where it breaks down.
bool CrossedGlmm::fit_fixed() {
  beta_ = starting_beta();
  double before =
      row_derivatives(likelihood_, rows_, offset_ + X_ * beta_, dispersion_, derivatives_);
  for (int i = 0; i < kFixedSteps && std::isfinite(before); ++i) {
    const Matrix information = X_.transpose() * derivatives_.weight.asDiagonal() * X_;
    const Vector score = X_.transpose() * derivatives_.score;
    const Vector step = information.ldlt().solve(score);
    const double rise = score.dot(step);
    if (!(rise > 1e-6 * static_cast<double>(X_.rows()) * 1e-3)) return std::isfinite(rise);
    const double now = row_derivatives(likelihood_, rows_, offset_ + X_ * (beta_ + step),
                                       dispersion_, derivatives_);
    if (!(now > before)) return false;
    beta_ += step;
    before = now;
  }
  return false;
}

// Pairs of rows that share a level have scores of covariance w_i w_j Sigma, to first order, if no
// other effect is shared; sums over them have known shares of each. With the log link the effects
// are multiplicative, and Sigma is exp(variance) - 1.
Vector CrossedGlmm::start(double dispersion) {
  const WithTeam team(&pls_->team());
  const Index m = static_cast<Index>(pls_->parameters().size());
  dispersion_ = dispersion;
  is_found_ = false;
  Vector out = Vector::Constant(m, kUntold);
  if (!fit_fixed()) {
    restart();
    return out;
  }
  const Vector& w = derivatives_.weight;
  const Vector& s = derivatives_.score;
  products_->renew(w);
  const CrossProducts& A = products_->products();
  const std::vector<RowMatrix> Zs = products_->transposed(s);
  Matrix G(m, m);
  Vector right(m);
  for (Index a = 0; a < m; ++a) {
    const auto za = products_->z(a).col(0).array();
    right(a) = Zs[a].squaredNorm() - (za * s.array()).square().sum();
    for (Index b = a; b < m; ++b) {
      const auto zb = products_->z(b).col(0).array();
      const double met =
          a == b ? A.terms[a].own.squaredNorm() : A.pairs[a][b - a - 1].value.squaredNorm();
      G(a, b) = G(b, a) = met - (w.array() * za * zb).square().sum();
    }
  }
  const Vector Sigma = G.completeOrthogonalDecomposition().solve(right);
  const std::vector<Parameter>& parameters = pls_->parameters();
  for (Index i = 0; i < m; ++i) {
    const double square = Sigma(static_cast<Index>(parameters[i].term));
    if (!std::isfinite(square)) continue;
    const double on_scale =
        likelihood_.link == Link::log ? std::log1p(std::max(square, 0.0)) : square;
    out(i) = std::clamp(std::sqrt(std::max(on_scale, 0.0)), kLeastStart, kMostStart);
  }
  const Vector beta = beta_;
  restart();
  beta_ = beta;
  return out;
}

// A level of its own with information n on its effect bends -2 log L by (2 lambda n / d)^2,
// d = 1 + lambda^2 n, in expectation.
Vector CrossedGlmm::curvature() const {
  const std::vector<Parameter>& parameters = pls_->parameters();
  Vector out(static_cast<Index>(parameters.size()));
  for (Index i = 0; i < out.size(); ++i) {
    const std::size_t t = parameters[i].term;
    const double lambda = lambda_[t](0, 0);
    const auto n = products_->products().terms[t].own.row(0).array();
    out(i) = (2.0 * lambda * n / (1.0 + lambda * lambda * n)).square().sum();
  }
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
