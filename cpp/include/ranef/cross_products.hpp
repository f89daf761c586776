// A = [Z X y]'W[Z X y] in blocks, from one pass over the rows; Z is never formed.
#pragma once

#include <cstdint>
#include <vector>

#include "ranef/eigen.hpp"
#include "ranef/structure.hpp"

namespace ranef {

// The reference of the constant column.
constexpr int kIntercept = -1;

// One random-effects term as the rows give it.
struct TermInput {
  const std::int32_t* codes;  // (n,) level of each row, 0 .. n_levels - 1
  Index n_levels;             // l
  std::vector<int> columns;   // (k,) references into Input::columns, or kIntercept
  std::vector<int> blocks;    // (k,) block of each column; blocks are independent of each other
  BlockStructures structures = {};  // of each block; none: all are free

  // The structure of a block, null where it is free.
  const Structure* structure(int block) const {
    const std::size_t b = static_cast<std::size_t>(block);
    return b < structures.size() ? structures[b].get() : nullptr;
  }
};

// The rows of a model. Nothing is owned: the arrays outlive the call that takes this.
struct Input {
  Index n = 0;
  const double* y = nullptr;           // (n,)
  const double* weights = nullptr;     // (n,) or null
  std::vector<const double*> columns;  // each (n,)
  std::vector<int> fixed;              // (p,) references into columns, or kIntercept
  std::vector<TermInput> terms;
};

// A column as it is accumulated: (value - shift) * scale; the constant keeps shift 0 and scale 1.
struct Affine {
  double shift = 0.0;
  double scale = 1.0;
};

// Sparse coupling Z_s'W Z_t of two terms, compressed by the levels of s.
struct PairProducts {
  std::vector<Index> start;         // (l_s + 1,)
  std::vector<std::int32_t> level;  // (nnz,) level of t, ascending within a level of s
  Matrix value;                     // (k_s * k_t, nnz) blocks (k_s, k_t), column-major
};

struct TermProducts {
  Index n_levels = 0;  // l
  Index k = 0;
  Matrix own;    // (k * k, l)  Z_l'W Z_l
  RowMatrix xy;  // (l * k, c)  Z_l'W [X y], the k rows of a level together
};

// Everything that a fit needs from the rows. c = p + 1, the response last.
struct CrossProducts {
  Index n = 0;
  double sum_log_w = 0.0;
  Matrix gram;  // (c, c) [X y]'W[X y]
  std::vector<TermProducts> terms;
  std::vector<std::vector<PairProducts>> pairs;  // pairs[s][t - s - 1] for s < t
};

// How each column enters A: the shift and scale of X's columns, of y (last), and of the terms'
// columns.
struct Shifts {
  std::vector<Affine> xy;                  // (c,)
  std::vector<std::vector<Affine>> terms;  // (k_t,) each
};

// Shifts that centre (where a constant absorbs it) and scale every column of the input.
Shifts choose_shifts(const Input& input);

// Add the rows of the input to n, sum_log_w, gram and the terms' blocks, which have its levels.
void add_products(const Input& input, const Shifts& shifts, CrossProducts& out);

// Rows in the order of a term's levels (stable).
struct LevelOrder {
  std::vector<Index> start;       // (l + 1,)
  std::vector<std::int32_t> row;  // (n,)
};
LevelOrder order_by_level(const TermInput& term, Index n);

// The blocks of a pair of terms s < t, given the rows in the order of s.
PairProducts pair_products(const Input& input, const Shifts& shifts, std::size_t s, std::size_t t,
                           const LevelOrder& order);

// Whether a term is a constant within each level: its products with another such term are counts.
bool is_indicator(const TermInput& term);

// One pass for the blocks of each term, and one for each pair of terms.
CrossProducts accumulate(const Input& input, const Shifts& shifts);

}  // namespace ranef
