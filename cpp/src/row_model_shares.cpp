#include "ranef/densities_shares.hpp"
#include "row_model_of.hpp"

namespace ranef {

std::unique_ptr<RowModel> binomial_rows(Link link, bool zero, RowModelRows rows) {
  return row_model_of<BinomialDensity>(link, zero, std::move(rows));
}

std::unique_ptr<RowModel> betabinomial_rows(Link link, bool zero, RowModelRows rows) {
  return row_model_of<BetabinomialDensity>(link, zero, std::move(rows));
}

std::unique_ptr<RowModel> beta_rows(Link link, bool zero, RowModelRows rows) {
  return row_model_of<BetaDensity>(link, zero, std::move(rows));
}

std::unique_ptr<RowModel> ordered_beta_rows(Link link, bool zero, RowModelRows rows) {
  return row_model_without_zeros<OrderedBetaDensity>(link, zero, std::move(rows));
}

}  // namespace ranef
