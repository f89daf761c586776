#include "ranef/dense.hpp"

#include <algorithm>
#include <cmath>

#include "ranef/interrupt.hpp"

namespace ranef {
namespace {

constexpr Index kBase = 48;
constexpr Index kPanelColumns = 64;
// From this size on products are taken in strips, between which a caller may end the work.
constexpr Index kInStrips = 1024;
constexpr Index kStrip = 256;
// Rotations converge within ten sweeps; a column of nothing but rounding may be turned for ever.
constexpr int kSweeps = 30;

// strip(begin, width) for consecutive strips of 0 .. n - 1; one where the work is short.
template <class Strip>
void in_strips(Index n, bool large, Strip&& strip) {
  const Index step = large ? kStrip : std::max<Index>(1, n);
  for (Index at = 0; at < n; at += step) {
    if (large) pause();
    strip(at, std::min(step, n - at));
  }
}

// Lower triangle of C - B B'.
void subtract_products(const ConstMatrixRef& B, MatrixRef C) {
  in_strips(C.cols(), true, [&](Index at, Index width) {
    const Index below = C.rows() - at - width;
    const auto rows = B.middleRows(at, width);
    C.block(at, at, width, width).selfadjointView<Eigen::Lower>().rankUpdate(rows, -1.0);
    C.block(at + width, at, below, width).noalias() -= B.bottomRows(below) * rows.transpose();
  });
}

// Cholesky by columns of panels: the block at the diagonal, what is below it, the rest.
bool factor_large(MatrixRef A) {
  const Index n = A.rows();
  for (Index j = 0; j < n; j += kStrip) {
    pause();
    const Index width = std::min(kStrip, n - j), rest = n - j - width;
    auto A11 = A.block(j, j, width, width);
    if (Eigen::LLT<MatrixRef>(A11).info() != Eigen::Success) return false;
    if (rest == 0) return true;
    auto A21 = A.block(j + width, j, rest, width);
    A11.triangularView<Eigen::Lower>().transpose().solveInPlace<Eigen::OnTheRight>(A21);
    subtract_products(A21, A.bottomRightCorner(rest, rest));
  }
  return true;
}

// L <- L^-1, lower triangular, halves at a time.
void invert_halves(MatrixRef L) {
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
  in_strips(rest, n >= kInStrips, [&](Index at, Index width) {
    auto rows = L21.middleRows(at, width);
    L11.triangularView<Eigen::Lower>().solveInPlace<Eigen::OnTheRight>(rows);
  });
  in_strips(half, n >= kInStrips, [&](Index at, Index width) {
    auto columns = L21.middleCols(at, width);
    L22.triangularView<Eigen::Lower>().solveInPlace(columns);
  });
  L21 *= -1.0;
  invert_halves(L11);
  invert_halves(L22);
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
  in_strips(rest, n >= kInStrips, [&](Index at, Index width) {
    L11.selfadjointView<Eigen::Lower>().rankUpdate(L21.middleRows(at, width).transpose());
  });
  for (Index j = 0; j < half; j += kPanelColumns) {
    if (n >= kInStrips) pause();
    const Index width = std::min(kPanelColumns, half - j);
    auto work = panel.topLeftCorner(rest, width);
    work.noalias() = L22.triangularView<Eigen::Lower>().transpose() * L21.middleCols(j, width);
    L21.middleCols(j, width) = work;
  }
  multiply_by_transpose(L22, panel);
}

// Turn columns i and j of A until they are orthogonal; whether they were not.
bool make_orthogonal(Matrix& A, Index i, Index j) {
  constexpr double kOrthogonal = 1e-14;
  const double a = A.col(i).squaredNorm(), b = A.col(j).squaredNorm(), c = A.col(i).dot(A.col(j));
  if (!(std::abs(c) > kOrthogonal * std::sqrt(a * b))) return false;
  const double zeta = (b - a) / (2.0 * c);
  const double t = std::copysign(1.0, zeta) / (std::abs(zeta) + std::hypot(1.0, zeta));
  const double cosine = 1.0 / std::hypot(1.0, t), sine = cosine * t;
  for (Index row = 0; row < A.rows(); ++row) {
    const double left = A(row, i), right = A(row, j);
    A(row, i) = cosine * left - sine * right;
    A(row, j) = sine * left + cosine * right;
  }
  return true;
}

}  // namespace

bool cholesky_in_place(MatrixRef A) {
  if (A.rows() >= kInStrips) return factor_large(A);
  const Eigen::LLT<MatrixRef> llt(A);
  return llt.info() == Eigen::Success;
}

void inverse_from_cholesky(MatrixRef L, MatrixRef panel) {
  invert_halves(L);
  multiply_by_transpose(L, panel);
}

Matrix product(const ConstMatrixRef& A, const ConstMatrixRef& B) { return A * B; }

Matrix crossprod(const ConstMatrixRef& A, const ConstMatrixRef& B) { return A.transpose() * B; }

Matrix tcrossprod(const ConstMatrixRef& A, const ConstMatrixRef& B) { return A * B.transpose(); }

double smallest_singular_value(Matrix A) {
  if (A.cols() == 0) return HUGE_VAL;
  // Scaled, so that no square overflows or vanishes.
  const double scale = A.cwiseAbs().maxCoeff();
  if (!(scale > 0.0)) return scale;
  A /= scale;
  bool turned = true;
  for (int sweep = 0; turned && sweep < kSweeps; ++sweep) {
    turned = false;
    for (Index j = 1; j < A.cols(); ++j)
      for (Index i = 0; i < j; ++i) turned |= make_orthogonal(A, i, j);
  }
  return scale * std::sqrt(A.colwise().squaredNorm().minCoeff());
}

}  // namespace ranef
