#include "ranef/dense.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "ranef/interrupt.hpp"
#include "ranef/threads.hpp"

namespace ranef {
namespace {

constexpr Index kBase = 48;
constexpr Index kPanelColumns = 64;
// From this size on the work is taken in tiles, by the team at hand.
constexpr Index kInTiles = 1024;
constexpr Index kTile = 256;
constexpr Index kTall = 1024;  // rows of a tile of a product of two panels
// Rotations converge within ten sweeps; a column of nothing but rounding may be turned for ever.
constexpr int kSweeps = 30;

Index tiles(Index n) { return (n + kTile - 1) / kTile; }

// Lower triangle of C - B B', a strip of columns at a time and of it so many rows.
void subtract_products(const ConstMatrixRef& B, MatrixRef C) {
  struct Tile {
    Index row, column;
  };
  std::vector<Tile> all;
  for (Index j = 0; j < C.cols(); j += kTile)
    for (Index i = j; i < C.rows(); i += kTall) all.push_back({i, j});
  each_task(static_cast<Index>(all.size()), [&](Index task) {
    const auto [i, j] = all[static_cast<std::size_t>(task)];
    const Index width = std::min(kTile, C.cols() - j), skip = i == j ? width : 0;
    const auto right = B.middleRows(j, width);
    if (i == j) C.block(j, j, width, width).selfadjointView<Eigen::Lower>().rankUpdate(right, -1.0);
    const Index height = std::min(kTall, C.rows() - i) - skip;
    if (height > 0)
      C.block(i + skip, j, height, width).noalias() -=
          B.middleRows(i + skip, height) * right.transpose();
  });
}

// Cholesky by columns of tiles: the one at the diagonal, what is below it, the rest.
bool factor_tiles(MatrixRef A) {
  const Index n = A.rows();
  for (Index j = 0; j < n; j += kTile) {
    pause();
    const Index width = std::min(kTile, n - j), rest = n - j - width;
    auto A11 = A.block(j, j, width, width);
    if (Eigen::LLT<MatrixRef>(A11).info() != Eigen::Success) return false;
    if (rest == 0) return true;
    auto A21 = A.block(j + width, j, rest, width);
    each_task(tiles(rest), [&](Index task) {
      auto rows = A21.middleRows(task * kTile, std::min(kTile, rest - task * kTile));
      A11.triangularView<Eigen::Lower>().transpose().solveInPlace<Eigen::OnTheRight>(rows);
    });
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
  L11.triangularView<Eigen::Lower>().solveInPlace<Eigen::OnTheRight>(L21);
  L22.triangularView<Eigen::Lower>().solveInPlace(L21);
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
  L11.selfadjointView<Eigen::Lower>().rankUpdate(L21.transpose());
  for (Index j = 0; j < half; j += kPanelColumns) {
    const Index width = std::min(kPanelColumns, half - j);
    auto work = panel.topLeftCorner(rest, width);
    work.noalias() = L22.triangularView<Eigen::Lower>().transpose() * L21.middleCols(j, width);
    L21.middleCols(j, width) = work;
  }
  multiply_by_transpose(L22, panel);
}

// L <- L^-1, tiles of columns from the last on: L_22^-1 L_21 L_11^-1 of each, negative. `work` is
// (n, kTile).
void invert_tiles(MatrixRef L, Matrix& work) {
  const Index n = L.rows();
  for (Index j = (tiles(n) - 1) * kTile; j >= 0; j -= kTile) {
    const Index width = std::min(kTile, n - j), rest = n - j - width;
    auto L11 = L.block(j, j, width, width);
    if (rest > 0) {
      auto L21 = L.block(j + width, j, rest, width);
      each_task(tiles(rest), [&](Index task) {
        auto rows = L21.middleRows(task * kTile, std::min(kTile, rest - task * kTile));
        L11.triangularView<Eigen::Lower>().solveInPlace<Eigen::OnTheRight>(rows);
      });
      each_task(tiles(rest), [&](Index task) {
        const Index at = (tiles(rest) - 1 - task) * kTile, height = std::min(kTile, rest - at);
        auto rows = work.middleRows(at, height);
        rows.noalias() =
            L.block(j + width + at, j + width + at, height, height).triangularView<Eigen::Lower>() *
            L21.middleRows(at, height);
        if (at > 0)
          rows.noalias() += L.block(j + width + at, j + width, height, at) * L21.topRows(at);
      });
      L21 = -work.topRows(rest);
    }
    invert_halves(L11);
  }
}

// Lower triangle of L'L over L, tiles of rows from the first on: what is below is still L.
void multiply_tiles_by_transpose(MatrixRef L, Matrix& work, MatrixRef panel) {
  const Index n = L.rows();
  for (Index i = 0; i < n; i += kTile) {
    const Index height = std::min(kTile, n - i), rest = n - i - height, own = i / kTile;
    const auto below = L.block(i + height, i, rest, height);
    auto L11 = L.block(i, i, height, height);
    Eigen::Map<Matrix> rows(work.data(), height, i + height);
    each_task(own + 1, [&](Index task) {
      const Index j = task * kTile;
      if (task == own) {
        auto square = rows.rightCols(height);
        square = L11.triangularView<Eigen::Lower>();
        multiply_by_transpose(square, panel);
        if (rest > 0) square.selfadjointView<Eigen::Lower>().rankUpdate(below.transpose());
        return;
      }
      auto tile = rows.middleCols(j, kTile);
      tile.noalias() =
          L11.triangularView<Eigen::Lower>().transpose() * L.block(i, j, height, kTile);
      if (rest > 0) tile.noalias() += below.transpose() * L.block(i + height, j, rest, kTile);
    });
    L.block(i, 0, height, i) = rows.leftCols(i);
    L11.triangularView<Eigen::Lower>() = rows.rightCols(height);
  }
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
  if (A.rows() >= kInTiles) return factor_tiles(A);
  const Eigen::LLT<MatrixRef> llt(A);
  return llt.info() == Eigen::Success;
}

void inverse_from_cholesky(MatrixRef L, MatrixRef panel) {
  if (L.rows() >= kInTiles) {
    Matrix work(L.rows(), kTile);
    invert_tiles(L, work);
    return multiply_tiles_by_transpose(L, work, panel);
  }
  invert_halves(L);
  multiply_by_transpose(L, panel);
}

Matrix product(const ConstMatrixRef& A, const ConstMatrixRef& B) { return A * B; }

Matrix crossprod(const ConstMatrixRef& A, const ConstMatrixRef& B) { return A.transpose() * B; }

Matrix tcrossprod(const ConstMatrixRef& A, const ConstMatrixRef& B) { return A * B.transpose(); }

Matrix orthonormal_columns(const Matrix& A) {
  const Eigen::HouseholderQR<Matrix> qr(A);
  const Matrix& reflectors = qr.matrixQR();
  Matrix Q = Matrix::Identity(A.rows(), A.cols());
  for (Index j = A.cols() - 1; j >= 0; --j) {  // Q <- (I - tau v v')Q with v = (1, below)
    const auto below = reflectors.col(j).tail(A.rows() - j - 1);
    for (Index c = j; c < A.cols(); ++c) {
      auto rest = Q.col(c).tail(below.size());
      const double by = qr.hCoeffs()(j) * (Q(j, c) + below.dot(rest));
      Q(j, c) -= by;
      rest -= by * below;
    }
  }
  return Q;
}

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
