// What generalised models ask of a kernel without a factor: weights that change, the determinant
// and its derivatives by the weights.
#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "ranef/crossed_pls.hpp"

namespace ranef {
namespace {

constexpr double kSearch = 1e-9;  // relative residual of the solves of a determinant
constexpr double kFailed = 1e-4;  // a residual that makes it useless
constexpr double kGrowth = 1.05;  // of a probe whose interval is too small
constexpr double kMoved = 0.25;   // relative change of lambda after which V is chosen again
constexpr double kEnough = 0.8;   // share of the promised variance that a larger sample aims at
constexpr int kMostRounds = 6;

}  // namespace

void CrossedPls::stand(const CrossProducts& products, const std::vector<Matrix>& lambda) {
  stands_ = scored_ = derived_ = false;
  lambda_ = lambda;
  std::vector<double> sds;
  for (const Matrix& block : lambda) sds.push_back(block(0, 0));
  graph_.renew(products);
  graph_.set(sds);
  logdet_.forget();
  logdet_.bound_whatever_weights();
}

// V is chosen under the first weights whose determinant is asked for: those of a mode.
double CrossedPls::log_determinant() {
  if (!deflated_) deflate();
  const RowMatrix& V = logdet_.V();
  for (int round = 0;; ++round) {
    RowMatrix left;
    approximation_.residual = solve_from(V, kSearch, AV_, left);
    trace_ = logdet_.value_alone(graph_, sample_, AV_, &error_);
    if (!(error_.growth > kGrowth) || round == kMostRounds) break;
    logdet_.widen();
    logdet_.choose_polynomial(graph_, sample_.exact_second);
  }
  approximation_.exact_second = sample_.exact_second;
  approximation_.degree = static_cast<int>(logdet_.polynomial().degree());
  approximation_.n_probes = sample_.n_probes;
  approximation_.low = logdet_.low();
  approximation_.high = logdet_.high();
  approximation_.value_sd = std::hypot(std::sqrt(error_.variance), error_.bias);
  if (!(approximation_.residual < kFailed)) return std::numeric_limits<double>::quiet_NaN();
  return graph_.d1().array().log().sum() + graph_.d2().array().log().sum() + trace_.value;
}

void CrossedPls::determinant_slopes(const CrossProducts& products, DeterminantSlopes& out) const {
  LogdetSlopes slopes;
  logdet_.slopes(graph_, sample_, AV_, slopes);
  slopes_from(slopes, products, out);
}

std::vector<DeterminantSlopes> CrossedPls::slopes_of_parts(const CrossProducts& products,
                                                           int parts) const {
  LogdetSlopes whole;
  logdet_.slopes_without_sample(graph_, sample_, AV_, whole);
  std::vector<DeterminantSlopes> out(static_cast<std::size_t>(parts));
  LogdetSettings some = sample_;
  some.n_probes = std::max(1, sample_.n_probes / parts);
  for (int part = 0; part < parts; ++part) {
    some.first_probe = part * some.n_probes;
    LogdetSlopes slopes = whole;
    logdet_.add_slopes_of_sample(graph_, some, slopes);
    slopes_from(slopes, products, out[static_cast<std::size_t>(part)]);
  }
  return out;
}

void CrossedPls::slopes_from(const LogdetSlopes& slopes, const CrossProducts& products,
                             DeterminantSlopes& out) const {
  out.by_lambda.setZero(static_cast<Index>(n_terms()));
  out.own.resize(n_terms());
  const double first = graph_.lambda(0) * graph_.lambda(0);
  const auto d1 = graph_.d1().array(), a2 = graph_.a2().array(), by_a2 = slopes.a2.array();
  out.own[0] = (first / d1 - a2.square() * by_a2).matrix().transpose();
  out.by_lambda(0) =
      2.0 * graph_.lambda(0) * ((graph_.own1().array() / d1).sum() + (by_a2 / d1.square()).sum());
  for (std::size_t t = 1; t < n_terms(); ++t) {
    const Index at = graph_.offset()[t - 1], count = n_levels_[t];
    const double lambda = graph_.lambda(t);
    const auto d2 = graph_.d2().segment(at, count).array();
    const auto by_b = slopes.log_b.segment(at, count).array();
    out.own[t] = (lambda * lambda / d2 * (1.0 - 0.5 * by_b)).matrix().transpose();
    if (lambda == 0.0) continue;  // a minimum or a maximum along lambda
    out.by_lambda(static_cast<Index>(t)) =
        2.0 * lambda * (graph_.own2().segment(at, count).array() / d2).sum() +
        (by_b / d2).sum() / lambda;
  }
  out.pairs.resize(products.pairs.size());
  for (std::size_t s = 0; s < products.pairs.size(); ++s) {
    out.pairs[s].resize(products.pairs[s].size());
    for (std::size_t p = 0; p < products.pairs[s].size(); ++p)
      out.pairs[s][p].resize(1, products.pairs[s][p].value.cols());
  }
  Index entry = 0;
  for (Index l = 0; l < n_levels_[0]; ++l)
    for (std::size_t p = 0; p < products.pairs[0].size(); ++p) {
      const PairProducts& pair = products.pairs[0][p];
      for (Index e = pair.start[l]; e < pair.start[l + 1]; ++e)
        out.pairs[0][p](0, e) = 0.5 * slopes.pairs(entry++);
    }
  const SparseRows& among = graph_.root_pairs();
  for (std::size_t s = 1; s < products.pairs.size(); ++s)
    for (std::size_t p = 0; p < products.pairs[s].size(); ++p) {
      const PairProducts& pair = products.pairs[s][p];
      for (Index l = 0; l < n_levels_[s]; ++l)
        for (Index e = pair.start[l]; e < pair.start[l + 1]; ++e) {
          const Index i = graph_.offset()[s - 1] + l, j = graph_.offset()[s + p] + pair.level[e];
          out.pairs[s][p](0, e) =
              0.5 * (slopes.among(among.find(i, j)) + slopes.among(among.find(j, i)));
        }
    }
}

void CrossedPls::make_spherical(Halves& rows) const {
  rows.leading *= graph_.lambda(0);
  for (std::size_t t = 1; t < n_terms(); ++t)
    rows.root.middleRows(graph_.offset()[t - 1], n_levels_[t]) *= graph_.lambda(t);
}

// With G = diag(a) A_12 B, a = lambda_1 / sqrt(d_1), the right side of I - T is D_2^-1/2 g_2 - G'y,
// y = D_1^-1/2 g_1, and with its solution x, u_2 = D_2^-1/2 x, u_1 = D_1^-1/2 (y - G x).
CrossedPls::Halves CrossedPls::solve_spherical(const Halves& g, const Vector& tolerance) const {
  const auto a = (graph_.lambda(0) / graph_.d1().array());  // over another sqrt(d_1)
  const auto root = graph_.d2().array().sqrt();
  RowMatrix weighted = g.leading, right, X, left;
  weighted.array().colwise() *= a;
  graph_.transposed(weighted, right);
  weighted = g.root;
  weighted.array().colwise() /= root;
  right = weighted - right;
  if (AV_.rows() == right.rows()) {
    // What AV, (I - T)^-1 V under the last weights, holds of the solution.
    Matrix K = logdet_.V().transpose() * AV_;
    K = (0.5 * (K + K.transpose())).eval();
    X = AV_ * K.llt().solve(Matrix(AV_.transpose() * right));
    graph_.solve(right, tolerance, X, left);
  } else {
    X = RowMatrix::Zero(right.rows(), right.cols());
    graph_.solve(right, tolerance, X, left);
  }
  Halves u;
  graph_.leading(X, u.leading);
  u.leading *= -graph_.lambda(0);
  u.leading += g.leading;
  u.leading.array().colwise() /= graph_.d1().array();
  u.root = std::move(X);
  u.root.array().colwise() /= root;
  return u;
}

void CrossedPls::follow(const CrossProducts& products, const std::vector<Matrix>& before,
                        const std::vector<Matrix>& now, Halves& u) const {
  for (std::size_t t = 0; t < n_terms(); ++t) {
    const double from = before[t](0, 0), to = now[t](0, 0);
    if (from == to || from == 0.0) continue;
    const auto n = products.terms[t].own.row(0).transpose().array();
    const auto ratio = (to / from) * (1.0 + from * from * n) / (1.0 + to * to * n);
    if (t == 0)
      u.leading.array().colwise() *= ratio;
    else
      u.root.middleRows(graph_.offset()[t - 1], n_levels_[t]).array().colwise() *= ratio;
  }
}

bool CrossedPls::improve_sample(double theta_sd) {
  approximation_.theta_sd = theta_sd;
  const auto reached = [&] {
    approximation_.is_reached = approximation_.value_sd <= settings_.value_sd &&
                                theta_sd <= settings_.theta_sd && approximation_.residual <= 1e-6;
    return approximation_.is_reached;
  };
  double moved = 0.0;
  for (std::size_t t = 0; t < n_terms(); ++t) {
    const double before = std::abs(approximation_.deflated_at[t]), now = std::abs(graph_.lambda(t));
    moved = std::max(moved, std::abs(now - before) / std::max({now, before, 1e-3}));
  }
  const bool good = reached();
  if (rounds_ >= kMostRounds) return false;
  if (good) return false;
  if (moved > kMoved && rounds_ < 2) {
    deflate();
    ++rounds_;
    return true;
  }
  const double have = sample_.n_probes, theta = theta_sd / settings_.theta_sd;
  const double goal = kEnough * settings_.value_sd * settings_.value_sd;
  double value = error_.variance / goal;
  const double third = error_.variance_third / goal, noise = 1.2 * theta * theta;
  if (!sample_.exact_second && std::max(third, noise) < 0.8 * std::max(value, noise) &&
      logdet_.has_few_meetings(graph_, HUGE_VAL)) {
    sample_.exact_second = true;
    logdet_.choose_polynomial(graph_, true);
    value = third;
    if (!(std::max(value, noise) > 1.0)) {
      ++rounds_;
      return true;
    }
  }
  const double more = std::min(std::ceil(have * std::max(value, noise)),
                               static_cast<double>(settings_.most_probes));
  if (!(more > have)) return false;
  sample_.n_probes = static_cast<int>(more);
  ++rounds_;
  return true;
}

void CrossedPls::resume_sample(const Approximation& former, RowMatrix V) {
  if (V.rows() != graph_.n_root() || former.deflated_at.size() != n_terms())
    throw std::invalid_argument("former: of another model");
  sample_.n_probes = former.n_probes;
  graph_.set(former.deflated_at);
  logdet_.take(std::move(V), graph_);
  logdet_.bound_whatever_weights();
  logdet_.set_bounds(former.low, former.high);
  sample_.exact_second = former.exact_second && logdet_.has_few_meetings(graph_, HUGE_VAL);
  logdet_.choose_polynomial(graph_, sample_.exact_second);
  approximation_ = former;
  deflated_ = true;
  AV_.resize(0, 0);
}

}  // namespace ranef
