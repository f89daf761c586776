#include "ranef/laplace.hpp"

namespace ranef {
namespace {

Eigen::Map<const Matrix> block_of(const Matrix& blocks, Index e, Index rows, Index columns) {
  return {blocks.data() + e * rows * columns, rows, columns};
}

}  // namespace

double squared_norm(const std::vector<RowMatrix>& u) {
  double sum = 0.0;
  for (const RowMatrix& of_term : u) sum += of_term.squaredNorm();
  return sum;
}

std::vector<RowMatrix> times_lambda(const std::vector<Matrix>& lambda,
                                    const std::vector<RowMatrix>& u, bool transposed) {
  std::vector<RowMatrix> out;
  times_lambda(lambda, u, transposed, out);
  return out;
}

void times_lambda(const std::vector<Matrix>& lambda, const std::vector<RowMatrix>& u,
                  bool transposed, std::vector<RowMatrix>& out) {
  out.resize(u.size());
  for (std::size_t t = 0; t < out.size(); ++t) {
    const Index k = lambda[t].cols(), levels = u[t].rows() / k, m = u[t].cols();
    out[t].resize(u[t].rows(), m);
    if (k == 1) {
      out[t] = lambda[t](0, 0) * u[t];
      continue;
    }
    if (m > 1) {
      for (Index l = 0; l < levels; ++l) {
        const auto in = u[t].middleRows(l * k, k);
        if (transposed)
          out[t].middleRows(l * k, k).noalias() = lambda[t].transpose().lazyProduct(in);
        else
          out[t].middleRows(l * k, k).noalias() = lambda[t].lazyProduct(in);
      }
      continue;
    }
    Eigen::Map<const Matrix> in(u[t].data(), k, levels);
    Eigen::Map<Matrix> to(out[t].data(), k, levels);
    if (transposed)
      to.noalias() = lambda[t].transpose() * in;
    else
      to.noalias() = lambda[t] * in;
  }
}

Vector by_parameters(const Pls& pls, const Vector& theta, const std::vector<Matrix>& by_lambda) {
  const auto& parameters = pls.parameters();
  Vector out(static_cast<Index>(parameters.size()));
  for (Index a = 0; a < out.size(); ++a) {
    const Parameter& e = parameters[static_cast<std::size_t>(a)];
    if (!e.is_structured()) {
      out(a) = by_lambda[e.term](e.i, e.j);
    } else if (e.i == 0) {
      const Structure& structure = *pls.structure(e.term, e.block());
      const std::vector<int> columns = pls.block_columns(e.term)[e.block()];
      const Matrix by_block = by_lambda[e.term](columns, columns);
      Index next = a;
      for (const Matrix& slope :
           structure.factor_slopes(theta.segment(a, structure.n_parameters())))
        out(next++) = slope.cwiseProduct(by_block).sum();
    }
  }
  return out;
}

// [Z'W Z Lambda M^-1]_ll summed over the levels of each term, (k_t, k_t).
std::vector<Matrix> trace_scores(const CrossProducts& A, const std::vector<Matrix>& lambda,
                                 const InverseBlocks& blocks) {
  std::vector<Matrix> out;
  out.push_back(blocks.leading * lambda[0]);
  for (std::size_t t = 1; t < A.terms.size(); ++t) {
    const Index k = A.terms[t].k;
    Matrix sum = Matrix::Zero(k, k), work(k, k);
    for (Index l = 0; l < A.terms[t].n_levels; ++l) {
      work.noalias() = lambda[t].lazyProduct(block_of(blocks.own[t], l, k, k));
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
        left.noalias() = lambda[s].lazyProduct(inverse);
        out[t].noalias() += a.transpose().lazyProduct(left);
        right.noalias() = lambda[t].lazyProduct(inverse.transpose());
        out[s].noalias() += a.lazyProduct(right);
      }
    }
  return out;
}

// Blocks of D = Lambda M^-1 Lambda' from those whose root's sides are spherical.
void to_random_effects(const std::vector<Matrix>& lambda, InverseBlocks& blocks) {
  for (std::size_t t = 1; t < blocks.own.size(); ++t) {
    const Index k = lambda[t].cols();
    Matrix work(k, k);
    for (Index l = 0; l < blocks.own[t].cols(); ++l) {
      Eigen::Map<Matrix> block(blocks.own[t].data() + l * k * k, k, k);
      work.noalias() = lambda[t].lazyProduct(block);
      block.noalias() = work.lazyProduct(lambda[t].transpose());
    }
  }
  for (std::size_t s = 0; s < blocks.pairs.size(); ++s)
    for (std::size_t p = 0; p < blocks.pairs[s].size(); ++p) {
      const std::size_t t = s + 1 + p;
      const Index ks = lambda[s].cols(), kt = lambda[t].cols();
      Matrix work(ks, kt);
      for (Index e = 0; e < blocks.pairs[s][p].cols(); ++e) {
        Eigen::Map<Matrix> block(blocks.pairs[s][p].data() + e * ks * kt, ks, kt);
        work = block;
        if (s > 0) work.noalias() = lambda[s].lazyProduct(block);
        block.noalias() = work.lazyProduct(lambda[t].transpose());
      }
    }
}

}  // namespace ranef
