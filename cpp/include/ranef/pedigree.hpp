// Ancestry: an order in which parents come before their offspring, loops, and inbreeding.
//
// References: Quaas (1976), Biometrics 32, 949-953; Meuwissen and Luo (1992), Genet. Sel. Evol. 24,
// 305-313.
#pragma once

#include <cstdint>
#include <vector>

#include "ranef/eigen.hpp"

namespace ranef {

using Animals = std::vector<std::int32_t>;

struct Ancestry {
  Vector inbreeding;  // (n,) F; empty where there is a loop
  Vector mendelian;   // (n,) D: the variance of an animal given its parents, in units of A
  Animals loop;       // animals each of which is a parent of the one before, the last of the first
};

// Parents by number, -1 for unknown ones; animals in any order.
Ancestry trace_ancestry(const Animals& sire, const Animals& dam);

}  // namespace ranef
