#include "ranef/pls.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <string>

#include "ranef/dense.hpp"
#include "ranef/errors.hpp"
#include "ranef/level_pass.hpp"
#include "ranef/memory.hpp"
#include "ranef/turned.hpp"
#include "ranef/with_size.hpp"

namespace ranef {
namespace {

template <class M>
M columns_of(const M& from, const std::vector<Index>& which) {
  M out(from.rows(), static_cast<Index>(which.size()));
  for (Index j = 0; j < out.cols(); ++j) out.col(j) = from.col(which[static_cast<std::size_t>(j)]);
  return out;
}

constexpr double kTwoPi = 6.283185307179586476925286766559;

// out += T A, where A may hold many zeros.
void add_product(const Eigen::Map<const Matrix>& T, const Eigen::Map<const Matrix>& A,
                 Matrix& out) {
  for (Index j = 0; j < A.cols(); ++j)
    for (Index m = 0; m < A.rows(); ++m)
      if (A(m, j) != 0.0) out.col(j) += A(m, j) * T.col(m);
}

Matrix inverse_lower(const Matrix& L) {
  Matrix inverse = Matrix::Identity(L.rows(), L.cols());
  L.triangularView<Eigen::Lower>().solveInPlace(inverse);
  return inverse;
}

void multiply_rows(const Eigen::Ref<const RowMatrix>& rows, const Vector& by, RowMatrix& out) {
  resize_large(out, rows.rows(), 1);
  Eigen::Map<Vector>(out.data(), out.rows()).noalias() = rows * by;
}

}  // namespace

std::vector<std::size_t> elimination_order(const Input& input) {
  std::vector<std::size_t> place(input.terms.size());
  std::iota(place.begin(), place.end(), std::size_t{0});
  std::stable_sort(place.begin(), place.end(), [&](std::size_t a, std::size_t b) {
    const auto size = [&](std::size_t t) {
      return input.terms[t].n_levels * static_cast<Index>(input.terms[t].columns.size());
    };
    return size(a) > size(b);
  });
  return place;
}

Pls::Pls(CrossProducts products, std::vector<std::vector<int>> blocks,
         std::vector<BlockStructures> structures)
    : LeastSquares(products, std::move(blocks), std::move(structures)) {
  RootLayout layout;
  for (std::size_t t = 0; t < products.terms.size(); ++t) {
    const TermProducts& term = products.terms[t];
    const Index most = is_structured(t) ? kMaxStructured : kMaxColumns;
    if (term.k > most)
      throw ModelTooLarge("a random-effects term has " + std::to_string(term.k) +
                          " columns; at most " + std::to_string(most) + " are supported");
    if (t == 0) continue;
    layout.offset.push_back(layout.size);
    layout.k.push_back(term.k);
    layout.n_levels.push_back(term.n_levels);
    layout.size += term.n_levels * term.k;
  }
  const Index c = gram_.cols();
  leading_ = std::move(products.terms[0]);
  coupling_ = Coupling(std::move(products.pairs[0]), layout.offset, layout.k, k_[0], n_levels_[0],
                       layout.size);
  xy_.resize(layout.size, c);
  for (std::size_t t = 1; t < products.terms.size(); ++t) {
    xy_.middleRows(layout.offset[t - 1], n_levels_[t] * k_[t]) = products.terms[t].xy;
    products.terms[t].xy.resize(0, 0);
  }
  products.terms.erase(products.terms.begin());
  products.pairs.erase(products.pairs.begin());
  root_ = Root(std::move(layout), std::move(products.terms), std::move(products.pairs), coupling_);
  if (!root_.is_sparse()) coupling_.order_by_column();

  by_pass_ = root_.size() == 0 && has_level_pass(k_[0], c);
  if (root_.size() > 0) resize_large(KR_, n_levels_[0] * k_[0], c);
  half_.resize(root_.size(), c);
  root_lambda_.resize(n_terms() - 1);
  Sigma_.resize(k_[0], k_[0]);
  reduced_.resize(c, c);
  llt_.compute(Matrix::Identity(c, c));  // its status is read when a Pls is moved
  L_.resize(c, c);
}

void Pls::set_response(const std::vector<Vector>& zy) {
  factored_ = false;
  const Index p = n_fixef();
  leading_.xy.col(p) = zy[0];
  const RootLayout& layout = root_.layout();
  for (std::size_t t = 0; t < layout.k.size(); ++t)
    xy_.col(p).segment(layout.offset[t], zy[t + 1].size()) = zy[t + 1];
  gram_.row(p).setZero();
  gram_.col(p).setZero();
  gram_(p, p) = static_cast<double>(n_);
}

// T and K of each level at lambda_, where they are asked for one by one.
double Pls::keep_levels() {
  if (kept_) return log_levels_;
  resize_large(T_, k_[0] * k_[0], n_levels_[0]);
  resize_large(K_, k_[0] * k_[0], n_levels_[0]);
  Sigma_.noalias() = lambda_[0].lazyProduct(lambda_[0].transpose());
  log_levels_ = factor_levels(leading_.own, lambda_[0], Sigma_, T_, K_);
  kept_ = true;
  return log_levels_;
}

void Pls::spend_factor() {
  factored_ = false;
  root_.invert();
}

void Pls::scale_root_rows(const std::vector<Matrix>& factors, bool transposed,
                          RowMatrix& rows) const {
  const RootLayout& layout = root_.layout();
  for (std::size_t t = 0; t < layout.k.size(); ++t)
    scale_level_rows(factors[t], transposed, layout.n_levels[t], layout.offset[t], rows);
}

Objective Pls::objective(const std::vector<Matrix>& lambda, bool reml) {
  if (factored_ && reml == reml_ && lambda == lambda_) return last_;
  const WithTeam team(team_.get());
  lambda_ = lambda;
  factored_ = kept_ = false;  // whatever ends the evaluation half-way
  reml_ = reml;
  last_ = evaluate(reml);
  factored_ = last_.value < kInfeasible;
  return last_;
}

// Factor Omega at lambda_: log|H|, NaN where that fails.
double Pls::factor_blocks() {
  for (std::size_t t = 1; t < n_terms(); ++t) root_lambda_[t - 1] = lambda_[t];
  const double leading = keep_levels();
  if (root_.size() == 0 || !std::isfinite(leading)) return leading;
  if (!root_.factor(root_lambda_, K_, coupling_)) return std::numeric_limits<double>::quiet_NaN();
  return leading + 2.0 * root_.log_determinant();
}

double Pls::factor(const std::vector<Matrix>& lambda) {
  const WithTeam team(team_.get());
  factored_ = false;  // of the objective, whose response this leaves alone
  lambda_ = lambda;
  kept_ = false;
  return factor_blocks();
}

void Pls::renew(const CrossProducts& products) {
  factored_ = kept_ = false;
  gram_ = products.gram;
  leading_.own = products.terms[0].own;
  leading_.xy = products.terms[0].xy;
  const RootLayout& layout = root_.layout();
  if (root_.size() == 0) return;
  coupling_.renew(products.pairs[0]);
  root_.renew(products);
  for (std::size_t t = 0; t < layout.k.size(); ++t)
    xy_.middleRows(layout.offset[t], layout.n_levels[t] * layout.k[t]) = products.terms[t + 1].xy;
}

Objective Pls::evaluate(bool reml) {
  Objective out;
  out.value = kInfeasible;
  reduced_ = gram_;
  out.logdet_L = by_pass_ ? reduce_levels_pass(leading_.own, lambda_[0], leading_.xy, reduced_)
                          : factor_blocks();
  if (!std::isfinite(out.logdet_L)) return out;
  if (!by_pass_) reduce_levels(K_, leading_.xy, reduced_, root_.size() > 0 ? &KR_ : nullptr);
  if (root_.size() > 0) {
    half_ = xy_;
    scale_root_rows(root_lambda_, true, half_);
    KR_ *= -1.0;
    coupling_.add_transposed(KR_, half_);
    root_.solve_lower(half_);
    reduced_.noalias() -= half_.transpose() * half_;
  }
  llt_.compute(reduced_);
  if (llt_.info() != Eigen::Success) return out;
  L_ = llt_.matrixL();
  const Index p = n_fixef();
  out.pwrss = L_(p, p) * L_(p, p);
  out.logdet_RX = 2.0 * L_.diagonal().head(p).array().log().sum();
  const double nu = degrees(reml);
  out.value =
      out.logdet_L + (reml ? out.logdet_RX : 0.0) + nu * (1.0 + std::log(kTwoPi * out.pwrss / nu));
  if (!std::isfinite(out.value)) out.value = kInfeasible;
  return out;
}

// U = L^-T, with which the columns of [X y] U are orthonormal under H^-1.
Matrix Pls::orthonormal_basis() const { return inverse_lower(L_).transpose(); }

// N = Z'H^-1 [X y] U.
void Pls::orthonormal_scores() {
  const Matrix U = orthonormal_basis();
  resize_large(N1_, leading_.xy.rows(), leading_.xy.cols());
  keep_levels();
  if (root_.size() == 0) return transform_levels(T_, leading_.xy, U, N1_);
  U_ = half_;
  root_.solve_upper(U_);
  N1_ = leading_.xy;
  coupling_.subtract(U_, N1_);
  transform_levels(T_, N1_, U, N1_);
  N2_ = U_;
  lambda_inverse_.resize(root_lambda_.size());
  for (std::size_t t = 0; t < root_lambda_.size(); ++t)
    lambda_inverse_[t] = inverse_lower(root_lambda_[t]);
  scale_root_rows(lambda_inverse_, true, N2_);
  N2_ = rows_times(N2_, U);
}

// H~ = Lambda^-1 h_a and J for the parameters of the root's terms.
void Pls::root_directions(Index m0, RowMatrix& H, Matrix& J) const {
  const RootLayout& layout = root_.layout();
  const Index p = n_fixef();
  for (Index a = m0; a < static_cast<Index>(parameters_.size()); ++a) {
    const Parameter& e = parameters_[a];
    const std::size_t t = e.term - 1;
    const Index k = layout.k[t];
    for (Index l = 0; l < layout.n_levels[t]; ++l) {
      const Index row = layout.offset[t] + l * k;
      if (e.is_structured()) {
        H.col(a).segment(row, k) = directions_[a].lazyProduct(N2_.col(p).segment(row, k));
        continue;
      }
      H(row + e.i, a) = N2_(row + e.j, p);
      if (e.i != e.j) H(row + e.j, a) = N2_(row + e.i, p);
    }
    const Index first = layout.offset[t], count = layout.n_levels[t] * k;
    J.col(a).noalias() +=
        N2_.middleRows(first, count).leftCols(p).transpose() * H.col(a).segment(first, count);
  }
  scale_root_rows(lambda_inverse_, false, H);
}

// The root's part of h_a'Z'H^-1 Z h_b. With G = L^-1 [F H~], F = Lambda_2'Z_2'H_1^-1 Z_1 h of the
// leading term's parameters: -F'F~ among those, H~'H~ - G'G among the root's own, and +G'G across.
void Pls::add_root(Index m0, double nu, const RowMatrix& F, Matrix& Q, Matrix& J) {
  const Index m = Q.cols(), m2 = m - m0;
  RowMatrix H = RowMatrix::Zero(root_.size(), m);
  root_directions(m0, H, J);
  H *= std::sqrt(nu);
  J.rightCols(m2) *= std::sqrt(nu);
  H.leftCols(m0) = F;
  RowMatrix G = H;
  root_.solve_lower(G);
  const Matrix GG = tcrossprod(turned(G), turned(G));
  Q.topLeftCorner(m0, m0) -= GG.topLeftCorner(m0, m0);
  Q.topRightCorner(m0, m2) = GG.topRightCorner(m0, m2);
  Q.bottomLeftCorner(m2, m0) = GG.bottomLeftCorner(m2, m0);
  const Matrix own = H.rightCols(m2);
  Q.bottomRightCorner(m2, m2) = crossprod(own, own) - GG.bottomRightCorner(m2, m2);
}

// S of the root's terms, and what the root takes from the leading term's.
void Pls::root_traces(bool reml, double nu, Derivatives& out) {
  const Index c = gram_.cols(), p = c - 1, k = k_[0];
  spend_factor();
  root_.quadratic(coupling_, quadratic_);
  Matrix work(k, k);
  for (Index l = 0; l < n_levels_[0]; ++l) {
    const Eigen::Map<const Matrix> T(T_.data() + l * k * k, k, k);
    const Eigen::Map<const Matrix> G(quadratic_.data() + l * k * k, k, k);
    work.noalias() = G.lazyProduct(T.transpose());
    out.S[0].noalias() -= T.lazyProduct(work);
  }
  const RootLayout& layout = root_.layout();
  for (std::size_t t = 0; t < layout.k.size(); ++t) {
    const Index kt = layout.k[t], first = layout.offset[t];
    Matrix sum = Matrix::Zero(kt, kt), block(kt, kt), scores = Matrix::Zero(kt, kt);
    for (Index l = 0; l < layout.n_levels[t]; ++l) {
      root_.inverse_block(t, l, block);
      sum -= block;
      const auto N = N2_.middleRows(first + l * kt, kt);
      if (reml) scores.noalias() += N.leftCols(p).lazyProduct(N.leftCols(p).transpose());
      scores.noalias() += nu * N.col(p).lazyProduct(N.col(p).transpose());
    }
    sum.diagonal().array() += static_cast<double>(layout.n_levels[t]);
    out.S[t + 1] = product(crossprod(lambda_inverse_[t], sum), lambda_inverse_[t]) - scores;
  }
}

// The sums over the leading term, as far as they are over the elements of Sigma_1: Q, J and T h of
// its parameters instead. Those of a free term are some of the elements; a structure's move all.
void Pls::gather_leading() {
  const Index k = k_[0];
  std::vector<Index> element;
  std::size_t m0 = 0;
  while (m0 < parameters_.size() && parameters_[m0].term == 0) ++m0;
  if (!is_structured(0)) {
    for (std::size_t a = 0; a < m0; ++a) {
      const Parameter& e = parameters_[a];
      element.push_back(e.j * k - e.j * (e.j - 1) / 2 + e.i - e.j);
    }
    if (static_cast<Index>(m0) == sums_.Q.cols()) return;
    const Matrix rows = columns_of(sums_.Q, element).transpose();
    sums_.Q = columns_of(rows, element);  // symmetric
    sums_.J = columns_of(sums_.J, element);
    if (root_.size() > 0) Th_ = columns_of(Th_, element);
    return;
  }
  if (!by_pass_) return;  // they were taken along its directions
  Matrix C(k * (k + 1) / 2, static_cast<Index>(m0));
  for (std::size_t a = 0; a < m0; ++a) {
    const Matrix D = direction(a);
    Index row = 0;
    for (Index j = 0; j < k; ++j)
      for (Index i = j; i < k; ++i) C(row++, static_cast<Index>(a)) = D(i, j);
  }
  sums_.Q = product(crossprod(C, sums_.Q), C);
  sums_.J = product(sums_.J, C);
}

void Pls::derivatives(bool reml, Derivatives& out) {
  const WithTeam team(team_.get());
  const double nu = degrees(reml);
  const Index m = static_cast<Index>(parameters_.size()), p = n_fixef(), k = k_[0];
  const bool has_root = root_.size() > 0;
  if (by_pass_) {
    sum_levels_pass(leading_.own, lambda_[0], leading_.xy, orthonormal_basis(), sums_);
  } else if (is_structured(0)) {
    orthonormal_scores();
    std::vector<Matrix> directions;
    for (std::size_t a = 0; a < parameters_.size() && parameters_[a].term == 0; ++a)
      directions.push_back(direction(a));
    sum_levels_along(leading_.own, T_, N1_, directions, sums_, has_root ? &Th_ : nullptr);
  } else {
    orthonormal_scores();
    if (has_root) Th_.resize(N1_.rows(), k * (k + 1) / 2);
    sum_levels(leading_.own, T_, N1_, sums_, has_root ? &Th_ : nullptr);
  }
  gather_leading();
  const Index m0 = sums_.Q.cols();
  Matrix Q = Matrix::Zero(m, m), J = Matrix::Zero(p, m);
  Q.topLeftCorner(m0, m0) = nu * sums_.Q;
  J.leftCols(m0) = std::sqrt(nu) * sums_.J;
  out.S.resize(n_terms());
  out.S[0] = sums_.B - nu * sums_.response;
  if (reml) out.S[0] -= sums_.fixed;
  if (has_root) {
    RowMatrix h = std::sqrt(nu) * Th_, F = RowMatrix::Zero(root_.size(), m0);
    coupling_.add_transposed(h, F);
    add_root(m0, nu, F, Q, J);
  }
  out.information = Q;
  out.information -= crossprod(J, J);
  out.quadratic.setZero(m);
  for (Index a = 0; a < m; ++a) {
    const Parameter& e = parameters_[a];
    if (e.is_structured()) {
      const Matrix& D = directions_[static_cast<std::size_t>(a)];
      out.quadratic(a) = nu * response_along(e.term, D);
      continue;
    }
    const double both = e.i == e.j ? 1.0 : 2.0;
    if (e.term == 0) {
      out.quadratic(a) = nu * both * sums_.response(e.i, e.j);
      continue;
    }
    const Index first = root_.layout().offset[e.term - 1], kt = k_[e.term];
    for (Index l = 0; l < n_levels_[e.term]; ++l)
      out.quadratic(a) += nu * both * N2_(first + l * kt + e.i, p) * N2_(first + l * kt + e.j, p);
  }
  if (has_root) root_traces(reml, nu, out);
}

// sum_l n_l'D n_l of a term.
double Pls::response_along(std::size_t t, const Matrix& D) const {
  if (t == 0) return sums_.response.cwiseProduct(D).sum();
  const Index first = root_.layout().offset[t - 1], k = k_[t], p = n_fixef();
  double sum = 0.0;
  for (Index l = 0; l < n_levels_[t]; ++l) {
    const Vector n = N2_.col(p).segment(first + l * k, k);
    sum += n.dot(D * n);
  }
  return sum;
}

Vector Pls::beta() const {
  const Index p = n_fixef();
  Vector out = L_.row(p).head(p);
  L_.topLeftCorner(p, p).triangularView<Eigen::Lower>().transpose().solveInPlace(out);
  return out;
}

Matrix Pls::cov_beta_root() const {
  const Index p = n_fixef();
  return inverse_lower(L_.topLeftCorner(p, p)).transpose();
}

std::vector<RowMatrix> Pls::solve(std::vector<RowMatrix> B) {
  const WithTeam team(team_.get());
  const Index m = B[0].cols();
  if (root_.size() > 0) {
    RowMatrix right(root_.size(), m), KB(B[0].rows(), m);
    const RootLayout& layout = root_.layout();
    for (std::size_t t = 0; t < layout.k.size(); ++t)
      right.middleRows(layout.offset[t], B[t + 1].rows()) = B[t + 1];
    scale_root_rows(root_lambda_, true, right);
    multiply_levels(K_, false, B[0], KB);
    KB *= -1.0;
    coupling_.add_transposed(KB, right);
    root_.solve(right);
    coupling_.subtract(right, B[0]);
    scale_root_rows(root_lambda_, false, right);
    for (std::size_t t = 0; t < layout.k.size(); ++t)
      B[t + 1] = right.middleRows(layout.offset[t], B[t + 1].rows());
  }
  if (by_pass_ && !kept_)
    solve_levels_pass(leading_.own, lambda_[0], B[0]);
  else
    multiply_levels(K_, false, B[0], B[0]);
  return B;
}

std::vector<RowMatrix> Pls::means(const Vector& beta) {
  Vector combine(gram_.cols());
  combine << -beta, 1.0;
  std::vector<RowMatrix> right(n_terms());
  multiply_rows(leading_.xy, combine, right[0]);
  const RootLayout& layout = root_.layout();
  for (std::size_t t = 0; t < layout.k.size(); ++t)
    multiply_rows(xy_.middleRows(layout.offset[t], layout.n_levels[t] * layout.k[t]), combine,
                  right[t + 1]);
  return solve(std::move(right));
}

std::vector<Matrix> Pls::modes() { return as_columns(means(beta())); }

std::vector<Matrix> Pls::as_columns(const std::vector<RowMatrix>& b) const {
  std::vector<Matrix> out(n_terms());
  for (std::size_t t = 0; t < n_terms(); ++t) {
    resize_large(out[t], k_[t], n_levels_[t]);
    out[t] = Eigen::Map<const Matrix>(b[t].data(), k_[t], n_levels_[t]);
  }
  return out;
}

std::vector<RowMatrix> Pls::fixed_scores() {
  const WithTeam team(team_.get());
  orthonormal_scores();
  const Index p = n_fixef();
  std::vector<RowMatrix> out(n_terms());
  out[0] = N1_.leftCols(p);
  const RootLayout& layout = root_.layout();
  for (std::size_t t = 0; t < layout.k.size(); ++t)
    out[t + 1] = N2_.middleRows(layout.offset[t], layout.n_levels[t] * layout.k[t]).leftCols(p);
  return out;
}

Matrix Pls::quadratic_form(const std::vector<RowMatrix>& H) {
  const WithTeam team(team_.get());
  const Index m = H[0].cols();
  keep_levels();
  RowMatrix AH(H[0].rows(), m), BH(H[0].rows(), m);
  multiply_levels(leading_.own, false, H[0], AH);
  multiply_levels(T_, false, AH, BH);
  Matrix Q = tcrossprod(turned(H[0]), turned(BH));
  if (root_.size() == 0) return Q;
  const RootLayout& layout = root_.layout();
  RowMatrix F = RowMatrix::Zero(root_.size(), m), R(root_.size(), m);
  multiply_levels(T_, true, H[0], AH);
  coupling_.add_transposed(AH, F);
  for (std::size_t t = 0; t < layout.k.size(); ++t)
    R.middleRows(layout.offset[t], H[t + 1].rows()) = H[t + 1];
  std::vector<Matrix> inverse(root_lambda_.size());
  for (std::size_t t = 0; t < root_lambda_.size(); ++t) inverse[t] = inverse_lower(root_lambda_[t]);
  scale_root_rows(inverse, false, R);
  Q += tcrossprod(turned(R), turned(R));
  F -= R;  // (F - R)'Omega^-1 (F - R) gathers own and cross parts at once
  root_.solve_lower(F);
  Q -= tcrossprod(turned(F), turned(F));
  return Q;
}

void Pls::inverse_blocks(InverseBlocks& out) {
  const WithTeam team(team_.get());
  const Index k = k_[0];
  keep_levels();
  out.own.resize(n_terms());
  out.pairs.resize(n_terms());
  out.own[0] = K_;
  out.leading.setZero(k, k);
  Matrix product;
  const bool has_root = root_.size() > 0;
  if (has_root) {
    root_.invert();
    root_.multiply(coupling_, product, quadratic_);
  }
  Matrix KG(k, k), GT(k, k);
  for (Index l = 0; l < n_levels_[0]; ++l) {
    const Eigen::Map<const Matrix> T(T_.data() + l * k * k, k, k), K(K_.data() + l * k * k, k, k);
    add_product(T, Eigen::Map<const Matrix>(leading_.own.data() + l * k * k, k, k), out.leading);
    if (!has_root) continue;
    const Eigen::Map<const Matrix> G(quadratic_.data() + l * k * k, k, k);
    GT.noalias() = G.lazyProduct(T.transpose());
    out.leading.noalias() -= T.lazyProduct(GT);
    KG.noalias() = K.lazyProduct(G);
    Eigen::Map<Matrix>(out.own[0].data() + l * k * k, k, k).noalias() += KG.lazyProduct(K);
    for (Index e = coupling_.start(l); e < coupling_.start(l + 1); ++e)
      product.col(e) = (-K.lazyProduct(product.col(e))).eval();
  }
  out.leading = (0.5 * (out.leading + out.leading.transpose())).eval();
  if (!has_root) return;
  coupling_.split(product, out.pairs[0]);
  const RootLayout& layout = root_.layout();
  for (std::size_t t = 0; t < layout.k.size(); ++t) {
    const Index kt = layout.k[t];
    Matrix block(kt, kt);
    out.own[t + 1].resize(kt * kt, layout.n_levels[t]);
    for (Index l = 0; l < layout.n_levels[t]; ++l) {
      root_.inverse_block(t, l, block);
      Eigen::Map<Matrix>(out.own[t + 1].data() + l * kt * kt, kt, kt) = block;
    }
  }
  std::vector<std::vector<Matrix>> of_root;
  root_.inverse_pairs(of_root);
  std::move(of_root.begin(), of_root.end(), out.pairs.begin() + 1);
}

std::vector<Matrix> Pls::conditional_covariances() {
  const WithTeam team(team_.get());
  std::vector<Matrix> out(n_terms());
  keep_levels();
  out[0] = K_;
  if (root_.size() == 0) return out;
  spend_factor();
  root_.quadratic(coupling_, quadratic_);
  const Index k = k_[0];
  Matrix KG(k, k);
  for (Index l = 0; l < n_levels_[0]; ++l) {
    const Eigen::Map<const Matrix> K(K_.data() + l * k * k, k, k);
    const Eigen::Map<const Matrix> G(quadratic_.data() + l * k * k, k, k);
    KG.noalias() = K.lazyProduct(G);
    Eigen::Map<Matrix>(out[0].data() + l * k * k, k, k).noalias() += KG.lazyProduct(K);
  }
  const RootLayout& layout = root_.layout();
  for (std::size_t t = 0; t < layout.k.size(); ++t) {
    const Index kt = layout.k[t];
    Matrix block(kt, kt);
    out[t + 1].resize(kt * kt, layout.n_levels[t]);
    for (Index l = 0; l < layout.n_levels[t]; ++l) {
      root_.inverse_block(t, l, block);
      Eigen::Map<Matrix>(out[t + 1].data() + l * kt * kt, kt, kt) =
          tcrossprod(product(root_lambda_[t], block), root_lambda_[t]);
    }
  }
  return out;
}

}  // namespace ranef
