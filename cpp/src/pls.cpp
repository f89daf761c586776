#include "ranef/pls.hpp"

#include <cmath>
#include <limits>

#include "ranef/levels.hpp"

namespace ranef {
namespace {

constexpr double kTwoPi = 6.283185307179586476925286766559;

// rows of one level times a small matrix on the left: out = M rows.
void multiply_rows(const Matrix& M, bool transposed, Index levels, Index k, RowMatrix& rows,
                   Index first) {
  const Index m = rows.cols();
  if (k == 1) {
    rows.middleRows(first, levels) *= M(0, 0);
    return;
  }
  RowMatrix work(k, m);
  for (Index l = 0; l < levels; ++l) {
    auto block = rows.middleRows(first + l * k, k);
    if (transposed)
      work.noalias() = M.transpose().lazyProduct(block);
    else
      work.noalias() = M.lazyProduct(block);
    block = work;
  }
}

}  // namespace

Pls::Pls(CrossProducts products, std::vector<std::vector<int>> blocks)
    : n_(products.n), blocks_(std::move(blocks)), gram_(std::move(products.gram)) {
  if (products.terms.empty()) throw std::invalid_argument("terms: there is none");
  RootLayout layout;
  for (std::size_t t = 0; t < products.terms.size(); ++t) {
    const TermProducts& term = products.terms[t];
    n_levels_.push_back(term.n_levels);
    k_.push_back(term.k);
    for (int j = 0; j < term.k; ++j)
      for (int i = j; i < term.k; ++i)
        if (blocks_[t][i] == blocks_[t][j]) parameters_.push_back({t, i, j});
    if (t == 0) continue;
    layout.offset.push_back(layout.size);
    layout.k.push_back(term.k);
    layout.n_levels.push_back(term.n_levels);
    layout.size += term.n_levels * term.k;
  }
  const Index c = gram_.cols();
  leading_ = std::move(products.terms[0]);
  coupling_ = Coupling(products.pairs[0], layout.offset, layout.k, k_[0], n_levels_[0], layout.size);
  products.pairs[0].clear();
  xy_.resize(layout.size, c);
  for (std::size_t t = 1; t < products.terms.size(); ++t) {
    xy_.middleRows(layout.offset[t - 1], n_levels_[t] * k_[t]) = products.terms[t].xy;
    products.terms[t].xy.resize(0, 0);
  }
  products.terms.erase(products.terms.begin());
  products.pairs.erase(products.pairs.begin());
  root_ = Root(std::move(layout), std::move(products.terms), std::move(products.pairs), coupling_);

  T_.resize(k_[0] * k_[0], n_levels_[0]);
  K_.resize(k_[0] * k_[0], n_levels_[0]);
  KR_.resize(n_levels_[0] * k_[0], c);
  half_.resize(root_.size(), c);
  root_lambda_.resize(n_terms() - 1);
  reduced_.resize(c, c);
  L_.resize(c, c);
}

void Pls::set_response(const std::vector<Vector>& zy) {
  const Index p = n_fixef();
  leading_.xy.col(p) = zy[0];
  const RootLayout& layout = root_.layout();
  for (std::size_t t = 0; t < layout.k.size(); ++t)
    xy_.col(p).segment(layout.offset[t], zy[t + 1].size()) = zy[t + 1];
  gram_.row(p).setZero();
  gram_.col(p).setZero();
  gram_(p, p) = static_cast<double>(n_);
}

std::vector<std::vector<int>> Pls::block_columns(std::size_t t) const {
  std::vector<std::vector<int>> out;
  for (int j = 0; j < static_cast<int>(blocks_[t].size()); ++j) {
    if (blocks_[t][j] >= static_cast<int>(out.size())) out.resize(blocks_[t][j] + 1);
    out[blocks_[t][j]].push_back(j);
  }
  return out;
}

void Pls::scale_root_rows(const std::vector<Matrix>& factors, bool transposed,
                          RowMatrix& rows) const {
  const RootLayout& layout = root_.layout();
  for (std::size_t t = 0; t < layout.k.size(); ++t)
    multiply_rows(factors[t], transposed, layout.n_levels[t], layout.k[t], rows, layout.offset[t]);
}

Objective Pls::objective(const std::vector<Matrix>& lambda, bool reml) {
  lambda_ = lambda;
  for (std::size_t t = 1; t < n_terms(); ++t) root_lambda_[t - 1] = lambda[t];
  Objective out;
  out.value = kInfeasible;
  const Matrix Sigma = lambda[0] * lambda[0].transpose();
  out.logdet_L = factor_levels(leading_.own, Sigma, T_, K_);
  if (!std::isfinite(out.logdet_L)) return out;
  apply_levels(K_, leading_.xy, KR_);
  reduced_ = gram_;
  reduced_.noalias() -= leading_.xy.transpose() * KR_;
  if (root_.size() > 0) {
    if (!root_.factor(root_lambda_, K_, coupling_)) return out;
    out.logdet_L += 2.0 * root_.log_determinant();
    half_ = xy_;
    scale_root_rows(root_lambda_, true, half_);
    KR_ *= -1.0;
    coupling_.add_transposed(KR_, half_);
    root_.solve_lower(half_);
    reduced_.noalias() -= half_.transpose() * half_;
  }
  const Eigen::LLT<Matrix> llt(reduced_);
  if (llt.info() != Eigen::Success) return out;
  L_ = llt.matrixL();
  const Index p = n_fixef();
  out.pwrss = L_(p, p) * L_(p, p);
  out.logdet_RX = 2.0 * L_.diagonal().head(p).array().log().sum();
  const double nu = degrees(reml);
  out.value = out.logdet_L + (reml ? out.logdet_RX : 0.0) +
              nu * (1.0 + std::log(kTwoPi * out.pwrss / nu));
  if (!std::isfinite(out.value)) out.value = kInfeasible;
  return out;
}

// N = Z'H^-1 [X y] U with U = L^-T.
void Pls::orthonormal_scores() {
  N1_ = leading_.xy;
  if (root_.size() > 0) {
    U_ = half_;
    root_.solve_upper(U_);
    coupling_.subtract(U_, N1_);
    N2_ = U_;
    lambda_inverse_.resize(root_lambda_.size());
    for (std::size_t t = 0; t < root_lambda_.size(); ++t)
      lambda_inverse_[t] = root_lambda_[t].triangularView<Eigen::Lower>().solve(
          Matrix::Identity(k_[t + 1], k_[t + 1]));
    scale_root_rows(lambda_inverse_, true, N2_);
  }
  RowMatrix& out = KR_;
  apply_levels(T_, N1_, out);
  N1_.swap(out);
  const auto L = L_.triangularView<Eigen::Lower>();
  const Matrix U = L.solve(Matrix::Identity(L_.rows(), L_.cols())).transpose();
  KR_.noalias() = N1_ * U;
  N1_.swap(KR_);
  if (root_.size() > 0) N2_ = (N2_ * U).eval();
}

// The leading term's part of H'Z'H^-1 Z H, its right sides F = Lambda_2'Z_2'H_1^-1 Z_1 h, and
// J = N_X'h, for h_a = E_a n_y.
void Pls::leading_information(Index m0, double nu, Matrix& Q, RowMatrix& F, Matrix& J) const {
  const Index k = k_[0], c = N1_.cols(), p = c - 1;
  const double root_nu = std::sqrt(nu);
  const bool has_root = root_.size() > 0;
  Matrix h(k, m0), Bh(k, m0), B(k, k);
  RowMatrix w(has_root ? N1_.rows() : 0, m0);
  for (Index l = 0; l < n_levels_[0]; ++l) {
    const double* n = N1_.data() + l * k * c;
    h.setZero();
    for (Index a = 0; a < m0; ++a) {
      const Parameter& e = parameters_[a];
      h(e.i, a) = root_nu * n[e.j * c + p];
      if (e.i != e.j) h(e.j, a) = root_nu * n[e.i * c + p];
    }
    const Eigen::Map<const Matrix> A(leading_.own.data() + l * k * k, k, k);
    const Eigen::Map<const Matrix> T(T_.data() + l * k * k, k, k);
    B.noalias() = T.lazyProduct(A);
    Bh.noalias() = B.lazyProduct(h);
    Q.noalias() += h.transpose().lazyProduct(Bh);
    for (Index a = 0; a < m0; ++a)
      for (Index r = 0; r < k; ++r)
        if (h(r, a) != 0.0)
          for (Index x = 0; x < p; ++x) J(x, a) += n[r * c + x] * h(r, a);
    if (has_root) w.middleRows(l * k, k).noalias() = T.transpose().lazyProduct(h);
  }
  if (has_root) coupling_.add_transposed(w, F);
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
      H(row + e.i, a) = N2_(row + e.j, p);
      if (e.i != e.j) H(row + e.j, a) = N2_(row + e.i, p);
    }
    const Index first = layout.offset[t], count = layout.n_levels[t] * k;
    J.col(a).noalias() += N2_.middleRows(first, count).leftCols(p).transpose() *
                          H.col(a).segment(first, count);
  }
}

