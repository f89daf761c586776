// Random-effects terms whose levels are not independent, or to several levels of which a row
// belongs.
//
//   cov(b_t) = Q_t^-1 (x) Sigma_t,   Z_t = sum of the Z of its members
//
// Each member is a term of the rows, as cross_products.hpp has it, whose columns hold the weights.
#pragma once

#include <cstdint>
#include <vector>

#include "ranef/cross_products.hpp"
#include "ranef/eigen.hpp"
#include "ranef/standard_basis.hpp"
#include "ranef/supernodal.hpp"

namespace ranef {

// Lower triangle of a symmetric matrix, diagonal included, compressed by columns.
struct SparseLower {
  std::vector<Index> start;       // (l + 1,); empty: the identity
  std::vector<std::int32_t> row;  // (nnz,)
  std::vector<double> value;      // (nnz,)

  bool is_identity() const { return start.empty(); }
};

// Factor a precision of n levels; false where it is not positive definite.
bool factor_precision(const SparseLower& Q, Index n, Supernodal& factor);

struct GeneralTerms {
  std::vector<std::size_t> term;         // of each member, ascending from 0
  std::vector<SparseLower> precision;    // Q of each term
  std::vector<double> size;              // mean of the diagonal of Q^-1: where to start
  std::vector<std::vector<int>> blocks;  // of each term, as in TermInput
};

// Rows of Z, compressed: a column for each random effect, term by term, a level's columns together.
struct SparseRowsOfZ {
  std::vector<Index> start;          // (m + 1,)
  std::vector<std::int32_t> column;  // (nnz,)
  std::vector<double> value;         // (nnz,)
};

// Z_s'W Z_t of two terms s <= t by pairs of levels that meet, each pair once.
struct LevelBlocks {
  std::size_t s, t;
  std::vector<std::int32_t> l, m;  // levels of s and t; l >= m where s = t
  Matrix value;                    // (k_s * k_t, pairs)
};

// Cross products with the members of a term joined.
struct GeneralProducts {
  CrossProducts sums;               // xy and, of the blocks, each level's own; no pairs
  std::vector<LevelBlocks> blocks;  // all of Z'W Z
};

// Join the members. Columns of a term's members are put on one scale first: `basis`, by member, is
// then by term.
GeneralProducts join_members(CrossProducts products, const GeneralTerms& terms,
                             StandardBasis& basis);

}  // namespace ranef
