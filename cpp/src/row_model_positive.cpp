#include "ranef/densities_positive.hpp"
#include "row_model_of.hpp"

namespace ranef {

std::unique_ptr<RowModel> gaussian_rows(Link link, bool zero, RowModelRows rows) {
  return row_model_without_zeros<GaussianDensity>(link, zero, std::move(rows));
}

std::unique_ptr<RowModel> student_rows(Link link, bool zero, RowModelRows rows) {
  return row_model_without_zeros<StudentDensity>(link, zero, std::move(rows));
}

std::unique_ptr<RowModel> lognormal_rows(Link link, bool zero, RowModelRows rows) {
  return row_model_of<LognormalDensity>(link, zero, std::move(rows));
}

std::unique_ptr<RowModel> gamma_rows(Link link, bool zero, RowModelRows rows) {
  return row_model_of<GammaDensity>(link, zero, std::move(rows));
}

std::unique_ptr<RowModel> tweedie_rows(Link link, bool zero, RowModelRows rows) {
  return row_model_of<TweedieDensity>(link, zero, std::move(rows));
}

}  // namespace ranef