void Pls::information(Derivatives& out, double nu) {
  const Index m = static_cast<Index>(parameters_.size());
  Index m0 = 0;
  while (m0 < m && parameters_[m0].term == 0) ++m0;
  const Index p = n_fixef();
  Matrix Q = Matrix::Zero(m, m), J = Matrix::Zero(p, m);
  Matrix Q0 = Matrix::Zero(m0, m0), J0 = Matrix::Zero(p, m0);
  RowMatrix F = RowMatrix::Zero(root_.size(), m0);
  leading_information(m0, nu, Q0, F, J0);
  Q.topLeftCorner(m0, m0) = Q0;
  J.leftCols(m0) = J0;
  if (root_.size() > 0) {
    RowMatrix H = RowMatrix::Zero(root_.size(), m);
    root_directions(m0, H, J);
    H *= std::sqrt(nu);
    J.rightCols(m - m0) *= std::sqrt(nu);
    scale_root_rows(lambda_inverse_, false, H);
    H.leftCols(m0) = F;
    // With G = L^-1 [F H~]: the root's part is H~'H~ - G'G among its own parameters, +G'G across.
    RowMatrix G = H;
    root_.solve_lower(G);
    Matrix GG = G.transpose() * G;
    Q.topLeftCorner(m0, m0) -= GG.topLeftCorner(m0, m0);
    Q.topRightCorner(m0, m - m0) = GG.topRightCorner(m0, m - m0);
    Q.bottomLeftCorner(m - m0, m0) = GG.bottomLeftCorner(m - m0, m0);
    Q.bottomRightCorner(m - m0, m - m0) = -GG.bottomRightCorner(m - m0, m - m0);
    Q.bottomRightCorner(m - m0, m - m0).noalias() +=
        H.rightCols(m - m0).transpose() * H.rightCols(m - m0);
  }
  out.information = Q;
  out.information.noalias() -= J.transpose() * J;
}

