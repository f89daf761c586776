// The little that the tests need: a failing check says where and stops the program.
#pragma once

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <vector>

#include "ranef/cross_products.hpp"
#include "ranef/eigen.hpp"

#define CHECK(condition)                                                        \
  do {                                                                          \
    if (!(condition)) {                                                         \
      std::printf("%s:%d: %s does not hold\n", __FILE__, __LINE__, #condition); \
      std::exit(1);                                                             \
    }                                                                           \
  } while (false)

#define CHECK_CLOSE(a, b, tolerance)                                                      \
  do {                                                                                    \
    const double a_ = (a), b_ = (b);                                                      \
    if (!(std::abs(a_ - b_) <= (tolerance) * (1.0 + std::abs(b_)))) {                     \
      std::printf("%s:%d: %s = %.15g, %s = %.15g\n", __FILE__, __LINE__, #a, a_, #b, b_); \
      std::exit(1);                                                                       \
    }                                                                                     \
  } while (false)

namespace ranef::test {

// A random model with its rows: everything that Input points to.
struct Rows {
  Vector y, weights;
  std::vector<Vector> columns;
  std::vector<std::vector<std::int32_t>> codes;
  Input input;
};

struct TermShape {
  Index n_levels, k;
};

// Codes are random but every level occurs; `nested` makes each term's levels lie within the next's.
inline Rows random_rows(unsigned seed, Index n, const std::vector<TermShape>& shapes, bool weighted,
                        bool nested = false) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  Rows rows;
  rows.y = Vector::NullaryExpr(n, [&] { return 50.0 + 3.0 * normal(random); });
  rows.weights = Vector::NullaryExpr(n, [&] { return 0.5 + std::abs(normal(random)); });
  Index widest = 3;
  for (const TermShape& shape : shapes) widest = std::max(widest, shape.k);
  for (Index j = 0; j < widest; ++j)
    rows.columns.push_back(Vector::NullaryExpr(
        n, [&] { return 5.0 * double(j) + (1.0 + double(j)) * normal(random); }));
  for (const TermShape& shape : shapes) {
    std::vector<std::int32_t> codes(n);
    for (Index i = 0; i < n; ++i) {
      const Index finest = shapes[0].n_levels;
      const Index level = nested               ? (i % finest) * shape.n_levels / finest
                          : i < shape.n_levels ? i
                                               : Index(random() % unsigned(shape.n_levels));
      codes[i] = static_cast<std::int32_t>(level);
    }
    rows.codes.push_back(std::move(codes));
  }
  Input& input = rows.input;
  input.n = n;
  input.y = rows.y.data();
  input.weights = weighted ? rows.weights.data() : nullptr;
  for (const Vector& column : rows.columns) input.columns.push_back(column.data());
  input.fixed = {kIntercept, 0, 1};
  for (std::size_t t = 0; t < shapes.size(); ++t) {
    TermInput term{rows.codes[t].data(), shapes[t].n_levels, {kIntercept}, {0}};
    for (int j = 1; j < shapes[t].k; ++j) {
      term.columns.push_back(j - 1);
      term.blocks.push_back(j > 2 ? 1 : 0);
    }
    input.terms.push_back(term);
  }
  return rows;
}

// A lower triangular factor for each term, zero between blocks.
inline std::vector<Matrix> random_factors(unsigned seed, const Input& input) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  std::vector<Matrix> out;
  for (const TermInput& term : input.terms) {
    const Index k = static_cast<Index>(term.columns.size());
    Matrix L = Matrix::Zero(k, k);
    for (Index j = 0; j < k; ++j)
      for (Index i = j; i < k; ++i)
        if (term.blocks[i] == term.blocks[j])
          L(i, j) = i == j ? 0.2 + std::abs(normal(random)) : 0.5 * normal(random);
    out.push_back(L);
  }
  return out;
}

// Columns of X, or of a term, as a matrix.
inline Matrix dense_columns(const Input& input, const std::vector<int>& references) {
  Matrix out(input.n, static_cast<Index>(references.size()));
  for (std::size_t j = 0; j < references.size(); ++j)
    for (Index i = 0; i < input.n; ++i)
      out(i, static_cast<Index>(j)) =
          references[j] == kIntercept ? 1.0 : input.columns[references[j]][i];
  return out;
}

// V = W^-1 + sum_t Z_t Sigma_t Z_t', relative to sigma^2, n by n.
inline Matrix dense_covariance(const Input& input, const std::vector<Matrix>& lambda) {
  Matrix V = Matrix::Zero(input.n, input.n);
  for (Index i = 0; i < input.n; ++i) V(i, i) = input.weights ? 1.0 / input.weights[i] : 1.0;
  for (std::size_t t = 0; t < lambda.size(); ++t) {
    const Matrix z = dense_columns(input, input.terms[t].columns);
    const Matrix full = z * lambda[t] * lambda[t].transpose() * z.transpose();
    for (Index i = 0; i < input.n; ++i)
      for (Index j = 0; j < input.n; ++j)
        if (input.terms[t].codes[i] == input.terms[t].codes[j]) V(i, j) += full(i, j);
  }
  return V;
}

}  // namespace ranef::test
