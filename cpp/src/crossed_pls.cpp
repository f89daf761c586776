#include "ranef/crossed_pls.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "ranef/errors.hpp"

namespace ranef {
namespace {

constexpr double kTwoPi = 6.283185307179586476925286766559;
constexpr double kSearch = 1e-8;  // relative residual of the solves of an objective
constexpr double kSolve = 1e-10;  // of those that results are made of
constexpr double kRough = 1e-6;   // of one that only a curvature is made of
constexpr double kFailed = 1e-4;  // a residual that makes the objective useless
constexpr double kMoved = 0.25;   // relative change of lambda after which V is chosen again
constexpr int kFirstProbes = 8;
// The second moment is exact from the start where to look for what it takes is as many steps an
// entry, a fraction of a value.
constexpr double kShortWalk = 30.0;
constexpr int kMostRounds = 6;
constexpr int kDiagonalProbes = 96;
constexpr double kGrowth = 1.05;  // of a probe whose interval is too small
constexpr double kEnough = 0.8;   // share of the promised variance that a larger sample aims at

}  // namespace

CrossedPls::CrossedPls(CrossProducts products, std::vector<std::vector<int>> blocks,
                       const CrossedSettings& settings)
    : LeastSquares(products, std::move(blocks)), settings_(settings) {
  if (!is_crossed(products))
    throw std::invalid_argument("terms: the iterative method takes two or more of one column each");
  graph_ = CrossedGraph(products, settings.threads);
  xy_.leading = std::move(products.terms[0].xy);
  xy_.root.resize(graph_.n_root(), gram_.cols());
  for (std::size_t t = 1; t < n_terms(); ++t)
    xy_.root.middleRows(graph_.offset()[t - 1], n_levels_[t]) = products.terms[t].xy;
  sample_.seed = settings.seed;
  sample_.n_probes = kFirstProbes;
}

void CrossedPls::set_response(const std::vector<Vector>& zy) {
  stands_ = false;
  const Index p = n_fixef();
  xy_.leading.col(p) = zy[0];
  for (std::size_t t = 1; t < n_terms(); ++t)
    xy_.root.col(p).segment(graph_.offset()[t - 1], n_levels_[t]) = zy[t];
  gram_.row(p).setZero();
  gram_.col(p).setZero();
  gram_(p, p) = static_cast<double>(n_);
}

// B (rows_2 - A_21 a^2 rows_1): the right side of I - T for right sides Z'r.
void CrossedPls::reduce(const Halves& rows, RowMatrix& right) const {
  RowMatrix weighted = rows.leading;
  weighted.array().colwise() *= graph_.a2().array();
  graph_.transposed(weighted, right);
  RowMatrix own = rows.root;
  own.array().colwise() *= graph_.b().array();
  right = own - right;
}

// Solve from what V knows of the solution, or from X where that is nearer.
double CrossedPls::solve_from(const RowMatrix& right, double tolerance, RowMatrix& X,
                              RowMatrix& R) const {
  if (X.rows() != right.rows() || X.cols() != right.cols()) {
    const RowMatrix& V = logdet_.V();
    const Matrix inner = Matrix::Identity(V.cols(), V.cols()) - logdet_.inner();
    X = V * inner.llt().solve(Matrix(V.transpose() * right));
  }
  return graph_.solve(right, tolerance, X, R);
}

void CrossedPls::deflate() {
  if (!deflated_) sample_.exact_second = logdet_.has_few_meetings(graph_, kShortWalk);
  logdet_.deflate(graph_, sample_, settings_.most_vectors);
  logdet_.choose_polynomial(graph_, sample_.exact_second);
  deflated_ = true;
  approximation_.deflated_at.clear();
  for (std::size_t t = 0; t < n_terms(); ++t)
    approximation_.deflated_at.push_back(graph_.lambda(t));
  AV_.resize(0, 0);
  approximation_.n_deflated = static_cast<int>(logdet_.V().cols());
}

Objective CrossedPls::objective(const std::vector<Matrix>& lambda, bool reml) {
  if (stands_ && reml == reml_ && lambda == lambda_) return last_;
  lambda_ = lambda;
  reml_ = reml;
  std::vector<double> sds;
  for (const Matrix& block : lambda) sds.push_back(block(0, 0));
  graph_.set(sds);
  stands_ = false;
  if (!deflated_) {
    deflate();
    last_ = evaluate(reml);
    cover(reml);
  } else {
    last_ = evaluate(reml);
  }
  stands_ = last_.value < kInfeasible;
  return last_;
}

// Widen the interval of the polynomial until no probe leaves it; whether it was.
bool CrossedPls::cover(bool reml) {
  bool changed = false;
  for (int i = 0; error_.growth > kGrowth && i < kMostRounds; ++i) {
    logdet_.widen();
    logdet_.choose_polynomial(graph_, sample_.exact_second);
    last_ = evaluate(reml);
    changed = true;
  }
  return changed;
}

Objective CrossedPls::evaluate(bool reml) {
  const Index c = gram_.cols(), p = n_fixef(), k = logdet_.V().cols();
  scored_ = derived_ = false;
  Objective out;
  RowMatrix right;
  reduce(xy_, right);
  RowMatrix all(graph_.n_root(), c + k), X, R;
  all << right, logdet_.V();
  if (x_.rows() == graph_.n_root() && x_.cols() == c && AV_.cols() == k) {
    X.resize(graph_.n_root(), c + k);
    X << x_, AV_;
  }
  approximation_.residual = solve_from(all, kSearch, X, R);
  x_ = X.leftCols(c);
  AV_ = X.rightCols(k);
  trace_ = logdet_.value(graph_, sample_, AV_, &error_);
  approximation_.degree = static_cast<int>(logdet_.polynomial().degree());
  approximation_.n_probes = sample_.n_probes;
  approximation_.exact_second = sample_.exact_second;
  approximation_.low = logdet_.low();
  approximation_.high = logdet_.high();

  // [X y]'H^-1[X y], the solve's error of second order in it.
  RowMatrix weighted = xy_.leading;
  weighted.array().colwise() *= graph_.a2().array();
  Matrix reduced = gram_ - xy_.leading.transpose() * weighted;
  reduced -= right.transpose() * x_ + x_.transpose() * R.leftCols(c);
  reduced = (0.5 * (reduced + reduced.transpose())).eval();
  const Eigen::LLT<Matrix> llt(reduced);
  L_ = llt.matrixL();
  out.logdet_L = graph_.d1().array().log().sum() + graph_.d2().array().log().sum() + trace_.value;
  const double last = L_(p, p);
  if (llt.info() != Eigen::Success || !std::isfinite(out.logdet_L) || !(last > 0.0) ||
      !(approximation_.residual < kFailed)) {
    out.value = kInfeasible;
    return out;
  }
  const double nu = degrees(reml);
  out.logdet_RX = 2.0 * L_.diagonal().head(p).array().log().sum();
  out.pwrss = last * last;
  out.value =
      out.logdet_L + (reml ? out.logdet_RX : 0.0) + nu * (1.0 + std::log(kTwoPi * out.pwrss / nu));
  if (!std::isfinite(out.value)) out.value = kInfeasible;
  return out;
}

// Z'H^-1 r from x = (I - T)^-1 of the reduced right sides of Z'r.
CrossedPls::Halves CrossedPls::scores(const Halves& rows, double tolerance) const {
  RowMatrix right, X, R;
  reduce(rows, right);
  solve_from(right, tolerance, X, R);
  Halves out;
  graph_.leading(X, out.leading);
  out.leading = rows.leading - out.leading;
  out.leading.array().colwise() /= graph_.d1().array();
  out.root = std::move(X);
  for (std::size_t t = 1; t < n_terms(); ++t) {
    const Index first = graph_.offset()[t - 1], count = n_levels_[t];
    out.root.middleRows(first, count).array().colwise() /=
        graph_.lambda(t) * graph_.d2().segment(first, count).array().sqrt();
  }
  return out;
}

void CrossedPls::orthonormal_scores() {
  if (scored_) return;
  const Index c = gram_.cols();
  const Matrix U =
      L_.triangularView<Eigen::Lower>().solve(Matrix(Matrix::Identity(c, c))).transpose();
  graph_.leading(x_, N_.leading);
  N_.leading = (xy_.leading - N_.leading).eval() * U;
  N_.leading.array().colwise() /= graph_.d1().array();
  N_.root = x_ * U;
  for (std::size_t t = 1; t < n_terms(); ++t) {
    const Index first = graph_.offset()[t - 1], count = n_levels_[t];
    N_.root.middleRows(first, count).array().colwise() /=
        graph_.lambda(t) * graph_.d2().segment(first, count).array().sqrt();
  }
  scored_ = true;
}

// Z'W Z H.
CrossedPls::Halves CrossedPls::products(const Halves& H) const {
  Halves out;
  RowMatrix met;
  multiply(graph_.team(), graph_.rows(), H.root, met);
  out.leading = H.leading;
  out.leading.array().colwise() *= graph_.own1().array();
  out.leading += met;
  multiply(graph_.team(), graph_.columns(), H.leading, met);
  out.root = H.root;
  out.root.array().colwise() *= graph_.own2().array();
  out.root += met;
  graph_.within(H.root, met);
  out.root += met;
  return out;
}

CrossedPls::Halves CrossedPls::halves(const std::vector<RowMatrix>& by_term) const {
  Halves out{by_term[0], RowMatrix(graph_.n_root(), by_term[0].cols())};
  for (std::size_t t = 1; t < n_terms(); ++t)
    out.root.middleRows(graph_.offset()[t - 1], n_levels_[t]) = by_term[t];
  return out;
}

std::vector<RowMatrix> CrossedPls::by_term(const Halves& halves) const {
  std::vector<RowMatrix> out{halves.leading};
  for (std::size_t t = 1; t < n_terms(); ++t)
    out.push_back(halves.root.middleRows(graph_.offset()[t - 1], n_levels_[t]));
  return out;
}

void CrossedPls::derivatives(bool reml, Derivatives& out) {
  if (!derived_) take_derivatives(reml);
  derived_ = true;
  out = derivatives_;
}

void CrossedPls::take_derivatives(bool reml) {
  Derivatives& out = derivatives_;
  const Index p = n_fixef(), m = static_cast<Index>(n_terms());
  const double nu = degrees(reml);
  orthonormal_scores();
  const std::vector<RowMatrix> N = by_term(N_);
  // Z_a n_a, a column a term, for the average information.
  std::vector<RowMatrix> H;
  for (std::size_t t = 0; t < n_terms(); ++t) {
    H.push_back(RowMatrix::Zero(n_levels_[t], m));
    H[t].col(static_cast<Index>(t)) = N[t].col(p);
  }
  Matrix J(p, m);
  out.S.assign(n_terms(), Matrix(1, 1));
  out.quadratic.resize(m);
  for (std::size_t t = 0; t < n_terms(); ++t) {
    const Index a = static_cast<Index>(t);
    const Index first = t == 0 ? 0 : graph_.offset()[t - 1];
    const auto own = t == 0 ? graph_.own1().segment(0, n_levels_[0])
                            : graph_.own2().segment(first, n_levels_[t]);
    const auto d =
        t == 0 ? graph_.d1().segment(0, n_levels_[0]) : graph_.d2().segment(first, n_levels_[t]);
    const double M = (own.array() / d.array()).sum() + trace_.by_sigma(a);
    const double fixed = reml ? N[t].leftCols(p).squaredNorm() : 0.0;
    out.quadratic(a) = nu * N[t].col(p).squaredNorm();
    out.S[t](0, 0) = M - fixed - out.quadratic(a);
    J.col(a) = N[t].leftCols(p).transpose() * N[t].col(p);
  }
  out.information = nu * (quadratic_form(H, kRough) - J.transpose() * J);
}

Index CrossedPls::projected_traces(bool /*reml*/, Matrix& out) {
  const Index m = static_cast<Index>(n_terms());
  out.setZero(m, m);
  return m;
}

Vector CrossedPls::beta() const {
  const Index p = n_fixef();
  return L_.topLeftCorner(p, p).triangularView<Eigen::Lower>().transpose().solve(
      L_.row(p).head(p).transpose());
}

Matrix CrossedPls::cov_beta_root() const {
  const Index p = n_fixef();
  return L_.topLeftCorner(p, p)
      .triangularView<Eigen::Lower>()
      .solve(Matrix(Matrix::Identity(p, p)))
      .transpose();
}

std::vector<RowMatrix> CrossedPls::fixed_scores() {
  orthonormal_scores();
  std::vector<RowMatrix> out;
  for (RowMatrix& rows : by_term(N_)) out.push_back(rows.leftCols(n_fixef()));
  return out;
}

Matrix CrossedPls::quadratic_form(const std::vector<RowMatrix>& H) {
  return quadratic_form(H, kSolve);
}

Matrix CrossedPls::quadratic_form(const std::vector<RowMatrix>& H, double tolerance) const {
  const Halves right = halves(H);
  const Halves z = scores(products(right), tolerance);
  const Matrix form = right.leading.transpose() * z.leading + right.root.transpose() * z.root;
  return 0.5 * (form + form.transpose());
}

PairTraces CrossedPls::pair_traces() {
  throw std::invalid_argument("pair traces need a factor, which the iterative method has not");
}

// b_1 = a^2 (rows_1 - A_12 b_2), b_2 = B x.
std::vector<RowMatrix> CrossedPls::solve(std::vector<RowMatrix> B) {
  const Halves rows = halves(B);
  RowMatrix right, X, R;
  reduce(rows, right);
  solve_from(right, kSolve, X, R);
  Halves out;
  graph_.leading(X, out.leading);
  out.leading = rows.leading - out.leading;
  out.leading.array().colwise() *= graph_.a2().array();
  out.root = X;
  out.root.array().colwise() *= graph_.b().array();
  return by_term(out);
}

std::vector<Matrix> CrossedPls::modes() {
  Vector combine(gram_.cols());
  combine << -beta(), 1.0;
  const std::vector<RowMatrix> b = solve(by_term({xy_.leading * combine, xy_.root * combine}));
  std::vector<Matrix> out;
  for (const RowMatrix& rows : b) out.push_back(rows.transpose());
  return out;
}

// Diagonals of b (I - T)^-1 b and of a^2 + a^2 A_12 B (I - T)^-1 B A_21 a^2. What V knows and the
// first power of PTP enter exactly; the rest by probes on either side.
std::vector<Matrix> CrossedPls::conditional_covariances() {
  const Index R = graph_.n_leading(), C = graph_.n_root();
  const RowMatrix& V = logdet_.V();
  Matrix K = V.transpose() * AV_;
  K = (0.5 * (K + K.transpose())).eval();
  const Matrix half = Matrix(K.llt().matrixL())
                          .triangularView<Eigen::Lower>()
                          .solve(Matrix(Matrix::Identity(K.rows(), K.cols())))
                          .transpose();
  // (I - T)^-1 = AV K^-1 V'A + W,  W = P + PTP + ..., the inverse within the complement of V.
  const RowMatrix root_half = AV_ * half;
  RowMatrix leading_half, leading_V;
  graph_.leading(root_half, leading_half);
  graph_.leading(V, leading_V);
  Vector root = root_half.rowwise().squaredNorm() + Vector::Ones(C) - V.rowwise().squaredNorm();
  const SparseRows& rows = graph_.rows();
  Vector leading = leading_half.rowwise().squaredNorm() - leading_V.rowwise().squaredNorm();
  for (Index l = 0; l < R; ++l)
    for (Index e = rows.start[l]; e < rows.start[l + 1]; ++e) {
      const double g = rows.at(e) * graph_.b()(rows.column[e]);
      leading(l) += g * g;
    }
  // W - P by probes: x * (W - P) x has the diagonal as its mean.
  GraphProduct TV;
  graph_.apply(V, TV);
  const Matrix inner = V.transpose() * TV.y;
  const Vector first = product_diagonal(graph_) - 2.0 * V.cwiseProduct(TV.y).rowwise().sum() +
                       V.cwiseProduct(RowMatrix(V * inner)).rowwise().sum();
  root += first;
  const auto inverse_within = [&](const RowMatrix& right) {
    // W r = (I - T)^-1 P r minus its part along AV: V'W r = 0.
    RowMatrix X, left, projected = right;
    logdet_.project(graph_.team(), projected);
    solve_from(projected, kSolve, X, left);
    const Matrix along = K.llt().solve(Matrix(V.transpose() * X));
    X.noalias() -= AV_ * along;
    return X;
  };
  constexpr Index kPanel = 16;
  for (Index begin = 0; begin < kDiagonalProbes; begin += kPanel) {
    RowMatrix x(C, kPanel), y(R, kPanel), gy, W, back;
    for (Index j = 0; j < kPanel; ++j) {
      const auto probe = static_cast<std::uint64_t>(begin + j);
      for (Index m = 0; m < C; ++m)
        x(m, j) = probe_sign(settings_.seed + 1, probe, static_cast<std::uint64_t>(m));
      for (Index l = 0; l < R; ++l)
        y(l, j) = probe_sign(settings_.seed + 2, probe, static_cast<std::uint64_t>(l));
    }
    W = inverse_within(x);
    RowMatrix P = x;
    logdet_.project(graph_.team(), P);
    GraphProduct TP;
    graph_.apply(P, TP);
    logdet_.project(graph_.team(), TP.y);
    root += x.cwiseProduct(W - P - TP.y).rowwise().sum() / kDiagonalProbes;
    graph_.transposed(y, gy);
    W = inverse_within(gy);
    P = gy;
    logdet_.project(graph_.team(), P);
    graph_.leading(RowMatrix(W - P), back);
    leading += y.cwiseProduct(back).rowwise().sum() / kDiagonalProbes;
  }
  std::vector<Matrix> out{
      (graph_.a2().array() * (1.0 + graph_.a2().array() * leading.array().max(0.0)))
          .matrix()
          .transpose()};
  for (std::size_t t = 1; t < n_terms(); ++t) {
    const Index at = graph_.offset()[t - 1], count = n_levels_[t];
    out.push_back((graph_.b().segment(at, count).array().square() *
                   root.segment(at, count).array().max(1.0 - 1e-12))
                      .matrix()
                      .transpose());
  }
  return out;
}

// Note the errors at an optimum; whether they are as promised.
bool CrossedPls::take_error(const LogdetError& error, bool reml) {
  Derivatives at;
  derivatives(reml, at);
  // Gradient and curvature by lambda: d Sigma = 2 lambda d lambda.
  const Index m = static_cast<Index>(n_terms());
  Vector jacobian(m);
  for (Index a = 0; a < m; ++a) jacobian(a) = 2.0 * graph_.lambda(static_cast<std::size_t>(a));
  Matrix H = jacobian.asDiagonal() *
             (at.information - at.quadratic * at.quadratic.transpose() / degrees(reml)) *
             jacobian.asDiagonal();
  for (Index a = 0; a < m; ++a) H(a, a) += 2.0 * at.S[a](0, 0);
  const Matrix noise = jacobian.asDiagonal() * error.gradient_variance * jacobian.asDiagonal();
  double worst = 0.0;
  const Eigen::LLT<Matrix> llt(H);
  if (llt.info() == Eigen::Success) {
    const Matrix inverse = llt.solve(Matrix(Matrix::Identity(m, m)));
    const Matrix spread = inverse * noise * inverse;
    for (Index a = 0; a < m; ++a)
      worst = std::max(worst, std::sqrt(std::max(0.0, spread(a, a)) / (2.0 * inverse(a, a))));
  }
  approximation_.value_sd = std::hypot(std::sqrt(error.variance), error.bias);
  approximation_.theta_sd = worst;
  approximation_.is_reached = approximation_.value_sd <= settings_.value_sd &&
                              worst <= settings_.theta_sd && approximation_.residual <= 1e-6;
  return approximation_.is_reached;
}

void CrossedPls::resume(const Approximation& former) {
  if (former.deflated_at.size() != n_terms())
    throw std::invalid_argument("former: not a number for each term");
  graph_.set(former.deflated_at);
  sample_.n_probes = former.n_probes;
  sample_.exact_second = former.exact_second;
  deflated_ = true;
  deflate();
  logdet_.set_bounds(former.low, former.high);
  logdet_.choose_polynomial(graph_, sample_.exact_second);
  approximation_ = former;
  stands_ = false;
}

// A round of `improve`, which calls end.
bool CrossedPls::improve(const std::vector<Matrix>& lambda, bool reml) {
  const bool changed = improve_once(lambda, reml);
  rounds_ = changed ? rounds_ + 1 : 0;
  return changed;
}

bool CrossedPls::improve_once(const std::vector<Matrix>& lambda, bool reml) {
  objective(lambda, reml);
  if (!stands_) return false;
  double moved = 0.0;
  for (std::size_t t = 0; t < n_terms(); ++t) {
    const double before = std::abs(approximation_.deflated_at[t]), now = std::abs(graph_.lambda(t));
    moved = std::max(moved, std::abs(now - before) / std::max({now, before, 1e-3}));
  }
  bool changed = false;
  if (moved > kMoved && rounds_ < 2) {
    deflate();
    last_ = evaluate(reml);
    changed = true;
  }
  changed = cover(reml) || changed;
  stands_ = last_.value < kInfeasible;
  if (!stands_) return false;
  if (take_error(error_, reml)) return changed && rounds_ < kMostRounds;
  if (rounds_ >= kMostRounds) return false;
  // What is cheaper: more probes, or an exact second moment and fewer.
  const double have = sample_.n_probes;
  const double goal = kEnough * settings_.value_sd * settings_.value_sd;
  const double theta = approximation_.theta_sd / settings_.theta_sd;
  const double for_theta = theta > 1.0 ? 1.2 * have * theta * theta : 0.0;
  const double by_probes = std::max(have * error_.variance / goal, for_theta);
  const double by_third = std::max({have * error_.variance_third / goal, for_theta, 4.0});
  const double a_probe = 4.0 * static_cast<double>(graph_.nonzeros()) *
                         static_cast<double>(logdet_.polynomial().degree());
  const double a_second = 4.0 * graph_.entangled();
  const bool can_second = !sample_.exact_second && !graph_.has_root_pairs();
  if (can_second && by_third * a_probe + a_second < by_probes * a_probe) {
    sample_.exact_second = true;
    sample_.n_probes = static_cast<int>(
        std::clamp(std::ceil(by_third), have, static_cast<double>(settings_.most_probes)));
    logdet_.choose_polynomial(graph_, true);
  } else {
    const int more = static_cast<int>(
        std::min(std::ceil(by_probes), static_cast<double>(settings_.most_probes)));
    if (more <= sample_.n_probes) return false;
    sample_.n_probes = more;
  }
  stands_ = false;
  return true;
}

}  // namespace ranef
