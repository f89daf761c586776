// Dense and sparse factorisations against Eigen's own.

#include "check.hpp"
#include "ranef/dense.hpp"
#include "ranef/sparse_cholesky.hpp"

using namespace ranef;

namespace {

Matrix positive_definite(Index n, double density, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(-1.0, 1.0);
  Matrix A = Matrix::Zero(n, n);
  for (Index j = 0; j < n; ++j)
    for (Index i = j + 1; i < n; ++i)
      if (std::abs(uniform(random)) < density) A(i, j) = A(j, i) = uniform(random);
  A.diagonal() = A.cwiseAbs().rowwise().sum().array() + 1.0;
  return A;
}

void check_dense(Index n) {
  const Matrix A = positive_definite(n, 1.0, unsigned(n));
  Matrix L = A, panel(n, std::min<Index>(n, 64));
  CHECK(cholesky_in_place(L));
  inverse_from_cholesky(L, panel);
  const Matrix inverse = L.selfadjointView<Eigen::Lower>();
  CHECK((inverse * A - Matrix::Identity(n, n)).norm() < 1e-10 * double(n));
  Matrix indefinite = -A;
  CHECK(!cholesky_in_place(indefinite));
}

void check_sparse(Index n, double density) {
  const Matrix A = positive_definite(n, density, unsigned(n));
  std::vector<std::vector<std::int32_t>> below(n);
  for (Index j = 0; j < n; ++j)
    for (Index i = j + 1; i < n; ++i)
      if (A(i, j) != 0.0) below[j].push_back(static_cast<std::int32_t>(i));
  SparseCholesky cholesky(n, below);
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
  cholesky.solve_lower(B);
  cholesky.solve_upper(B);
  CHECK((B - want).norm() < 1e-10 * want.norm());
  const Matrix inverse = llt.solve(Matrix::Identity(n, n));
  const Vector& selected = cholesky.invert();
  for (Index j = 0; j < n; ++j)
    for (Index i = j; i < n; ++i)
      if (A(i, j) != 0.0) CHECK_CLOSE(selected(cholesky.position(i, j)), inverse(i, j), 1e-11);
}

}  // namespace

int main() {
  for (Index n : {1, 2, 7, 48, 49, 100, 131, 1030}) check_dense(n);
  for (Index n : {1, 5, 40, 120}) {
    check_sparse(n, 0.03);
    check_sparse(n, 0.3);
  }
  std::puts("factor: passed");
}