void Pls::traces(bool reml, double nu, Derivatives& out) {
  const Index c = gram_.cols(), p = c - 1;
  out.S.resize(n_terms());
  const Index k = k_[0];
  Matrix& S = out.S[0];
  S = sum_B(leading_.own, T_, k);
  if (root_.size() > 0) {
    root_.invert();
    root_.quadratic(coupling_, quadratic_);
    for (Index l = 0; l < n_levels_[0]; ++l) {
      const Eigen::Map<const Matrix> T(T_.data() + l * k * k, k, k);
      const Eigen::Map<const Matrix> G(quadratic_.data() + l * k * k, k, k);
      S.noalias() -= T.lazyProduct(G * T.transpose());
    }
  }
  const auto subtract_scores = [&](const RowMatrix& N, Index first, Index levels, Index kt,
                                   Matrix& St) {
    for (Index l = 0; l < levels; ++l)
      for (Index i = 0; i < kt; ++i)
        for (Index j = 0; j <= i; ++j) {
          const double* a = N.data() + (first + l * kt + i) * c;
          const double* b = N.data() + (first + l * kt + j) * c;
          double sum = nu * a[p] * b[p];
          if (reml)
            for (Index x = 0; x < p; ++x) sum += a[x] * b[x];
          St(i, j) -= sum;
        }
    St.triangularView<Eigen::StrictlyUpper>() = St.transpose();
  };
  subtract_scores(N1_, 0, n_levels_[0], k, S);
  const RootLayout& layout = root_.layout();
  for (std::size_t t = 0; t < layout.k.size(); ++t) {
    const Index kt = layout.k[t];
    Matrix sum = Matrix::Zero(kt, kt), block(kt, kt);
    for (Index l = 0; l < layout.n_levels[t]; ++l) {
      root_.inverse_block(t, l, block);
      sum += Matrix::Identity(kt, kt) - block;
    }
    Matrix& St = out.S[t + 1];
    St = lambda_inverse_[t].transpose() * sum * lambda_inverse_[t];
    subtract_scores(N2_, layout.offset[t], layout.n_levels[t], kt, St);
  }
}

