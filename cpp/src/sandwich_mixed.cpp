#include "ranef/sandwich_mixed.hpp"

#include <cmath>
#include <stdexcept>
#include <vector>

#include "ranef/dense.hpp"

namespace ranef {
namespace {

// What is left of a direction below this share of the largest is none.
constexpr double kEmpty = 1e-10;

void check(const MarginalModel& m) {
  const Index n = m.X.rows();
  if (m.resid.size() != n || m.codes.rows() != n || m.z.rows() != n || m.order.size() != n) {
    throw std::invalid_argument("resid, codes, z, order: one row for each row of X");
  }
  if (m.weights.size() != 0 && m.weights.size() != n) {
    throw std::invalid_argument("weights: one entry for each row of X, or none");
  }
  if (m.sizes.size() != m.codes.cols() || m.sizes.sum() != m.z.cols() ||
      m.sigma.rows() != m.z.cols() || m.sigma.cols() != m.z.cols()) {
    throw std::invalid_argument("sizes, z, sigma: the columns of the terms do not add up");
  }
  if (m.start.size() < 1 || m.start[m.start.size() - 1] != n) {
    throw std::invalid_argument("start: ends at the number of rows");
  }
  if (n > 0 && (m.order.minCoeff() < 0 || m.order.maxCoeff() >= n)) {
    throw std::invalid_argument("order: an entry is no row");
  }
}

// One cluster in at most r + q coordinates.
struct Cluster {
  Matrix X, V, Z;            // (m, r), (m, m), (m, q)
  Vector e;                  // (m,)
  std::vector<Index> first;  // column of Z where each level of each term starts
  std::vector<Index> term;   // its term
};

// Columns of Z, one set for each level of each term that occurs; lay their covariance into V.
void random_part(const MarginalModel& m, Index g, Cluster& c) {
  const Index n = m.start[g + 1] - m.start[g];
  std::vector<std::vector<Index>> at(static_cast<std::size_t>(m.codes.cols()));
  Index q = 0;
  c.first.clear();
  c.term.clear();
  for (Index t = 0; t < m.codes.cols(); ++t) {
    std::vector<std::int32_t> seen;
    for (Index i = 0; i < n; ++i) {
      const std::int32_t code = m.codes(m.order[m.start[g] + i], t);
      std::size_t level = 0;
      if (!seen.empty() && seen.back() == code) {
        level = seen.size() - 1;
      } else {
        while (level < seen.size() && seen[level] != code) ++level;
      }
      if (level == seen.size()) {
        seen.push_back(code);
        c.first.push_back(q);
        c.term.push_back(t);
        q += m.sizes[t];
      }
      at[static_cast<std::size_t>(t)].push_back(c.first[c.first.size() - seen.size() + level]);
    }
  }
  c.Z.setZero(n, q);
  for (Index t = 0, column = 0; t < m.codes.cols(); column += m.sizes[t], ++t) {
    for (Index i = 0; i < n; ++i) {
      const Index to = at[static_cast<std::size_t>(t)][static_cast<std::size_t>(i)];
      c.Z.row(i).segment(to, m.sizes[t]) =
          m.z.row(m.order[m.start[g] + i]).segment(column, m.sizes[t]);
    }
  }
}

// Z Sigma Z' added to V.
void add_random(const MarginalModel& m, Cluster& c) {
  std::vector<Index> column(static_cast<std::size_t>(m.sizes.size()) + 1, 0);
  for (Index t = 0; t < m.sizes.size(); ++t) {
    column[static_cast<std::size_t>(t) + 1] = column[static_cast<std::size_t>(t)] + m.sizes[t];
  }
  for (std::size_t l = 0; l < c.first.size(); ++l) {
    const Index t = c.term[l], s = m.sizes[t], at = column[static_cast<std::size_t>(t)];
    const Matrix Zl = c.Z.middleCols(c.first[l], s);
    c.V += tcrossprod(product(Zl, m.sigma.block(at, at, s, s)), Zl);
  }
}

// V maps the span of X and Z into itself where the weights are equal, and nothing outside that span
// meets the scores; so a large cluster is turned into the coordinates of the span.
void gather(const MarginalModel& m, Index g, Cluster& c) {
  const Index n = m.start[g + 1] - m.start[g], r = m.X.cols();
  c.X.resize(n, r);
  c.e.resize(n);
  Vector noise = Vector::Ones(n);
  for (Index i = 0; i < n; ++i) {
    const Index row = m.order[m.start[g] + i];
    c.X.row(i) = m.X.row(row);
    c.e[i] = m.resid[row];
    if (m.weights.size() > 0) noise[i] = 1.0 / m.weights[row];
  }
  random_part(m, g, c);
  const Index q = c.Z.cols();
  if (n > r + q && (noise.array() == noise[0]).all()) {
    Matrix XZ(n, r + q);
    XZ << c.X, c.Z;
    const Matrix Q = orthonormal_columns(XZ);
    c.X = crossprod(Q, c.X);
    c.Z = crossprod(Q, c.Z);
    c.e = crossprod(Q, c.e);
    c.V = noise[0] * Matrix::Identity(r + q, r + q);
  } else {
    c.V = noise.asDiagonal();
  }
  add_random(m, c);
}

// a = A'V^-1 X; false where CR3 does not exist.
bool adjust(const Cluster& c, const std::string& kind, Matrix& a) {
  const Eigen::LLT<Matrix> factor(c.V);
  Matrix inner = c.X;
  factor.matrixL().solveInPlace(inner);
  if (kind == "CR2") {
    const Matrix D = factor.matrixU(), left = c.V - tcrossprod(c.X, c.X);
    const Matrix B = tcrossprod(product(D, left), D);
    const Eigen::SelfAdjointEigenSolver<Matrix> eigen(B);
    const Vector& lam = eigen.eigenvalues();
    Vector power(lam.size());
    for (Index i = 0; i < lam.size(); ++i) {
      power[i] = lam[i] > kEmpty * lam[lam.size() - 1] ? 1.0 / std::sqrt(lam[i]) : 0.0;
    }
    const Matrix& E = eigen.eigenvectors();
    const Matrix turned = power.asDiagonal() * crossprod(E, inner);
    a = crossprod(D, product(E, turned));
    return true;
  }
  if (kind == "CR3") {
    const Matrix left = Matrix::Identity(c.X.cols(), c.X.cols()) - crossprod(inner, inner);
    const Eigen::SelfAdjointEigenSolver<Matrix> eigen(left);
    if (eigen.eigenvalues()[0] < kEmpty) return false;
    const Matrix& E = eigen.eigenvectors();
    const Matrix turned = product(inner, E) * eigen.eigenvalues().cwiseInverse().asDiagonal();
    inner = tcrossprod(turned, E);
  }
  a = inner;
  factor.matrixU().solveInPlace(a);
  return true;
}

}  // namespace

Matrix marginal_gram(const MarginalModel& model) {
  check(model);
  Matrix out = Matrix::Zero(model.X.cols(), model.X.cols());
  Cluster c;
  for (Index g = 0; g + 1 < model.start.size(); ++g) {
    gather(model, g, c);
    const Eigen::LLT<Matrix> factor(c.V);
    Matrix inner = c.X;
    factor.matrixL().solveInPlace(inner);
    out += crossprod(inner, inner);
  }
  return out;
}

MarginalPieces marginal_pieces(const MarginalModel& model, const std::string& kind, Index first,
                               Index last) {
  check(model);
  if (first < 0 || last < first || last >= model.start.size()) {
    throw std::invalid_argument("first, last: not a range of clusters");
  }
  const Index r = model.X.cols();
  MarginalPieces out{RowMatrix(last - first, r), RowMatrix(last - first, r * r),
                     RowMatrix(last - first, r * r)};
  Cluster c;
  Matrix a;
  for (Index g = first; g < last; ++g) {
    gather(model, g, c);
    out.complete = adjust(c, kind, a);
    if (!out.complete) return out;
    const RowMatrix own = product(crossprod(a, c.V), a), cross = crossprod(c.X, a);
    out.scores.row(g - first) = crossprod(a, c.e).transpose();
    out.own.row(g - first) = Eigen::Map<const Eigen::RowVectorXd>(own.data(), r * r);
    out.cross.row(g - first) = Eigen::Map<const Eigen::RowVectorXd>(cross.data(), r * r);
  }
  return out;
}

}  // namespace ranef
