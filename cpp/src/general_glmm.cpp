#include "ranef/general_glmm.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "ranef/dense.hpp"
#include "ranef/errors.hpp"
#include "ranef/interrupt.hpp"
#include "ranef/levels.hpp"
#include "ranef/search.hpp"
#include "ranef/turned.hpp"

namespace ranef {
namespace {

// As in glmm.cpp.
constexpr int kMaxSteps = 1000;
constexpr int kMaxHalvings = 40;
constexpr double kModeTolerance = 1e-18;
constexpr double kSmallStep = 1e-7;
constexpr Index kPanel = 64;  // rows that are solved for together

// X'W X - cross'solved.
Matrix schur(const Matrix& X, const Vector& w, const RowMatrix& cross, const RowMatrix& solved) {
  const Matrix WX = w.asDiagonal() * X;
  return crossprod(X, WX) - tcrossprod(turned(cross), turned(solved));
}

}  // namespace

GeneralGlmm::GeneralGlmm(const Input& input, const GeneralTerms& terms,
                         const Likelihood& likelihood, ResponseRows rows, Vector offset)
    : likelihood_(likelihood),
      rows_(std::move(rows)),
      offset_(std::move(offset)),
      Q_(terms.precision) {
  if (rows_.y.size() != input.n || rows_.weights.size() != input.n || offset_.size() != input.n)
    throw std::invalid_argument("y, weights, offset: not one value a row");
  if (terms.term.size() != input.terms.size())
    throw std::invalid_argument("terms: members and terms do not fit");
  take_unit();
  Input with_response = input;
  const Vector y = stand_in(input.n);
  with_response.y = y.data();
  const RefinedInput refined = refine(with_response, choose_shifts(with_response));
  basis_ = refined.basis;
  basis_.T.topLeftCorner(basis_.T.rows() - 1, basis_.T.cols() - 1) /= unit_;
  const auto column_of = [&](int reference) {
    return Eigen::Map<const Vector>(refined.input.columns[reference], input.n);
  };
  X_.resize(input.n, static_cast<Index>(refined.input.fixed.size()));
  for (Index j = 0; j < X_.cols(); ++j) X_.col(j) = column_of(refined.input.fixed[j]);
  std::vector<Matrix> Tz;
  for (std::size_t a = 0; a < refined.input.terms.size(); ++a) {
    const TermInput& term = refined.input.terms[a];
    const Index k = static_cast<Index>(term.columns.size());
    Member member{terms.term[a], {term.codes, term.codes + input.n}, RowMatrix(input.n, k), width_};
    for (Index j = 0; j < k; ++j) member.z.col(j) = column_of(term.columns[j]);
    if (Tz.size() == member.term) {
      Tz.push_back(basis_.Tz[a]);
      terms_.push_back({k, term.n_levels, q_});
      q_ += k * term.n_levels;
    } else {
      // On the scale of the term's first member.
      const Vector scale = Tz.back().diagonal().cwiseQuotient(basis_.Tz[a].diagonal());
      member.z = (member.z * scale.asDiagonal()).eval();
    }
    width_ += k;
    members_.push_back(std::move(member));
  }
  for (Matrix& basis : Tz) basis /= unit_;
  basis_.Tz = std::move(Tz);
  for (std::size_t t = 0; t < terms_.size(); ++t)
    for (int j = 0; j < static_cast<int>(terms_[t].k); ++j)
      for (int i = j; i < static_cast<int>(terms_[t].k); ++i)
        if (terms.blocks[t][i] == terms.blocks[t][j]) parameters_.emplace_back(t, i, j);
  plan(terms);
  rows_.count(likelihood_);
  restart();
}

void GeneralGlmm::take_unit() {
  if (likelihood_.link != Link::inverse) return;
  unit_ = rows_.y.dot(rows_.weights) / rows_.weights.sum();
  rows_.y /= unit_;
  offset_ *= unit_;
}

// visit(row, column, value) of the lower triangle of blockdiag(Q (x) I).
template <class Visit>
void GeneralGlmm::each_precision(Visit&& visit) const {
  for (std::size_t t = 0; t < terms_.size(); ++t) {
    const Term& term = terms_[t];
    const SparseLower& Q = Q_[t];
    if (Q.is_identity()) {
      for (Index i = 0; i < term.k * term.levels; ++i) visit(term.offset + i, term.offset + i, 1.0);
      continue;
    }
    for (Index m = 0; m < term.levels; ++m)
      for (Index e = Q.start[m]; e < Q.start[m + 1]; ++e)
        for (Index i = 0; i < term.k; ++i)
          visit(term.offset + Q.row[e] * term.k + i, term.offset + m * term.k + i, Q.value[e]);
  }
}

void GeneralGlmm::plan(const GeneralTerms& terms) {
  Q_factor_.resize(terms_.size());
  for (std::size_t t = 0; t < terms_.size(); ++t) {
    if (Q_[t].is_identity()) continue;
    if (!factor_precision(terms.precision[t], terms_[t].levels, Q_factor_[t]))
      throw FitFailure("a known precision matrix is not positive definite");
    logdet_Q_ += 2.0 * static_cast<double>(terms_[t].k) * Q_factor_[t].log_determinant();
  }
  std::vector<std::vector<std::int32_t>> below(q_);
  each_precision([&](Index row, Index col, double) {
    if (row != col) below[col].push_back(static_cast<std::int32_t>(row));
  });
  // A level's own columns, which its conditional covariance is of, meet in any case.
  for (const Term& term : terms_)
    for (Index first = term.offset; first < term.offset + term.k * term.levels; first += term.k)
      for (Index j = 0; j < term.k; ++j)
        for (Index i = j + 1; i < term.k; ++i)
          below[first + j].push_back(static_cast<std::int32_t>(first + i));
  const Index n = X_.rows();
  std::vector<Index> columns(width_);
  const auto columns_of = [&](Index i) {
    for (const Member& member : members_)
      for (Index j = 0; j < terms_[member.term].k; ++j)
        columns[member.first + j] = column(member, i) + j;
  };
  for (Index i = 0; i < n; ++i) {
    columns_of(i);
    for (Index b = 0; b < width_; ++b)
      for (Index a = 0; a < b; ++a)
        if (columns[a] != columns[b])
          below[std::min(columns[a], columns[b])].push_back(
              static_cast<std::int32_t>(std::max(columns[a], columns[b])));
  }
  for (auto& rows : below) {
    std::sort(rows.begin(), rows.end());
    rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  }
  factor_ = Supernodal(q_, std::move(below));
  place_.reserve(static_cast<std::size_t>(n * width_ * (width_ + 1) / 2));
  for (Index i = 0; i < n; ++i) {
    columns_of(i);
    for (Index b = 0; b < width_; ++b)
      for (Index a = 0; a <= b; ++a) place_.push_back(factor_.position(columns[a], columns[b]));
  }
  each_precision(
      [&](Index row, Index col, double) { Q_place_.push_back(factor_.position(row, col)); });
}

void GeneralGlmm::restart() {
  u_ = Vector::Zero(q_);
  beta_ = starting_beta();
}

Vector GeneralGlmm::starting_beta() const {
  const Vector target = starting_predictor(likelihood_, rows_) - offset_;
  const double n = static_cast<double>(target.size());
  const Vector beta = X_.transpose() * target / n;
  RowDerivatives unused;
  if (std::isfinite(row_derivatives(likelihood_, rows_, offset_ + X_ * beta, 1.0, unused)))
    return beta;
  return X_.transpose() * Vector::Constant(target.size(), target.mean()) / n;
}

std::vector<Matrix> GeneralGlmm::factors_of(const Vector& theta) const {
  if (theta.size() != static_cast<Index>(parameters_.size()))
    throw std::invalid_argument("theta: not one value for each covariance parameter");
  std::vector<Matrix> out;
  for (const Term& term : terms_) out.push_back(Matrix::Zero(term.k, term.k));
  for (Index a = 0; a < theta.size(); ++a) {
    const auto& [t, i, j] = parameters_[a];
    out[t](i, j) = theta(a);
  }
  return out;
}

std::vector<Matrix> GeneralGlmm::lambda(const Vector& theta, bool standard) const {
  std::vector<Matrix> out;
  for (const Matrix& block : factors_of(theta))
    out.push_back(lower_factor(standard ? block : product(basis_.Tz[out.size()], block)));
  return out;
}

// D'z_i of every row.
void GeneralGlmm::scale_rows() {
  ZD_.resize(X_.rows(), width_);
  for (const Member& member : members_)
    ZD_.middleCols(member.first, terms_[member.term].k).noalias() =
        member.z.lazyProduct(lambda_[member.term]);
}

Vector GeneralGlmm::multiply(const Vector& u) const {
  Vector out = Vector::Zero(X_.rows());
  for (const Member& member : members_)
    for (Index i = 0; i < out.size(); ++i) {
      const Index at = column(member, i);
      for (Index j = 0; j < terms_[member.term].k; ++j)
        out(i) += ZD_(i, member.first + j) * u(at + j);
    }
  return out;
}

RowMatrix GeneralGlmm::transposed(const RowMatrix& rows) const {
  RowMatrix out = RowMatrix::Zero(q_, rows.cols());
  for (const Member& member : members_)
    for (Index i = 0; i < rows.rows(); ++i) {
      const Index at = column(member, i);
      for (Index j = 0; j < terms_[member.term].k; ++j)
        out.row(at + j) += ZD_(i, member.first + j) * rows.row(i);
    }
  return out;
}

Vector GeneralGlmm::times_Q(const Vector& u) const {
  Vector out = Vector::Zero(q_);
  each_precision([&](Index row, Index col, double value) {
    out(row) += value * u(col);
    if (row != col) out(col) += value * u(row);
  });
  return out;
}

RowMatrix GeneralGlmm::solve(RowMatrix B) const {
  factor_.solve_lower(B);
  factor_.solve_upper(B);
  return B;
}

// Factor M under the weights at eta_: log|M| - log|Q|, NaN where that fails.
double GeneralGlmm::renew_factor() {
  Vector& M = factor_.values();
  M.setZero();
  std::size_t at = 0;
  each_precision([&](Index, Index, double value) { M(Q_place_[at++]) += value; });
  at = 0;
  // A pair of a row's columns that are one and the same random effect counts twice.
  for (Index i = 0; i < X_.rows(); ++i) {
    const double w = derivatives_.weight(i);
    for (std::size_t d = 0; d < members_.size(); ++d)
      for (Index b = 0; b < terms_[members_[d].term].k; ++b) {
        const Index row = members_[d].first + b, col = column(members_[d], i) + b;
        const double right = w * ZD_(i, row);
        for (std::size_t c = 0; c <= d; ++c) {
          const Index k = c < d ? terms_[members_[c].term].k : b + 1;
          const Index first = column(members_[c], i);
          for (Index a = 0; a < k; ++a) {
            const double twice = c < d && first + a == col ? 2.0 : 1.0;
            M(place_[at++]) += twice * ZD_(i, members_[c].first + a) * right;
          }
        }
      }
  }
  if (!factor_.factor()) return std::numeric_limits<double>::quiet_NaN();
  return 2.0 * factor_.log_determinant() - logdet_Q_;
}

GlmmPoint GeneralGlmm::evaluate(const GlmmParameters& at) {
  if (at.beta.size() != 0 && at.beta.size() != X_.cols())
    throw std::invalid_argument("beta: not one value for each column");
  if (!(at.dispersion > 0.0)) throw std::invalid_argument("dispersion: not above zero");
  lambda_ = factors_of(at.theta);
  scale_rows();
  joint_ = at.beta.size() == 0;
  if (!joint_) beta_ = at.beta;
  dispersion_ = at.dispersion;
  GlmmPoint out = find_mode();
  if (out.value < kInfeasible) return out;
  restart();
  if (!joint_) beta_ = at.beta;
  out = find_mode();
  if (out.value >= kInfeasible) restart();
  return out;
}

GlmmPoint GeneralGlmm::find_mode() {
  GlmmPoint out;
  eta_ = offset_ + multiply(u_);
  eta_.noalias() += X_ * beta_;
  double fit = row_derivatives(likelihood_, rows_, eta_, dispersion_, derivatives_);
  if (!std::isfinite(fit)) return out;
  Vector Qu = times_Q(u_);
  double penalty = u_.dot(Qu), before = std::numeric_limits<double>::infinity();
  for (out.steps = 0; out.steps < kMaxSteps; ++out.steps) {
    pause();
    out.logdet = renew_factor();
    if (!std::isfinite(out.logdet)) return out;
    const Vector slope = transposed(derivatives_.score).col(0) - Qu;
    Vector du = solve(slope).col(0), dbeta = Vector::Zero(beta_.size());
    double decrement = slope.dot(du);
    if (joint_) {
      const RowMatrix cross = transposed(derivatives_.weight.asDiagonal() * X_);
      const RowMatrix solved = solve(cross);
      const Matrix S = schur(X_, derivatives_.weight, cross, solved);
      Vector left = X_.transpose() * derivatives_.score;
      left.noalias() -= cross.transpose() * du;
      dbeta = S.ldlt().solve(left);
      du.noalias() -= solved * dbeta;
      decrement += dbeta.dot(left);
    }
    if (!std::isfinite(decrement)) return out;
    const bool stands = decrement < kSmallStep && decrement > 0.25 * before;
    if (decrement < kModeTolerance || stands) {
      double constant = constant_part(likelihood_, rows_, dispersion_);
      if (unit_ != 1.0) constant -= std::log(unit_) * rows_.weights.sum();
      out.log_likelihood = fit + constant;
      out.penalty = penalty;
      out.value = -2.0 * out.log_likelihood + penalty + out.logdet;
      out.beta = beta_;
      return out;
    }
    const Vector u = u_, eta = eta_, beta = beta_;
    Vector change = multiply(du);
    change.noalias() += X_ * dbeta;
    const double now = -2.0 * fit + penalty;
    double length = 1.0;
    int halving = 0;
    for (; halving < kMaxHalvings; ++halving, length *= 0.5) {
      eta_ = eta + length * change;
      beta_ = beta + length * dbeta;
      u_ = u + length * du;
      fit = row_derivatives(likelihood_, rows_, eta_, dispersion_, derivatives_);
      Qu = times_Q(u_);
      penalty = u_.dot(Qu);
      const double next = -2.0 * fit + penalty;
      if (std::isfinite(next) &&
          (decrement <= kSmallStep || next <= now + 1e-10 * (1.0 + std::abs(now))))
        break;
    }
    if (halving == kMaxHalvings) return out;
    before = decrement;
  }
  return out;
}

Vector GeneralGlmm::gradient() {
  const Vector& inverse = factor_.invert();
  const Index n = X_.rows();
  const Vector& w = derivatives_.weight;
  // M^-1 D'z_i of each row, at its own columns.
  RowMatrix spread(n, width_);
  Vector h(n);
  Matrix local(width_, width_);
  std::size_t at = 0;
  for (Index i = 0; i < n; ++i) {
    for (Index b = 0; b < width_; ++b)
      for (Index a = 0; a <= b; ++a) local(a, b) = local(b, a) = inverse(place_[at++]);
    spread.row(i).noalias() = ZD_.row(i).lazyProduct(local);
    h(i) = spread.row(i).dot(ZD_.row(i));
  }
  const Vector a = h.cwiseProduct(derivatives_.slope);
  Vector v = solve(transposed(a)).col(0);
  Vector change = multiply(v);
  if (joint_) {
    const RowMatrix cross = transposed(w.asDiagonal() * X_);
    const RowMatrix solved = solve(cross);
    const Vector rest = a - w.cwiseProduct(change), right = X_.transpose() * rest;
    const Vector beta = schur(X_, w, cross, solved).ldlt().solve(right);
    v.noalias() -= solved * beta;
    change = multiply(v);
    change.noalias() += X_ * beta;
  }
  const Vector r = a - w.cwiseProduct(change) - 2.0 * derivatives_.score;
  by_lambda_.clear();
  for (const Term& term : terms_) by_lambda_.push_back(Matrix::Zero(term.k, term.k));
  for (const Member& member : members_) {
    const Index k = terms_[member.term].k;
    Matrix& out = by_lambda_[member.term];
    for (Index i = 0; i < n; ++i) {
      const Index first = column(member, i);
      for (Index d = 0; d < k; ++d) {
        const double by = r(i) * u_(first + d) + derivatives_.score(i) * v(first + d) +
                          2.0 * w(i) * spread(i, member.first + d);
        for (Index c = 0; c < k; ++c) out(c, d) += member.z(i, c) * by;
      }
    }
  }
  const Index m = static_cast<Index>(parameters_.size()), p = joint_ ? 0 : X_.cols();
  Vector out(m + p + (likelihood_.has_dispersion() ? 1 : 0));
  for (Index e = 0; e < m; ++e) {
    const auto& [t, i, j] = parameters_[e];
    out(e) = by_lambda_[t](i, j);
  }
  if (!joint_) out.segment(m, p).noalias() = X_.transpose() * r;
  if (likelihood_.has_dispersion()) {
    DispersionDerivatives by_dispersion;
    dispersion_derivatives(likelihood_, rows_, eta_, dispersion_, by_dispersion);
    out(out.size() - 1) = h.dot(by_dispersion.weight) + change.dot(by_dispersion.score) -
                          2.0 * by_dispersion.log_likelihood;
  }
  return out;
}

Matrix GeneralGlmm::information_beta() {
  const RowMatrix cross = transposed(derivatives_.weight.asDiagonal() * X_);
  return schur(X_, derivatives_.weight, cross, solve(cross));
}

std::vector<Matrix> GeneralGlmm::modes() const {
  std::vector<Matrix> out;
  for (std::size_t t = 0; t < terms_.size(); ++t)
    out.push_back(product(
        product(basis_.Tz[t], lambda_[t]),
        Eigen::Map<const Matrix>(u_.data() + terms_[t].offset, terms_[t].k, terms_[t].levels)));
  return out;
}

std::vector<Matrix> GeneralGlmm::conditional_covariances() {
  renew_factor();
  const Vector& inverse = factor_.invert();
  std::vector<Matrix> out;
  for (std::size_t t = 0; t < terms_.size(); ++t) {
    const Term& term = terms_[t];
    const Matrix root = product(basis_.Tz[t], lambda_[t]);
    Matrix blocks(term.k * term.k, term.levels), own(term.k, term.k);
    for (Index l = 0; l < term.levels; ++l) {
      const Index first = term.offset + l * term.k;
      for (Index j = 0; j < term.k; ++j)
        for (Index i = j; i < term.k; ++i)
          own(i, j) = own(j, i) = inverse(factor_.position(first + i, first + j));
      Eigen::Map<Matrix>(blocks.data() + l * term.k * term.k, term.k, term.k) =
          tcrossprod(product(root, own), root);
    }
    out.push_back(std::move(blocks));
  }
  return out;
}

Vector GeneralGlmm::prediction_variances(const Matrix& X, const Matrix& cov_beta,
                                         const SparseRowsOfZ& Z) {
  const Index p = X_.cols(), m = X.rows();
  if (X.cols() != p || cov_beta.rows() != p || cov_beta.cols() != p)
    throw std::invalid_argument("X, cov_beta: not one column for each coefficient");
  if (static_cast<Index>(Z.start.size()) != m + 1 || Z.column.size() != Z.value.size())
    throw std::invalid_argument("Z: not one row for each row of X");
  renew_factor();
  const RowMatrix cross = transposed(derivatives_.weight.asDiagonal() * X_);
  const Matrix T = basis_.T.topLeftCorner(p, p);
  const Eigen::SelfAdjointEigenSolver<Matrix> eigen(cov_beta);
  const Vector scale = eigen.eigenvalues().cwiseMax(0.0).cwiseSqrt();
  const Matrix right = eigen.eigenvectors() * scale.asDiagonal(), root = T.lu().solve(right);
  const Matrix standard = product(X, T);
  Vector out(m);
  for (Index begin = 0; begin < m; begin += kPanel) {
    const Index count = std::min(kPanel, m - begin);
    RowMatrix B = RowMatrix::Zero(q_, count);
    for (Index i = 0; i < count; ++i)
      for (Index e = Z.start[begin + i]; e < Z.start[begin + i + 1]; ++e) {
        if (Z.column[e] < 0 || Z.column[e] >= q_)
          throw std::invalid_argument("Z: no random effect of this number");
        B(Z.column[e], i) += Z.value[e];
      }
    for (std::size_t t = 0; t < terms_.size(); ++t) {
      const Term& term = terms_[t];
      scale_level_rows(product(basis_.Tz[t], lambda_[t]), true, term.levels, term.offset, B);
    }
    const RowMatrix s = solve(B);
    const Matrix left = standard.middleRows(begin, count) - tcrossprod(turned(s), turned(cross));
    out.segment(begin, count) = product(left, root).rowwise().squaredNorm();
    out.segment(begin, count) += B.cwiseProduct(s).colwise().sum().transpose();
    pause();
  }
  return out;
}

}  // namespace ranef
