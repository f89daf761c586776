// Derivatives of Laplace's approximation.
#include <cmath>
#include <limits>

#include "ranef/glmm.hpp"

namespace ranef {
namespace {

Eigen::Map<const Matrix> block_of(const Matrix& blocks, Index e, Index rows, Index columns) {
  return {blocks.data() + e * rows * columns, rows, columns};
}

}  // namespace

// [Z'W Z Lambda M^-1]_ll summed over the levels of each term, (k_t, k_t).
std::vector<Matrix> Glmm::trace_scores(const InverseBlocks& blocks) const {
  const CrossProducts& A = products_->products();
  std::vector<Matrix> out;
  out.push_back(blocks.leading * lambda_[0]);
  for (std::size_t t = 1; t < A.terms.size(); ++t) {
    const Index k = A.terms[t].k;
    Matrix sum = Matrix::Zero(k, k), work(k, k);
    for (Index l = 0; l < A.terms[t].n_levels; ++l) {
      work.noalias() = lambda_[t].lazyProduct(block_of(blocks.own[t], l, k, k));
      sum.noalias() += block_of(A.terms[t].own, l, k, k).lazyProduct(work);
    }
    out.push_back(std::move(sum));
  }
  for (std::size_t s = 0; s < A.pairs.size(); ++s)
    for (std::size_t p = 0; p < A.pairs[s].size(); ++p) {
      const std::size_t t = s + 1 + p;
      const Index ks = A.terms[s].k, kt = A.terms[t].k;
      const Matrix& values = A.pairs[s][p].value;
      Matrix left(ks, kt), right(kt, ks);
      for (Index e = 0; e < values.cols(); ++e) {
        const auto a = block_of(values, e, ks, kt),
                   inverse = block_of(blocks.pairs[s][p], e, ks, kt);
        if (s == 0) {  // its side is that of the random effects already
          out[t].noalias() += a.transpose().lazyProduct(inverse);
          continue;
        }
        left.noalias() = lambda_[s].lazyProduct(inverse);
        out[t].noalias() += a.transpose().lazyProduct(left);
        right.noalias() = lambda_[t].lazyProduct(inverse.transpose());
        out[s].noalias() += a.lazyProduct(right);
      }
    }
  return out;
}

// Blocks of D = Lambda M^-1 Lambda' from those whose root's sides are spherical.
void Glmm::to_random_effects(InverseBlocks& blocks) const {
  for (std::size_t t = 1; t < blocks.own.size(); ++t) {
    const Index k = lambda_[t].cols();
    Matrix work(k, k);
    for (Index l = 0; l < blocks.own[t].cols(); ++l) {
      Eigen::Map<Matrix> block(blocks.own[t].data() + l * k * k, k, k);
      work.noalias() = lambda_[t].lazyProduct(block);
      block.noalias() = work.lazyProduct(lambda_[t].transpose());
    }
  }
  for (std::size_t s = 0; s < blocks.pairs.size(); ++s)
    for (std::size_t p = 0; p < blocks.pairs[s].size(); ++p) {
      const std::size_t t = s + 1 + p;
      const Index ks = lambda_[s].cols(), kt = lambda_[t].cols();
      Matrix work(ks, kt);
      for (Index e = 0; e < blocks.pairs[s][p].cols(); ++e) {
        Eigen::Map<Matrix> block(blocks.pairs[s][p].data() + e * ks * kt, ks, kt);
        work = block;
        if (s > 0) work.noalias() = lambda_[s].lazyProduct(block);
        block.noalias() = work.lazyProduct(lambda_[t].transpose());
      }
    }
}

// How eta moves with the mode where the scores change by a: Z Lambda v, joint: X v_beta + Z Lambda
// v.
Vector Glmm::implicit_change(const Vector& a) const {
  std::vector<RowMatrix> v = pls_->solve(products_->transposed(a));
  if (!joint_) return products_->multiply(v);
  const std::vector<RowMatrix> solved = pls_->solve(ZWX_);
  const Vector left = a - derivatives_.weight.cwiseProduct(products_->multiply(v));
  const Vector beta = schur(solved).ldlt().solve(X_.transpose() * left);
  for (std::size_t t = 0; t < v.size(); ++t) v[t].noalias() -= solved[t] * beta;
  return products_->multiply(v) + X_ * beta;
}

Vector Glmm::gradient() {
  InverseBlocks blocks;
  pls_->inverse_blocks(blocks);
  std::vector<Matrix> by_lambda = trace_scores(blocks);
  to_random_effects(blocks);
  const Vector h = products_->quadratic(blocks.own, blocks.pairs);
  const Vector a = h.cwiseProduct(derivatives_.slope);
  const Vector change = implicit_change(a);
  const Vector left = a - derivatives_.weight.cwiseProduct(change);
  const Vector r = left - 2.0 * derivatives_.score;
  const std::vector<RowMatrix> Zr = products_->transposed(r);
  const std::vector<RowMatrix> Zs = products_->transposed(derivatives_.score);
  const std::vector<RowMatrix> v = times_lambda(products_->transposed(left), true);
  for (std::size_t t = 0; t < by_lambda.size(); ++t) {
    const Index k = pls_->k(t), levels = pls_->n_levels(t);
    const auto columns = [&](const RowMatrix& rows) {
      return Eigen::Map<const Matrix>(rows.data(), k, levels);
    };
    by_lambda[t] *= 2.0;
    by_lambda[t].noalias() += columns(Zr[t]) * columns(u_[t]).transpose();
    by_lambda[t].noalias() += columns(Zs[t]) * columns(v[t]).transpose();
  }
  Vector out = gathered(by_lambda, r);
  if (likelihood_.has_dispersion()) {
    DispersionDerivatives by_dispersion;
    dispersion_derivatives(likelihood_, rows_, eta_, dispersion_, by_dispersion);
    out(out.size() - 1) = h.dot(by_dispersion.weight) + change.dot(by_dispersion.score) -
                          2.0 * by_dispersion.log_likelihood;
  }
  by_lambda_ = std::move(by_lambda);
  return out;
}

// The gradient from derivatives by each lambda and by the linear predictor's fixed part; that by
// the dispersion is left open.
Vector Glmm::gathered(const std::vector<Matrix>& by_lambda, const Vector& r) const {
  const auto& parameters = pls_->parameters();
  const Index m = static_cast<Index>(parameters.size()), p = joint_ ? 0 : X_.cols();
  Vector out(m + p + (likelihood_.has_dispersion() ? 1 : 0));
  for (Index i = 0; i < m; ++i)
    out(i) = by_lambda[parameters[i].term](parameters[i].i, parameters[i].j);
  if (!joint_) out.segment(m, p).noalias() = X_.transpose() * r;
  return out;
}

std::vector<Matrix> Glmm::gradient_by_factors() const {
  std::vector<Matrix> out;
  for (std::size_t kernel : order_) out.push_back(by_lambda_.at(kernel));
  return out;
}

}  // namespace ranef