void Pls::derivatives(bool reml, Derivatives& out) {
  const double nu = degrees(reml);
  orthonormal_scores();
  information(out, nu);
  const Index m = static_cast<Index>(parameters_.size()), p = n_fixef();
  out.quadratic.setZero(m);
  for (Index a = 0; a < m; ++a) {
    const Parameter& e = parameters_[a];
    const bool leads = e.term == 0;
    const RowMatrix& N = leads ? N1_ : N2_;
    const Index first = leads ? 0 : root_.layout().offset[e.term - 1];
    const Index k = k_[e.term];
    double sum = 0.0;
    for (Index l = 0; l < n_levels_[e.term]; ++l)
      sum += N(first + l * k + e.i, p) * N(first + l * k + e.j, p);
    out.quadratic(a) = nu * sum * (e.i == e.j ? 1.0 : 2.0);
  }
  traces(reml, nu, out);
}

Vector Pls::beta() const {
  const Index p = n_fixef();
  return L_.topLeftCorner(p, p).triangularView<Eigen::Lower>().transpose().solve(
      L_.row(p).head(p).transpose());
}

Matrix Pls::cov_beta_root() const {
  const Index p = n_fixef();
  return L_.topLeftCorner(p, p)
      .triangularView<Eigen::Lower>()
      .solve(Matrix::Identity(p, p))
      .transpose();
}

std::vector<RowMatrix> Pls::solve(const std::vector<RowMatrix>& B) {
  const Index m = B[0].cols();
  std::vector<RowMatrix> out(n_terms());
  RowMatrix leading = B[0];
  if (root_.size() > 0) {
    RowMatrix right(root_.size(), m), KB(B[0].rows(), m);
    const RootLayout& layout = root_.layout();
    for (std::size_t t = 0; t < layout.k.size(); ++t)
      right.middleRows(layout.offset[t], B[t + 1].rows()) = B[t + 1];
    scale_root_rows(root_lambda_, true, right);
    apply_levels(K_, B[0], KB);
    KB *= -1.0;
    coupling_.add_transposed(KB, right);
    root_.solve_lower(right);
    root_.solve_upper(right);
    coupling_.subtract(right, leading);
    scale_root_rows(root_lambda_, false, right);
    for (std::size_t t = 0; t < layout.k.size(); ++t)
      out[t + 1] = right.middleRows(layout.offset[t], B[t + 1].rows());
  }
  out[0].resize(leading.rows(), m);
  apply_levels(K_, leading, out[0]);
  return out;
}

