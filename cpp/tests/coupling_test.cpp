// The leading term's coupling with the root, sparse and dense, against products of whole matrices.

#include "ranef/coupling.hpp"

#include "check.hpp"

using namespace ranef;

namespace {

struct Case {
  Coupling coupling;
  Matrix whole;  // (l * k, n_root) A_12
};

// Leading term of `levels` levels and k columns; one other of `others` levels and k_other columns.
Case make(Index levels, Index k, Index others, Index k_other, double density, unsigned seed) {
  std::mt19937 random(seed);
  std::uniform_real_distribution<double> uniform(-1.0, 1.0);
  PairProducts pairs;
  Case out{{}, Matrix::Zero(levels * k, others * k_other)};
  std::vector<Matrix> blocks;
  pairs.start.push_back(0);
  for (Index l = 0; l < levels; ++l) {
    for (Index o = 0; o < others; ++o) {
      if (std::abs(uniform(random)) > density) continue;
      pairs.level.push_back(static_cast<std::int32_t>(o));
      Matrix block(k, k_other);
      for (double& x : block.reshaped()) x = uniform(random);
      out.whole.block(l * k, o * k_other, k, k_other) = block;
      blocks.push_back(block);
    }
    pairs.start.push_back(static_cast<Index>(pairs.level.size()));
  }
  pairs.value.resize(k * k_other, static_cast<Index>(blocks.size()));
  for (std::size_t e = 0; e < blocks.size(); ++e)
    pairs.value.col(static_cast<Index>(e)) = blocks[e].reshaped();
  out.coupling = Coupling({pairs}, {0}, {k_other}, k, levels, others * k_other);
  return out;
}

Matrix symmetric(Index n) {
  const Matrix A = Matrix::Random(n, n);
  return A + A.transpose();
}

void check(Index levels, Index k, Index others, Index k_other, double density, bool dense) {
  Case c = make(levels, k, others, k_other, density, unsigned(100 * levels + 10 * k + k_other));
  CHECK(c.coupling.is_dense() == dense);
  const Index n = others * k_other;
  Matrix lambda = Matrix::Random(k_other, k_other).triangularView<Eigen::Lower>();
  Matrix scaled = c.whole;
  for (Index o = 0; o < others; ++o)
    scaled.middleCols(o * k_other, k_other) = c.whole.middleCols(o * k_other, k_other) * lambda;
  c.coupling.scale({lambda});
  c.coupling.order_by_column();

  Matrix K(k * k, levels), whole_K = Matrix::Zero(levels * k, levels * k);
  for (Index l = 0; l < levels; ++l) {
    const Matrix block = symmetric(k);
    K.col(l) = block.reshaped();
    whole_K.block(l * k, l * k, k, k) = block;
  }
  const Matrix before = symmetric(n);
  Matrix omega = before;
  c.coupling.downdate(K, omega);
  const Matrix want = before - scaled.transpose() * whole_K * scaled;
  for (Index j = 0; j < n; ++j)
    for (Index i = j; i < n; ++i) CHECK_CLOSE(omega(i, j), want(i, j), 1e-12);

  const Matrix D = symmetric(n);
  Matrix lower = D.triangularView<Eigen::Lower>(), G;
  c.coupling.quadratic(lower, G);
  for (Index l = 0; l < levels; ++l) {
    const Matrix rows = scaled.middleRows(l * k, k);
    CHECK((G.col(l).reshaped(k, k) - rows * D * rows.transpose()).norm() < 1e-11);
  }
}

}  // namespace

int main() {
  for (Index k : {1, 2, 5})
    for (Index k_other : {1, 3}) {
      check(40, k, 30, k_other, 0.08, false);
      check(25, k, 12, k_other, 0.6, true);
    }
  std::puts("coupling: passed");
}
