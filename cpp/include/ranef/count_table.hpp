// How often each level of one factor meets each level of another, as a table that rows add to.
//
// Where most pairs of levels occur, a table of counts is smaller than a list of the pairs, and
// adding a row is one step instead of a merge.
#pragma once

#include <cstdint>
#include <vector>

#include "ranef/cross_products.hpp"

namespace ranef {

class CountTable {
 public:
  bool is_empty() const { return total_ == 0; }

  // Whether a table of (n_s, n_t) levels is worth its memory when so many pairs are known.
  static bool pays(Index n_s, Index n_t, Index pairs);

  // Whether the table still pays with so many levels, and n more rows cannot overflow a count.
  bool holds(Index n_s, Index n_t, Index n) const;

  // Count rows.
  void add(const std::int32_t* s,  // (n,) level of the first factor
           const std::int32_t* t,  // (n,)
           Index n, Index n_s, Index n_t);

  // Add a list of pairs of which each value is a count; false, and nothing added, if one is not.
  bool absorb(const PairProducts& pair, Index n_s, Index n_t);

  // The same counts with level l of the first factor called s[l] and level m of the second t[m].
  void renumber(const std::vector<std::int32_t>& s, const std::vector<std::int32_t>& t, Index n_s,
                Index n_t);

  // The pairs that occur.
  PairProducts pairs() const;

 private:
  Index n_s_ = 0, n_t_ = 0, stride_ = 0;
  Index total_ = 0, nonzeros_ = 0;
  std::vector<std::uint32_t> count_;  // (n_s, stride) by rows

  void grow(Index n_s, Index n_t);
};

}  // namespace ranef
