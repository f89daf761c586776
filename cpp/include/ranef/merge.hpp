// Cross products chunk by chunk: parts add up, levels are met as they come.
//
// A is a sum over rows, so that the A of two sets of rows is the sum of theirs once both are on the
// same shifts and the same numbering of levels. Both changes are exact algebra on A.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "ranef/count_table.hpp"
#include "ranef/cross_products.hpp"
#include "ranef/crossed_plan.hpp"
#include "ranef/eigen.hpp"

namespace ranef {

class Lmm;

// The sum of two couplings, levels ascending; either may have seen fewer levels.
PairProducts merge(const PairProducts& a, const PairProducts& b);

// The same coupling with the roles of its terms, of k_s and k_t columns, exchanged.
PairProducts transpose(const PairProducts& pair, Index k_s, Index k_t, Index n_levels_t);

// The same coupling with level l of the first term called s[l] and level m of the second t[m].
PairProducts renumber(const PairProducts& pair, const std::vector<std::int32_t>& s,
                      const std::vector<std::int32_t>& t, Index n_levels_s);

// Cross products with the terms in another order: term i is place[i] of the present ones.
CrossProducts reorder(CrossProducts products, const std::vector<std::size_t>& place);

class Accumulator {
 public:
  // `layout` has no rows: its fixed columns, and columns and blocks of its terms.
  explicit Accumulator(Input layout);

  // Add the rows of a chunk. Levels are numbered by the caller, a new one by the next number.
  void add(const Input& chunk);

  // What rows lose when those of equal design are given as one, with the sum of their weights and
  // their mean response: how many fewer they are, the change of sum log w, and the weighted squares
  // of the response around those means.
  void add_within(Index n, double sum_log_w, double squares);

  // Number the levels of each term anew: level l becomes number[t][l] of n_levels[t].
  void renumber(const std::vector<std::vector<std::int32_t>>& number,
                const std::vector<Index>& n_levels);

  // Add another accumulator of the same layout, its levels numbered as ours.
  void merge(const Accumulator& other);

  // The model of all rows so far. Terms with structures, one for each block, need the layout to
  // have had some: their columns are then taken as they are.
  std::unique_ptr<Lmm> model(const MethodSettings& method = {},
                             const std::vector<BlockStructures>& structures = {}) const;

  Index n_obs() const { return products_.n; }
  const Input& layout() const { return layout_; }

  // All that it holds as numbers, and back.
  struct State {
    double n = 0.0, sum_log_w = 0.0;
    std::vector<double> shift, scale;  // of every column: xy, then terms
    Matrix gram;
    std::vector<Matrix> own, xy;                   // by term; xy (c, k l) transposed
    std::vector<std::vector<std::int64_t>> start;  // by pair, row by row
    std::vector<std::vector<std::int32_t>> level;
    std::vector<Matrix> value;
  };
  State state() const;
  void restore(const State& state);

 private:
  Input layout_;
  bool begun_ = false;
  Shifts shifts_;
  CrossProducts products_;  // without pairs

  // The products of a pair of terms are the sum of all that is here.
  struct Pair {
    std::vector<PairProducts> parts;  // each at least twice as large as the next
    CountTable table;
  };
  std::vector<std::vector<Pair>> pairs_;  // pairs_[s][t - s - 1]

  PairProducts pair(std::size_t s, std::size_t j) const;
  bool use_table(std::size_t s, std::size_t j, Index n);
  void push(std::vector<PairProducts>& parts, PairProducts part);
  CrossProducts whole() const;
};

}  // namespace ranef
