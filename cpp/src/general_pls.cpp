#include "ranef/general_pls.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>

#include "ranef/dense.hpp"
#include "ranef/errors.hpp"
#include "ranef/interrupt.hpp"
#include "ranef/search.hpp"
#include "ranef/turned.hpp"

namespace ranef {
namespace {

constexpr double kTwoPi = 6.283185307179586476925286766559;
constexpr double kRidge = 1e-4;     // as the search takes it
constexpr Index kMostDense = 6000;  // random effects of which pair traces are made
constexpr Index kPanel = 64;        // right sides that are solved together

Matrix inverse_lower(const Matrix& L) {
  Matrix inverse = Matrix::Identity(L.rows(), L.cols());
  L.triangularView<Eigen::Lower>().solveInPlace(inverse);
  return inverse;
}

bool near_singular(const Matrix& lambda) {
  if (lambda.cols() == 1) return std::abs(lambda(0, 0)) < kRidge;
  return smallest_singular_value(lambda) < kRidge;
}

Matrix ridged(const Matrix& lambda) {
  const Index k = lambda.cols();
  Matrix B(k, 2 * k);
  B << lambda, kRidge * Matrix::Identity(k, k);
  return lower_factor(B);
}

}  // namespace

GeneralPls::GeneralPls(GeneralProducts products, const GeneralTerms& terms)
    : LeastSquares(products.sums, terms.blocks), Q_(terms.precision) {
  offset_.push_back(0);
  for (std::size_t t = 0; t < n_terms(); ++t) offset_.push_back(offset_[t] + n_levels_[t] * k_[t]);
  xy_.resize(offset_.back(), gram_.cols());
  for (std::size_t t = 0; t < n_terms(); ++t)
    xy_.middleRows(offset_[t], n_levels_[t] * k_[t]) = products.sums.terms[t].xy;
  for (LevelBlocks& blocks : products.blocks) A_.push_back({std::move(blocks), {}});
  plan();
}

// The pattern of C, its order, and where everything goes. Factors of Q.
void GeneralPls::plan() {
  std::vector<std::vector<std::int32_t>> below(offset_.back());
  const auto each_element = [&](const Placed& placed, auto&& visit) {
    const LevelBlocks& b = placed.blocks;
    const Index ks = k_[b.s], kt = k_[b.t];
    for (std::size_t e = 0; e < b.l.size(); ++e)
      for (Index j = 0; j < kt; ++j)
        for (Index i = 0; i < ks; ++i)
          visit(offset_[b.s] + b.l[e] * ks + i, offset_[b.t] + b.m[e] * kt + j,
                b.s == b.t && b.l[e] == b.m[e] && i < j);
  };
  for (const Placed& placed : A_)
    each_element(placed, [&](Index row, Index column, bool is_above) {
      if (is_above || row == column) return;
      below[std::min(row, column)].push_back(static_cast<std::int32_t>(std::max(row, column)));
    });
  // A level's own columns, which its conditional covariance is of, meet in any case.
  for (std::size_t t = 0; t < n_terms(); ++t)
    for (Index first = offset_[t]; first < offset_[t + 1]; first += k_[t])
      for (Index j = 0; j < k_[t]; ++j)
        for (Index i = j + 1; i < k_[t]; ++i)
          below[first + j].push_back(static_cast<std::int32_t>(first + i));
  const auto each_precision = [&](std::size_t t, auto&& visit) {
    const SparseLower& Q = Q_[t];
    for (Index m = 0; m < n_levels_[t]; ++m)
      for (Index e = Q.start[m]; e < Q.start[m + 1]; ++e)
        for (Index i = 0; i < k_[t]; ++i)
          visit(offset_[t] + Q.row[e] * k_[t] + i, offset_[t] + m * k_[t] + i);
  };
  for (std::size_t t = 0; t < n_terms(); ++t) {
    const SparseLower& Q = Q_[t];
    Q_factor_.emplace_back();
    if (Q.is_identity()) continue;
    if (!factor_precision(Q, n_levels_[t], Q_factor_[t]))
      throw FitFailure("a known precision matrix is not positive definite");
    each_precision(t, [&](Index row, Index column) {
      if (row != column) below[column].push_back(static_cast<std::int32_t>(row));
    });
    logdet_Q_ += 2.0 * static_cast<double>(k_[t]) * Q_factor_[t].log_determinant();
  }
  factor_ = Supernodal(offset_.back(), std::move(below));
  for (Placed& placed : A_)
    each_element(placed, [&](Index row, Index column, bool is_above) {
      placed.place.push_back(is_above ? -1 : factor_.position(row, column));
    });
  Q_place_.resize(n_terms());
  for (std::size_t t = 0; t < n_terms(); ++t) {
    if (Q_[t].is_identity())
      for (Index i = offset_[t]; i < offset_[t + 1]; ++i)
        Q_place_[t].push_back(factor_.position(i, i));
    else
      each_precision(t, [&](Index row, Index column) {
        Q_place_[t].push_back(factor_.position(row, column));
      });
  }
}

void GeneralPls::set_response(const std::vector<Vector>& zy) {
  stands_ = false;
  const Index p = n_fixef();
  for (std::size_t t = 0; t < n_terms(); ++t) xy_.col(p).segment(offset_[t], zy[t].size()) = zy[t];
  gram_.row(p).setZero();
  gram_.col(p).setZero();
  gram_(p, p) = static_cast<double>(n_);
}

// C at lambda_, factored.
bool GeneralPls::assemble() {
  Vector& C = factor_.values();
  C.setZero();
  for (std::size_t t = 0; t < n_terms(); ++t) {
    if (Q_[t].is_identity()) {
      for (Index place : Q_place_[t]) C(place) += 1.0;
      continue;
    }
    const Index k = k_[t];
    for (std::size_t e = 0; e < Q_[t].value.size(); ++e)
      for (Index i = 0; i < k; ++i) C(Q_place_[t][e * k + i]) += Q_[t].value[e];
  }
  for (const Placed& placed : A_) {
    const LevelBlocks& b = placed.blocks;
    const Index ks = k_[b.s], kt = k_[b.t], size = ks * kt;
    if (size == 1) {
      const double scale = lambda_[b.s](0, 0) * lambda_[b.t](0, 0);
      for (Index e = 0; e < b.value.cols(); ++e) C(placed.place[e]) += scale * b.value(0, e);
      continue;
    }
    Matrix half(ks, kt), block(ks, kt);
    for (Index e = 0; e < b.value.cols(); ++e) {
      const Eigen::Map<const Matrix> A(b.value.data() + e * size, ks, kt);
      half.noalias() = lambda_[b.s].transpose().lazyProduct(A);
      block.noalias() = half.lazyProduct(lambda_[b.t]);
      for (Index i = 0; i < size; ++i)
        if (const Index place = placed.place[e * size + i]; place >= 0) C(place) += block(i);
    }
  }
  return factor_.factor();
}

// D B, or D'B.
RowMatrix GeneralPls::times_D(const RowMatrix& B, bool transposed) const {
  RowMatrix out(B.rows(), B.cols());
  for (std::size_t t = 0; t < n_terms(); ++t) {
    const Index k = k_[t];
    if (k == 1) {
      out.middleRows(offset_[t], n_levels_[t]) =
          lambda_[t](0, 0) * B.middleRows(offset_[t], n_levels_[t]);
      continue;
    }
    const Matrix by = transposed ? Matrix(lambda_[t].transpose()) : lambda_[t];
    for (Index row = offset_[t]; row < offset_[t + 1]; row += k)
      out.middleRows(row, k).noalias() = by.lazyProduct(B.middleRows(row, k));
  }
  return out;
}

// Z'W Z B.
RowMatrix GeneralPls::times_A(const RowMatrix& B) const {
  RowMatrix out = RowMatrix::Zero(B.rows(), B.cols());
  for (const Placed& placed : A_) {
    const LevelBlocks& b = placed.blocks;
    const Index ks = k_[b.s], kt = k_[b.t];
    for (Index e = 0; e < b.value.cols(); ++e) {
      const Eigen::Map<const Matrix> A(b.value.data() + e * ks * kt, ks, kt);
      const Index row = offset_[b.s] + b.l[e] * ks, column = offset_[b.t] + b.m[e] * kt;
      out.middleRows(row, ks) += A.lazyProduct(B.middleRows(column, kt));
      if (row != column)
        out.middleRows(column, kt) += A.transpose().lazyProduct(B.middleRows(row, ks));
    }
  }
  return out;
}

Objective GeneralPls::objective(const std::vector<Matrix>& lambda, bool reml) {
  if (stands_ && reml == reml_ && lambda == lambda_) return last_;
  lambda_ = lambda;
  reml_ = reml;
  last_ = evaluate(reml);
  stands_ = last_.value < kInfeasible;
  return last_;
}

Objective GeneralPls::evaluate(bool reml) {
  const Index p = n_fixef();
  Objective out;
  out.value = kInfeasible;
  for (const Matrix& block : lambda_)
    if (!block.allFinite()) return out;
  if (!assemble()) return out;
  u_ = times_D(xy_, true);
  factor_.solve_lower(u_);
  const Matrix reduced = gram_ - tcrossprod(turned(u_), turned(u_));
  factor_.solve_upper(u_);
  const Eigen::LLT<Matrix> llt(reduced);
  L_ = llt.matrixL();
  out.logdet_L = 2.0 * factor_.log_determinant() - logdet_Q_;
  const double last = L_(p, p);
  if (llt.info() != Eigen::Success || !std::isfinite(out.logdet_L) || !(last > 0.0)) return out;
  const double nu = degrees(reml);
  out.logdet_RX = 2.0 * L_.diagonal().head(p).array().log().sum();
  out.pwrss = last * last;
  out.value =
      out.logdet_L + (reml ? out.logdet_RX : 0.0) + nu * (1.0 + std::log(kTwoPi * out.pwrss / nu));
  if (!std::isfinite(out.value)) out.value = kInfeasible;
  return out;
}

// Z'H^-1 r from Z'r and u = C^-1 D'Z'r.
RowMatrix GeneralPls::scores(const RowMatrix& rows, const RowMatrix& u) const {
  return rows - times_A(times_D(u, false));
}

// (M' (x) I) B, or (M (x) I) B.
RowMatrix GeneralPls::whiten(RowMatrix B, bool back) const {
  const Index m = B.cols();
  for (std::size_t t = 0; t < n_terms(); ++t) {
    if (Q_[t].is_identity()) continue;
    // The k rows of a level are k m columns of it.
    Eigen::Map<RowMatrix> of_levels(B.data() + offset_[t] * m, n_levels_[t], k_[t] * m);
    RowMatrix work = of_levels;
    if (back)
      Q_factor_[t].solve_upper(work);
    else
      Q_factor_[t].solve_lower(work);
    of_levels = work;
  }
  return B;
}

RowMatrix GeneralPls::all(const std::vector<RowMatrix>& by_term) const {
  RowMatrix out(offset_.back(), by_term[0].cols());
  for (std::size_t t = 0; t < n_terms(); ++t)
    out.middleRows(offset_[t], by_term[t].rows()) = by_term[t];
  return out;
}

std::vector<RowMatrix> GeneralPls::by_term(const RowMatrix& all) const {
  std::vector<RowMatrix> out;
  for (std::size_t t = 0; t < n_terms(); ++t)
    out.push_back(all.middleRows(offset_[t], offset_[t + 1] - offset_[t]));
  return out;
}

// d log|C| by lambda_t is 2 G_t, G_t = sum_l [Z'W Z D C^-1]_ll; by Sigma_t it is G_t lambda_t^-1.
std::vector<Matrix> GeneralPls::inverse_traces() {
  const Vector& inverse = factor_.invert();
  std::vector<Matrix> out;
  for (std::size_t t = 0; t < n_terms(); ++t) out.push_back(Matrix::Zero(k_[t], k_[t]));
  for (const Placed& placed : A_) {
    const LevelBlocks& b = placed.blocks;
    const Index ks = k_[b.s], kt = k_[b.t], size = ks * kt;
    Matrix X(ks, kt), half(ks, ks), other(kt, kt);
    Matrix& of_s = out[b.s];
    Matrix& of_t = out[b.t];
    for (Index e = 0; e < b.value.cols(); ++e) {
      const Eigen::Map<const Matrix> A(b.value.data() + e * size, ks, kt);
      const bool is_own = b.s == b.t && b.l[e] == b.m[e];
      for (Index j = 0; j < kt; ++j)
        for (Index i = 0; i < ks; ++i) {
          const Index place = placed.place[e * size + j * ks + i];
          X(i, j) = place >= 0 ? inverse(place) : inverse(placed.place[e * size + i * ks + j]);
        }
      of_s.noalias() += A.lazyProduct(Matrix(lambda_[b.t].lazyProduct(X.transpose())));
      if (!is_own) of_t.noalias() += A.transpose().lazyProduct(Matrix(lambda_[b.s].lazyProduct(X)));
    }
  }
  for (std::size_t t = 0; t < n_terms(); ++t) {
    const Matrix M = lambda_[t].transpose().partialPivLu().solve(Matrix(out[t].transpose()));
    out[t] = 0.5 * (M + M.transpose());
  }
  return out;
}

void GeneralPls::derivatives(bool reml, Derivatives& out) {
  if (std::any_of(lambda_.begin(), lambda_.end(), near_singular)) {
    std::vector<Matrix> moved;
    for (const Matrix& block : lambda_)
      moved.push_back(near_singular(block) ? ridged(block) : block);
    objective(moved, reml);
  }
  const Index p = n_fixef(), m = static_cast<Index>(parameters_.size());
  const double nu = degrees(reml);
  const Matrix U = inverse_lower(L_).transpose();
  const RowMatrix N = whiten(rows_times(scores(xy_, u_), U), false);
  out.S = inverse_traces();
  for (std::size_t t = 0; t < n_terms(); ++t) {
    const Index k = k_[t];
    Matrix sum = Matrix::Zero(k, k);
    for (Index row = offset_[t]; row < offset_[t + 1]; row += k) {
      const auto of_level = N.middleRows(row, k);
      if (reml) sum += of_level.leftCols(p).lazyProduct(of_level.leftCols(p).transpose());
      sum += nu * of_level.col(p).lazyProduct(of_level.col(p).transpose());
    }
    out.S[t] -= sum;
  }
  RowMatrix H = RowMatrix::Zero(N.rows(), m);
  out.quadratic.resize(m);
  for (Index a = 0; a < m; ++a) {
    const Parameter& e = parameters_[a];
    const Index k = k_[e.term];
    for (Index row = offset_[e.term]; row < offset_[e.term + 1]; row += k) {
      H(row + e.i, a) = N(row + e.j, p);
      if (e.i != e.j) H(row + e.j, a) = N(row + e.i, p);
    }
    out.quadratic(a) = nu * H.col(a).dot(N.col(p));
  }
  const Matrix J = tcrossprod(turned(N).topRows(p), turned(H));
  out.information = nu * (quadratic_form(by_term(H)) - crossprod(J, J));
}

Index GeneralPls::projected_traces(bool /*reml*/, Matrix& out) {
  const Index m = static_cast<Index>(parameters_.size());
  out.setZero(m, m);
  return m;
}

Vector GeneralPls::beta() const {
  const Index p = n_fixef();
  Vector out = L_.row(p).head(p);
  L_.topLeftCorner(p, p).triangularView<Eigen::Lower>().transpose().solveInPlace(out);
  return out;
}

Matrix GeneralPls::cov_beta_root() const {
  const Index p = n_fixef();
  return inverse_lower(L_.topLeftCorner(p, p)).transpose();
}

std::vector<Matrix> GeneralPls::as_columns(const RowMatrix& b) const {
  std::vector<Matrix> out;
  for (std::size_t t = 0; t < n_terms(); ++t)
    out.push_back(Eigen::Map<const Matrix>(b.data() + offset_[t], k_[t], n_levels_[t]));
  return out;
}

std::vector<Matrix> GeneralPls::modes() {
  Vector combine(gram_.cols());
  combine << -beta(), 1.0;
  return as_columns(times_D(u_ * combine, false));
}

std::vector<Matrix> GeneralPls::draw(const Vector& beta, double sigma,
                                     std::vector<RowMatrix> noise) {
  Vector combine(gram_.cols());
  combine << -beta, 1.0;
  RowMatrix u = all(noise);
  factor_.solve_upper(u);
  RowMatrix b = u_ * combine;
  b += sigma * u;
  return as_columns(times_D(b, false));
}

// Of the errors b^ - b: D C^-1 D' + S S', S = D C^-1 D'Z'X U what the errors of beta add.
std::vector<Matrix> GeneralPls::conditional_covariances() {
  const Vector& inverse = factor_.invert();
  const RowMatrix S = rows_times(times_D(u_.leftCols(n_fixef()), false), cov_beta_root());
  std::vector<Matrix> out;
  for (std::size_t t = 0; t < n_terms(); ++t) {
    const Index k = k_[t];
    Matrix blocks(k * k, n_levels_[t]), X(k, k);
    for (Index l = 0; l < n_levels_[t]; ++l) {
      const Index first = offset_[t] + l * k;
      for (Index j = 0; j < k; ++j)
        for (Index i = j; i < k; ++i)
          X(i, j) = X(j, i) = inverse(factor_.position(first + i, first + j));
      const auto own = S.middleRows(first, k);
      Eigen::Map<Matrix> block(blocks.data() + l * k * k, k, k);
      block = tcrossprod(product(lambda_[t], X), lambda_[t]);
      block += own.lazyProduct(own.transpose());
    }
    out.push_back(std::move(blocks));
  }
  return out;
}

std::vector<RowMatrix> GeneralPls::fixed_scores() {
  const Index p = n_fixef();
  const RowMatrix N = rows_times(scores(xy_.leftCols(p), u_.leftCols(p)), cov_beta_root());
  return by_term(whiten(N, false));
}

// H'Z'H^-1 Z H = R'A R - (D'A R)'C^-1(D'A R),  R = (M (x) I) H.
Matrix GeneralPls::quadratic_form(const std::vector<RowMatrix>& H) {
  const RowMatrix R = whiten(all(H), true);
  const RowMatrix AR = times_A(R);
  RowMatrix half = times_D(AR, true);
  factor_.solve_lower(half);
  const Matrix form = tcrossprod(turned(R), turned(AR)) - tcrossprod(turned(half), turned(half));
  return 0.5 * (form + form.transpose());
}

PairTraces GeneralPls::pair_traces() {
  const Index q = offset_.back(), m = static_cast<Index>(parameters_.size());
  if (q > kMostDense)
    throw ModelTooLarge("the expected information needs a dense matrix of all random effects");
  // F = (M (x) I)'Z'H^-1 Z (M (x) I).
  RowMatrix F(q, q);
  for (Index begin = 0; begin < q; begin += kPanel) {
    const Index count = std::min(kPanel, q - begin);
    RowMatrix E = RowMatrix::Zero(q, count);
    for (Index j = 0; j < count; ++j) E(begin + j, j) = 1.0;
    const RowMatrix AR = times_A(whiten(std::move(E), true));
    RowMatrix u = times_D(AR, true);
    factor_.solve_lower(u);
    factor_.solve_upper(u);
    F.middleCols(begin, count) = whiten(scores(AR, u), false);
    pause();
  }
  PairTraces out{Matrix::Zero(m, m), Vector::Zero(m)};
  // V_a = sum over levels of (e_i e_j' + e_j e_i'), or of e_i e_i'.
  const auto column_of = [&](std::size_t t, Index l, int i) { return offset_[t] + l * k_[t] + i; };
  for (Index a = 0; a < m; ++a) {
    const Parameter& x = parameters_[a];
    const double one = x.i == x.j ? 1.0 : 2.0;
    for (Index l = 0; l < n_levels_[x.term]; ++l)
      out.single(a) += one * F(column_of(x.term, l, x.i), column_of(x.term, l, x.j));
    for (Index b = a; b < m; ++b) {
      const Parameter& y = parameters_[b];
      const double both = one * (y.i == y.j ? 1.0 : 2.0) * 0.5;
      double sum = 0.0;
      for (Index l = 0; l < n_levels_[x.term]; ++l)
        for (Index n = 0; n < n_levels_[y.term]; ++n) {
          const Index xi = column_of(x.term, l, x.i), xj = column_of(x.term, l, x.j);
          const Index yi = column_of(y.term, n, y.i), yj = column_of(y.term, n, y.j);
          sum += F(xi, yi) * F(xj, yj) + F(xi, yj) * F(xj, yi);
        }
      out.pairs(a, b) = out.pairs(b, a) = both * sum;
    }
  }
  return out;
}

RowMatrix GeneralPls::solve_all(const RowMatrix& B) const {
  RowMatrix u = times_D(B, true);
  factor_.solve_lower(u);
  factor_.solve_upper(u);
  return times_D(u, false);
}

Vector GeneralPls::variances(const std::vector<const std::int32_t*>& codes,
                             const std::vector<RowMatrix>& z, Index m) {
  Vector out = Vector::Zero(m);
  for (Index begin = 0; begin < m; begin += kPanel) {
    const Index count = std::min(kPanel, m - begin);
    RowMatrix B = RowMatrix::Zero(offset_.back(), count);
    for (std::size_t t = 0; t < n_terms(); ++t)
      for (Index i = 0; codes[t] && i < count; ++i)
        if (const std::int32_t level = codes[t][begin + i]; level >= 0)
          B.col(i).segment(offset_[t] + level * k_[t], k_[t]) += z[t].row(begin + i).transpose();
    RowMatrix half = times_D(B, true);
    factor_.solve_lower(half);
    out.segment(begin, count) = half.colwise().squaredNorm().transpose();
    pause();
  }
  return out;
}

std::vector<RowMatrix> GeneralPls::fixed_rows() const { return by_term(xy_.leftCols(n_fixef())); }

std::vector<RowMatrix> GeneralPls::solve(std::vector<RowMatrix> B) {
  return by_term(solve_all(all(B)));
}

}  // namespace ranef
