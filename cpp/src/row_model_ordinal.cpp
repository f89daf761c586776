#include "ranef/densities_ordinal.hpp"
#include "row_model_of.hpp"

namespace ranef {

std::unique_ptr<RowModel> ordinal_rows(Link link, bool zero, RowModelRows rows) {
  return row_model_without_zeros<OrdinalDensity>(link, zero, std::move(rows));
}

}  // namespace ranef
