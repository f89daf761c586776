#include "ranef/densities_counts.hpp"
#include "row_model_of.hpp"

namespace ranef {

std::unique_ptr<RowModel> poisson_rows(Link link, bool zero, RowModelRows rows) {
  return row_model_of<PoissonDensity>(link, zero, std::move(rows));
}

std::unique_ptr<RowModel> negative_binomial_rows(Link link, bool zero, RowModelRows rows) {
  return row_model_of<NegativeBinomialDensity>(link, zero, std::move(rows));
}

std::unique_ptr<RowModel> nbinom1_rows(Link link, bool zero, RowModelRows rows) {
  return row_model_of<Nbinom1Density>(link, zero, std::move(rows));
}

std::unique_ptr<RowModel> generalized_poisson_rows(Link link, bool zero, RowModelRows rows) {
  return row_model_of<GeneralizedPoissonDensity>(link, zero, std::move(rows));
}

std::unique_ptr<RowModel> compois_rows(Link link, bool zero, RowModelRows rows) {
  return row_model_of<ConwayMaxwellDensity>(link, zero, std::move(rows));
}

}  // namespace ranef
