// Draws of the random effects given everything else.
#include <stdexcept>

#include "ranef/pls.hpp"

namespace ranef {

std::vector<Matrix> LeastSquares::draw(const Vector&, double, std::vector<RowMatrix>) {
  throw std::invalid_argument("draws need a factor, which the iterative method has not");
}

std::vector<Matrix> Pls::draw(const Vector& beta, double sigma, std::vector<RowMatrix> noise) {
  std::vector<RowMatrix> b = means(beta);
  spread(noise);
  for (std::size_t t = 0; t < n_terms(); ++t) b[t] += sigma * noise[t];
  return as_columns(b);
}

void Pls::spread(std::vector<RowMatrix>& noise) {
  const Index k = k_[0];
  const Matrix& lambda = lambda_[0];
  keep_levels();
  RowMatrix right = RowMatrix::Zero(noise[0].rows(), 1), given(noise[0].rows(), 1);
  if (root_.size() > 0) {
    const RootLayout& layout = root_.layout();
    RowMatrix root(root_.size(), 1);
    for (std::size_t t = 0; t < layout.k.size(); ++t)
      root.middleRows(layout.offset[t], noise[t + 1].rows()) = noise[t + 1];
    root_.solve_upper(root);
    coupling_.subtract(root, right);
    scale_root_rows(root_lambda_, false, root);
    for (std::size_t t = 0; t < layout.k.size(); ++t)
      noise[t + 1] = root.middleRows(layout.offset[t], noise[t + 1].rows());
  }
  multiply_levels(K_, false, right, given);
  Matrix M(k, k), half(k, k);
  Vector e(k);
  Eigen::LLT<Matrix> llt(k);
  for (Index l = 0; l < n_levels_[0]; ++l) {
    const Eigen::Map<const Matrix> A(leading_.own.col(l).data(), k, k);
    half.noalias() = A.lazyProduct(lambda);
    M.noalias() = lambda.transpose().lazyProduct(half);
    M.diagonal().array() += 1.0;
    e = noise[0].col(0).segment(l * k, k);
    llt.compute(M);
    llt.matrixU().solveInPlace(e);
    noise[0].col(0).segment(l * k, k) = lambda.lazyProduct(e);
  }
  noise[0] += given;
}

}  // namespace ranef
