#include "ranef/densities_counts.hpp"
#include "row_model_of.hpp"

namespace ranef {

std::unique_ptr<RowModel> truncated_poisson_rows(Link link, bool zero, RowModelRows rows) {
  return row_model_of<Truncated<PoissonDensity>>(link, zero, std::move(rows));
}

std::unique_ptr<RowModel> truncated_negative_binomial_rows(Link link, bool zero,
                                                           RowModelRows rows) {
  return row_model_of<Truncated<NegativeBinomialDensity>>(link, zero, std::move(rows));
}

std::unique_ptr<RowModel> truncated_nbinom1_rows(Link link, bool zero, RowModelRows rows) {
  return row_model_of<Truncated<Nbinom1Density>>(link, zero, std::move(rows));
}

}  // namespace ranef