Matrix Pls::fixed_products(const std::vector<RowMatrix>& S) const {
  const Index p = n_fixef();
  Matrix out = leading_.xy.leftCols(p).transpose() * S[0];
  const RootLayout& layout = root_.layout();
  for (std::size_t t = 0; t < layout.k.size(); ++t)
    out.noalias() += xy_.middleRows(layout.offset[t], S[t + 1].rows()).leftCols(p).transpose() *
                     S[t + 1];
  return out;
}

std::vector<Matrix> Pls::modes() {
  const Vector beta_ = beta();
  Vector combine(gram_.cols());
  combine << -beta_, 1.0;
  std::vector<RowMatrix> right(n_terms());
  right[0] = leading_.xy * combine;
  const RootLayout& layout = root_.layout();
  for (std::size_t t = 0; t < layout.k.size(); ++t)
    right[t + 1] = xy_.middleRows(layout.offset[t], layout.n_levels[t] * layout.k[t]) * combine;
  const std::vector<RowMatrix> b = solve(right);
  std::vector<Matrix> out(n_terms());
  for (std::size_t t = 0; t < n_terms(); ++t)
    out[t] = Eigen::Map<const Matrix>(b[t].data(), k_[t], n_levels_[t]);
  return out;
}

std::vector<RowMatrix> Pls::fixed_scores() {
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
  const Index m = H[0].cols(), k = k_[0];
  RowMatrix AH(H[0].rows(), m), BH(H[0].rows(), m);
  apply_levels(leading_.own, H[0], AH);
  apply_levels(T_, AH, BH);
  Matrix Q = H[0].transpose() * BH;
  if (root_.size() == 0) return Q;
  const RootLayout& layout = root_.layout();
  RowMatrix F = RowMatrix::Zero(root_.size(), m), R(root_.size(), m);
  for (Index l = 0; l < n_levels_[0]; ++l)
    AH.middleRows(l * k, k).noalias() =
        Eigen::Map<const Matrix>(T_.data() + l * k * k, k, k).transpose().lazyProduct(
            H[0].middleRows(l * k, k));
  coupling_.add_transposed(AH, F);
  for (std::size_t t = 0; t < layout.k.size(); ++t)
    R.middleRows(layout.offset[t], H[t + 1].rows()) = H[t + 1];
  std::vector<Matrix> inverse(root_lambda_.size());
  for (std::size_t t = 0; t < root_lambda_.size(); ++t)
    inverse[t] = root_lambda_[t].triangularView<Eigen::Lower>().solve(
        Matrix::Identity(k_[t + 1], k_[t + 1]));
  scale_root_rows(inverse, false, R);
  Q.noalias() += R.transpose() * R;
  F -= R;  // (F - R)'Omega^-1 (F - R) gathers own and cross parts at once
  root_.solve_lower(F);
  Q.noalias() -= F.transpose() * F;
  return Q;
}

std::vector<Matrix> Pls::conditional_covariances() {
  std::vector<Matrix> out(n_terms());
  out[0] = K_;
  if (root_.size() == 0) return out;
  root_.invert();
  root_.quadratic(coupling_, quadratic_);
  const Index k = k_[0];
  for (Index l = 0; l < n_levels_[0]; ++l) {
    const Eigen::Map<const Matrix> K(K_.data() + l * k * k, k, k);
    const Eigen::Map<const Matrix> G(quadratic_.data() + l * k * k, k, k);
    Eigen::Map<Matrix>(out[0].data() + l * k * k, k, k) += K * G * K;
  }
  const RootLayout& layout = root_.layout();
  for (std::size_t t = 0; t < layout.k.size(); ++t) {
    const Index kt = layout.k[t];
    Matrix block(kt, kt);
    out[t + 1].resize(kt * kt, layout.n_levels[t]);
    for (Index l = 0; l < layout.n_levels[t]; ++l) {
      root_.inverse_block(t, l, block);
      Eigen::Map<Matrix>(out[t + 1].data() + l * kt * kt, kt, kt) =
          root_lambda_[t] * block * root_lambda_[t].transpose();
    }
  }
  return out;
}

}  // namespace ranef
