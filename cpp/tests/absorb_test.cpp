// Absorption, cluster sums and estimating equations against dense algebra, under Eigen's checks.

#include "ranef/absorb.hpp"

#include "check.hpp"
#include "ranef/gee.hpp"
#include "ranef/sandwich.hpp"

using namespace ranef;

namespace {

using Codes = Eigen::Matrix<std::int32_t, Eigen::Dynamic, Eigen::Dynamic>;
using Counts = Eigen::Matrix<std::int32_t, Eigen::Dynamic, 1>;

Codes draw_codes(Index n, const Counts& levels, unsigned seed) {
  std::mt19937 random(seed);
  Codes codes(n, levels.size());
  for (Index k = 0; k < levels.size(); ++k) {
    std::uniform_int_distribution<std::int32_t> draw(0, levels[k] - 1);
    for (Index i = 0; i < n; ++i) codes(i, k) = draw(random);
  }
  return codes;
}

Matrix indicators(const Codes& codes, const Counts& levels) {
  Matrix D = Matrix::Zero(codes.rows(), levels.sum());
  Index first = 0;
  for (Index k = 0; k < levels.size(); first += levels[k], ++k)
    for (Index i = 0; i < codes.rows(); ++i) D(i, first + codes(i, k)) = 1.0;
  return D;
}

void check_absorb(const Counts& levels, Index columns, bool weighted) {
  const Index n = 80;
  const Codes codes = draw_codes(n, levels, 5);
  const Matrix X = Matrix::Random(n, columns);
  const Vector w = weighted ? Vector((Vector::Random(n).array() + 1.5).matrix()) : Vector();
  const Absorbed found = absorb(X, codes, levels, w, 1e-12, 1000);
  CHECK(found.converged);
  const Vector root = weighted ? Vector(w.array().sqrt().matrix()) : Vector(Vector::Ones(n));
  const Matrix D = indicators(codes, levels);
  const Matrix a = (root.asDiagonal() * D)
                       .completeOrthogonalDecomposition()
                       .solve(Matrix(root.asDiagonal() * X));
  CHECK((found.residual - (X - D * a)).norm() < 1e-9);
  CHECK((X - D * found.effects - found.residual).norm() < 1e-10);
}

void check_cluster_sums() {
  const Index n = 50;
  Counts levels(1);
  levels << 6;
  const Codes codes = draw_codes(n, levels, 2);
  const Matrix X = Matrix::Random(n, 3);
  const RowMatrix sums = sum_by_cluster(X, codes.col(0), 6),
                  grams = gram_by_cluster(X, codes.col(0), 1, 4);
  for (Index g = 0; g < 6; ++g) {
    Vector sum = Vector::Zero(3);
    Matrix gram = Matrix::Zero(3, 3);
    for (Index i = 0; i < n; ++i) {
      if (codes(i, 0) != g) continue;
      sum += X.row(i).transpose();
      gram += X.row(i).transpose() * X.row(i);
    }
    CHECK((sums.row(g).transpose() - sum).norm() < 1e-12);
    if (g >= 1 && g < 4) {
      const Eigen::Map<const RowMatrix> ours(grams.row(g - 1).data(), 3, 3);
      CHECK((ours - gram).norm() < 1e-12);
    }
  }
}

// With independence and the identity link the equations are those of least squares.
void check_gee(Corr corr) {
  const Index clusters = 20, size = 4, n = clusters * size;
  Matrix X = Matrix::Random(n, 3);
  X.col(0).setOnes();
  const Vector y = X * Vector::Ones(3) + Vector::Random(n), none;
  Counts start(clusters + 1), wave(n);
  for (Index g = 0; g <= clusters; ++g) start[g] = static_cast<std::int32_t>(g * size);
  for (Index i = 0; i < n; ++i) wave[i] = static_cast<std::int32_t>(i % size);
  const Vector time = Vector::LinSpaced(size, 1.0, 4.0);
  GeeOptions options;
  options.corr = corr;
  const GeeFit fit = fit_gee({y, X, none, none, start, wave, time, Matrix()}, options);
  CHECK(fit.status == GeeStatus::converged);
  CHECK((fit.columns.transpose() * fit.resid).norm() < 1e-6);
  CHECK((fit.columns.transpose() * fit.columns - fit.bread).norm() < 1e-9 * fit.bread.norm());
  if (corr == Corr::independence) {
    CHECK((fit.beta - X.householderQr().solve(y)).norm() < 1e-9);
  }
}

}  // namespace

int main() {
  Counts one(1), two(2), three(3);
  one << 7;
  two << 9, 12;
  three << 5, 14, 3;
  for (const Counts& levels : {one, two, three})
    for (const Index columns : {1, 2, 3, 6})
      for (const bool weighted : {false, true}) check_absorb(levels, columns, weighted);
  Codes chain(4, 2);
  chain << 0, 0, 1, 0, 2, 1, 3, 2;
  Counts sizes(2);
  sizes << 4, 3;
  CHECK(count_components(chain, sizes) == 3);
  check_cluster_sums();
  for (const Corr corr : {Corr::independence, Corr::exchangeable, Corr::ar1, Corr::unstructured})
    check_gee(corr);
  std::puts("absorb: passed");
}
