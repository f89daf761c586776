// With C = Z'H^-1 Z in blocks, F = L^-1 (A_12 Lambda_2)' T' and Y = Lambda_2^-T L^-T, L that of the
// root,
//
//   C_11 = B - F'F        C_12 = F'Y'        C_22 = Lambda_2^-T Lambda_2^-1 - Y Y'
//
// and tr(H^-1 V_a H^-1 V_b) = tr(C E_a C E_b), E_a the pattern of element a of Sigma over all
// levels. C_11, the large one, is never formed: with D_a = F E_a F' its part is tr(B E_a B E_b) -
// 2 tr(B E_a F'F E_b) + <D_a, D_b>.
#include "ranef/kenward_roger.hpp"

#include "ranef/levels.hpp"
#include "ranef/lmm.hpp"
#include "ranef/pls.hpp"

namespace ranef {
namespace {

using Strided = Eigen::Map<const RowMatrix, 0, Eigen::Stride<Eigen::Dynamic, Eigen::Dynamic>>;

// M E_a for one level, E_a = e_i e_j' + e_j e_i' (once when i = j).
Matrix times_pattern(const Matrix& M, const Parameter& a) {
  Matrix out = Matrix::Zero(M.rows(), M.cols());
  out.col(a.j) += M.col(a.i);
  if (a.i != a.j) out.col(a.i) += M.col(a.j);
  return out;
}

// tr(A B) of two square matrices.
double trace_of_product(const Matrix& A, const Matrix& B) {
  return A.cwiseProduct(B.transpose()).sum();
}

// F E_a F' for F (q_2, l * k).
Matrix outer_pattern(const RowMatrix& F, const Parameter& a, Index k) {
  const auto columns = [&](int i) {
    return Matrix(F(Eigen::all, Eigen::seq(i, F.cols() - k + i, k)));
  };
  const Matrix Fi = columns(a.i);
  if (a.i == a.j) return Fi * Fi.transpose();
  const Matrix product = Fi * columns(a.j).transpose();
  return product + product.transpose();
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
  std::vector<Matrix> BE(m0), YE(m0);
  Matrix B(k, k), Y = Matrix::Zero(k, k);
  for (Index l = 0; l < n_levels_[0]; ++l) {
    const Eigen::Map<const Matrix> A(leading_.own.data() + l * k * k, k, k);
    const Eigen::Map<const Matrix> T(T_.data() + l * k * k, k, k);
    B.noalias() = T.lazyProduct(A);
    if (F.rows() > 0) Y = F.middleCols(l * k, k).transpose() * F.middleCols(l * k, k);
    for (Index a = 0; a < m0; ++a) {
      BE[a] = times_pattern(B, parameters_[a]);
      YE[a] = times_pattern(Y, parameters_[a]);
      out.single(a) += BE[a].trace() - YE[a].trace();
    }
    for (Index a = 0; a < m0; ++a)
      for (Index b = 0; b < m0; ++b)
        out.pairs(a, b) += trace_of_product(BE[a], BE[b]) - 2.0 * trace_of_product(BE[a], YE[b]);
  }
}

PairTraces Pls::pair_traces() const {
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
    unscale.push_back(
        root_lambda_[t].triangularView<Eigen::Lower>().solve(Matrix::Identity(kt, kt)));
    for (Index l = 0; l < layout.n_levels[t]; ++l) {
      const Index first = layout.offset[t] + l * kt;
      C.block(first, first, kt, kt) = unscale[t].transpose() * unscale[t];
    }
  }
  scale_root_rows(unscale, true, Y);
  C.noalias() -= Y * Y.transpose();

  const auto span = [&](Index b) {
    const std::size_t t = parameters_[b].term - 1;
    return Span{layout.offset[t], layout.n_levels[t], layout.k[t]};
  };
  for (Index b = m0; b < m; ++b) {
    out.single(b) = pattern_trace(C, span(b), parameters_[b]);
    for (Index a = m0; a < m; ++a)
      out.pairs(a, b) = pattern_product(C, span(a), parameters_[a], span(b), parameters_[b]);
  }
  std::vector<Matrix> D;
  for (Index a = 0; a < m0; ++a) D.push_back(outer_pattern(F, parameters_[a], k_[0]));
  for (Index a = 0; a < m0; ++a) {
    for (Index b = 0; b <= a; ++b) out.pairs(a, b) += D[a].cwiseProduct(D[b]).sum();
    for (Index b = 0; b < a; ++b) out.pairs(b, a) = out.pairs(a, b);
    const RowMatrix M = Y * D[a] * Y.transpose();
    for (Index b = m0; b < m; ++b)
      out.pairs(a, b) = out.pairs(b, a) = pattern_trace(M, span(b), parameters_[b]);
  }
}

PairTraces Lmm::pair_traces(const std::vector<Matrix>& lambda_standard) {
  pls_->objective(with_ridge(to_kernel(lambda_standard)), true);
  return pls_->pair_traces();
}

}  // namespace ranef
