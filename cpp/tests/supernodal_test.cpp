// The supernodal factor and its selected inverse against Eigen's dense ones.

#include "ranef/supernodal.hpp"

#include "check.hpp"

using namespace ranef;

namespace {

// Random, or an arrow of `arrow` dense columns beside a band: blocks of many widths.
Matrix positive_definite(Index n, double density, Index arrow, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(-1.0, 1.0);
  Matrix A = Matrix::Zero(n, n);
  for (Index j = 0; j < n; ++j)
    for (Index i = j + 1; i < n; ++i) {
      const bool in_arrow = arrow > 0 && (j < arrow || i - j < 3);
      if (in_arrow || std::abs(uniform(random)) < density) A(i, j) = A(j, i) = uniform(random);
    }
  A.diagonal() = A.cwiseAbs().rowwise().sum().array() + 1.0;
  return A;
}

void check(Index n, double density, Index arrow) {
  const Matrix A = positive_definite(n, density, arrow, unsigned(n));
  std::vector<std::vector<std::int32_t>> below(n);
  for (Index j = 0; j < n; ++j)
    for (Index i = j + 1; i < n; ++i)
      if (A(i, j) != 0.0) {
        below[j].push_back(static_cast<std::int32_t>(i));
        if (i % 7 == 0) below[j].push_back(static_cast<std::int32_t>(i));  // repeats are allowed
      }
  Supernodal cholesky(n, below);
  for (int twice = 0; twice < 2; ++twice) {
    cholesky.values().setZero();
    for (Index j = 0; j < n; ++j)
      for (Index i = j; i < n; ++i)
        if (A(i, j) != 0.0) cholesky.values()(cholesky.position(i, j)) = A(i, j);
    CHECK(cholesky.factor());
  }
  const Eigen::LLT<Matrix> llt(A);
  CHECK_CLOSE(cholesky.log_determinant(), Matrix(llt.matrixL()).diagonal().array().log().sum(),
              1e-12);
  RowMatrix B = RowMatrix::Random(n, 3);
  const Matrix want = llt.solve(Matrix(B));
  RowMatrix half = B;
  cholesky.solve_lower(half);
  CHECK((half.transpose() * half - Matrix(B.transpose() * want)).norm() < 1e-10 * want.norm());
  cholesky.solve_lower(B);
  cholesky.solve_upper(B);
  CHECK((B - want).norm() < 1e-10 * want.norm());
  const Matrix inverse = llt.solve(Matrix::Identity(n, n));
  const Vector& selected = cholesky.invert();
  for (Index j = 0; j < n; ++j)
    for (Index i = j; i < n; ++i)
      if (i == j || A(i, j) != 0.0)
        CHECK_CLOSE(selected(cholesky.position(i, j)), inverse(i, j), 1e-11);
  // L stays.
  CHECK_CLOSE(cholesky.log_determinant(), Matrix(llt.matrixL()).diagonal().array().log().sum(),
              1e-12);
}

}  // namespace

int main() {
  for (Index n : {1, 2, 5, 40, 130}) {
    check(n, 0.0, 0);
    check(n, 0.05, 0);
    check(n, 0.3, 0);
    check(n, 1.0, 0);
    check(n, 0.02, 6);
  }
  check(300, 0.005, 0);
  std::vector<std::vector<std::int32_t>> below{{1}, {}};
  Supernodal indefinite(2, below);
  indefinite.values()(indefinite.position(0, 0)) = 1.0;
  indefinite.values()(indefinite.position(0, 1)) = 2.0;
  indefinite.values()(indefinite.position(1, 1)) = 1.0;
  CHECK(!indefinite.factor());
  return 0;
}
