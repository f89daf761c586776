// The basis in which models are fitted: scale and location of a column cannot hurt there.
//
//   [X^ y^] = [X y] T,  [X^ y^]'W[X^ y^] = n I         b = Tz b~,  Z~_t'W Z~_t = n I within a block
//
// T and Tz are known, so every result is mapped back exactly.
#pragma once

#include <vector>

#include "ranef/cross_products.hpp"
#include "ranef/eigen.hpp"

namespace ranef {

struct StandardBasis {
  std::vector<int> kept;     // (p,) columns of the user's X that are kept, first come
  std::vector<int> aliased;  // the others
  Matrix alias;              // (p, n_aliased) each aliased column in terms of the kept ones
  Matrix T;                  // (p + 1, p + 1) upper triangular, kept columns and y
  std::vector<Matrix> Tz;    // (k_t, k_t) upper triangular
};

// A response that no X reproduces, to hold the place of those to come.
Vector stand_in(Index n);

// Columns of the input replaced by explicitly orthonormalised ones, for designs that cross products
// cannot resolve. Owns what `input` points to.
struct RefinedInput {
  Input input;
  Shifts shifts;
  StandardBasis basis;
  std::vector<Vector> storage;
};

// Whether the cross products lose the digits that tell columns, or the response, apart.
bool needs_refinement(const Input& input, const CrossProducts& products);

// Orthonormalise the columns of X, y and each block row by row (Gram-Schmidt, twice).
RefinedInput refine(const Input& input, const Shifts& shifts);

// Map A in place from columns shifted and scaled by `from` to columns shifted and scaled by `to`.
void reshift(const Input& input, const Shifts& from, const Shifts& to, CrossProducts& products);

// Drop columns of X whose own share A cannot resolve, from A, `input` and `shifts`; `basis` notes
// them. For rows that cannot be read again. Throws PerfectFit when X reproduces the response that
// well.
void drop_aliased(Input& input, Shifts& shifts, CrossProducts& products, StandardBasis& basis);

// Map A to the standardised basis in place; `shifts` is how A was accumulated.
StandardBasis standardise(const Input& input, const Shifts& shifts, CrossProducts& products);

// The basis of a refined input after `standardise` gave `inner` for its cross products.
StandardBasis compose(const StandardBasis& outer, const StandardBasis& inner);

}  // namespace ranef
