#include "ranef/lmm.hpp"

#include <algorithm>
#include <cmath>

#include "ranef/crossed_pls.hpp"
#include "ranef/dense.hpp"
#include "ranef/errors.hpp"
#include "ranef/merge.hpp"
#include "ranef/pls.hpp"
#include "ranef/start.hpp"
#include "ranef/with_size.hpp"

namespace ranef {
namespace {

// A second search starts at this relative standard deviation. It is made with at most kSmall random
// effects, and where the first fit is singular (an axis below kSingular) with at most kMany; its
// end is taken where -2 log-likelihood is lower by more than kBetter.
constexpr double kWide = 5.0;
constexpr Index kSmall = 100, kMany = 5000;
constexpr double kSingular = 1e-4, kBetter = 1e-5;
// Tolerance of an iterative search before the sample is as large as promised, and then: the root of
// what is left to gain is the share of a standard error by which a parameter is off.
constexpr double kRough = 1e-2, kRest = 1e-7;
// Rows up to which a search starts from every boundary point of the covariances.
constexpr Index kFewRows = 30;
constexpr std::size_t kFewTerms = 4;

double smallest_axis(const std::vector<Matrix>& lambda) {
  double smallest = HUGE_VAL;
  for (const Matrix& block : lambda) smallest = std::min(smallest, smallest_singular_value(block));
  return smallest;
}

// Columns `references` of the refined input times R.
Matrix combine(const Input& refined, const std::vector<int>& references, const Matrix& R) {
  Matrix rows(refined.n, static_cast<Index>(references.size()));
  for (Index j = 0; j < rows.cols(); ++j)
    rows.col(j) = Eigen::Map<const Vector>(refined.columns[references[j]], refined.n);
  return product(rows, R);
}

StandardRows standard_rows(const RefinedInput& refined, const StandardBasis& inner) {
  StandardRows out;
  const Index p = inner.T.cols() - 1;
  out.X = combine(refined.input, refined.input.fixed, inner.T.topLeftCorner(p, p));
  for (std::size_t t = 0; t < refined.input.terms.size(); ++t) {
    out.z.push_back(combine(refined.input, refined.input.terms[t].columns, inner.Tz[t]));
    out.codes.push_back(refined.input.terms[t].codes);
  }
  return out;
}

}  // namespace

Lmm::Lmm(const Input& input, const MethodSettings& method) : Lmm(input, nullptr, method) {}

Lmm::Lmm(const Input& input, StandardRows& rows) : Lmm(input, &rows, {}) {}

Lmm::Lmm(const Input& input, StandardRows* rows, const MethodSettings& method)
    : n_(input.n), place_(elimination_order(input)) {
  order_.resize(place_.size());
  Input ordered = input;
  for (std::size_t i = 0; i < place_.size(); ++i) {
    ordered.terms[i] = input.terms[place_[i]];
    order_[place_[i]] = i;
  }
  Team team(method.crossed.threads);
  const WithTeam at_hand(&team);
  const Shifts shifts = choose_shifts(ordered);
  CrossProducts products = accumulate(ordered, shifts);
  if (rows || needs_refinement(ordered, products)) {
    const RefinedInput refined = refine(ordered, shifts);
    products = accumulate(refined.input, refined.shifts);
    const StandardBasis inner = standardise(refined.input, refined.shifts, products);
    if (rows) *rows = standard_rows(refined, inner);
    basis_ = compose(refined.basis, inner);
  } else {
    basis_ = standardise(ordered, shifts, products);
  }
  prepare(ordered, std::move(products), method);
}

Lmm::Lmm(Input layout, Shifts shifts, CrossProducts products, const MethodSettings& method)
    : n_(products.n) {
  for (std::size_t t = 0; t < layout.terms.size(); ++t)
    layout.terms[t].n_levels = products.terms[t].n_levels;
  place_ = elimination_order(layout);
  order_.resize(place_.size());
  Input ordered = layout;
  Shifts of_ordered = shifts;
  for (std::size_t i = 0; i < place_.size(); ++i) {
    ordered.terms[i] = layout.terms[place_[i]];
    of_ordered.terms[i] = shifts.terms[place_[i]];
    order_[place_[i]] = i;
  }
  products = reorder(std::move(products), place_);
  StandardBasis dropped;
  drop_aliased(ordered, of_ordered, products, dropped);
  basis_ = standardise(ordered, of_ordered, products);
  basis_.kept = dropped.kept;
  basis_.aliased = dropped.aliased;
  basis_.alias = dropped.alias;
  prepare(ordered, std::move(products), method);
}

void Lmm::prepare(const Input& ordered, CrossProducts products, const MethodSettings& method) {
  sum_log_w_ = products.sum_log_w;
  moments_ = MomentStart(products);
  std::vector<Vector> zy;
  for (const TermProducts& term : products.terms) zy.push_back(term.xy.rightCols(1));
  start_ = moments_(zy);
  std::vector<std::vector<int>> blocks;
  std::vector<BlockStructures> structures;
  for (const TermInput& term : ordered.terms) {
    blocks.push_back(term.blocks);
    structures.push_back(term.structures);
  }
  plan_ = plan_method(products, method);
  if (plan_.is_iterative) {
    pls_ = std::make_unique<CrossedPls>(std::move(products), std::move(blocks), method.crossed);
    return;
  }
  auto exact = std::make_unique<Pls>(std::move(products), std::move(blocks), std::move(structures));
  if (method.crossed.threads > 1) exact->use_threads(method.crossed.threads);
  pls_ = std::move(exact);
}

void Lmm::set_response(const Vector& a, double s, const std::vector<Vector>& zy) {
  const Index p = basis_.T.cols() - 1;
  const Matrix Tx = basis_.T.topLeftCorner(p, p);
  const Vector b = Tx * a;
  basis_.T.col(p).head(p) = b / -s;
  basis_.T(p, p) = 1.0 / s;
  pls_->set_response(zy);
  start_ = moments_(zy);
}

std::vector<Matrix> Lmm::to_kernel(const std::vector<Matrix>& of_user) const {
  std::vector<Matrix> out;
  for (std::size_t user : place_) out.push_back(of_user[user]);
  return out;
}

std::vector<Matrix> Lmm::to_user(std::vector<Matrix> of_kernel) const {
  std::vector<Matrix> out;
  for (std::size_t kernel : order_) out.push_back(std::move(of_kernel[kernel]));
  return out;
}

Vector Lmm::theta_of(const std::vector<Matrix>& of_user) const {
  return pls_->pack(to_kernel(of_user));
}

Vector Lmm::standard_theta(const std::vector<Matrix>& states) const {
  std::vector<Matrix> out = to_kernel(states);
  for (std::size_t t = 0; t < out.size(); ++t) {
    if (pls_->is_structured(t)) continue;
    if (out[t].rows() != pls_->k(t) || out[t].cols() != pls_->k(t))
      throw std::invalid_argument("lambda: a factor has the wrong shape");
    out[t] = lower_factor(basis_.Tz[t].triangularView<Eigen::Upper>().solve(Matrix(out[t])));
  }
  return pls_->pack(out);
}

std::vector<Vector> Lmm::natural_parameters(std::size_t t,
                                            const std::vector<Matrix>& states) const {
  const std::size_t kernel = order_.at(t);
  return pls_->natural(theta_of(states), kernel, basis_.Tz[kernel].diagonal());
}

double Lmm::to_user_scale(const Objective& objective, bool reml) const {
  const Index p = basis_.T.cols() - 1;
  const double scale = std::log(std::abs(basis_.T(p, p)));
  double value = objective.value - sum_log_w_ - 2.0 * pls_->degrees(reml) * scale;
  if (reml) value -= 2.0 * basis_.T.diagonal().head(p).array().abs().log().sum();
  return value;
}

Estimate Lmm::describe(const Vector& theta, const Objective& objective, bool reml) {
  const std::vector<Matrix> lambda = pls_->factors(theta);
  const Index p = basis_.T.cols() - 1;
  const Matrix Tx = basis_.T.topLeftCorner(p, p);
  const double scale = basis_.T(p, p);
  Estimate out;
  out.objective = to_user_scale(objective, reml);
  out.pwrss = objective.pwrss / (scale * scale);
  out.sigma = std::sqrt(out.pwrss / pls_->degrees(reml));
  out.logdet_L = objective.logdet_L;
  out.logdet_RX = objective.logdet_RX - 2.0 * basis_.T.diagonal().head(p).array().abs().log().sum();
  const Vector beta = pls_->beta();
  out.beta = Tx * beta;
  out.beta -= basis_.T.col(p).head(p);
  out.beta /= scale;
  out.cov_beta_root = product(Tx, pls_->cov_beta_root());
  std::vector<Matrix> modes = pls_->modes(), factors;
  for (std::size_t t = 0; t < lambda.size(); ++t) {
    const Matrix back = basis_.Tz[t] / scale;
    Vector work(back.rows());
    for (Index l = 0; l < modes[t].cols(); ++l) {
      work.noalias() = back.lazyProduct(modes[t].col(l));
      modes[t].col(l) = work;
    }
    factors.push_back(lower_factor(product(basis_.Tz[t], lambda[t])));
  }
  out.modes = to_user(std::move(modes));
  out.lambda = to_user(std::move(factors));
  out.lambda_standard = to_user(pls_->states(theta));
  out.smallest_sd = smallest_margin(theta);
  out.approximation = pls_->approximation();
  return out;
}

// The smallest relative standard deviation of any axis, or distance of a structure from its limits.
double Lmm::smallest_margin(const Vector& theta) const {
  const std::vector<Matrix> lambda = pls_->factors(theta);
  if (!pls_->is_structured()) return smallest_axis(lambda);
  double smallest = HUGE_VAL;
  for (std::size_t t = 0; t < lambda.size(); ++t) {
    const std::vector<std::vector<int>> columns = pls_->block_columns(t);
    for (std::size_t b = 0; b < columns.size(); ++b) {
      const Structure* structure = pls_->structure(t, b);
      smallest = std::min(smallest,
                          structure ? structure->margin(theta.segment(pls_->first_parameter(t, b),
                                                                      structure->n_parameters()))
                                    : smallest_axis({Matrix(lambda[t](columns[b], columns[b]))}));
    }
  }
  return smallest;
}

// An approximation is made as good as promised where the search ends, and the search goes on.
SearchResult Lmm::search_from(const std::vector<Matrix>& start, bool reml,
                              const SearchSettings& settings) {
  SearchSettings some = settings;
  if (plan_.is_iterative) some.tolerance = std::max(kRough, settings.tolerance);
  SearchResult found = search(*pls_, start, reml, some);
  some.tolerance = std::max(kRest, settings.tolerance);
  bool is_rough = plan_.is_iterative;
  while (found.objective.value < kInfeasible && found.status != Status::kPerfectFit) {
    // The optimum moves by a share of its Monte Carlo error, if the sample changes at all.
    if (!pls_->improve(with_ridge(found.lambda), reml) && !is_rough) break;
    is_rough = false;
    SearchResult next = search(*pls_, pls_->states(found.theta), reml, some);
    next.n_objective += found.n_objective;
    next.n_gradient += found.n_gradient;
    next.path.insert(next.path.begin(), found.path.begin(), found.path.end());
    found = std::move(next);
  }
  if (plan_.is_iterative) found.objective = pls_->objective(found.lambda, reml);
  return found;
}

// Correlations of a structure may have several maxima: searches from a middling one, a high and a
// low one, the later ones only as far as they lead elsewhere.
Estimate Lmm::fit_structures(bool reml, const SearchSettings& settings) {
  int count = 1;
  for (std::size_t t = 0; t < pls_->n_terms(); ++t)
    for (std::size_t b = 0; b < pls_->block_columns(t).size(); ++b)
      if (const Structure* structure = pls_->structure(t, b))
        count = std::max(count, structure->n_starts());
  SearchResult best;
  best.objective.value = kInfeasible;
  for (int number = 0; number < count; ++number) {
    const bool has_one = best.objective.value < kInfeasible;
    SearchResult found =
        search(*pls_, structured_start(number), reml, settings, has_one ? &best : nullptr);
    const int n_objective = best.n_objective + found.n_objective,
              n_gradient = best.n_gradient + found.n_gradient;
    if (!found.is_known && found.objective.value < best.objective.value - (has_one ? kBetter : 0.0))
      best = std::move(found);
    best.n_objective = n_objective;
    best.n_gradient = n_gradient;
    if (best.status == Status::kPerfectFit) break;
  }
  if (best.objective.value >= kInfeasible)
    throw FitFailure("the objective is not finite anywhere near the starting values");
  best.objective = pls_->objective(best.lambda, reml);
  return describe(best, reml);
}

std::vector<Matrix> Lmm::structured_start(int number) const {
  std::vector<Matrix> out = start_;
  for (std::size_t t = 0; t < out.size(); ++t) {
    if (!pls_->is_structured(t)) continue;
    std::vector<double> values;
    for (const Parameter& e : pls_->parameters())
      if (e.term == t && !e.is_structured()) values.push_back(start_[t](e.i, e.j));
    const std::vector<std::vector<int>> columns = pls_->block_columns(t);
    for (std::size_t b = 0; b < columns.size(); ++b) {
      const Structure* structure = pls_->structure(t, b);
      if (!structure) continue;
      const Vector variances = start_[t].diagonal().array().square()(columns[b]);
      const Vector psi = structure->start(variances, std::min(number, structure->n_starts() - 1));
      values.insert(values.end(), psi.data(), psi.data() + psi.size());
    }
    out[t] = Eigen::Map<const Vector>(values.data(), static_cast<Index>(values.size()));
  }
  return out;
}

Estimate Lmm::fit(bool reml, const SearchSettings& settings, const std::vector<Matrix>& start) {
  if (start.empty() && pls_->is_structured()) return fit_structures(reml, settings);
  const SearchResult found = search_from(start.empty() ? start_ : to_kernel(start), reml, settings);
  if (found.objective.value >= kInfeasible)
    throw FitFailure("the objective is not finite anywhere near the starting values");
  const Estimate out = describe(found, reml);
  if (!start.empty() || out.status == Status::kPerfectFit || !may_have_rivals(out.smallest_sd))
    return out;
  std::vector<Matrix> wide;
  for (const Matrix& block : start_)
    wide.push_back(kWide * Matrix::Identity(block.rows(), block.cols()));
  const SearchResult rival = search(*pls_, wide, reml, settings, &found);
  const bool is_better = !rival.is_known && rival.status != Status::kPerfectFit &&
                         rival.objective.value < found.objective.value - kBetter;
  return beside_boundary(is_better ? rival : found, is_better ? describe(rival, reml) : out, reml,
                         settings);
}

// No fit is worse than a model that it contains: one without some terms, or without a column of
// one. Without any the criterion is one number; otherwise the search goes on from there where the
// criterion is lower, or, where there are few rows, in any case and from other covariances, too.
Estimate Lmm::beside_boundary(const SearchResult& best, Estimate out, bool reml,
                              const SearchSettings& settings) {
  std::vector<Matrix> zero = best.lambda, wide = best.lambda;
  for (Matrix& block : zero) block.setZero();
  for (Matrix& block : wide) block = kWide * Matrix::Identity(block.rows(), block.cols());
  double lowest = best.objective.value;
  const auto is_lower = [&](const std::vector<Matrix>& lambda) {
    return pls_->objective(lambda, reml).value < lowest - kBetter;
  };
  std::vector<std::vector<Matrix>> edges = boundary_points(best.lambda);
  if (n_ <= kFewRows) {
    for (const auto& base : {start_, wide})
      for (std::vector<Matrix>& edge : boundary_points(base)) edges.push_back(std::move(edge));
  } else {
    const auto higher = [&](const std::vector<Matrix>& edge) { return !is_lower(edge); };
    edges.erase(std::remove_if(edges.begin(), edges.end(), higher), edges.end());
  }
  if (is_lower(zero)) edges.push_back(zero);
  for (const std::vector<Matrix>& edge : edges) {
    const SearchResult from = search(*pls_, edge, reml, settings);
    if (from.status == Status::kPerfectFit || !(from.objective.value < lowest - kBetter)) continue;
    lowest = from.objective.value;
    out = describe(from, reml);
  }
  return out;
}

// Covariances without some of several terms, and without one of several columns of a term.
std::vector<std::vector<Matrix>> Lmm::boundary_points(const std::vector<Matrix>& lambda) const {
  std::vector<std::vector<Matrix>> out;
  const std::size_t n_terms = lambda.size(), every = (std::size_t{1} << n_terms) - 1;
  for (std::size_t without = 1; n_terms <= kFewTerms && without < every; ++without) {
    out.push_back(lambda);
    for (std::size_t t = 0; t < n_terms; ++t)
      if (without >> t & 1) out.back()[t].setZero();
  }
  for (std::size_t t = 0; t < n_terms; ++t) {
    const Index k = lambda[t].rows();
    for (Index c = 0; k > 1 && c < k; ++c) {
      Matrix of_user = product(basis_.Tz[t], lambda[t]);
      of_user.row(c).setZero();
      out.push_back(lambda);
      out.back()[t] = lower_factor(basis_.Tz[t].triangularView<Eigen::Upper>().solve(of_user));
    }
  }
  return out;
}

// Of 2,500 simulated small data sets with heavy tails 22 had two maxima. The search from the
// moments ended at the lower one in nine of these, the two searches together in none.
bool Lmm::may_have_rivals(double smallest_sd) const {
  Index n_effects = 0;
  for (std::size_t t = 0; t < pls_->n_terms(); ++t) n_effects += pls_->n_levels(t) * pls_->k(t);
  return n_effects <= (smallest_sd < kSingular ? kMany : kSmall);
}

Estimate Lmm::describe(const SearchResult& found, bool reml) {
  Estimate out = describe(found.theta, found.objective, reml);
  out.status = found.status;
  out.decrement = found.decrement;
  out.cone = found.cone;
  out.n_objective = found.n_objective;
  out.n_gradient = found.n_gradient;
  out.path.resize(static_cast<Index>(found.path.size()), 3);
  for (std::size_t i = 0; i < found.path.size(); ++i)
    out.path.row(static_cast<Index>(i)) << found.path[i].value, found.path[i].decrement,
        found.path[i].radius;
  return out;
}

Estimate Lmm::evaluate(const std::vector<Matrix>& lambda, bool reml) {
  const Vector theta = standard_theta(lambda);
  const Objective objective = pls_->objective(pls_->factors(theta), reml);
  if (objective.value >= kInfeasible)
    throw FitFailure("the objective is not finite at these covariance parameters");
  Estimate out = describe(theta, objective, reml);
  out.status = Status::kConverged;
  out.n_objective = 1;
  return out;
}

double Lmm::objective(const std::vector<Matrix>& lambda, bool reml) {
  return to_user_scale(pls_->objective(pls_->factors(standard_theta(lambda)), reml), reml);
}

double Lmm::objective_standard(const std::vector<Matrix>& lambda_standard, bool reml) {
  return to_user_scale(pls_->objective(pls_->factors(theta_of(lambda_standard)), reml), reml);
}

static Matrix along(const Matrix& D, const Matrix& N) { return crossprod(N, product(D, N)); }

// G_a of FixedDerivatives from N = Z'H^-1 X U, term by term.
static std::vector<Matrix> fixed_products(const LeastSquares& pls,
                                          const std::vector<RowMatrix>& N) {
  const Index p = pls.n_fixef();
  std::vector<Matrix> out;
  for (std::size_t a = 0; a < pls.parameters().size(); ++a) {
    const Parameter& e = pls.parameters()[a];
    const RowMatrix& rows = N[e.term];
    const Index k = pls.k(e.term);
    Matrix G = Matrix::Zero(p, p);
    if (e.is_structured()) {
      const Matrix D = pls.direction(a);
      for (Index l = 0; l < pls.n_levels(e.term); ++l) G += along(D, rows.middleRows(l * k, k));
      out.push_back(G);
      continue;
    }
    for (Index l = 0; l < pls.n_levels(e.term); ++l)
      G.noalias() += rows.row(l * k + e.i).transpose() * rows.row(l * k + e.j);
    out.push_back(e.i == e.j ? G : G + G.transpose());
  }
  return out;
}

Curvature Lmm::curvature(const std::vector<Matrix>& lambda_standard, bool reml, int order,
                         bool with_G) {
  const Vector theta = theta_of(lambda_standard);
  const std::vector<Matrix> lambda = pls_->factors(theta);
  const Objective objective = pls_->objective(with_ridge(lambda), reml);
  const Index p = pls_->n_fixef();
  pls_->aim(theta);
  Curvature out;
  out.objective = to_user_scale(objective, reml);
  out.logdet_L = objective.logdet_L;
  out.logdet_RX = objective.logdet_RX - 2.0 * basis_.T.diagonal().head(p).array().abs().log().sum();
  out.pwrss = objective.pwrss / (basis_.T(p, p) * basis_.T(p, p));
  if (with_G) out.G = fixed_products(*pls_, pls_->fixed_scores());
  Derivatives derivatives;
  pls_->derivatives(reml, derivatives);
  out.gradient = gradient_by_theta(*pls_, lambda, derivatives);
  out.quadratic = ranef::covariance_jacobian(*pls_, lambda).transpose() * derivatives.quadratic;
  out.score = to_user(derivatives.S);
  std::vector<Matrix> misfit;
  for (const Matrix& S : derivatives.S) misfit.push_back(Matrix::Zero(S.rows(), S.cols()));
  for (std::size_t a = 0; a < pls_->parameters().size(); ++a) {
    const Parameter& e = pls_->parameters()[a];
    if (e.is_structured()) continue;
    const double value = derivatives.quadratic(static_cast<Index>(a));
    misfit[e.term](e.i, e.j) = misfit[e.term](e.j, e.i) = e.i == e.j ? value : 0.5 * value;
  }
  out.misfit = to_user(misfit);
  out.hessian = order == 0
                    ? hessian_by_theta(*pls_, theta, lambda, derivatives, pls_->degrees(reml))
                    : exact_hessian(theta, reml, order, derivatives);
  return out;
}

// d2 = 2 y'P V_a P V_b P y / s^2 - tr(P V_a P V_b) - q_a q_b / nu by the elements of Sigma, of
// which average information takes the trace to be what it is on average.
Matrix Lmm::exact_hessian(const Vector& theta, bool reml, int order, const Derivatives& at) {
  const std::vector<Matrix> lambda = pls_->factors(theta);
  const Index m = theta.size();
  Matrix traces;
  const Index first = pls_->projected_traces(reml, traces);
  Derivatives exact = at;
  exact.information = 2.0 * at.information - traces;
  Matrix H = hessian_by_theta(*pls_, theta, lambda, exact, pls_->degrees(reml));
  const Vector gradient = gradient_by_theta(*pls_, lambda, at);
  const auto gradient_at = [&](Index a, double step) {
    Vector at_theta = theta;
    at_theta(a) += step;
    const std::vector<Matrix> moved = pls_->factors(at_theta);
    pls_->objective(with_ridge(moved), reml);
    differentiate(*pls_, at_theta, reml, exact);
    return gradient_by_theta(*pls_, moved, exact);
  };
  constexpr double kStep[] = {0.0, 1e-5, 2e-4, 0.0, 2e-3};
  for (Index a = 0; a < first; ++a) {
    const double h = kStep[order] * std::max(0.1, std::abs(theta(a)));
    Vector change = gradient_at(a, h);
    change -= order == 1 ? gradient : gradient_at(a, -h);
    double width = order == 1 ? h : 2.0 * h;
    if (order == 4) {
      Vector outer = gradient_at(a, 2.0 * h);
      outer -= gradient_at(a, -2.0 * h);
      change *= 8.0;
      change -= outer;
      width = 12.0 * h;
    }
    H.col(a) = change / width;
  }
  const Matrix half = 0.5 * H.topLeftCorner(first, first);
  H.topLeftCorner(first, first) = half + half.transpose();
  H.topRightCorner(first, m - first) = H.bottomLeftCorner(m - first, first).transpose();
  return H;
}

Matrix Lmm::covariance_jacobian(const std::vector<Matrix>& lambda_standard) const {
  return ranef::covariance_jacobian(*pls_, pls_->factors(theta_of(lambda_standard)));
}

std::vector<std::tuple<std::size_t, int, int>> Lmm::parameters() const {
  std::vector<std::tuple<std::size_t, int, int>> out;
  for (const Parameter& a : pls_->parameters()) out.emplace_back(place_[a.term], a.i, a.j);
  return out;
}

FixedDerivatives Lmm::fixed_derivatives(const std::vector<Matrix>& lambda_standard, bool with_Q) {
  const Vector theta = theta_of(lambda_standard);
  if (with_Q && pls_->is_structured())
    throw std::invalid_argument("with_Q: a covariance has a structure");
  pls_->objective(with_ridge(pls_->factors(theta)), true);
  pls_->aim(theta);
  const std::vector<RowMatrix> N = pls_->fixed_scores();
  const auto& parameters = pls_->parameters();
  const Index m = static_cast<Index>(parameters.size()), p = pls_->n_fixef();
  FixedDerivatives out;
  out.G = fixed_products(*pls_, N);
  if (!with_Q) return out;
  std::vector<RowMatrix> H;
  for (const RowMatrix& rows : N) H.push_back(RowMatrix::Zero(rows.rows(), m * p));
  for (Index a = 0; a < m; ++a) {
    const Parameter& e = parameters[a];
    const RowMatrix& rows = N[e.term];
    const Index k = pls_->k(e.term);
    for (Index l = 0; l < pls_->n_levels(e.term); ++l) {
      H[e.term].row(l * k + e.i).segment(a * p, p) = rows.row(l * k + e.j);
      if (e.i != e.j) H[e.term].row(l * k + e.j).segment(a * p, p) = rows.row(l * k + e.i);
    }
  }
  out.Q = pls_->quadratic_form(H);
  return out;
}

// With s = D z: var = z's + |U'(x - (Z'X)'s)|^2, plus z'Sigma z where the level is new.
Vector Lmm::prediction_variances(const std::vector<Matrix>& lambda_standard,
                                 const ConstMatrixRef& X, const std::vector<NewTerm>& terms) {
  const std::vector<Matrix> lambda = pls_->factors(theta_of(lambda_standard));
  pls_->objective(lambda, true);
  const Index p = pls_->n_fixef();
  return error_variances(*pls_, {basis_.Tz, place_, lambda, pls_->cov_beta_root()},
                         product(X, basis_.T.topLeftCorner(p, p)), terms, pls_->fixed_rows());
}

std::vector<Matrix> Lmm::draw(const std::vector<Matrix>& lambda, const Vector& beta, double sigma,
                              const std::vector<Matrix>& noise) {
  const Index p = basis_.T.cols() - 1;
  if (beta.size() != p) throw std::invalid_argument("beta: not a number for each kept column");
  if (noise.size() != n_terms()) throw std::invalid_argument("noise: not a matrix for each term");
  std::vector<RowMatrix> e;
  for (std::size_t t = 0; t < n_terms(); ++t) {
    const Matrix& of_user = noise[place_[t]];
    if (of_user.rows() != pls_->k(t) || of_user.cols() != pls_->n_levels(t))
      throw std::invalid_argument("noise: a matrix has the wrong shape");
    e.push_back(Eigen::Map<const RowMatrix>(of_user.data(), of_user.size(), 1));
  }
  const double scale = basis_.T(p, p);
  if (pls_->objective(pls_->factors(standard_theta(lambda)), true).value >= kInfeasible)
    throw FitFailure("the objective is not finite at these covariance parameters");
  Vector standard = scale * beta;
  standard += basis_.T.col(p).head(p);
  basis_.T.topLeftCorner(p, p).triangularView<Eigen::Upper>().solveInPlace(standard);
  std::vector<Matrix> b = pls_->draw(standard, scale * sigma, std::move(e));
  for (std::size_t t = 0; t < n_terms(); ++t) b[t] = product(basis_.Tz[t], b[t]) / scale;
  return to_user(std::move(b));
}

std::vector<Matrix> Lmm::conditional_covariances(const std::vector<Matrix>& lambda_standard) {
  pls_->objective(pls_->factors(theta_of(lambda_standard)), true);
  std::vector<Matrix> blocks = pls_->conditional_covariances();
  for (std::size_t t = 0; t < blocks.size(); ++t) {
    const Index k = pls_->k(t);
    const Matrix& T = basis_.Tz[t];
    for (Index l = 0; l < blocks[t].cols(); ++l) {
      Eigen::Map<Matrix> block(blocks[t].data() + l * k * k, k, k);
      block = tcrossprod(product(T, block), T);
    }
  }
  return to_user(blocks);
}

}  // namespace ranef
