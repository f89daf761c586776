#include "ranef/dense.hpp"

#include <algorithm>

namespace ranef {
namespace {

constexpr Index kBase = 48;
constexpr Index kPanel = 64;

// L <- L^-1, lower triangular, halves at a time.
void invert_lower(MatrixRef L) {
  const Index n = L.rows();
  if (n <= kBase) {
    for (Index j = 0; j < n; ++j) {
      L(j, j) = 1.0 / L(j, j);
      for (Index i = j + 1; i < n; ++i)
        L(i, j) = -L.row(i).segment(j, i - j).dot(L.col(j).segment(j, i - j)) / L(i, i);
    }
    return;
  }
  const Index half = n / 2, rest = n - half;
  auto L11 = L.topLeftCorner(half, half);
  auto L22 = L.bottomRightCorner(rest, rest);
  auto L21 = L.bottomLeftCorner(rest, half);
  L11.triangularView<Eigen::Lower>().solveInPlace<Eigen::OnTheRight>(L21);
  L22.triangularView<Eigen::Lower>().solveInPlace(L21);
  L21 *= -1.0;
  invert_lower(L11);
  invert_lower(L22);
}

// Lower triangle of L'L over L, lower triangular.
void multiply_by_transpose(MatrixRef L, MatrixRef panel) {
  const Index n = L.rows();
  if (n <= kBase) {
    for (Index j = 0; j < n; ++j)
      for (Index i = j; i < n; ++i) L(i, j) = L.col(i).tail(n - i).dot(L.col(j).tail(n - i));
    return;
  }
  const Index half = n / 2, rest = n - half;
  auto L11 = L.topLeftCorner(half, half);
  auto L22 = L.bottomRightCorner(rest, rest);
  auto L21 = L.bottomLeftCorner(rest, half);
  multiply_by_transpose(L11, panel);
  L11.selfadjointView<Eigen::Lower>().rankUpdate(L21.transpose());
  for (Index j = 0; j < half; j += kPanel) {
    const Index width = std::min(kPanel, half - j);
    auto work = panel.topLeftCorner(rest, width);
    work.noalias() = L22.triangularView<Eigen::Lower>().transpose() * L21.middleCols(j, width);
    L21.middleCols(j, width) = work;
  }
  multiply_by_transpose(L22, panel);
}

}  // namespace

bool cholesky_in_place(MatrixRef A) {
  const Eigen::LLT<MatrixRef> llt(A);
  return llt.info() == Eigen::Success;
}

void inverse_from_cholesky(MatrixRef L, MatrixRef panel) {
  invert_lower(L);
  multiply_by_transpose(L, panel);
}

}  // namespace ranef
