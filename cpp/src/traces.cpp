// With C = Z'H^-1 Z in blocks, F = L^-1 (A_12 Lambda_2)' T' and Y = Lambda_2^-T L^-T, L that of the
// root,
//
//   C_11 = B - F'F        C_12 = F'Y'        C_22 = Lambda_2^-T Lambda_2^-1 - Y Y'
//
// and tr(H^-1 V_a H^-1 V_b) = tr(C E_a C E_b), E_a the pattern of element a of Sigma over all
// levels. C_11, the large one, is never formed: with D_a = F E_a F' its part is tr(B E_a B E_b) -
// 2 tr(B E_a F'F E_b) + <D_a, D_b>.
#include "ranef/traces.hpp"

#include <stdexcept>

#include "ranef/dense.hpp"
#include "ranef/levels.hpp"
#include "ranef/lmm.hpp"
#include "ranef/pls.hpp"
#include "ranef/turned.hpp"
#include "ranef/with_size.hpp"

namespace ranef {
namespace {

using Strided = Eigen::Map<const RowMatrix, 0, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>>;

// tr(A E_a B E_b) of one level for symmetric A and B, E_a = e_i e_j' + e_j e_i' (once when i = j).
template <class A, class B>
double pattern_product(const A& left, const B& right, const Parameter& a, const Parameter& b) {
  double sum = left(b.j, a.i) * right(a.j, b.i);
  if (a.i != a.j) sum += left(b.j, a.j) * right(a.i, b.i);
  if (b.i != b.j) sum += left(b.i, a.i) * right(a.j, b.j);
  if (a.i != a.j && b.i != b.j) sum += left(b.i, a.j) * right(a.i, b.j);
  return sum;
}

// F E_a F' for F (q_2, l * k).
Matrix outer_pattern(const RowMatrix& F, const Parameter& a, Index k) {
  const auto columns = [&](int i) {
    Matrix out(F.rows(), F.cols() / k);
    for (Index row = 0; row < out.rows(); ++row)
      for (Index l = 0; l < out.cols(); ++l) out(row, l) = F(row, l * k + i);
    return out;
  };
  const Matrix Fi = columns(a.i);
  if (a.i == a.j) return tcrossprod(Fi, Fi);
  const Matrix half = tcrossprod(Fi, columns(a.j));
  return half + half.transpose();
}

// One root term within C_22.
struct Span {
  Index offset, levels, k;
};

// Rows i of one term and columns j of another, level by level.
Strided entries(const RowMatrix& C, const Span& s, int i, const Span& t, int j) {
  return Strided(C.data() + (s.offset + i) * C.cols() + t.offset + j, s.levels, t.levels,
                 {s.k * C.cols(), t.k});
}

// tr(E_a C) for an element a of term s.
double pattern_trace(const RowMatrix& C, const Span& s, const Parameter& a) {
  const double sum = entries(C, s, a.i, s, a.j).diagonal().sum();
  return a.i == a.j ? sum : 2.0 * sum;
}

// tr(C E_a C E_b) for elements a of term s and b of term t.
double pattern_product(const RowMatrix& C, const Span& s, const Parameter& a, const Span& t,
                       const Parameter& b) {
  const auto once = [&](int i, int j, int r, int u) {
    return entries(C, s, j, t, r).cwiseProduct(entries(C, s, i, t, u)).sum();
  };
  double sum = once(a.i, a.j, b.i, b.j);
  if (a.i != a.j) sum += once(a.j, a.i, b.i, b.j);
  if (b.i != b.j) sum += once(a.i, a.j, b.j, b.i);
  if (a.i != a.j && b.i != b.j) sum += once(a.j, a.i, b.j, b.i);
  return sum;
}

}  // namespace

// The leading term by itself: Y_l = F_l'F_l is empty when there is no root.
void Pls::leading_pairs(Index m0, const RowMatrix& F, PairTraces& out) const {
  const Index k = k_[0];
  Matrix B(k, k), Y = Matrix::Zero(k, k), rest(k, k);
  for (Index l = 0; l < n_levels_[0]; ++l) {
    const Eigen::Map<const Matrix> A(leading_.own.data() + l * k * k, k, k);
    const Eigen::Map<const Matrix> T(T_.data() + l * k * k, k, k);
    B.noalias() = T.lazyProduct(A);
    if (F.rows() > 0) {
      const Matrix of_level = F.middleCols(l * k, k);
      Y = crossprod(of_level, of_level);
    }
    rest = B - Y;
    for (Index a = 0; a < m0; ++a) {
      const Parameter& e = parameters_[a];
      out.single(a) += (e.i == e.j ? 1.0 : 2.0) * rest(e.i, e.j);
      for (Index b = 0; b < m0; ++b)
        out.pairs(a, b) += pattern_product(B, B, e, parameters_[b]) -
                           2.0 * pattern_product(B, Y, e, parameters_[b]);
    }
  }
}

PairTraces Pls::pair_traces() {
  if (is_structured()) throw std::invalid_argument("pair_traces: a covariance has a structure");
  keep_levels();
  const Index m = static_cast<Index>(parameters_.size()), k = k_[0], q2 = root_.size();
  Index m0 = 0;
  while (m0 < m && parameters_[m0].term == 0) ++m0;
  PairTraces out{Matrix::Zero(m, m), Vector::Zero(m)};
  if (q2 == 0) {
    leading_pairs(m0, RowMatrix(0, 0), out);
    return out;
  }
  RowMatrix coupled = RowMatrix::Zero(n_levels_[0] * k, q2), scores(coupled.rows(), q2);
  coupling_.subtract(RowMatrix::Identity(q2, q2), coupled);
  multiply_levels(T_, false, coupled, scores);
  RowMatrix F = scores.transpose();  // its sign plays no part
  root_.solve_lower(F);
  leading_pairs(m0, F, out);

  root_pairs(m0, F, out);
  return out;
}

// Pairs in which a parameter of the root takes part.
void Pls::root_pairs(Index m0, const RowMatrix& F, PairTraces& out) const {
  const Index m = static_cast<Index>(parameters_.size()), q2 = root_.size();
  const RootLayout& layout = root_.layout();
  RowMatrix inverse = RowMatrix::Identity(q2, q2), C = RowMatrix::Zero(q2, q2);
  root_.solve_lower(inverse);
  RowMatrix Y = inverse.transpose();
  std::vector<Matrix> unscale;
  for (std::size_t t = 0; t < root_lambda_.size(); ++t) {
    const Index kt = layout.k[t];
    unscale.push_back(Matrix::Identity(kt, kt));
    root_lambda_[t].triangularView<Eigen::Lower>().solveInPlace(unscale[t]);
    const Matrix square = crossprod(unscale[t], unscale[t]);
    for (Index l = 0; l < layout.n_levels[t]; ++l) {
      const Index first = layout.offset[t] + l * kt;
      C.block(first, first, kt, kt) = square;
    }
  }
  scale_root_rows(unscale, true, Y);
  C -= crossprod(turned(Y), turned(Y));

  const auto span = [&](Index b) {
    const std::size_t t = parameters_[b].term - 1;
    return Span{layout.offset[t], layout.n_levels[t], layout.k[t]};
  };
  for (Index b = m0; b < m; ++b) {
    out.single(b) = pattern_trace(C, span(b), parameters_[b]);
    for (Index a = m0; a < m; ++a)
      out.pairs(a, b) = pattern_product(C, span(a), parameters_[a], span(b), parameters_[b]);
  }
  const Matrix plain = Y;
  std::vector<Matrix> D;
  for (Index a = 0; a < m0; ++a) D.push_back(outer_pattern(F, parameters_[a], k_[0]));
  for (Index a = 0; a < m0; ++a) {
    for (Index b = 0; b <= a; ++b) out.pairs(a, b) += D[a].cwiseProduct(D[b]).sum();
    for (Index b = 0; b < a; ++b) out.pairs(b, a) = out.pairs(a, b);
    const RowMatrix M = tcrossprod(product(plain, D[a]), plain);
    for (Index b = m0; b < m; ++b)
      out.pairs(a, b) = out.pairs(b, a) = pattern_trace(M, span(b), parameters_[b]);
  }
}

// Without a root, P's part in one level is B_l - Y_l, Y_l = [REML: N_X N_X'], and its parts between
// levels add up to <G_a, G_b> - sum_l tr(Y_l E_a Y_l E_b), G_a = sum_l N_X'E_a N_X.
void Pls::leading_projected(bool reml, Matrix& out) {
  orthonormal_scores();
  const Index k = k_[0], c = N1_.cols(), p = reml ? c - 1 : 0;
  const Index m = static_cast<Index>(parameters_.size());
  with_size(k, [&](auto size) {
    constexpr int K = decltype(size)::value;
    Square<K> B(k, k), Y(k, k);
    for (Index l = 0; l < n_levels_[0]; ++l) {
      const Eigen::Map<const Square<K>> A(leading_.own.data() + l * k * k, k, k);
      const Eigen::Map<const Square<K>> T(T_.data() + l * k * k, k, k);
      const Eigen::Map<const Eigen::Matrix<double, K, Eigen::Dynamic, Eigen::RowMajor>> N(
          N1_.data() + l * k * c, k, c);
      B.noalias() = T.lazyProduct(A);
      Y.setZero();
      for (Index x = 0; x < p; ++x) Y.noalias() += N.col(x).lazyProduct(N.col(x).transpose());
      for (Index a = 0; a < m; ++a)
        for (Index b = 0; b <= a; ++b)
          out(a, b) += pattern_product(B, B, parameters_[a], parameters_[b]) -
                       2.0 * pattern_product(B, Y, parameters_[a], parameters_[b]);
    }
  });
  if (p == 0) return;
  const auto columns = [&](int i) {
    return Eigen::Map<const Matrix, 0, Eigen::OuterStride<>>(N1_.data() + i * c, p, n_levels_[0],
                                                             Eigen::OuterStride<>(k * c));
  };
  std::vector<Matrix> G;
  for (const Parameter& e : parameters_) {
    G.push_back(tcrossprod(columns(e.i), columns(e.j)));
    if (e.i != e.j) G.back() += Matrix(G.back().transpose());
  }
  for (Index a = 0; a < m; ++a)
    for (Index b = 0; b <= a; ++b) out(a, b) += G[a].cwiseProduct(G[b]).sum();
}

// Pairs of the root's parameters from rows of Z_2'P Z_2 = Lambda_2^-T (I - Omega^-1) Lambda_2^-1 -
// [REML: N_X N_X'], some levels at a time.
void Pls::root_projected(Index m0, bool reml, Matrix& out) const {
  constexpr Index kPanel = 64;
  const RootLayout& layout = root_.layout();
  const Index m = static_cast<Index>(parameters_.size()), p = n_fixef();
  for (Index a = m0; a < m;) {
    const std::size_t s = parameters_[a].term - 1;
    Index end = a;  // parameters a .. end - 1 are of this term
    while (end < m && parameters_[end].term == s + 1) ++end;
    const Index k = layout.k[s], most = std::max<Index>(1, kPanel / k);
    for (Index l = 0; l < layout.n_levels[s]; l += most) {
      const Index levels = std::min(most, layout.n_levels[s] - l);
      const Index first = layout.offset[s] + l * k;
      RowMatrix rows(levels * k, root_.size());
      root_.inverse_rows(first, rows);
      rows *= -1.0;
      rows.middleCols(first, levels * k).diagonal().array() += 1.0;
      scale_level_rows(lambda_inverse_[s], true, levels, 0, rows);
      for (std::size_t t = 0; t < layout.k.size(); ++t)
        scale_level_columns(lambda_inverse_[t], layout.n_levels[t], layout.offset[t], rows);
      if (reml)
        rows -= crossprod(turned(N2_).block(0, first, p, levels * k), turned(N2_).topRows(p));
      for (Index i = a; i < end; ++i)
        for (Index j = m0; j <= i; ++j) {
          const std::size_t t = parameters_[j].term - 1;
          out(i, j) +=
              pattern_product(rows, {0, levels, k}, parameters_[i],
                              {layout.offset[t], layout.n_levels[t], layout.k[t]}, parameters_[j]);
        }
    }
    a = end;
  }
}

Index Pls::projected_traces(bool reml, Matrix& out) {
  const Index m = static_cast<Index>(parameters_.size());
  out.setZero(m, m);
  Index first = 0;
  if (is_structured()) {
    first = m;
  } else if (root_.size() == 0) {
    leading_projected(reml, out);
  } else if (root_.is_sparse()) {
    first = m;
  } else {
    while (first < m && parameters_[first].term == 0) ++first;
    root_projected(first, reml, out);
  }
  out.triangularView<Eigen::StrictlyUpper>() = out.transpose();
  return first;
}

PairTraces Lmm::pair_traces(const std::vector<Matrix>& lambda_standard) {
  pls_->objective(with_ridge(pls_->factors(theta_of(lambda_standard))), true);
  return pls_->pair_traces();
}

}  // namespace ranef
