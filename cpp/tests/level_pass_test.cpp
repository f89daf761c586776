// Sums over the levels of a term, by steps and in one pass, against dense algebra level by level.

#include "ranef/level_pass.hpp"

#include "check.hpp"
#include "ranef/levels.hpp"

using namespace ranef;

namespace {

struct Levels {
  Matrix own;
  RowMatrix rows;
  std::vector<Matrix> Z, XY;
};

// Levels of one to four rows, so that some A_l are singular.
Levels make_levels(Index count, Index k, Index c, std::mt19937& random) {
  std::normal_distribution<double> normal;
  const auto draw = [&](Index rows, Index cols) {
    return Matrix(Matrix::NullaryExpr(rows, cols, [&] { return normal(random); }));
  };
  Levels out;
  out.own.resize(k * k, count);
  out.rows.resize(count * k, c);
  for (Index l = 0; l < count; ++l) {
    const Matrix Z = draw(1 + l % 4, k), XY = draw(Z.rows(), c);
    out.own.col(l) = Matrix(Z.transpose() * Z).reshaped();
    out.rows.middleRows(l * k, k) = Z.transpose() * XY;
    out.Z.push_back(Z);
    out.XY.push_back(XY);
  }
  return out;
}

void check_levels(Index count, const Matrix& Lambda, Index c, std::mt19937& random) {
  const Index k = Lambda.rows(), m = k * (k + 1) / 2, p = c - 1;
  const Levels levels = make_levels(count, k, c, random);
  Matrix U = Matrix::Random(c, c).triangularView<Eigen::Upper>();
  U.diagonal().array() += 2.0;

  const Matrix Sigma = Lambda * Lambda.transpose();
  Matrix gram = Matrix::Zero(c, c), Q = Matrix::Zero(m, m), J = Matrix::Zero(p, m);
  Matrix B_sum = Matrix::Zero(k, k), fixed = B_sum, response = B_sum;
  RowMatrix modes(count * k, c), scores(count * k, c), Th(count * k, m);
  double log_det = 0.0;
  for (Index l = 0; l < count; ++l) {
    const Matrix &Z = levels.Z[l], &XY = levels.XY[l];
    const Matrix H = Matrix::Identity(Z.rows(), Z.rows()) + Z * Sigma * Z.transpose();
    const Matrix inverse = H.inverse(), B = Z.transpose() * inverse * Z;
    const Matrix N = Z.transpose() * inverse * XY * U;
    log_det += std::log(H.determinant());
    gram += XY.transpose() * (inverse - Matrix::Identity(H.rows(), H.rows())) * XY;
    modes.middleRows(l * k, k) = Sigma * Z.transpose() * inverse * XY;
    scores.middleRows(l * k, k) = Z.transpose() * inverse * XY;
    Matrix h = Matrix::Zero(k, m);
    Index a = 0;
    for (Index j = 0; j < k; ++j)
      for (Index i = j; i < k; ++i, ++a) {
        h(i, a) = N(j, p);
        h(j, a) = N(i, p);
      }
    B_sum += B;
    fixed += N.leftCols(p) * N.leftCols(p).transpose();
    response += N.col(p) * N.col(p).transpose();
    Q += h.transpose() * B * h;
    J += N.leftCols(p).transpose() * h;
    Th.middleRows(l * k, k) = (Matrix::Identity(k, k) - Sigma * B) * h;
  }

  const auto close = [](const Matrix& got, const Matrix& want) {
    CHECK(got.rows() == want.rows() && got.cols() == want.cols());
    CHECK((got - want).norm() <= 1e-10 * std::max(1.0, want.norm()));
  };
  const auto close_sums = [&](const LevelSums& sums) {
    close(sums.B, B_sum);
    close(sums.fixed, fixed);
    close(sums.response, response);
    close(sums.Q, Q);
    close(sums.J, J);
  };
  Matrix T(k * k, count), K(k * k, count), reduced = Matrix::Zero(c, c);
  CHECK_CLOSE(factor_levels(levels.own, Lambda, Sigma, T, K), log_det, 1e-12);
  RowMatrix product;
  reduce_levels(K, levels.rows, reduced, nullptr);
  close(reduced, gram);
  product.resize(count * k, c);
  multiply_levels(K, false, levels.rows, product);
  close(product, modes);
  RowMatrix moved = levels.rows;
  multiply_levels(T, false, moved, moved);  // in place
  close(moved, scores);
  transform_levels(T, levels.rows, U, product);
  close(product, scores * U);
  LevelSums sums;
  RowMatrix along(count * k, m);
  sum_levels(levels.own, T, product, sums, &along);
  close_sums(sums);
  close(along, Th);
  if (!has_level_pass(k, c)) return;

  reduced.setZero();
  CHECK_CLOSE(reduce_levels_pass(levels.own, Lambda, levels.rows, reduced), log_det, 1e-12);
  close(reduced, gram);
  sum_levels_pass(levels.own, Lambda, levels.rows, U, sums);
  close_sums(sums);
  RowMatrix solved = levels.rows;
  solve_levels_pass(levels.own, Lambda, solved);
  close(solved, modes);
}

// At a Lambda of some size, a larger one, and singular ones.
void check_factors(Index k, Index c, Index count, std::mt19937& random) {
  Matrix Lambda = Matrix::Random(k, k).triangularView<Eigen::Lower>();
  check_levels(count, Lambda, c, random);
  Matrix wide = Lambda;
  wide.diagonal().array() += Lambda.diagonal().array().sign() * 3.0;
  check_levels(count, wide, c, random);
  if (count == 515) return;
  Lambda.row(k - 1).setZero();
  check_levels(count, Lambda, c, random);
  check_levels(count, Matrix::Zero(k, k), c, random);
}

// Z'y - A b keeps its digits where Lambda is large and A singular: y'H^-1 y of one row a level is
// y^2 / (1 + z'Sigma z).
void check_large_lambda() {
  const double large = 1e5;
  Matrix Lambda(2, 2);
  Lambda << large, 0.0, -0.3 * large, 0.8 * large;
  std::mt19937 random(8);
  std::normal_distribution<double> normal;
  const Index count = 50;
  Matrix own(4, count), gram = Matrix::Zero(1, 1);
  RowMatrix rows(2 * count, 1);
  double left = 0.0;
  for (Index l = 0; l < count; ++l) {
    const Vector z = Vector::NullaryExpr(2, [&] { return normal(random); });
    const double y = normal(random);
    own.col(l) = Matrix(z * z.transpose()).reshaped();
    rows.middleRows(2 * l, 2) = y * z;
    gram(0, 0) += y * y;
    left += y * y / (1.0 + (Lambda.transpose() * z).squaredNorm());
  }
  const double total = gram(0, 0);
  reduce_levels_pass(own, Lambda, rows, gram);
  CHECK(std::abs(gram(0, 0) - left) < 1e-13 * total);
}

}  // namespace

int main() {
  std::mt19937 random(7);
  CHECK(!has_level_pass(5, 2) && !has_level_pass(2, 9));
  CHECK(has_level_pass(4, 8));
  for (Index k : {1, 2, 3, 4})
    for (Index c : {1, 2, 3, 4, 5, 8, 11})
      for (Index count : {1, 3, 4, 515}) check_factors(k, c, count, random);
  for (Index k : {5, 17, 26})
    for (Index c : {3, 11})
      for (Index count : {3, 11}) check_factors(k, c, count, random);
  check_large_lambda();
  std::puts("level_pass: passed");
}
